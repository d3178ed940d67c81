"""Stand-ins for the markets' real APIs: simulated hosts, a ledger, fault switches.

Started by `overspill sandbox`, `python -m overspill.sandbox` and `overspill.testing.sandbox`.
It knows nothing of the operator: its wire shapes are its own, written from the markets' specs.
"""
