"""Tests against a real control plane share one bed, with a namespace for each test."""

from overspill.testing.pytest_bed import bed, cluster, namespace, real_bed, real_namespace

__all__ = ["bed", "cluster", "namespace", "real_bed", "real_namespace"]
