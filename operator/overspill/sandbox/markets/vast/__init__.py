"""Vast.ai as a tenant sees it: asks, instances, labels and credit."""
