"""The API server as the command line sees it: the caller's kubeconfig, plain JSON, sentences.

Every verb calls `connect`; the official client stays behind this door.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from overspill.api import API_VERSION
from overspill.cli.errors import CliError
from overspill.cli.options import Target
from overspill.kube.resources import Kind, collection, item

Json = dict[str, Any]

_DOING = {"GET": "Reading", "PATCH": "Changing", "POST": "Creating", "DELETE": "Deleting"}
_TIMEOUT_S = 30
_PAGE = "500"


class Refusal(CliError):  # noqa: N818  (a CliError like the others; this one knows the status)
    """The API server said no."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Cluster(Protocol):
    """What the verbs need. `namespace` is "" for all namespaces."""

    namespace: str

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        """One object of ours, in the namespace of the command line unless told otherwise."""

    def list_all(self, kind: Kind, *, everywhere: bool = False) -> list[Json]:
        """All objects of a kind of ours in the namespace, or in the whole cluster."""

    def annotate(self, kind: Kind, obj: Json, annotations: Mapping[str, str]) -> None:
        """Adds annotations, if the object is still the one that was read."""

    def create(self, kind: Kind, obj: Json) -> Json:
        """Creates an object of ours in the namespace; as the server stored it."""

    def delete(self, kind: Kind, obj: Json) -> None:
        """Deletes that very object, by uid; silent when it is gone already."""

    def pods(self, namespace: str, selector: str) -> list[Json]:
        """Pods by label."""

    def pod_log(
        self, namespace: str, pod: str, *, follow: bool, tail: int | None
    ) -> Iterator[bytes]:
        """A pod's output in chunks."""

    def secret(self, namespace: str, name: str) -> Json:
        """A Secret, with the caller's own rights."""


def connect(target: Target) -> "KubeCluster":
    """The cluster of the given (or current) context; nothing is sent yet."""
    configuration = client.Configuration()
    try:
        contexts, active = config.list_kube_config_contexts(config_file=target.kubeconfig)
        config.load_kube_config(
            config_file=target.kubeconfig,
            context=target.context,
            client_configuration=configuration,
        )
    except (config.ConfigException, OSError) as error:
        raise CliError(f"Reading the kubeconfig failed: {error}") from error
    # Reads are repeated by the person, not by the library: one refusal is one sentence.
    configuration.retries = False
    namespace = target.namespace
    if namespace is None:
        chosen = next((c for c in contexts if c["name"] == target.context), active)
        namespace = chosen.get("context", {}).get("namespace") or "default"
    return KubeCluster(client.ApiClient(configuration), namespace)


class KubeCluster:
    """`Cluster` over the official synchronous client."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._api = api

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        """One object of ours."""
        inside = self.namespace if namespace is None else namespace
        if kind.is_namespaced and not inside:
            raise CliError(f"One {kind} lives in one namespace: name it with -n instead of -A.")
        return self._json("GET", item(kind, inside, name))

    def list_all(self, kind: Kind, *, everywhere: bool = False) -> list[Json]:
        """All objects of a kind of ours, page by page."""
        inside = kind.is_namespaced and not everywhere
        path = collection(kind, self.namespace if inside else "")
        items: list[Json] = []
        query = {"limit": _PAGE}
        while True:
            page = self._json("GET", path, query=query)
            items += page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return items
            query = {"limit": _PAGE, "continue": more}

    def annotate(self, kind: Kind, obj: Json, annotations: Mapping[str, str]) -> None:
        """A merge patch on the version that was read: a conflict means somebody was faster."""
        meta = obj["metadata"]
        change = {"resourceVersion": meta["resourceVersion"], "annotations": dict(annotations)}
        path = item(kind, meta.get("namespace", ""), meta["name"])
        self._json("PATCH", path, body={"metadata": change})

    def create(self, kind: Kind, obj: Json) -> Json:
        """A POST; the name is the caller's."""
        return self._json("POST", collection(kind, self.namespace), body=obj)

    def delete(self, kind: Kind, obj: Json) -> None:
        """A DELETE of the uid that was read, so that a namesake survives."""
        meta = obj["metadata"]
        path = item(kind, meta.get("namespace", ""), meta["name"])
        try:
            self._send("DELETE", path, body={"preconditions": {"uid": meta["uid"]}})
        except Refusal as error:
            if error.status not in (404, 409):
                raise

    def pods(self, namespace: str, selector: str) -> list[Json]:
        """Pods by label."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        items: list[Json] = self._json("GET", path, query={"labelSelector": selector})["items"]
        return items

    def pod_log(
        self, namespace: str, pod: str, *, follow: bool, tail: int | None
    ) -> Iterator[bytes]:
        """A pod's output in chunks, as the API server streams it."""
        query = {"follow": str(follow).lower()}
        if tail is not None:
            query["tailLines"] = str(tail)
        answer = self._send("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query=query)
        try:
            yield from answer.stream(8192)
        except HTTPError as error:
            raise CliError(f"The log of pod {namespace}/{pod} broke off: {error}") from error
        finally:
            answer.release_conn()

    def secret(self, namespace: str, name: str) -> Json:
        """A Secret, with the caller's own rights."""
        return self._json("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Json:
        answer: Json = json.loads(self._send(method, path, query=query, body=body).data)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            is_change = method == "PATCH"
            headers["Content-Type"] = f"application/{'merge-patch+json' if is_change else 'json'}"
        request = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        # A followed log lasts as long as its pod: only connecting has a deadline there.
        reading = None if query and query.get("follow") == "true" else _TIMEOUT_S
        try:
            answer = self._api.call_api(*request, _request_timeout=(_TIMEOUT_S, reading)).response
        except HTTPError as error:
            raise CliError(f"The API server does not answer: {error}") from error
        if answer.status >= 300:
            raise Refusal(_refusal(method, path, answer.status, answer.data), answer.status)
        return answer


def _refusal(method: str, path: str, status: int, body: bytes) -> str:
    try:
        message = str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        message = body[:200].decode(errors="replace").strip() or "no reason given"
    if status == 404 and message.startswith("404 page not found"):
        return f"This cluster does not serve {API_VERSION}: install Overspill first."
    asked = _DOING[method]
    return f"{asked} {path} was refused ({status}): {message}"
