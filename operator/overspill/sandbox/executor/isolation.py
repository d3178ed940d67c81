"""How a lease's command is put into a cell of its own: network, processes, /tmp, no privileges.

Everything a lease started dies with the sandbox, even when that is killed: the outer process is
bound to it by a parent-death signal, the inner one is the first of its own process namespace.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from overspill.sandbox.executor.network import Cell
from overspill.sandbox.executor.shell import ToolError, tool

_CAPABILITIES = "-all,+chown,+dac_override,+fowner,+kill,+setuid,+setgid,+net_bind_service"
_SETUP = r"""
set -e
disk=$1; shift
while [ "$1" != -- ]; do
  mkdir -p "$disk/tmp/${1#/tmp/}"
  mount --bind "$1" "$disk/tmp/${1#/tmp/}"
  mount -o remount,bind,ro "$disk/tmp/${1#/tmp/}"
  shift
done
shift
mount --rbind "$disk/tmp" /tmp
cd "$disk/work"
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=@CAPS@ -- "$@"
""".replace("@CAPS@", _CAPABILITIES)


def isolated(
    cell: Cell, disk: Path, share: Sequence[Path], command: Sequence[str]
) -> Sequence[str]:
    """The command inside its cell, on its disk, with the shared directories read-only."""
    return [
        *("setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", cell.namespace),
        *("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc"),
        *("/bin/sh", "-c", _SETUP, "cell", str(disk), *map(str, share), "--", *command),
    ]


def bare(command: Sequence[str]) -> Sequence[str]:
    """The command with no cell, bound to the sandbox's life where the machine can do that."""
    if shutil.which("setpriv") is None:
        return command
    return ["setpriv", "--pdeathsig", "KILL", *command]


def why_not_possible() -> str:
    """Empty when cells can be made here, else the reason."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = ["unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL"]
    caps = ["setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set={_CAPABILITIES}"]
    try:
        tool("ip", "-V")
        tool("setpriv", "--pdeathsig", "KILL", *probe, "--mount-proc", *caps, "true")
    except ToolError as error:
        return str(error)
    return ""
