"""The Akash Console API with a managed wallet: SDL in, bids, leases, escrow per block."""
