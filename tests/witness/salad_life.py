"""SaladCloud's own client through a whole lease life; run by the witness environment's Python.

Arguments: base URL, key, body of the group as JSON in the client's own words. Prints one JSON
object of what it saw, and the body that it sent.
"""

import json
import sys
import time

import requests
from salad_cloud_sdk import SaladCloudSdk
from salad_cloud_sdk.models import (
    ContainerConfiguration,
    ContainerGroupCreationRequest,
    CreateContainerGroupNetworking,
    CreateContainerResourceRequirements,
    GpuAvailabilityPrototype,
    LogEntryQuery,
    ProblemDetails,
)
from salad_cloud_sdk.net.transport.request_error import RequestError

ORG, PROJECT = "our-org", "bursts"


def main(url: str, key: str, intent: dict) -> dict:
    bodies = []
    send = requests.Session.send

    def heard(session: requests.Session, request: requests.PreparedRequest, **options: object):
        if request.method == "POST" and request.url.endswith("/containers"):
            bodies.append(json.loads(request.body))
        return send(session, request, **options)

    requests.Session.send = heard
    sdk = SaladCloudSdk(api_key=key, base_url=f"{url}/api/public")
    groups = sdk.container_groups
    classes = sdk.organization_data.list_gpu_classes(ORG).items
    named = [c for c in classes if c.name == "H100 SXM (80 GB)"]
    gpu = next(c for c in named if c.gpu_class_type == "secure")
    free = sdk.organizations.get_gpu_availability(GpuAvailabilityPrototype([gpu.id_]), ORG)
    container = dict(intent["container"])
    resources = {**container.pop("resources"), "gpu_classes": [gpu.id_]}
    request = ContainerGroupCreationRequest(
        **{k: v for k, v in intent.items() if k not in {"container", "networking"}},
        container=ContainerConfiguration(
            resources=CreateContainerResourceRequirements(**resources), **container
        ),
        networking=CreateContainerGroupNetworking(**intent["networking"]),
    )
    made = groups.create_container_group(request, ORG, PROJECT)
    again = _refused(lambda: groups.create_container_group(request, ORG, PROJECT))
    for _ in range(100):
        seen = groups.get_container_group(ORG, PROJECT, made.name)
        if seen.current_state.status == "running":
            break
        time.sleep(0.2)
    (instance,) = groups.list_container_group_instances(ORG, PROJECT, made.name).instances
    listed = groups.list_container_groups(ORG, PROJECT).items
    query = LogEntryQuery(
        start_time="2026-01-01T00:00:00Z",
        end_time="2099-01-01T00:00:00Z",
        query=f'resource.labels.container_group_name = "{made.name}"',
    )
    logs = sdk.logs.query_log_entries(query, ORG)
    quotas = sdk.quotas.get_quotas(ORG).container_groups_quotas
    groups.delete_container_group(ORG, PROJECT, made.name)
    gone = _refused(lambda: groups.get_container_group(ORG, PROJECT, made.name))
    reused = _refused(lambda: groups.create_container_group(request, ORG, PROJECT))
    return {
        "class": [gpu.name, gpu.gpu_count, {p.priority: p.price for p in gpu.prices}],
        "free": free.available_gpu_high,
        "body": bodies[0],
        "again": again,
        "name": seen.name,
        "status": seen.current_state.status,
        "running": seen.current_state.instance_status_counts.running_count,
        "dns": seen.networking.dns,
        "instance": [instance.state, instance.ready, bool(instance.machine_id)],
        "listed": [g.name for g in listed],
        "logs": len(logs.items),
        "used": quotas.container_replicas_used,
        "gone": gone,
        "reused": reused,
    }


def _refused(call: object) -> int:
    try:
        call()
    except (ProblemDetails, RequestError) as error:
        return error.response.status
    return 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
