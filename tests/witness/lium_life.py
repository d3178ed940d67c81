"""Lium's own client through a whole lease life; run by the witness environment's Python.

Its address and key come from LIUM_BASE_URL and LIUM_API_KEY, as for any user of it. Argument: the
intent as JSON. Prints one JSON object of what it saw, and the bodies that it sent.
"""

import json
import sys
from datetime import UTC, datetime, timedelta

import requests
from lium.sdk import Lium
from lium.sdk.exceptions import LiumNotFoundError


def main(intent: dict) -> dict:
    bodies, headers = {}, {}
    send = requests.Session.send

    def heard(session: requests.Session, request: requests.PreparedRequest, **options: object):
        if request.method == "POST" and request.body:
            place = request.url.rsplit("/", 1)[-1]
            bodies[place] = json.loads(request.body)
            headers[place] = dict(request.headers)
        return send(session, request, **options)

    requests.Session.send = heard
    lium = Lium()
    node = lium.ls(gpu_type="H100", nvlink=True, reliable=True)[0]
    template = lium.create_template(**intent["template"])
    rent = {"executor_id": node.id, "template_id": template.id, **intent["rent"]}
    made = lium.up(wait=False, **rent)
    again = lium.up(wait=False, **rent)
    pod = lium.wait_ready(made, timeout=60)
    (listed,) = lium.ps()
    lium.schedule_termination(pod, termination_time="2099-01-01T00:00:00Z")
    scheduled = lium.pod(pod.id)["removal_scheduled_at"]
    seen = {
        "features": sorted(lium.features()),
        "node": [
            node.gpu_type,
            node.gpu_count,
            node.price_per_gpu,
            node.tier,
            node.whole_host_only,
        ],
        "reliability": node.reliability_score,
        "bodies": bodies,
        "key": headers["rent"]["Idempotency-Key"],
        "made": made["id"] == again["id"] == pod.id,
        "status": pod.status,
        "name": listed.name,
        "price": listed.executor.price_per_hour,
        "gpus": listed.gpu_count,
        "ports": sorted(listed.ports),
        "ssh_port": pod.ssh_port,
        "ends_in_hours": _hours(listed.removal_scheduled_at),
        "scheduled": scheduled,
        "logs": list(lium.logs(pod.id, tail=5)),
        "balance": lium.balance(),
        "templates": [t.name for t in lium.templates(only_my=True)],
    }
    lium.down(pod)
    try:
        lium.pod(pod.id)
    except LiumNotFoundError as error:
        seen["gone"] = error.code
    return seen | {"after": [p.id for p in lium.ps()]}


def _hours(at: str) -> float:
    left = datetime.fromisoformat(at) - datetime.now(UTC)
    return round(left / timedelta(hours=1), 1)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
