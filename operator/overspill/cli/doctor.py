"""`doctor`: looks at every account as the operator would, and says in sentences what is wrong.

Speaks to the markets with the caller's own right to their Secrets; reads only. `--live` rents the
smallest lease for a moment, see `doctor_live`.
"""

import argparse
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from overspill.cli import doctor_live, render
from overspill.cli.cluster import Cluster, Json, connect
from overspill.cli.doctor_account import examined
from overspill.cli.doctor_checks import Finding, Verdict, operator_view
from overspill.cli.errors import CliError
from overspill.cli.options import add_cluster_flags, add_output_flag, target
from overspill.cli.render import Column
from overspill.core.vocabulary import ProviderType
from overspill.kube.mapping import Unreadable, read_account
from overspill.kube.resources import Kind

_COLUMNS = (Column("PROVIDER"), Column("CHECK"), Column(""), Column("WHAT", folds=True))


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="check accounts: credentials, reach, clock, balance, what is held",
        description="Asks every account what costs nothing and says what is wrong. The exit code "
        "is 1 when anything failed. With --live the smallest lease is really rented, through the "
        "operator and its money rules, watched, closed and proven gone.",
    )
    parser.add_argument("--provider", default="", metavar="NAME", help="only this GPUProvider")
    live = parser.add_argument_group("live run")
    live.add_argument("--live", action="store_true", help="rent the smallest lease for a moment")
    live.add_argument("--max-usd", type=_usd, default=Decimal(2), metavar="USD",
                      help="never more than this in all (default 2)")  # fmt: skip
    live.add_argument("--image", default=doctor_live.IMAGE, help="image with a shell to run")
    live.add_argument("--sla-class", default="", metavar="NAME", help="default: besteffort")
    live.add_argument("--timeout", type=int, default=1800, metavar="S", help="give up after")
    add_cluster_flags(parser)
    add_output_flag(parser)


def run(args: argparse.Namespace) -> int:
    """Examines, and rents when told to."""
    cluster = connect(target(args))
    if not args.live:
        return doctor(cluster, args.provider, as_json=args.output == "json")
    if not args.provider:
        raise CliError("--live rents at one account: name it with --provider.", code=2)
    wish = doctor_live.Wish(args.max_usd, args.image, args.sla_class, args.timeout)
    return doctor_live.live(cluster, args.provider, wish)


def doctor(cluster: Cluster, provider: str, *, as_json: bool) -> int:
    """The verb without the command line."""
    accounts = [cluster.get(Kind.PROVIDER, provider)] if provider else _all(cluster)
    found = [(obj["metadata"]["name"], one) for obj in accounts for one in _findings(cluster, obj)]
    if as_json:
        render.print_json(
            [
                {"provider": name, "check": f.check, "verdict": f.verdict, "sentence": f.sentence}
                for name, f in found
            ]
        )
    else:
        _print(found)
    return int(any(f.verdict is Verdict.FAIL for _, f in found))


def _all(cluster: Cluster) -> list[Json]:
    found = cluster.list_all(Kind.PROVIDER)
    if not found:
        raise CliError("There is no GPUProvider: create one for home and one per market account.")
    return found


def _findings(cluster: Cluster, obj: Json) -> Iterable[Finding]:
    try:
        account = read_account(obj)
    except Unreadable as error:
        yield Finding("spec", Verdict.FAIL, f"it cannot be read: {error}")
        return
    yield from operator_view(obj)
    if account.type is ProviderType.IN_CLUSTER:
        yield _home(obj)
        return
    try:
        yield from examined(cluster, account).findings
    except CliError as error:
        yield Finding("credentials", Verdict.FAIL, str(error))


def _home(obj: Json) -> Finding:
    seen = (obj.get("status") or {}).get("offersSeen") or 0
    if seen:
        return Finding("offers", Verdict.OK, f"{seen} GPU nodes have room")
    return Finding("offers", Verdict.NOTE, "no GPU node of this cluster has room now")


def _print(found: Sequence[tuple[str, Finding]]) -> None:
    out = render.console()
    render.table(out, _COLUMNS, [(n, f.check, f.verdict.value, f.sentence) for n, f in found])
    bad = sorted({name for name, f in found if f.verdict is Verdict.FAIL})
    out.print(f"{', '.join(bad)}: something failed." if bad else "Nothing failed.")


def _usd(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars") from None
    if not found.is_finite() or found <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return found
