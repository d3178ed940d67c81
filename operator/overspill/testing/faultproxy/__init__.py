"""A reverse proxy that fails on purpose, before the real API server and before any market.

    with FaultProxies() as proxies:
        url = proxies.add("api", kube_upstream(bed.server, bed.ca_file))
        operator = OperatorProcess.start(through(kubeconfig, url), workdir)

The client's own credentials pass through, so authentication and roles stay the real ones.
`rules` says what can go wrong, `lanes` who is struck, `audit` what really reached the other side.
`campaign` and `sieve` are the layers L4 and L4s of the fault campaign.
"""

from overspill.testing.faultproxy.lanes import Lane, Lanes
from overspill.testing.faultproxy.process import FaultProxies, through
from overspill.testing.faultproxy.rules import Action, Rule, rule_sets
from overspill.testing.faultproxy.upstream import kube_upstream, market_upstream

__all__ = [
    "Action",
    "FaultProxies",
    "Lane",
    "Lanes",
    "Rule",
    "kube_upstream",
    "market_upstream",
    "rule_sets",
    "through",
]
