"""The program that travels with a workload: `runner.sh`, carried as text.

`wrap` puts it in front of a command; `engine/` does so before a lease's request is frozen.
"""

from functools import cache
from importlib import resources


@cache
def script() -> str:
    """The text of the POSIX-sh runner."""
    return resources.files(__name__).joinpath("runner.sh").read_text(encoding="utf-8")
