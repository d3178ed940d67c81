"""One module or package per market, each over the shared supply, ledger, executor and faults."""
