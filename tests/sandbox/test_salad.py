"""The SaladCloud market of the sandbox where our adapter does not go."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.options import SandboxOptions

ORG = "/api/public/organizations/ours"
GROUPS = f"{ORG}/projects/bursts/containers"


@pytest.fixture
async def app() -> AsyncIterator[SandboxApp]:
    async with running(SandboxOptions(markets=("salad",))) as made:
        yield made


@pytest.fixture
async def http(app: SandboxApp) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Salad-Api-Key": "sandbox-key"}
    base = app.urls["salad"]
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


async def group(http: httpx.AsyncClient, name: str = "gl-x", **changes: Any) -> dict[str, Any]:
    """A body for one H100 that is well formed, but for the changes."""
    classes = (await http.get(f"{ORG}/gpu-classes")).json()["items"]
    named = [c for c in classes if c["name"] == "H100 SXM (80 GB)"]
    gpu = next(c["id"] for c in named if c["gpu_class_type"] == "secure")
    return {
        "name": name,
        "autostart_policy": True,
        "replicas": 1,
        "restart_policy": "never",
        "container": {
            "image": "x",
            "command": ["sleep", "9"],
            "priority": "high",
            "resources": {"cpu": 1, "memory": 1024, "gpu_classes": [gpu]},
        },
        **changes,
    }


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", "Upper"),
        ("autostart_policy", "yes"),
        ("replicas", 501),
        ("restart_policy", "sometimes"),
        ("country_codes", ["US"]),
        ("networking", {"port": 80, "protocol": "tcp", "auth": False}),
        ("container", None),
        ("container.image", ""),
        ("container.command", ["x" * 1001]),
        ("container.command", ["two\nlines"]),
        ("container.environment_variables", {"EMPTY": ""}),
        ("container.priority", "urgent"),
        ("container.resources", None),
        ("container.resources.cpu", 0),
        ("container.resources.memory", 512),
        ("container.resources.storage_amount", 1),
        ("container.resources.gpu_classes", ["h100"]),
    ],
)
async def test_a_wrong_body_is_a_problem_that_names_it(
    http: httpx.AsyncClient, place: str, value: Any
) -> None:
    body = deepcopy(await group(http))
    *above, last = place.split(".")
    part = body
    for step in above:
        part = part[step]
    part[last] = value
    answer = await http.post(GROUPS, json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert place in answer.json()["detail"]


async def test_another_key_is_refused_and_what_is_not_there_is_missing(
    http: httpx.AsyncClient,
) -> None:
    assert (await http.get(GROUPS, headers={"Salad-Api-Key": "no"})).status_code == 401
    assert (await http.get(f"{GROUPS}/nothing")).status_code == 404
    assert (await http.delete(f"{GROUPS}/nothing")).status_code == 404
    bad = await http.post(GROUPS, content=b"{", headers={"content-type": "application/json"})
    assert bad.status_code == 400


async def test_a_group_that_does_not_start_by_itself_costs_nothing_until_it_is_told(
    http: httpx.AsyncClient, app: SandboxApp
) -> None:
    assert (await http.post(GROUPS, json=await group(http, autostart_policy=False))).is_success
    await http.post("/_sandbox/clock/advance", json={"seconds": 3600})
    path = f"{GROUPS}/gl-x"
    assert (await http.get(path)).json()["current_state"]["status"] == "stopped"
    assert app.markets["salad"].accrued() == {}
    assert (await http.post(f"{path}/start")).status_code == 202
    await http.post("/_sandbox/clock/advance", json={"seconds": 63})
    assert (await http.get(path)).json()["current_state"]["status"] == "running"
    assert (await http.post(f"{path}/stop")).status_code == 202
    charged = app.markets["salad"].accrued()
    assert charged["gl-x"] > 0
    await http.post("/_sandbox/clock/advance", json={"seconds": 3600})
    assert app.markets["salad"].accrued() == charged


@pytest.mark.parametrize(
    ("policy", "code", "status"),
    [
        ("never", 0, "succeeded"),
        ("never", 1, "failed"),
        ("on_failure", 0, "succeeded"),
        ("on_failure", 1, "running"),
        ("always", 0, "running"),
    ],
)
async def test_the_restart_policy_decides_what_an_exit_means(
    http: httpx.AsyncClient, policy: str, code: int, status: str
) -> None:
    await http.post(GROUPS, json=await group(http, restart_policy=policy))
    await http.post("/_sandbox/clock/advance", json={"seconds": 5})
    before = (await http.get(f"{GROUPS}/gl-x")).json()["current_state"]
    assert before["instance_status_counts"]["running_count"] == 1
    await http.post("/_sandbox/leases/gl-x/finish", json={"exit_code": code})
    state = (await http.get(f"{GROUPS}/gl-x")).json()["current_state"]
    assert state["status"] == status
    assert state["instance_status_counts"]["running_count"] == 0


async def test_an_instance_is_moved_when_asked_and_by_the_fault(http: httpx.AsyncClient) -> None:
    fault = {"action": "reallocated", "seconds": 10, "count": 1}
    await http.post("/_sandbox/faults", json=fault)
    await http.post(GROUPS, json=await group(http))
    path, seen = f"{GROUPS}/gl-x/instances", []
    for seconds in (5, 10):
        await http.post("/_sandbox/clock/advance", json={"seconds": seconds})
        await http.post("/_sandbox/clock/advance", json={"seconds": 4})
        (instance,) = (await http.get(path)).json()["instances"]
        seen.append(instance["id"])
    moved = await http.post(f"{path}/{seen[-1]}/reallocate")
    assert moved.status_code == 202
    assert (await http.post(f"{path}/{seen[0]}/reallocate")).status_code == 404
    await http.post("/_sandbox/clock/advance", json={"seconds": 4})
    (instance,) = (await http.get(path)).json()["instances"]
    assert len({*seen, instance["id"]}) == 3
    assert (await http.get("/_sandbox/summary")).json()["doubles"] == {}


async def test_what_is_free_is_counted_by_class_and_country(http: httpx.AsyncClient) -> None:
    body = await group(http)
    path = f"{ORG}/availability/sce-gpu-availability"
    asked = {"gpu_classes": body["container"]["resources"]["gpu_classes"]}
    assert (await http.post(path, json=asked)).json()["available_gpu_high"] == 16
    await http.post(GROUPS, json=body)
    assert (await http.post(path, json=asked)).json()["available_gpu_low"] == 15
    nowhere = {**asked, "country_codes": ["fr"]}
    assert (await http.post(path, json=nowhere)).json()["available_gpu_batch"] == 0
    quotas = (await http.get(f"{ORG}/quotas")).json()["container_groups_quotas"]
    assert quotas["container_replicas_used"] == 1


@pytest.mark.parametrize(
    "query",
    [{"query": "text_log contains x"}, {"start_time": "yesterday"}, {"end_time": None}],
    ids=["words it does not know", "no start", "no end"],
)
async def test_a_log_query_it_cannot_answer_is_refused(
    http: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    good = {"query": "", "start_time": "2026-01-01T00:00:00Z", "end_time": "2030-01-01T00:00:00Z"}
    assert (await http.post(f"{ORG}/log-entries", json=good)).json()["items"] == []
    assert (await http.post(f"{ORG}/log-entries", json={**good, **query})).status_code == 400
