"""Asks the API server what somebody may do, many questions in one go. Used by the RBAC tests.

The questions are SubjectAccessReviews: what `kubectl auth can-i --as` asks, one at a time.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from overspill.testing.bed.cluster import Cluster

API = "authorization.k8s.io/v1"


@dataclass(frozen=True)
class Who:
    """A user and its groups."""

    user: str
    groups: tuple[str, ...] = ("system:authenticated",)


@dataclass(frozen=True)
class Ask:
    """One right. `resource` is plural, with its group and subresource: `gpujobs.x.dev/status`."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""


def granted(cluster: Cluster, who: Who, asks: Iterable[Ask]) -> list[Ask]:
    """Those of `asks` that the API server would allow, in their order."""
    wanted = list(asks)
    reviews = {"apiVersion": "v1", "kind": "List", "items": [_review(who, a) for a in wanted]}
    # kubectl prints what each object of the list became, one after the other.
    form = '-o=jsonpath={.status.allowed}{" "}'
    answers = cluster.kubectl("create", "-f", "-", form, input=json.dumps(reviews)).split()
    if len(answers) != len(wanted):
        raise AssertionError(f"{len(wanted)} questions got {len(answers)} answers")
    return [a for a, answer in zip(wanted, answers, strict=True) if answer == "true"]


def _review(who: Who, ask: Ask) -> dict[str, object]:
    full, _, subresource = ask.resource.partition("/")
    resource, _, group = full.partition(".")
    attributes = {
        "verb": ask.verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": ask.namespace,
        "name": ask.name,
    }
    return {
        "apiVersion": API,
        "kind": "SubjectAccessReview",
        "spec": {
            "user": who.user,
            "groups": list(who.groups),
            "resourceAttributes": {k: v for k, v in attributes.items() if v},
        },
    }
