"""The Lium market of the sandbox where our adapter does not go."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.options import SandboxOptions

SSH = ["ssh-ed25519 AAAA me"]


@pytest.fixture
async def app() -> AsyncIterator[SandboxApp]:
    async with running(SandboxOptions(markets=("lium",))) as made:
        yield made


@pytest.fixture
async def http(app: SandboxApp) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-API-KEY": "sandbox-key"}
    base = f"{app.urls['lium']}/api/"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


def template(**changes: Any) -> dict[str, Any]:
    return {
        "name": "t",
        "docker_image": "x",
        "docker_image_tag": "",
        "docker_image_digest": "",
        "startup_commands": "-c 'sleep 9'",
        "entrypoint": "/bin/sh",
        "environment": {},
        "internal_ports": [22],
        "is_private": True,
        **changes,
    }


async def a_rent(http: httpx.AsyncClient, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body of a rent of one H100."""
    nodes = (await http.get("executors")).json()
    node = next(n["id"] for n in nodes if n["machine_name"] == "NVIDIA H100 80GB HBM3")
    made = (await http.post("templates", json=template())).json()
    body = {"pod_name": "gl-x", "template_id": made["id"], "user_public_key": SSH, "gpu_count": 1}
    return f"executors/{node}/rent", {**body, **changes}


async def control(app: SandboxApp, path: str, **body: Any) -> None:
    async with httpx.AsyncClient(base_url=app.urls["lium"], trust_env=False) as client:
        (await client.post(f"/_sandbox/{path}", json=body)).raise_for_status()


@pytest.mark.parametrize(
    "change",
    [
        {"pod_name": 1},
        {"template_id": None},
        {"user_public_key": []},
        {"user_public_key": ["nonsense"]},
        {"termination_hours": 721},
        {"termination_hours": "3"},
        {"gpu_count": 0},
    ],
    ids=["name", "template", "no ssh key", "a bad ssh key", "hours", "hours in words", "gpus"],
)
async def test_a_wrong_rent_is_refused_with_a_code(
    http: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    path, body = await a_rent(http, **change)
    answer = await http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "validation_error"


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"entrypoint": None}, {"environment": {"A": 1}}, {"internal_ports": "22"}],
    ids=["name", "entrypoint", "environment", "ports"],
)
async def test_a_wrong_template_is_refused(http: httpx.AsyncClient, change: dict[str, Any]) -> None:
    assert (await http.post("templates", json=template(**change))).status_code == 422


async def test_a_key_is_answered_again_for_a_day_and_then_rents_anew(
    http: httpx.AsyncClient, app: SandboxApp
) -> None:
    path, body = await a_rent(http)
    headers = {"Idempotency-Key": "k"}
    first = await http.post(path, json=body, headers=headers)
    again = await http.post(path, json=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    await control(app, "clock/advance", seconds=24 * 3600)
    anew = await http.post(path, json=body, headers=headers)
    assert anew.json()["pod_id"] != first.json()["pod_id"]


async def test_a_refusal_is_answered_again_too(http: httpx.AsyncClient) -> None:
    path, body = await a_rent(http, gpu_count=99)
    headers = {"Idempotency-Key": "k"}
    answers = [await http.post(path, json=body, headers=headers) for _ in range(2)]
    assert [a.status_code for a in answers] == [400, 400]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


async def test_without_a_key_two_rents_are_two_pods(http: httpx.AsyncClient) -> None:
    path, body = await a_rent(http)
    pods = {(await http.post(path, json=body)).json()["pod_id"] for _ in range(2)}
    assert len(pods) == 2


async def test_without_a_number_all_that_is_free_is_rented(http: httpx.AsyncClient) -> None:
    path, body = await a_rent(http, gpu_count=15)
    await http.post(path, json=body)
    rest = (await http.post(path, json={**body, "gpu_count": None})).json()["pod_id"]
    assert (await http.get(f"pods/{rest}")).json()["gpu_count"] == "1"
    assert (await http.post(path, json=body)).status_code == 400
    nodes = (await http.get("executors")).json()
    assert path.split("/")[1] not in {n["id"] for n in nodes}


@pytest.mark.parametrize("unscheduled", [False, True], ids=["kept", "taken back"])
async def test_hours_are_counted_anew_from_the_boot_and_a_schedule_replaces_them(
    http: httpx.AsyncClient, app: SandboxApp, unscheduled: bool
) -> None:
    path, body = await a_rent(http, termination_hours=1)
    pod = (await http.post(path, json=body)).json()["pod_id"]
    at_first = (await http.get(f"pods/{pod}")).json()["removal_scheduled_at"]
    await control(app, "clock/advance", seconds=5)
    row = (await http.get(f"pods/{pod}")).json()
    assert row["status"] == "RUNNING"
    assert row["removal_scheduled_at"] > at_first
    tomorrow = datetime.fromisoformat(row["created_at"]) + timedelta(days=1)
    wanted = {"removal_scheduled_at": tomorrow.isoformat()}
    assert (await http.post(f"pods/{pod}/schedule-removal", json=wanted)).is_success
    if unscheduled:
        assert (await http.delete(f"pods/{pod}/schedule-removal")).is_success
    await control(app, "clock/advance", seconds=2 * 86_400)
    gone = (await http.get(f"pods/{pod}")).status_code
    assert gone == (200 if unscheduled else 404)
    bad = await http.post(f"pods/{pod}/schedule-removal", json={"removal_scheduled_at": "soon"})
    assert bad.status_code == (422 if unscheduled else 404)


async def test_templates_are_kept_changed_and_gone_with_a_one_time_pod(
    http: httpx.AsyncClient,
) -> None:
    made = (await http.post("templates", json=template(one_time_template=True))).json()
    changed = await http.put(f"templates/{made['id']}", json={"environment": {"A": "b"}})
    assert changed.json()["environment"] == {"A": "b"}
    path, body = await a_rent(http, template_id=made["id"])
    pod = (await http.post(path, json=body)).json()["pod_id"]
    assert (await http.delete(f"pods/{pod}")).is_success
    assert (await http.get(f"templates/{made['id']}")).status_code == 404
    assert (await http.delete(f"pods/{pod}")).status_code == 404


async def test_names_filter_and_another_key_is_refused(http: httpx.AsyncClient) -> None:
    names = [m["name"] for m in (await http.get("machines")).json()]
    assert "NVIDIA L40S" in names
    named = (await http.get("executors", params={"machine_names": "NVIDIA L40S,x"})).json()
    assert [n["machine_name"] for n in named] == ["NVIDIA L40S"]
    assert (await http.get("pods", headers={"X-API-KEY": "no"})).status_code == 401
    bad = await http.post("templates", content=b"{", headers={"content-type": "application/json"})
    assert bad.status_code == 422


@pytest.mark.parametrize(
    ("entrypoint", "start", "command"),
    [
        ("/bin/sh", "-c 'echo a b'", ["/bin/sh", "-c", "echo a b"]),
        ("/bin/sh -x", "", ["/bin/sh"]),
        ("rm;ls", "sleep 9", ["sleep", "9"]),
        ("", "'open", []),
    ],
    ids=["as meant", "one word only", "a bad word", "a quote that does not close"],
)
async def test_what_hosts_make_of_a_template(
    http: httpx.AsyncClient, app: SandboxApp, entrypoint: str, start: str, command: list[str]
) -> None:
    env = {"A": " b ", "EMPTY": " ", "LD_PRELOAD": "x"}
    body = template(entrypoint=entrypoint, startup_commands=start, environment=env)
    made = (await http.post("templates", json=body)).json()
    path, rent = await a_rent(http, template_id=made["id"])
    await http.post(path, json=rent)
    (rental,) = app.markets["lium"].rentals.all.values()  # type: ignore[attr-defined]  # its own
    assert [*rental.service.command, *rental.service.args] == command
    assert list(rental.service.env) == [("A", "b")]
