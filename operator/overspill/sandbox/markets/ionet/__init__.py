"""io.net's CaaS as a tenant sees it: hardware, quotes, prepaid deployments, FastAPI's errors."""
