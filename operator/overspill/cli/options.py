"""The flags that every verb shares with kubectl, and what they become."""

import argparse
from dataclasses import dataclass

ALL_NAMESPACES = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster, as whom, in which namespace (None: the context's own)."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


def add_cluster_flags(parser: argparse.ArgumentParser, *, namespaced: bool = True) -> None:
    """Adds --kubeconfig and --context, and for namespaced verbs -n and -A."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file to use")
    group.add_argument("--context", metavar="NAME", help="context of the kubeconfig to use")
    if not namespaced:
        return
    where = group.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", metavar="NS", help="namespace (default: the context's)")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")


def add_output_flag(parser: argparse.ArgumentParser) -> None:
    """Adds -o; people get tables, programs get JSON."""
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="how to print"
    )


def target(args: argparse.Namespace) -> Target:
    """What the parsed flags say about the cluster."""
    namespace = getattr(args, "namespace", None)
    if getattr(args, "all_namespaces", False):
        namespace = ALL_NAMESPACES
    return Target(args.kubeconfig, args.context, namespace)
