"""The report endpoint by script, and machines of each shell and client."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overspill.testing.runner import (
    Endpoint,
    Machine,
    NotInstalled,
    machine_of,
    scripted_endpoint,
)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Answers `run` unless a test says otherwise."""
    with scripted_endpoint() as started:
        yield started


@pytest.fixture
def machine_with(
    tmp_path: Path, endpoint: Endpoint
) -> Iterator[Callable[[str, str | None], Machine]]:
    """Builds the machine of one image: its shell, and its HTTP client or none."""
    made: list[Machine] = []

    def make(shell: str, client: str | None) -> Machine:
        try:
            made.append(machine_of(tmp_path, shell, client, endpoint.url))
        except NotInstalled as error:
            pytest.skip(str(error))
        return made[-1]

    yield make
    for machine in made:
        machine.stop()


@pytest.fixture(params=["dash", "busybox"])
def machine(
    request: pytest.FixtureRequest, machine_with: Callable[[str, str | None], Machine]
) -> Machine:
    """A machine of each shell, with the client that such an image has."""
    return machine_with(request.param, "curl" if request.param == "dash" else "wget")
