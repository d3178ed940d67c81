"""Doubles and instruments this project ships: builders, conformance suites, the test bed."""
