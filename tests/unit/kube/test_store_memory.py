"""What the view keeps of a job: a bounded number of bytes, for there may be thousands."""

import json
import tracemalloc
from typing import Any

from overspill.core.reasons import Condition
from overspill.kube.resources import Kind
from overspill.kube.store import Store
from overspill.testing.kube_samples import job_json, stored

MANY = 400
BYTES = 4000
"""2,350 are used on CPython 3.11; as dictionaries, one such job took 10,300."""


def document(number: int) -> dict[str, Any]:
    """A running job as the server shows it, with its decision, conditions and an attempt."""
    obj = stored(job_json(f"job-{number}"), f"00000000-0000-4000-8000-{number:012d}", number + 1)
    obj["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}] * 3
    words = {"status": "False", "reason": "NotYet", "lastTransitionTime": "2026-03-01T12:30:15Z"}
    obj["status"] = {
        "phase": "Running",
        "observedGeneration": 1,
        "conditions": [{"type": kind.value, "message": "", **words} for kind in Condition],
        "placement": {"provider": "home", "place": "home/n1", "leaseName": f"gl-{number}"},
        "decision": {
            "action": "Place",
            "lines": [{"name": name, "usd": "1.25"} for name in ("rate", "coldStart", "loss")],
            "rejected": [{"provider": f"market-{n}", "message": "too dear" * 5} for n in range(6)],
        },
        "attempts": [{"number": 1, "leaseName": f"gl-{number}", "place": "home/n1"}],
    }
    return obj


def test_a_job_in_the_view_takes_a_few_thousand_bytes() -> None:
    store, texts = Store(), [json.dumps(document(n)) for n in range(MANY)]
    store.put(Kind.JOB, document(MANY + 1))
    tracemalloc.start()
    try:
        for text in texts:
            store.put(Kind.JOB, json.loads(text))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store.view().jobs) == MANY + 1
    assert held / MANY < BYTES
