"""The bed's own tests use the fixtures that everyone uses."""

from overspill.testing.pytest_bed import bed, cluster, namespace, real_bed, real_namespace

__all__ = ["bed", "cluster", "namespace", "real_bed", "real_namespace"]
