"""RunPod's own client through a whole lease life; run by the witness environment's Python.

Its address comes from RUNPOD_API_BASE_URL, as for any user of it. Arguments: key, name. Prints
one JSON object of what it saw. This client (1.11) speaks GraphQL, not the REST API v2.
"""

import json
import sys

import runpod
from runpod.error import QueryError


def main(key: str, name: str) -> dict:
    runpod.api_key = key
    types = runpod.get_gpus()
    gpu = runpod.get_gpu("NVIDIA H100 80GB HBM3")
    made = runpod.create_pod(
        name,
        "python:3.12",
        gpu["id"],
        cloud_type="SECURE",
        container_disk_in_gb=20,
        docker_args="sleep 100",
        ports="8080/http,22/tcp",
        env={"GREETING": "hello"},
    )
    seen = runpod.get_pod(made["id"])
    listed = runpod.get_pods()
    runpod.terminate_pod(made["id"])
    try:
        runpod.terminate_pod(made["id"])
        again = ""
    except QueryError as error:
        again = str(error)
    return {
        "types": [entry["id"] for entry in types],
        "gpu": gpu,
        "made": made,
        "seen": seen,
        "listed": [pod["id"] for pod in listed],
        "after": runpod.get_pod(made["id"]),
        "again": again,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
