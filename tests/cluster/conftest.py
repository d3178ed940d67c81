"""Tests against a real control plane share one bed, with a namespace for each test."""

from overspill.testing.pytest_bed import (
    bed,
    cluster,
    free_real_node,
    namespace,
    no_accounts_left,
    real_bed,
    real_namespace,
)

__all__ = [
    "bed",
    "cluster",
    "free_real_node",
    "namespace",
    "no_accounts_left",
    "real_bed",
    "real_namespace",
]
