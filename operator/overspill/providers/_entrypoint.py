"""Markets that keep an image's entrypoint and take one string of arguments for it.

The string asks a shell to run a variable of the environment, so no quoting of ours can be lost in
it. An image whose entrypoint is a program of its own cannot be told that. Used by adapters.
"""

import shlex
from fnmatch import fnmatchcase

from overspill.core.workload import PortableWorkload

VARIABLE = "OVERSPILL_RUN"
ARGS = f"""/bin/sh -c 'eval "${VARIABLE}"'"""

PROGRAM_IMAGES = (
    "vllm/vllm-openai",
    "*/text-generation-inference",
    "*/text-embeddings-inference",
    "ollama/ollama",
    "*/llama.cpp",
    "nvcr.io/nim/*",
)
"""Images whose entrypoint is a program of its own: given our command, it takes it for options."""


def is_program(image: str, patterns: tuple[str, ...]) -> bool:
    """Whether an image is known for an entrypoint that runs no command it is given."""
    name = image.split("@", maxsplit=1)[0]
    head, _, tail = name.rpartition("/")
    name = f"{head}/{tail.split(':')[0]}" if head else tail.split(":")[0]
    name = name.removeprefix("docker.io/")
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def words_of(workload: PortableWorkload) -> list[str]:
    """The command with its arguments, in its working directory."""
    words = [*workload.command, *workload.args]
    if workload.working_dir:
        return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workload.working_dir, *words]
    return words


def run_line(workload: PortableWorkload) -> str:
    """What the variable holds: the command as one line for a shell."""
    return f"exec {shlex.join(words_of(workload))}"
