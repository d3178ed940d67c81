"""The records' endpoint over real HTTP, on loopback alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from overspill.cli import record
from overspill.cli.errors import CliError
from overspill.serve import records

FOUND = {"version": 1, "decision": {"action": "Wait"}}


def find(namespace: str, name: str) -> dict[str, Any] | None:
    return FOUND if (namespace, name) == ("team", "train") else None


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    runner = await records.serve("127.0.0.1:0", find)
    assert runner is not None
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fetch(url: str, job: str) -> dict[str, Any]:
    return await asyncio.to_thread(record.fetch, url, "team", job)


def test_a_record_is_fetched_and_a_missing_one_is_a_sentence() -> None:
    async def scenario() -> None:
        async with served() as url:
            assert await fetch(url, "train") == FOUND
            with pytest.raises(CliError, match="remembers no decision about team/other"):
                await fetch(url, "other")
        with pytest.raises(CliError, match="port-forward"):
            await fetch(url, "train")

    asyncio.run(scenario())


def test_a_taken_port_is_no_reason_not_to_start() -> None:
    async def scenario() -> None:
        async with served() as url:
            assert await records.serve(url.removeprefix("http://"), find) is None

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["0.0.0.0:8081", ":8081", "10.0.0.1:8081"])
def test_it_listens_on_loopback_alone(address: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        asyncio.run(records.serve(address, find))


def test_an_empty_address_means_not_at_all() -> None:
    assert asyncio.run(records.serve("", find)) is None
