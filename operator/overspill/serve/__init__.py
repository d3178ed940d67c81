"""What listens: the report endpoint of runners, metrics, probes. Started by `app.py`."""
