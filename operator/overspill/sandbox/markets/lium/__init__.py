"""Lium's API as a tenant sees it: nodes, templates, pods, and keys that make a rent repeatable."""
