"""The library fails the calls that it is told to, and power is lost as on a disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_START = """
import ctypes, json, os
library = ctypes.CDLL(os.environ["LD_PRELOAD"])
library.faults_begin(os.path.join(os.getcwd(), "area*").encode())
def attempt(call, *given):
    try:
        call(*given)
    except OSError as error:
        return error.errno
    return 0
"""
_FLUSHED, _FORGOTTEN = b"flushed", b"forgotten"
_WRITE = f"""
library.faults_journal(b"journal", os.path.abspath("kept").encode())
def write(name, content, is_flushed):
    with open("area/." + name, "wb") as file:
        file.write(content)
        file.flush()
        if is_flushed:
            os.fsync(file.fileno())
    os.replace("area/." + name, "area/" + name)
    if is_flushed:
        folder = os.open("area", os.O_RDONLY)
        os.fsync(folder)
write("one", {_FLUSHED}, True)
write("one", {_FORGOTTEN}, False)
write("two", {_FORGOTTEN}, False)
"""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a tool by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module


@pytest.fixture
def disturbed(tools: Callable[[str], Any], tmp_path: Path) -> Callable[[str], Any]:
    """Run Python in a process with the library, in a folder with `area` and `kept`."""
    (tmp_path / "area").mkdir()
    (tmp_path / "kept").mkdir()
    library = tools("world").compile_library(tmp_path)

    def run(code: str) -> Any:
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _START + code],
            cwd=tmp_path,
            env=os.environ | {"LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(ended.stdout or "null")

    return run


@pytest.mark.parametrize(
    ("is_sticky", "expected"), [(0, [0, 5, 0, 0]), (1, [0, 5, 5, 5])]
)
def test_the_call_fails_that_was_asked_for(disturbed, tools, is_sticky, expected):
    kind = tools("world").KINDS.index("mkdir")

    found = disturbed(f"""
library.faults_fail({kind}, 0, ctypes.c_long(2), 5, {is_sticky})
os.mkdir("elsewhere")
print(json.dumps([attempt(os.mkdir, f"area/{{i}}") for i in range(4)]))
""")

    assert found == expected


def test_a_file_that_is_not_there_is_no_fault(disturbed):
    found = disturbed("""
print(json.dumps([attempt(os.stat, "area/none"), library.faults_failed()]))
""")

    assert found == [2, 0]


def test_a_disk_keeps_what_was_flushed_and_anything_of_the_rest(
    disturbed, tools, tmp_path
):
    power, world = tools("power"), tools("world")
    seen = set()
    for seed in range(40):
        _empty(tmp_path)
        disturbed(_WRITE)
        calls = world.read_journal(tmp_path / "journal")

        power.lose_power(tmp_path / "area", calls, np.random.default_rng(seed))

        seen |= {(p.name, p.read_bytes()) for p in (tmp_path / "area").iterdir()}
        # whatever was lost, there is a file of this name
        assert (tmp_path / "area" / "one").exists()
    kept = {("one", _FLUSHED), ("one", _FORGOTTEN), ("two", _FORGOTTEN)}
    assert seen >= kept | {("one", b""), ("two", bytes(len(_FORGOTTEN)))}


def _empty(folder: Path) -> None:
    for path in [*folder.glob("area/*"), *folder.glob("kept/*"), folder / "journal"]:
        path.unlink(missing_ok=True)
