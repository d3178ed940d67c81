"""How an escrow is drained by the leases it pays for, block by block, and topped up.

Pure arithmetic over one deployment; the chain calls it whenever blocks have passed.
"""

from decimal import Decimal

from overspill.sandbox.markets.akash.state import BLOCKS_PER_HOUR, Deployment

_LOW_HOURS = 24
_FULL_HOURS = 48


def drain(deployment: Deployment, height: int) -> bool:
    """Pays every running lease up to `height`; False when the money did not suffice."""
    escrow = deployment.escrow
    blocks, escrow.settled_height = height - escrow.settled_height, height
    rate = sum((lease.price for lease in deployment.running), Decimal(0))
    if not rate or blocks <= 0:
        return True
    affordable = min(blocks, int(escrow.funds / rate))
    for lease in deployment.running:
        lease.charged += lease.price * affordable
    escrow.funds -= rate * affordable
    escrow.transferred += rate * affordable
    return affordable == blocks


def wanted_top_up(deployment: Deployment, height: int) -> Decimal:
    """What the console's own job would add: 48 hours of runway once fewer than 24 are left."""
    escrow = deployment.escrow
    rate = sum((lease.price for lease in deployment.running), Decimal(0))
    due = rate * max(height - escrow.settled_height, 0)
    if not deployment.auto_top_up or escrow.funds - due >= rate * _LOW_HOURS * BLOCKS_PER_HOUR:
        return Decimal(0)
    return rate * _FULL_HOURS * BLOCKS_PER_HOUR + due - escrow.funds
