"""A real S3-compatible object store over a directory, for checkpoints."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from overspill.testing.bed import probes
from overspill.testing.bed.build import OBJECT_STORE, build
from overspill.testing.bed.component import Component
from overspill.testing.bed.ports import PortClaims
from overspill.testing.bed.progress import Progress, silent


class ObjectStore:
    """One gateway process with one bucket; objects are plain files below `bucket_path`."""

    region = "us-east-1"

    def __init__(self, component: Component, url: str, keys: tuple[str, str], path: Path) -> None:
        self.component = component
        self.url = url
        self.access_key, self.secret_key = keys
        self.bucket_path = path
        self.bucket = path.name
        self._claims: PortClaims | None = None

    @classmethod
    def start(
        cls, workdir: Path, address: str, bucket: str, progress: Progress | None = None
    ) -> ObjectStore:
        """Serve a fresh directory at a free port of `address`, with keys made up now."""
        programs = build(OBJECT_STORE, progress or silent)
        claims = PortClaims()
        url = f"{address}:{claims.claim(address)}"
        home = workdir / f"object-store-{secrets.token_hex(3)}"
        path = home / "data" / bucket
        path.mkdir(parents=True)
        keys = f"BED{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        component = Component(
            "object-store",
            [str(programs / "versitygw"), "--port", url, "--health", "/healthz",
             "--region", cls.region, "--quiet", "posix", str(home / "data")],
            home / "object-store.log",
            ready=probes.http(f"http://{url}/healthz"),
            env={**os.environ, "ROOT_ACCESS_KEY": keys[0], "ROOT_SECRET_KEY": keys[1]},
        )  # fmt: skip
        component.start()
        store = cls(component, f"http://{url}", keys, path)
        store._claims = claims
        return store

    def objects(self) -> dict[str, Path]:
        """Every object by its key, as the file it is stored in."""
        files = (path for path in self.bucket_path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.bucket_path)): path for path in files}

    def stop(self) -> None:
        """End the gateway; the files stay until the bed's directory goes."""
        self.component.kill()
        if self._claims:
            self._claims.close()
