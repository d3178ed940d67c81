"""Runs independent pieces of a suite side by side, one process per core.

Results come back as they are done, so that whoever asked can keep each at once. With one worker
everything happens in this process. Called by the suites.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Piece = TypeVar("Piece")
Found = TypeVar("Found")


def each(
    work: Callable[[Piece], Found], pieces: Sequence[Piece], workers: int | None = None
) -> Iterator[tuple[int, Found]]:
    """Every piece's index and what came of it, in the order in which they are done.

    `work` must be a function of a module; None workers: as many as there are cores.
    """
    count = min(workers or os.cpu_count() or 1, len(pieces))
    if count <= 1:
        yield from ((index, work(piece)) for index, piece in enumerate(pieces))
        return
    with ProcessPoolExecutor(count) as pool:
        waiting = {pool.submit(work, piece): index for index, piece in enumerate(pieces)}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
