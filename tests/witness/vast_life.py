"""Vast.ai's own client through a whole lease life; run by the witness environment's Python.

Arguments: base URL, key, label. Prints one JSON object of what it saw.
"""

import json
import sys

from vastai import VastAI
from vastai.api.instances import build_create_instance_payload


def main(url: str, key: str, label: str) -> dict:
    client = VastAI(api_key=key, server_url=url)
    offers = client.search_offers(query="gpu_name=H100_SXM num_gpus=1 reliability>0.9", limit=3)
    offer = offers[0]
    intent = {
        "image": "python:3.12",
        "disk": 20,
        "label": label,
        "env": "-e GREETING=hello -p 8080:8080",
        "onstart_cmd": "/bin/sh",
        "args": ["-c", "echo witness; sleep 100"],
        "cancel_unavail": True,
    }
    made = client.create_instance(id=offer["id"], **intent)
    id_ = made["new_contract"]
    seen = client.show_instance(id=id_)
    listed = client.show_instances()
    user = client.show_user()
    client.label_instance(id=id_, label=f"{label}-2")
    renamed = client.show_instance(id=id_)
    destroyed = client.destroy_instance(id=id_)
    return {
        "offer": offer,
        "made": made,
        "seen": seen,
        "listed": [row["id"] for row in listed],
        "credit": user["credit"],
        "renamed": renamed["label"],
        "destroyed": destroyed,
        "after": client.show_instance(id=id_),
        "body": build_create_instance_payload(**intent),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
