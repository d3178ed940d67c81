"""`leases resolve NAME --adopt ID | --absent`: a person's word where the market gave none.

Writes the annotation `overspill.dev/resolve` on an Uncertain GPULease, or on a Closing one whose
GPUProvider is gone for good; the operator acts on it.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from overspill.cli.cluster import Cluster, connect
from overspill.cli.errors import CliError
from overspill.cli.ledger import lease_view
from overspill.cli.options import add_cluster_flags, target
from overspill.core.lease import ABSENT, ADOPT
from overspill.core.reasons import Reason
from overspill.core.vocabulary import LeaseState
from overspill.kube.resources import RESOLVE_ANNOTATION, Kind


def add(subparsers: Any) -> None:
    """Registers the subverb under `leases`."""
    parser = subparsers.add_parser(
        "resolve",
        help="tell the operator what became of an Uncertain or Stranded lease",
        description="A lease is Uncertain when a call that costs may have been executed and the "
        "market cannot tell; a Closing one is Stranded when its GPUProvider was removed by force "
        "(it can only be --absent). Look into the market's console for something that bears the "
        "lease's name, then say what you found. The operator keeps billing the job from the start "
        "either way: --absent while the lease exists is a leak.",
    )
    parser.add_argument("lease", metavar="NAME")
    found = parser.add_mutually_exclusive_group(required=True)
    found.add_argument("--adopt", metavar="ID", help="it exists and has this id at the market")
    found.add_argument("--absent", action="store_true", help="you looked: it does not exist")
    add_cluster_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Reads the lease and annotates it."""
    return resolve(connect(target(args)), args.lease, ABSENT if args.absent else ADOPT + args.adopt)


def resolve(cluster: Cluster, name: str, word: str) -> int:
    """The verb without the command line."""
    if word == ADOPT:
        raise CliError("--adopt needs the id that the market shows for the lease.", code=2)
    lease = cluster.get(Kind.LEASE, name)
    state = lease_view(lease).state
    if state != "Uncertain" and not (word == ABSENT and _has_no_account(lease)):
        raise CliError(f"Lease {name} is {state}, not Uncertain: there is nothing to resolve.")
    cluster.annotate(Kind.LEASE, lease, {RESOLVE_ANNOTATION: word})
    print(f"Lease {name}: noted '{word}'. Its next state: kubectl overspill leases.")
    return 0


def _has_no_account(lease: Mapping[str, Any]) -> bool:
    """Whether the operator said that the lease's GPUProvider is gone. An open one is closed first:
    its job must not run on."""
    status = lease.get("status") or {}
    said = {(c.get("type"), c.get("reason")) for c in status.get("conditions") or []}
    is_closing = status.get("state") == LeaseState.CLOSING
    return is_closing and ("Stranded", Reason.PROVIDER_MISSING) in said
