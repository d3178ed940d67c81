"""The RunPod market of the sandbox where our adapter does not go."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from overspill.sandbox.app import running
from overspill.sandbox.markets.runpod.create import command_of
from overspill.sandbox.options import SandboxOptions

GPU = "NVIDIA H100 80GB HBM3"
POD = {"name": "gl-x", "image": "x", "gpu": {"id": GPU, "count": 1}}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with running(SandboxOptions(markets=("runpod",))) as app:
        headers = {"Authorization": "Bearer sandbox-key"}
        base = app.urls["runpod"]
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
            yield client


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"bogus": 1}, "additional properties 'bogus'"),
        ({"image": ""}, "'image'"),
        ({"name": ""}, "'name'"),
        ({"disk": "20"}, "$.disk"),
        ({"gpu": {}}, "$.gpu"),
        ({"cpu": {}}, "exactly one"),
        ({"cloud": "ALL"}, "$.cloud"),
        ({"ports": ["8000"]}, "$.ports"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
async def test_a_wrong_body_is_refused_with_every_violation(
    http: httpx.AsyncClient, change: dict[str, Any], violation: str
) -> None:
    answer = await http.post("/v2/pods", json={**POD, **change})
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert any(violation in fault for fault in answer.json()["errors"])


async def test_stock_is_told_only_for_a_product(http: httpx.AsyncClient) -> None:
    bare = (await http.get("/v2/catalog/gpus")).json()["gpus"]
    assert "availability" not in bare[0]
    query = {"include": "AVAILABILITY"}
    assert (await http.get("/v2/catalog/gpus", params=query)).status_code == 400


@pytest.mark.parametrize(("taken", "word"), [(0, "HIGH"), (3, "MEDIUM"), (6, "LOW"), (8, "NONE")])
async def test_stock_is_a_word(http: httpx.AsyncClient, taken: int, word: str) -> None:
    pcie = "NVIDIA H100 PCIe"
    for _ in range(taken):
        made = await http.post("/v2/pods", json={**POD, "gpu": {"id": pcie, "count": 1}})
        assert made.status_code == 201
    query = {"include": "AVAILABILITY", "product": "POD"}
    gpus = (await http.get("/v2/catalog/gpus", params=query)).json()["gpus"]
    assert next(gpu for gpu in gpus if gpu["id"] == pcie)["availability"] == word
    if word == "NONE":
        refused = await http.post("/v2/pods", json={**POD, "gpu": {"id": pcie, "count": 1}})
        assert refused.status_code == 400
        assert "no longer any instances available" in refused.json()["detail"]


async def test_a_stopped_pod_costs_nothing_and_frees_its_gpus(http: httpx.AsyncClient) -> None:
    made = (await http.post("/v2/pods", json=POD)).json()
    path = f"/v2/pods/{made['id']}"
    stopped = (await http.post(f"{path}/action", json={"action": "stop"})).json()
    assert (stopped["status"], stopped["cost"]) == ("EXITED", 0.0)
    before = (await http.get("/_sandbox/summary")).json()["accrued_usd"]
    await http.post("/_sandbox/clock/advance", json={"seconds": 3600})
    assert (await http.get("/_sandbox/summary")).json()["accrued_usd"] == before
    assert (await http.post(f"{path}/action", json={"action": "reset"})).status_code == 400
    assert (await http.post(f"{path}/action", json={"action": "terminate"})).status_code == 200
    assert (await http.get(path)).status_code == 404
    assert (await http.delete(path)).status_code == 404


async def test_pages(http: httpx.AsyncClient) -> None:
    for n in range(3):
        await http.post("/v2/pods", json={**POD, "name": f"gl-{n}"})
    first = (await http.get("/v2/pods", params={"limit": 2})).json()
    assert len(first["pods"]) == 2
    cursor = first["pagination"]["nextCursor"]
    rest = (await http.get("/v2/pods", params={"limit": 2, "cursor": cursor})).json()
    assert [len(rest["pods"]), rest["pagination"]["hasNextPage"]] == [1, False]
    assert (await http.get("/v2/pods", params={"cursor": "rubbish"})).status_code == 400


@pytest.mark.parametrize(
    ("args", "command"),
    [
        ("", []),
        ("sleep 100", ["sleep", "100"]),
        ("bash -c 'echo a b'", ["bash", "-c", "echo a b"]),
        ('{"entrypoint": ["sh", "-c"], "cmd": ["echo a"]}', ["sh", "-c", "echo a"]),
        ('"quoted"', ["quoted"]),
    ],
)
def test_arguments_are_words_or_json(args: str, command: list[str]) -> None:
    assert command_of(args) == command


async def test_graphql_refuses_with_200(http: httpx.AsyncClient) -> None:
    for query in ("query { nothing }", 'mutation { podTerminate(input: { podId: "x" }) }'):
        answer = await http.post("/graphql", json={"query": query})
        assert answer.status_code == 200
        assert answer.json()["errors"]


async def test_quota_headers_come_with_every_answer(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v2/pods")
    assert "minute" in answer.headers["RateLimit"]
    unauthorised = await http.get("/v2/pods", headers={"Authorization": "Bearer no"})
    assert unauthorised.status_code == 401
