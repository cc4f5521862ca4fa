"""Cut the power in the middle of a production, and lose what was not flushed.

A disk keeps what was flushed, and of the rest anything. So after the cut

* the last changes in each folder (files made, renamed, removed) are undone, any number
  of those since the folder was flushed;
* what was written to a file since it was flushed is there, or is not, or is zeros.

Called with a new folder, a number of cuts, a seed, the number of a part and of all
parts; prints a line of JSON for each cut of its part. By hand::

    python tests/faults/power.py /tmp/world 5 1 0 1
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from world import Call, Ended, World, make_world, read_journal

_COMMAND = ("run",)
_SHARE_INTACT = 0.7


def lose_power(out: Path, calls: list[Call], rng: np.random.Generator) -> list[str]:
    """Change a folder to what a disk may hold after the calls; say what was lost."""
    lost = _lost_names(calls, rng)
    for call in lost:
        _undo(call)
    said = [f"{call.kind} of {call.path} undone" for call in lost]
    return said + [say for say in _spoil_content(out, calls, rng) if say]


def _lost_names(calls: list[Call], rng: np.random.Generator) -> list[Call]:
    """Draw the changes of names that are lost, the last one first."""
    waiting: dict[str, list[int]] = defaultdict(list)
    for i, call in enumerate(calls):
        if call.kind == "fsync":
            waiting.pop(call.path, None)
        elif _changes_names(call):
            waiting[str(Path(_name(call)).parent)].append(i)
    lost: list[int] = []
    for _, numbers in sorted(waiting.items()):
        n_kept = int(rng.integers(len(numbers) + 1))
        # many a folder is as it was, else all would be lost with the first one
        lost += [] if rng.random() < _SHARE_INTACT else numbers[n_kept:]
    return [calls[i] for i in sorted(lost, reverse=True)]


def _changes_names(call: Call) -> bool:
    is_made = call.kind == "open" and call.detail == "created"
    return is_made or call.kind in ("rename", "unlink", "mkdir")


def _name(call: Call) -> str:
    return call.detail if call.kind == "rename" else call.path


def _undo(call: Call) -> None:
    """Undo a change of a name; what was inside a folder that is lost goes with it."""
    path, new, kept = Path(call.path), Path(call.detail), Path(call.other)
    if not path.parent.is_dir():
        return
    if call.kind == "mkdir":
        shutil.rmtree(path, ignore_errors=True)
    elif call.kind == "open":
        path.unlink(missing_ok=True)
    elif call.kind == "rename":
        if new.exists():
            new.replace(path)
        if call.other != "-":
            new.hardlink_to(kept)
    elif call.detail == "-":
        path.mkdir(exist_ok=True)
    else:
        path.hardlink_to(new)


def _spoil_content(
    out: Path, calls: list[Call], rng: np.random.Generator
) -> Iterator[str]:
    """Lose what was written to files since they were flushed; say what and how."""
    flushed = _flushed_sizes(calls)
    for place, _, names in sorted(os.walk(out)):
        for name in sorted(names):
            path = Path(place, name)
            inode = path.stat().st_ino
            if inode in flushed:
                yield _spoil(path, min(flushed[inode], path.stat().st_size), rng)


def _flushed_sizes(calls: list[Call]) -> dict[int, int]:
    """Bytes that are sure to be on disk, of each file that is not flushed."""
    sizes: dict[int, float] = {}
    for call in calls:
        if call.kind == "open" and call.detail in ("created", "emptied"):
            sizes[call.inode] = 0
        elif call.kind == "write":
            known = sizes.get(call.inode, math.inf)
            sizes[call.inode] = min(known, int(call.detail))
        elif call.kind == "fsync":
            sizes.pop(call.inode, None)
    return {inode: int(size) for inode, size in sizes.items()}


def _spoil(path: Path, n_flushed: int, rng: np.random.Generator) -> str:
    content = path.read_bytes()
    place = int(rng.integers(n_flushed, len(content) + 1))
    fate = str(rng.choice(["kept", "lost", "cut", "zeros"]))
    if fate == "lost":
        os.truncate(path, n_flushed)
    elif fate == "cut":
        os.truncate(path, place)
    elif fate == "zeros":
        path.write_bytes(content[:place] + bytes(len(content) - place))
    return "" if fate == "kept" else f"{path}: {fate}"


def try_cut(world: World, number: int, rng: np.random.Generator) -> dict[str, object]:
    """Cut the power before a change on disk, run again; tell what came out."""
    world.clear()
    kept = world.folder / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    journal = ("faults_journal", str(world.journal), str(kept))
    ended = world.run(*_COMMAND, calls=[journal, ("faults_cut", number)])
    was_cut = ended.code == -signal.SIGKILL
    lost = lose_power(world.out, read_journal(world.journal), rng) if was_cut else []

    outcome = "lost some" if lost else "lost none"
    return {
        "number": number,
        "outcome": outcome if was_cut else "not reached",
        "lost": lost,
        "wrong": _judge(world, world.run(*_COMMAND)),
    }


def _judge(world: World, again: Ended) -> list[str]:
    """List what is wrong after the rerun."""
    last_words = again.said[-1500:]
    if again.code is None:  # what it did not come to the end of is not read here either
        return [f"hung: {last_words}"]
    wrong = [f"exit code {again.code}: {last_words}"] * (again.code != 0)
    wrong += ["traceback"] * ("Traceback" in again.said)
    wrong += [each for each in world.differences() if "was set aside" not in each]
    return wrong + world.lasting_leftovers()


def _cases(folder: Path, n_cuts: int, seed: int, part: slice) -> Iterator[dict]:
    with make_world(folder) as world:
        n_changes = world.make_reference(*_COMMAND).n_changes
        moments = np.random.default_rng(seed).integers(1, n_changes + 1, n_cuts)
        for number in moments[part]:
            rng = np.random.default_rng((seed, int(number)))
            yield try_cut(world, int(number), rng)


def _main(folder: str, *numbers: str) -> None:
    n_cuts, seed, part, n_parts = map(int, numbers)
    for case in _cases(Path(folder), n_cuts, seed, slice(part, None, n_parts)):
        print(json.dumps(case), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
