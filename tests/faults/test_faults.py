"""Productions whose disk fails: errors of the system, loss of power, flipped bits.

The tools beside this file do it, see their first lines. Each tries a few cases of some
kinds; with ``BKGPIPE_FAULTS`` set, as by ``make test-faults``, 400 faults, 50 cuts and
1000 flips of all kinds.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

_log = logging.getLogger(__name__)

_IS_FULL = bool(os.environ.get("BKGPIPE_FAULTS"))
_N_PARTS = (os.cpu_count() or 1) if _IS_FULL else 1
_SEED = 1

_Case = dict[str, Any]


@pytest.fixture
def try_all(tmp_path: Path) -> Callable[..., list[_Case]]:
    """Let a tool try cases, in as many processes as there are processors."""

    def run(tool: str, *kinds: str, few: int, many: int) -> list[_Case]:
        n_cases = many if _IS_FULL else few
        given = () if _IS_FULL else kinds
        parts = [
            _start(tool, tmp_path / f"{part}", n_cases, part, *given)
            for part in range(_N_PARTS)
        ]
        ended = [process.communicate() for process in parts]
        assert not any(process.returncode for process in parts), ended
        cases = [json.loads(line) for out, _ in ended for line in out.splitlines()]
        assert len(cases) == n_cases
        return cases

    return run


def _start(
    tool: str, folder: Path, n_cases: int, part: int, *kinds: str
) -> subprocess.Popen[str]:
    numbers = map(str, (n_cases, _SEED, part, _N_PARTS))
    command = (sys.executable, str(Path(__file__).with_name(tool)))
    return subprocess.Popen(  # noqa: S603
        [*command, str(folder), *numbers, *kinds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _judge(cases: Iterable[_Case], *keys: str) -> None:
    """Log a table of outcomes; fail when anything was wrong."""
    outcomes = Counter(
        (*(str(case[key]) for key in keys), case["outcome"], bool(case["wrong"]))
        for case in cases
    )
    for (*words, is_wrong), n_cases in sorted(outcomes.items()):
        told = "  ".join(f"{word:14}" for word in words)
        _log.info("%6d  %s%s", n_cases, told, "WRONG" if is_wrong else "")
    wrong = [json.dumps(case, indent=1) for case in cases if case["wrong"]]
    assert not wrong, f"{len(wrong)} cases:\n" + "\n".join(wrong)


def test_calls_that_fail_lose_no_run(try_all):
    cases = try_all("inject.py", few=4, many=400)

    _judge(cases, "kind", "area")
    assert any(case["outcome"] == "failed" for case in cases)


def test_loss_of_power_loses_no_run(try_all):
    cases = try_all("power.py", few=3, many=50)

    _judge(cases)
    assert any(case["outcome"] == "lost some" for case in cases)


def test_flipped_bits_are_found_or_have_no_effect(try_all):
    cases = try_all("flips.py", "checkpoints", few=4, many=1000)

    _judge(cases, "kind")
    assert any("run" in case["outcome"] for case in cases)
