"""`python -m benchmarks.chaos_disasters`: twelve disasters on a real control plane (L7).

Says for each what was expected and what was seen; the judge is the market's ledger. The cases
stand in `tests/cluster/disasters.py`.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.disasters import DISASTERS, SINGLE, Disaster
from tests.cluster.ruins import Rig, mend, rig, verdict

from benchmarks.chaos_lines import Line, print_lines

Show = Callable[[str], None]


def main() -> int:
    """0 when nothing was leaked, doubled or wrongly ended."""
    lines = run(lambda text: print(text, flush=True))
    print_lines(lines)
    return 0 if all(line.is_met for line in lines) else 1


def run(show: Show) -> list[Line]:
    """Every disaster in turn; one that fails does not keep the others from being seen."""
    failed: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="disasters-") as folder, rig(Path(folder)) as made:
        for disaster in SINGLE:
            disaster.strike(made)
        for disaster in DISASTERS:
            told = _told(made, disaster)
            failed += [disaster.name] if told.startswith("NOT") else []
            show(f"  L7     {disaster.name}\n    expected: {disaster.expected}\n    seen: {told}")
    took = f"{time.monotonic() - began:.0f} s"
    measured = f"{len(failed)} of {len(DISASTERS)} failed {failed or ''} in {took}"
    return [Line("L7 disasters: 0 leaks, doubles, wrong ends", measured, not failed)]


def _told(made: Rig, disaster: Disaster) -> str:
    try:
        if disaster not in SINGLE:
            disaster.strike(made)
        told = disaster.seen(made)
        verdict(made)
    except Exception as error:  # noqa: BLE001  (a disaster that was not borne is a result)
        return f"NOT as expected: {type(error).__name__}: {error}"
    finally:
        mend(made)
    return told


if __name__ == "__main__":
    sys.exit(main())
