"""YAML that remembers its lines: an SDL is read through `Spot`, so that a refusal can point.

Called by `import_sdl`. A `Reading` collects what is wrong; nothing stops at the first fault, so
that a person sees all of them at once.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGEST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Why the SDL cannot become a GPUJob, and where; `line` counts from 1."""

    line: int
    sentence: str


@dataclass(slots=True)
class Reading:
    """What was found on the way: faults refuse, notes only tell what is not carried over."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def parse(self, text: str) -> "Spot | None":
        """The root of the document; None, with a fault, when it is not one mapping."""
        if len(text.encode()) > LARGEST_BYTES:
            self.faults.append(Fault(1, "the file is larger than any SDL"))
            return None
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            told = getattr(error, "problem", None) or "it cannot be read"
            self.faults.append(Fault(mark.line + 1 if mark else 1, f"this is not YAML: {told}"))
            return None
        if node is None:
            self.faults.append(Fault(1, "the file is empty"))
            return None
        return Spot(self, loader, node, "")


class Spot:
    """One place of the document. Asking for the wrong shape is noted as a fault, never raised."""

    def __init__(self, reading: Reading, loader: Any, node: yaml.Node, path: str) -> None:
        self._reading, self._loader, self._node, self.path = reading, loader, node, path

    @property
    def line(self) -> int:
        """Where it begins."""
        return int(self._node.start_mark.line) + 1

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there."""
        return bool(self._node.tag == "tag:yaml.org,2002:null")

    @property
    def is_mapping(self) -> bool:
        """Whether it has named entries."""
        return isinstance(self._node, yaml.MappingNode)

    def refuse(self, why: str) -> None:
        """A fault of this place."""
        where = f"{self.path}: " if self.path else ""
        self._reading.faults.append(Fault(self.line, f"{where}{why}"))

    def note(self, what: str) -> None:
        """What of this place is not carried over, though the rest is."""
        self._reading.notes.append(Fault(self.line, f"{self.path} {what}"))

    def items(self) -> dict[str, "Spot"]:
        """The entries of a mapping, in their order; {} with a fault when it is none."""
        if not isinstance(self._node, yaml.MappingNode):
            if not self.is_null:
                self.refuse("must be a mapping")
            return {}
        self._loader.flatten_mapping(self._node)
        found: dict[str, Spot] = {}
        for key, value in self._node.value:
            name = str(getattr(key, "value", ""))
            inner = Spot(self._reading, self._loader, value, f"{self.path}.{name}".lstrip("."))
            if name in found:
                inner.refuse("stands there twice")
            found[name] = inner
        return found

    def known(self, allowed: Collection[str]) -> dict[str, "Spot"]:
        """The entries that hold something; one of another name than those allowed is a fault."""
        found = self.items()
        for name, spot in found.items():
            if name not in allowed:
                spot.refuse("is not a word of the SDL that can be carried over")
        return {name: s for name, s in found.items() if name in allowed and not s.is_null}

    def each(self) -> Iterator["Spot"]:
        """The entries of a list; a fault when it is none."""
        if isinstance(self._node, yaml.SequenceNode):
            for i, node in enumerate(self._node.value):
                yield Spot(self._reading, self._loader, node, f"{self.path}[{i}]")
        elif not self.is_null:
            self.refuse("must be a list")

    def value(self) -> Any:
        """A scalar as YAML reads it; None with a fault for anything else."""
        if isinstance(self._node, yaml.ScalarNode):
            return self._loader.construct_object(self._node)
        self.refuse("must be one value")
        return None

    def text(self) -> str:
        """A string; one that YAML takes for something else is a fault."""
        found = self.value()
        if isinstance(found, str):
            return found
        if found is not None:
            self.refuse(f"must be a string: put it in quotes ({str(found)[:32]!r} is none)")
        return ""

    def matched(self, pattern: str, what: str) -> str:
        """The raw scalar, "" with a fault where it does not match."""
        raw = str(self.value()).strip() if isinstance(self._node, yaml.ScalarNode) else ""
        if re.fullmatch(pattern, raw):
            return raw
        self.refuse(f"must be {what}")
        return ""
