"""Overspill: GPU jobs on your own nodes first, on rented GPUs when that is better."""

__version__ = "0.1.0"
