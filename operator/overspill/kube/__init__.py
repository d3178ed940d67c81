"""Speaks to the API server: the Cluster port, the store, the informer and the elector.

Wired by `app.py`. Nothing here decides; it reads, writes and remembers what was seen.
"""
