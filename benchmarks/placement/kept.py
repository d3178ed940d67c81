"""Results of a suite that are whole documents, kept at once so that a stopped run goes on.

A document belongs to the version of the code that made it: older ones are left alone and not
read. Called by the suites S4 to S6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.placement.versions import version


class Kept:
    """A file of documents by key."""

    def __init__(self, path: Path, entries: Iterable[str]) -> None:
        """`entries` are the modules that decide what is found, with all that they import."""
        self._path, self._version = path, version(*entries)
        self._found: dict[str, Any] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for text in path.read_text().splitlines() if path.exists() else []:
            line = json.loads(text)
            if line["version"] == self._version:
                self._found[line["key"]] = line["document"]

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """The document of a key, made if it is not there."""
        return self._found[key] if key in self._found else self.put(key, make())

    def has(self, key: str) -> bool:
        """Whether it is there."""
        return key in self._found

    def put(self, key: str, document: Any) -> Any:
        """Keeps a document that was just made, in the file too."""
        self._found[key] = document
        line = {"version": self._version, "key": key, "document": document}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return document
