"""The operator's ServiceAccount can do its work on a real API server, and nothing beside it."""

import json
import uuid

import pytest

from overspill.testing import chart
from overspill.testing.access import Ask, Who, granted
from overspill.testing.bed import Cluster
from overspill.testing.bed.clients import KubectlError

pytestmark = pytest.mark.cluster

OPTIONS = chart.ChartOptions()
WHO = Who(
    f"system:serviceaccount:{OPTIONS.namespace}:{OPTIONS.release}",
    ("system:serviceaccounts", "system:authenticated"),
)


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Cluster) -> None:
    chart.install(cluster, OPTIONS)


def _asks(verbs: str, *resources: str, namespace: str = "", name: str = "") -> list[Ask]:
    return [Ask(v, r, namespace, name) for r in resources for v in verbs.split()]


OURS = "gpuproviders.overspill.dev", "slaclasses.overspill.dev", "gpubudgets.overspill.dev"
ELECTION = "leases.coordination.k8s.io"
HOME = OPTIONS.namespace

ALLOWED = [
    *_asks("get list watch delete", "gpujobs.overspill.dev"),
    *_asks("create patch", "gpujobs.overspill.dev"),  # copies of a service alone: see test_copies
    *_asks("get list watch create patch delete", "gpuleases.overspill.dev"),
    *_asks("get list watch", *OURS),
    *_asks("patch", "gpuproviders.overspill.dev"),  # finalizers alone: see test_provider_removal
    *_asks("list watch", "nodes", "pods"),
    *_asks(
        "patch",
        "gpujobs.overspill.dev/status",
        "gpuleases.overspill.dev/status",
        "gpuproviders.overspill.dev/status",
        "slaclasses.overspill.dev/status",
        "gpubudgets.overspill.dev/status",
    ),
    *_asks("get list create delete", "jobs.batch"),
    *_asks("create", "services"),
    *_asks("create patch", "events.events.k8s.io"),
    *_asks("list", ELECTION, namespace="kube-node-lease"),
    *_asks("create", ELECTION, namespace=HOME),
    *_asks("get update patch", ELECTION, namespace=HOME, name="overspill"),
    *_asks("get patch", "configmaps", namespace=HOME, name="overspill-past"),
    *_asks("get", "namespaces", name="kube-system"),
]

REFUSED = [
    *_asks("get list watch create", "secrets"),
    *_asks("get list", "secrets", namespace=HOME),
    *_asks("update", "gpujobs.overspill.dev"),
    *_asks("create update delete", *OURS),
    *_asks("patch", *OURS[1:]),
    *_asks("create", "configmaps", namespace=HOME),
    *_asks("get patch", "configmaps", namespace=HOME, name="other"),
    *_asks("create delete patch", "pods"),
    *_asks("get", "pods/log"),
    *_asks("patch update delete", "services"),
    *_asks("patch update", "jobs.batch"),
    *_asks("create", "pods/exec", "pods/eviction", "pods/attach", "serviceaccounts/token"),
    *_asks("patch delete", "nodes"),
    *_asks("list", "namespaces", "configmaps"),
    *_asks("get", "namespaces", name="default"),
    *_asks("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    *_asks("escalate bind", "clusterroles.rbac.authorization.k8s.io"),
    *_asks("list", "customresourcedefinitions.apiextensions.k8s.io"),
    *_asks("update patch", ELECTION, namespace="kube-node-lease"),
    *_asks("update", ELECTION, namespace=HOME, name="other"),
    *_asks("impersonate", "users", "groups"),
]

STOCK_GROUPS = {"authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"}
"""What Kubernetes itself grants to every account."""


def test_the_account_may_do_all_of_its_work(cluster: Cluster) -> None:
    assert granted(cluster, WHO, ALLOWED) == ALLOWED


def test_the_account_may_do_nothing_else(cluster: Cluster) -> None:
    assert granted(cluster, WHO, REFUSED) == []


def test_every_rule_that_the_api_server_sees_is_listed_here(cluster: Cluster) -> None:
    """A right that somebody adds to the chart must be added to ALLOWED, and so be thought of."""
    listed = {(_without_group(ask.resource), ask.verb) for ask in ALLOWED}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    for namespace in (OPTIONS.namespace, "default", "kube-node-lease"):
        body = json.dumps({**review, "spec": {"namespace": namespace}})
        raw = cluster.kubectl(
            "create", "--raw", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            "-f", "-", f"--as={WHO.user}", input=body,
        )  # fmt: skip
        rules = json.loads(raw)["status"]["resourceRules"]
        seen = {
            (resource, verb)
            for rule in rules
            if not set(rule["apiGroups"]) & STOCK_GROUPS
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert seen
        assert seen <= listed, f"not in ALLOWED: {sorted(seen - listed)}"


def test_a_named_secret_is_readable_and_its_neighbour_is_not(
    cluster: Cluster, namespace: str
) -> None:
    release = f"ov-{uuid.uuid4().hex[:6]}"
    options = chart.ChartOptions(
        release=release,
        namespace=namespace,
        values={
            "crds.enabled": False,
            "defaults.slaClasses": False,
            "defaults.homeProvider": False,
            "rbac.userRoles": False,
            "rbac.providerSecrets": ["akash"],
            "rbac.secretNamespaces": [{"namespace": namespace, "names": ["wandb"]}],
            "fullnameOverride": release,
        },
    )
    chart.install(cluster, options)
    try:
        who = f"--as=system:serviceaccount:{namespace}:{release}"
        for name in ("akash", "wandb", "other"):
            cluster.kubectl("-n", namespace, "create", "secret", "generic", name)
        for name in ("akash", "wandb"):
            assert cluster.kubectl("-n", namespace, "get", "secret", name, "-o", "name", who)
        with pytest.raises(KubectlError, match="forbidden"):
            cluster.kubectl("-n", namespace, "get", "secret", "other", who)
        with pytest.raises(KubectlError, match="forbidden"):
            cluster.kubectl("-n", namespace, "get", "secrets", who)
    finally:
        chart.uninstall(cluster, options)


def _without_group(resource: str) -> str:
    full, slash, subresource = resource.partition("/")
    return full.partition(".")[0] + slash + subresource
