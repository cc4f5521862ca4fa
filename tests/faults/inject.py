"""Let calls to the system fail in a production, one fault a production.

Called with a new folder, a number of faults, a seed, the number of a part and of all
parts, and with kinds of calls when not all are to be tried; prints a line of JSON for
each fault of its part. By hand::

    python tests/faults/inject.py /tmp/world 20 1 0 1
"""

from __future__ import annotations

import errno
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from world import AREAS, KINDS, Call, Ended, World, make_world, read_journal

# Of a production that failed these may lack a run, which the rerun has to make
_MAY_WAIT = re.compile(r"(select|mask|count)-[^/]*/\S+ differs")
_COMMAND = ("run",)
# What a file system answers to each kind of call.
_ERRORS = {
    "open": ("EIO", "ENOSPC", "ESTALE", "EMFILE", "EACCES"),
    "read": ("EIO", "ESTALE"),
    "write": ("EIO", "ENOSPC", "ESTALE"),
    "rename": ("EIO", "ENOSPC", "ESTALE", "EACCES"),
    "fsync": ("EIO", "ENOSPC", "ESTALE"),
    "unlink": ("EIO", "ESTALE", "EACCES"),
    "mkdir": ("EIO", "ENOSPC", "ESTALE", "EACCES"),
    "stat": ("EIO", "ESTALE", "EACCES"),
    "list": ("EIO", "ESTALE", "EMFILE", "EACCES"),
}
_CRASHED = 70


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A call that fails.

    Attributes
    ----------
    kind, area, error : str
        What is called, on which files, and the name of the error.
    is_sticky : bool
        All later calls of the kind in the area fail too, until the process ends.
    pattern : int
        Number of the pattern in ``AREAS``.
    number : int
        Which call it is, counted from 1 among those of its kind and pattern.
    """

    kind: str
    area: str
    error: str
    is_sticky: bool
    pattern: int
    number: int


def draw_faults(calls: list[Call], n_faults: int, *, seed: int) -> list[Fault]:
    """Draw faults, spread over kinds, areas, errors, and both of once and sticky."""
    rng = np.random.default_rng(seed)
    n_calls = Counter((call.kind, call.area) for call in calls)
    cells = [
        (kind, area, error, is_sticky)
        for kind, area in sorted({(kind, AREAS[i][0]) for kind, i in n_calls})
        for error in _ERRORS[kind]
        for is_sticky in (False, True)
    ]
    faults: list[Fault] = []
    while len(faults) < n_faults:
        for cell in rng.permutation(len(cells))[: n_faults - len(faults)]:
            kind, area, error, is_sticky = cells[cell]
            pattern, number = _draw_call(n_calls, kind, area, rng)
            faults.append(
                Fault(
                    kind=kind,
                    area=area,
                    error=error,
                    is_sticky=is_sticky,
                    pattern=pattern,
                    number=number,
                )
            )
    return faults


def _draw_call(
    n_calls: Counter[tuple[str, int]], kind: str, area: str, rng: np.random.Generator
) -> tuple[int, int]:
    """Draw one of the calls of a kind in an area: its pattern, and number there."""
    found = [
        (i, number)
        for i, (name, _) in enumerate(AREAS)
        if name == area
        for number in range(1, n_calls[kind, i] + 1)
    ]
    pattern, number = found[int(rng.integers(len(found)))]
    return pattern, number


def try_fault(world: World, fault: Fault) -> tuple[str, list[str]]:
    """Run with the fault and again without; return the outcome and what is wrong."""
    world.clear()
    order = (
        "faults_fail",
        KINDS.index(fault.kind),
        fault.pattern,
        fault.number,
        getattr(errno, fault.error),
        int(fault.is_sticky),
    )
    ended = world.run(*_COMMAND, calls=[order])
    if ended.code is None:
        return "hung", [f"hung: {_last_words(ended)}"]
    wrong = [f"at once: {problem}" for problem in _judge(world, ended)]

    again = world.run(*_COMMAND)
    if again.code is None:
        return _outcome(ended), [*wrong, f"the rerun hung: {_last_words(again)}"]
    said = "" if again.code == 0 else f" {_last_words(again)}"
    wrong += [f"exit code {again.code} of the rerun{said}"] * (again.code != 0)
    differences = [*world.differences(), *world.lasting_leftovers()]
    wrong += [f"after the rerun: {difference}" for difference in differences]
    return _outcome(ended), wrong


def _judge(world: World, ended: Ended) -> list[str]:
    """List what is wrong after the run with the fault."""
    wrong = list(world.wrong_products())
    if ended.code == 1:
        wrong = [each for each in wrong if not _MAY_WAIT.fullmatch(each)]
    if ended.code == 0:
        wrong += [each for each in world.differences() if each not in wrong]
    elif ended.code not in (1, 2):
        wrong.append(f"exit code {ended.code}")
    if "Traceback" in ended.said or ended.code == _CRASHED:
        wrong.append(f"traceback {_last_words(ended)}")
    return wrong


def _last_words(ended: Ended) -> str:
    return ended.said[-1500:]


def _outcome(ended: Ended) -> str:
    if not ended.n_failed:
        return "not reached"
    return "survived" if ended.code == 0 else "failed"


def _cases(folder: Path, numbers: tuple[int, ...], kinds: set[str]) -> Iterator[dict]:
    n_faults, seed, part, n_parts = numbers
    with make_world(folder) as world:
        world.make_reference(*_COMMAND)
        calls = [c for c in read_journal(world.journal) if c.kind in kinds]
        for fault in draw_faults(calls, n_faults, seed=seed)[part::n_parts]:
            outcome, wrong = try_fault(world, fault)
            yield asdict(fault) | {"outcome": outcome, "wrong": wrong}


def _main(folder: str, *given: str) -> None:
    numbers, kinds = tuple(map(int, given[:4])), set(given[4:] or KINDS)
    for case in _cases(Path(folder), numbers, kinds):
        print(json.dumps(case), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
