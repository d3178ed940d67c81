"""Replays a job history through the operator's own `plan()`: what would run where, and its cost.

Knows the core alone; the clock is the history's. Called by `cli/simulate` and by the benchmark's
fleet suite. docs/simulate.md explains the rules to users.
"""
