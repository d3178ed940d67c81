"""Holds every exchange with a market against its official OpenAPI 3.1, where that is beside us."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
_URI = "urn:market"


def spec_file(market: str, name: str) -> Path | None:
    """Where the official file is, if it is beside the checkout."""
    shared = Path(os.environ.get("OVERSPILL_SHARED", ROOT.parent / "shared"))
    path = shared / "provider-specs" / market / name
    return path if path.is_file() else None


@dataclass
class Spec:
    """One official document, mended where a table of deviations says so."""

    document: dict[str, Any]

    def __post_init__(self) -> None:
        resource = Resource(contents=self.document, specification=DRAFT202012)
        self._registry: Any = Registry().with_resource(_URI, resource)

    def validate(self, instance: Any, *pointer: str) -> None:
        """Fails on what the schema at this place of the document does not allow."""
        steps = "/".join(step.replace("~", "~0").replace("/", "~1") for step in pointer)
        schema = {"$ref": f"{_URI}#/{steps}"}
        checker = jsonschema.Draft202012Validator(schema, registry=self._registry)
        checker.validate(instance)

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The template and the operation of a request."""
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path) and method.lower() in item:
                return template, item[method.lower()]
        raise AssertionError(f"the API has no {method} {path}")

    def resolved(self, node: Any) -> Any:
        """The node itself, or what it refers to."""
        if "$ref" not in node:
            return node
        found: Any = self.document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return self.resolved(found)

    def names(self, schema: Any) -> set[str]:
        """The properties that a schema names, across references and `allOf`."""
        schema = self.resolved(schema)
        found = set(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found |= self.names(part)
        return found


@dataclass
class Checked(httpx.AsyncBaseTransport):
    """Passes exchanges through and fails the test on one that breaks the specification."""

    inner: httpx.AsyncBaseTransport
    spec: Spec
    undescribed: frozenset[str] = frozenset()
    """Statuses that are answered though the file does not list them, "PUT 402"."""
    credential: tuple[str, str] = ("authorization", "Bearer ")
    """The header with the key, and how its value begins."""
    operations: set[str] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rstrip("/")
        if path.startswith("/_"):
            return await self.inner.handle_async_request(request)  # no part of the market's API
        template, operation = self.spec.operation(request.method, path)
        self._check_request(template, operation, request)
        answer = await self.inner.handle_async_request(request)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self.operations.add(f"{request.method} {template}")
            return answer  # it never ends
        body = await answer.aread()
        await answer.aclose()
        self._check_answer(template, operation, request.method, answer, body)
        self.operations.add(f"{request.method} {template}")
        headers = {k: v for k, v in answer.headers.items() if k != "transfer-encoding"}
        return httpx.Response(answer.status_code, headers=headers, content=body)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _check_request(
        self, template: str, operation: dict[str, Any], request: httpx.Request
    ) -> None:
        given = [self.spec.resolved(p) for p in operation.get("parameters") or []]
        known = {p["name"] for p in given if p["in"] == "query"}
        sent = dict(request.url.params)
        assert set(sent) <= known, f"unknown parameters {set(sent) - known}"
        header, start = self.credential
        assert header in request.headers
        assert request.headers[header].startswith(start)
        if "requestBody" in operation and request.content:
            place = (template, request.method.lower(), "requestBody", "content")
            body = json.loads(request.content)
            self.spec.validate(body, "paths", *place, "application/json", "schema")
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            unknown = set(body) - self.spec.names(schema)
            assert not unknown, f"{template} does not take {unknown}"

    def _check_answer(
        self,
        template: str,
        operation: dict[str, Any],
        method: str,
        answer: httpx.Response,
        body: bytes,
    ) -> None:
        status = str(answer.status_code)
        if status not in operation["responses"]:
            # gateways answer these before any API does
            is_common = answer.status_code in {401, 429} or answer.status_code >= 500
            is_open = "default" in operation["responses"] or is_common
            if is_open or f"{method} {status}" in self.undescribed:
                return
            raise AssertionError(f"{method} {template} may not answer {status}")
        response = operation["responses"][status]
        content = self.spec.resolved(response).get("content", {})
        kind = answer.headers.get("content-type", "").split(";")[0]
        if kind in content and body:
            place = ("paths", template, method.lower(), "responses", status)
            if "$ref" in response:
                place = tuple(response["$ref"].removeprefix("#/").split("/"))
            self.spec.validate(json.loads(body), *place, "content", kind, "schema")
