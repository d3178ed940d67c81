from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from overspill.sandbox.app import running
from overspill.sandbox.options import SandboxOptions

from .market import Market


@asynccontextmanager
async def open_market(options: SandboxOptions | None = None) -> AsyncIterator[Market]:
    async with running(options or SandboxOptions()) as app:
        headers = {"x-api-key": (options or SandboxOptions()).api_key}
        base = app.world.base_url
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
            yield Market(app, http)


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    async with open_market() as opened:
        yield opened
