"""`once`: a property that is worked out at its first read.

As `functools.cached_property`, without the lock that Python 3.11 takes for each: plans read some
of them for ten thousand jobs. The owner must have a `__dict__`, and one thread at a time.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class once(Generic[Value]):  # noqa: N801  (reads as a decorator, like `property`)
    """The value of `work(owner)`, kept in the owner under the same name."""

    def __init__(self, work: Callable[[Any], Value]) -> None:
        self._work = work
        self.__doc__ = work.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type) -> "once[Value]": ...
    @overload
    def __get__(self, owner: object, kind: type) -> Value: ...
    def __get__(self, owner: object | None, kind: type) -> "once[Value] | Value":
        if owner is None:
            return self
        # Past a frozen dataclass's own `__setattr__`; from here on the class is not asked again.
        # Not through `__dict__`, which would make a dict of every owner.
        found = self._work(owner)
        object.__setattr__(owner, self._name, found)
        return found
