"""The bed's own tests use the fixtures that everyone uses."""

from overspill.testing.pytest_bed import bed, namespace, real_bed, real_namespace

__all__ = ["bed", "namespace", "real_bed", "real_namespace"]
