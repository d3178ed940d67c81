"""Reads Prometheus text, so that tests can count requests on the API server's own books."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One time series at one moment."""

    name: str
    labels: dict[str, str]
    value: float


class Metrics:
    """All samples of one scrape."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def select(self, name: str, **labels: str) -> list[Sample]:
        """The samples of one metric whose labels include the given ones."""
        return [s for s in self.samples if s.name == name and labels.items() <= s.labels.items()]

    def total(self, name: str, **labels: str) -> float:
        """The sum over `select`; 0 where nothing matches."""
        return sum(sample.value for sample in self.select(name, **labels))

    def by(self, name: str, *keys: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Sums grouped by some labels, such as verb and resource."""
        sums: dict[tuple[str, ...], float] = {}
        for sample in self.select(name, **labels):
            group = tuple(sample.labels.get(key, "") for key in keys)
            sums[group] = sums.get(group, 0.0) + sample.value
        return sums


def parse(text: str) -> Metrics:
    """The samples in `text`; comments and what is not a sample are passed over."""
    matches = (_LINE.match(line) for line in text.splitlines() if not line.startswith("#"))
    return Metrics([_sample(match) for match in matches if match])


def _sample(match: re.Match[str]) -> Sample:
    labels = dict(_LABEL.findall(match[2] or ""))
    return Sample(match[1], labels, float(match[3]))
