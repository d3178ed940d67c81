"""Runs the machine's own small tools (`ip`, `unshare`) and says in a sentence when one fails.

Used by the network and the isolation probe; never by a lease.
"""

import shutil
import subprocess
from collections.abc import Sequence


class ToolError(Exception):
    """A tool is missing or refused."""


def tool(*command: str, given: str = "") -> str:
    """The tool's output; ToolError with its last words when it fails."""
    if shutil.which(command[0]) is None:
        raise ToolError(f"{command[0]} is not installed")
    done = subprocess.run(  # noqa: S603 -- fixed tools, arguments made here
        command, input=given, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ToolError(f"{' '.join(command[:4])} failed: {words[-1] if words else 'no message'}")
    return done.stdout


def ip_batch(lines: Sequence[str], *, namespace: str = "") -> None:
    """Several `ip` commands in one process."""
    where = ["-n", namespace] if namespace else []
    tool("ip", *where, "-batch", "-", given="\n".join(lines) + "\n")
