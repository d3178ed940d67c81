"""io.net's own client through a whole lease life; run by the witness environment's Python.

Its address and key come from IOCLOUD_BASE_URL and IOCLOUD_API_KEY, as for any user of it.
Argument: the intent as JSON. Prints one JSON object of what it saw.
"""

import json
import sys

from iocloud import Client
from iocloud.errors import NotFoundError, UnprocessableError


def main(intent: dict) -> dict:
    client = Client()
    hardware = client.hardware.list()
    kind = client.hardware.resolve(intent["gpu"])
    quote = client.pricing.estimate(
        hardware_id=kind.hardware_id,
        hours=intent["hours"],
        gpus_per_container=1,
        location_ids=[intent["location"]],
    )
    request = client.deployments.build_request(**intent)
    made = client.deployments.submit(request)
    made.wait(timeout=60, poll=0.2)
    listed = client.deployments.list().all()
    seen = {
        "hardware": [entry.hardware_name for entry in hardware],
        "quote": quote.total_cost_usdc,
        "body": request.to_payload(),
        "id": made.id,
        "status": str(made.refresh().status),
        "name_of_one": client.deployments.get(made.id).data.name,
        "listed": {entry.id: entry.name for entry in listed},
        "paid": made.data.cost.amount_paid,
        "hourly": made.data.cost.burn_per_hour,
        "containers": [entry.status for entry in made.containers()],
    }
    made.delete()
    made.delete()
    seen["after"] = str(client.deployments.get(made.id).status)
    try:
        client.deployments.get("00000000-0000-0000-0000-000000000000")
    except NotFoundError as error:
        seen["unknown"] = error.status_code
    try:
        client.deployments.create(**{**intent, "name": "other", "hours": 9000})
    except UnprocessableError as error:
        seen["invalid"] = [entry["loc"][-1] for entry in error.errors]
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))))
