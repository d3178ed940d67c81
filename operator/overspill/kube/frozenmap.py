"""A mapping that never changes and makes its successor cheaply. Used by `store` for its views.

A view must stay as it was while the store goes on, and one comes after nearly every write:
copying thousands of entries each time was a quarter of the operator's time in a storm. Here a
successor copies one bucket of many.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar
from zlib import crc32

V = TypeVar("V")

BUCKETS = 256
"""Good for some ten thousand entries: a successor then copies about fifty of them."""

FEW = 48
"""Up to so many stand in one bucket: walking hundreds of empty ones would take longer."""


class FrozenMap(Mapping[str, V]):
    """Entries by key, in an order that means nothing but is the same in every run."""

    __slots__ = ("_buckets", "_size")

    def __init__(self) -> None:
        self._buckets: tuple[dict[str, V], ...] = ({},)
        self._size = 0

    def __getitem__(self, key: str) -> V:
        return self._buckets[self._place(key)][key]

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets:
            yield from bucket

    def __len__(self) -> int:
        return self._size

    def having(self, key: str, value: V) -> "FrozenMap[V]":
        """The same with this entry."""
        place = self._place(key)
        made = self._successor(place, {**self._buckets[place], key: value})
        return made._spread() if len(self._buckets) == 1 and len(made) > FEW else made

    def lacking(self, key: str) -> "FrozenMap[V]":
        """The same without this key."""
        place = self._place(key)
        if key not in self._buckets[place]:
            return self
        kept = {k: v for k, v in self._buckets[place].items() if k != key}
        return self._successor(place, kept)

    def _successor(self, place: int, bucket: dict[str, V]) -> "FrozenMap[V]":
        made: FrozenMap[V] = FrozenMap.__new__(FrozenMap)
        made._buckets = (*self._buckets[:place], bucket, *self._buckets[place + 1 :])
        made._size = self._size + len(bucket) - len(self._buckets[place])
        return made

    def _spread(self) -> "FrozenMap[V]":
        """The same in many buckets."""
        made: FrozenMap[V] = FrozenMap.__new__(FrozenMap)
        buckets: tuple[dict[str, V], ...] = tuple({} for _ in range(BUCKETS))
        made._buckets, made._size = buckets, self._size
        for key, value in self.items():
            buckets[made._place(key)][key] = value
        return made

    def _place(self, key: str) -> int:
        """Not `hash`, which differs from process to process: a run must be repeatable by its
        seed."""
        return crc32(key.encode()) % len(self._buckets)
