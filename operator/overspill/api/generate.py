"""`python -m overspill.api.generate crds/`: writes the CRDs, and docs/api.md beside them.

The files are kept in the repository; `make crds` followed by `git diff --exit-code` shows that
they are what the models say.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from overspill.api import GROUP
from overspill.api.crd import crd
from overspill.api.kinds import KINDS, Kind
from overspill.api.reference import reference

HEADER = "# Generated from operator/overspill/api by `make crds`; changes belong there.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes one file per kind, and the reference page where there is a `docs` to put it."""
    parser = argparse.ArgumentParser(prog="python -m overspill.api.generate", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the CRDs go")
    options = parser.parse_args(arguments)
    options.directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (options.directory / file_name(kind)).write_text(render(kind), encoding="utf-8")
    docs = options.directory.resolve().parent / "docs"
    if docs.is_dir():
        (docs / "api.md").write_text(reference(), encoding="utf-8")
    return 0


def file_name(kind: Kind) -> str:
    """`overspill.dev_gpujobs.yaml`."""
    return f"{GROUP}_{kind.plural}.yaml"


def render(kind: Kind) -> str:
    """The CRD as YAML, the same bytes every time."""
    return HEADER + yaml.dump(
        crd(kind), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: the same value twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never use an anchor."""
        return True


if __name__ == "__main__":
    sys.exit(main())
