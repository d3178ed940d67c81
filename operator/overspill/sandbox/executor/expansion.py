"""Expands `$(NAME)` in commands and arguments as a kubelet does before it starts a container.

Hosts of container markets are Kubernetes clusters, so a script passed as an argument goes through
this: a known name is replaced, an unknown one stays, and `$$` becomes `$`.
"""

from collections.abc import Mapping


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text as the container sees it."""
    made: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            made.append(text[at])
            at += 1
            continue
        piece, used = _after_dollar(text[at + 1 :], env)
        made.append(piece)
        at += 1 + used
    return "".join(made)


def _after_dollar(rest: str, env: Mapping[str, str]) -> tuple[str, int]:
    if rest[0] == "$":
        return "$", 1
    if rest[0] != "(":
        return "$" + rest[0], 1
    end = rest.find(")")
    if end < 0:
        return "$(", 1
    name = rest[1:end]
    return env.get(name, f"$({name})"), end + 1
