"""What a kubelet does for the operator's pod, for tests that let it die."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Self

from overspill.testing.operator import OperatorProcess


class Kubelet:
    """Starts the operator again whenever it has ended, until told to leave it dead."""

    def __init__(self, operator: OperatorProcess) -> None:
        self.restarts = 0
        self._operator = operator
        self._absent = threading.Event()
        self._over = threading.Event()
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="kubelet", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """While it is away, what has ended stays ended."""
        with self._busy:
            self._absent.set()
        try:
            yield
        finally:
            self._absent.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the watch, not the operator."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            with self._busy:
                if not self._absent.is_set() and not self._operator.running:
                    self._operator.restart()
                    self.restarts += 1
