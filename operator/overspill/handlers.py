"""kopf's ears: events of what administrators write go to the store, and nothing else happens here.

GPUJobs and GPULeases, of which there may be thousands, come through `kube/ear`. No handler writes,
returns or raises anything: the store's listener queues what is concerned.
"""

from typing import Any

import kopf

from overspill.kube.resources import Kind

GROUP = "overspill.dev"


def hear(kind: Kind, memo: Any, event: Any) -> None:
    """Hands one watch event to the store; before the start-up ended there is none to hand to."""
    store = getattr(memo, "store", None)
    if store is None:
        return
    obj = event["object"]
    if event["type"] == "DELETED":
        store.drop(kind, obj["metadata"]["uid"])
    else:
        store.put(kind, obj)


@kopf.on.event(GROUP, "v1alpha1", "gpuproviders")
async def on_provider(memo: kopf.Memo, event: kopf.RawEvent, **_: Any) -> None:
    """A GPUProvider changed."""
    hear(Kind.PROVIDER, memo, event)


@kopf.on.event(GROUP, "v1alpha1", "slaclasses")
async def on_class(memo: kopf.Memo, event: kopf.RawEvent, **_: Any) -> None:
    """An SLAClass changed."""
    hear(Kind.SLA_CLASS, memo, event)


@kopf.on.event(GROUP, "v1alpha1", "gpubudgets")
async def on_budget(memo: kopf.Memo, event: kopf.RawEvent, **_: Any) -> None:
    """A GPUBudget changed."""
    hear(Kind.BUDGET, memo, event)
