"""Dispersed's jobs as a tenant sees them, after its documentation and official examples."""
