"""Measurements of the operator on a real control plane; each prints a table and can write JSON."""
