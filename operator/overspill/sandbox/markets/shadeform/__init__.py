"""Shadeform as a tenant sees it: instance types of many clouds, instances, prices in cents."""
