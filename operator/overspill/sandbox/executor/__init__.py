"""What runs when a lease runs: nothing but time (`idle.py`), or real processes (`process.py`)."""
