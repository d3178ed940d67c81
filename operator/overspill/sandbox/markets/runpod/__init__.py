"""RunPod's REST API v2 as a tenant sees it: catalogue, pods, problems in RFC 9457."""
