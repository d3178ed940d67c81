"""`overspill`, also `kubectl overspill`: shows and explains; one verb per file.

A verb is a module with `add(subparsers)` and `run(args) -> int`. Verbs read the API server with
the caller's own rights and write nothing, except `leases resolve`, which leaves an annotation.
"""
