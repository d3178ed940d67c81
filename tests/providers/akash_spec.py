"""Holds every request and answer against the official OpenAPI, when its file is beside us."""

import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from .akash_deviations import mended

ROOT = Path(__file__).parents[2]


def find_spec() -> Path | None:
    """Where the official files are, if they are beside the checkout."""
    shared = Path(os.environ.get("OVERSPILL_SHARED", ROOT.parent / "shared"))
    folder = shared / "provider-specs" / "akash"
    return folder if (folder / "openapi.json").is_file() else None


def spec_folder() -> Path:
    """Where the official files are; skips the test when they are not there."""
    folder = find_spec()
    if folder is None:
        pytest.skip("no official Akash specification beside the checkout; set OVERSPILL_SHARED")
    return folder


@cache
def openapi(folder: Path) -> dict[str, Any]:
    """The mended document."""
    found: dict[str, Any] = mended(json.loads((folder / "openapi.json").read_text()))
    return found


@cache
def sdl_schema(folder: Path) -> dict[str, Any]:
    """The official schema of an SDL."""
    found: dict[str, Any] = yaml.safe_load((folder / "sdl-input.schema.yaml").read_text())
    return found


@dataclass
class Checked(httpx.AsyncBaseTransport):
    """Passes exchanges through and fails the test on one that breaks the specification."""

    inner: httpx.AsyncBaseTransport
    folder: Path
    operations: set[str] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, operation = self._operation(request)
        self._check_request(operation, request)
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        await answer.aclose()
        self._check_answer(path, operation, answer, body)
        self.operations.add(f"{request.method} {path}")
        headers = {"content-type": answer.headers.get("content-type", "")}
        for name in ("retry-after", "location"):
            if name in answer.headers:
                headers[name] = answer.headers[name]
        return httpx.Response(answer.status_code, headers=headers, content=body)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _operation(self, request: httpx.Request) -> tuple[str, dict[str, Any]]:
        for path, item in openapi(self.folder)["paths"].items():
            pattern = re.sub(r"/\{\w+\?\}", "(?:/[^/]+)?", path)
            pattern = re.sub(r"\{\w+\}", "[^/]+", pattern)
            if re.fullmatch(pattern, request.url.path) and request.method.lower() in item:
                return path, item[request.method.lower()]
        raise AssertionError(f"the API has no {request.method} {request.url.path}")

    def _check_request(self, operation: dict[str, Any], request: httpx.Request) -> None:
        known = {p["name"]: p for p in operation.get("parameters", []) if p["in"] == "query"}
        sent = dict(request.url.params)
        assert set(sent) <= set(known), f"unknown parameters {set(sent) - set(known)}"
        for name, parameter in known.items():
            assert not parameter.get("required") or name in sent, f"{name} is missing"
            if name in sent:
                jsonschema.validate(_typed(sent[name], parameter["schema"]), parameter["schema"])
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            body = json.loads(request.content)
            jsonschema.validate(body, schema)
            assert set(body) <= set(schema["properties"])
        if operation.get("security"):
            assert request.headers.get("x-api-key"), "the key is missing"

    def _check_answer(
        self, path: str, operation: dict[str, Any], answer: httpx.Response, body: bytes
    ) -> None:
        if answer.status_code >= 400:
            return  # the specification describes no error bodies
        response = operation["responses"].get(str(answer.status_code))
        assert response is not None, f"{path} may not answer {answer.status_code}"
        schema = response["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(body), schema)


def _typed(raw: str, schema: dict[str, Any]) -> Any:
    kinds = {schema.get("type"), *(s.get("type") for s in schema.get("anyOf", []))}
    return json.loads(raw) if kinds & {"number", "integer", "boolean"} else raw
