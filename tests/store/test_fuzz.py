"""Files spoilt at random are refused, or read as they are; nothing crashes or hangs.

``BKGPIPE_FUZZ`` says how many; ``make test-fuzz`` takes 2000.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bkgpipe.chain.record import write_page, write_record
from bkgpipe.core.product import Chunk
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.report.summary import Summary
from bkgpipe.stages.select.files import write_runs
from bkgpipe.store.files import inflate, locate, open_fits
from bkgpipe.store.store import read_runs
from bkgpipe.store.units import mjd_reference, to_unit

_log = logging.getLogger(__name__)

_CASES = int(os.environ.get("BKGPIPE_FUZZ", "40"))
_PATIENCE = 600.0 + _CASES


@pytest.fixture
def whole(tmp_path: Path, header, make_counts) -> Path:
    """Folder with one file of each kind, none compressed but where it is said."""
    folder = tmp_path / "whole"
    simulation = Simulation(n_runs=3, first_obs_id=1001, duration=60, seed=5)
    # without checksums, which would show every change before it is looked at
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bkgpipe.store.fits_file.with_sums", bytes)
        write_simulated_store(folder / "store", simulation=simulation, truth=Truth())
    for path in [*folder.rglob("*.fits.gz")]:
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    (events,) = folder.rglob("*1001*.fits")
    (folder / "zipped").mkdir()
    shutil.copy(f"{events}.gz", folder / "zipped" / "run_1001.fits.gz")
    for path in folder.glob("store/*.fits.gz"):
        path.unlink()
    _name_plain_files(folder / "store")
    _write_products(folder, header, make_counts)
    return folder


def _name_plain_files(store: Path) -> None:
    """Let the index name the files that are not compressed."""
    path = store / "hdu-index.fits"
    content = path.read_bytes()
    path.write_bytes(content.replace(b".fits.gz", b".fits\0\0\0"))


def _write_products(folder: Path, header, make_counts) -> None:
    table = read_runs(folder / "store")
    counts = {obs_id: make_counts(obs_id) for obs_id in (7, 9, 10)}
    chunk = Chunk(records=counts, refused={8: "run 8: too short. Exclude it."})
    COUNTS.write(folder / "count_0.h5", header, chunk)
    write_runs(folder / "runs.ecsv", header, table)
    write_page(folder / "index.html", header, "<p>page</p>\n" * 20)
    summary = Summary(
        store="store",
        models=("bkg_3d_7.fits",),
        n_used=3,
        hours=1.5,
        refused={8: "too short"},
        left_out={},
        timing={"count": 1.5},
        conservation=Conservation(n_read=3, n_kept=3),
    )
    write_record(
        folder / "record.json", header, summary=summary, settings={}, versions={}
    )


def _run(folder: Path, first: int) -> tuple[list[str], int, str]:
    """Run cases in a process; return what it printed and how it ended."""
    process = subprocess.run(  # noqa: S603
        [
            *(sys.executable, str(Path(__file__).with_name("fuzzer.py"))),
            *(str(folder), str(first), str(_CASES), "1"),
        ],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    return process.stdout.splitlines(), process.returncode, process.stderr


def test_spoilt_files_are_refused_or_read_as_they_are(whole):
    outcomes: Counter[str] = Counter()
    bad, first = [], 0
    while first < _CASES:
        lines, code, stderr = _run(whole, first)
        assert lines, stderr
        number = int(lines[-1].partition(" ")[0])
        done = [line.partition(" ")[2] for line in lines if "begins" not in line]
        outcomes.update(done)
        bad += [line for line in lines if any(w.isupper() for w in line.split()[2:3])]
        if code:
            bad.append(f"{number} ended with {code}: {stderr[-2000:]}")
        elif stderr:
            bad.append(stderr)
        first = number + 1
    for kind, n_cases in sorted(outcomes.items()):
        _log.info("%6d %s", n_cases, kind)
    assert not bad, "\n".join(bad)
    assert outcomes.total() == _CASES
    assert sum(n for kind, n in outcomes.items() if "refused" in kind) > _CASES / 4


_quick = settings(
    max_examples=max(40, _CASES // 4),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=_CASES <= 40,
)


@_quick
@given(st.text(max_size=30), st.sampled_from(["deg", "s", "TeV", ""]))
def test_any_word_is_a_unit_or_refused(unit, target):
    started = time.monotonic()
    values = np.array([1.0, np.nan])

    found, refusal = _try(lambda: to_unit(values, unit, target, where="run 7, RA"))

    assert "Correct the unit" in refusal or np.isnan(found[1])
    assert time.monotonic() - started < 10


@_quick
@given(
    st.fixed_dictionaries(
        {
            "MJDREFI": st.one_of(st.integers(), st.floats(), st.text(max_size=9)),
            "TIMESYS": st.one_of(
                st.sampled_from(["TT", "utc", "TAI ", "tdb", "local"]), st.text()
            ),
        },
        optional={"MJDREFF": st.one_of(st.floats(), st.booleans(), st.text())},
    )
)
def test_any_clock_is_a_date_or_refused(header):
    zero, refusal = _try(lambda: mjd_reference(header, where="run 7"))

    # blank and infinite ones say nothing
    assert "Correct the keyword" in refusal or np.isnan(zero) or abs(zero) < 3e6


@_quick
@given(st.binary(max_size=6000), st.booleans())
def test_any_bytes_are_fits_or_refused(content, is_compressed):
    content = gzip.compress(content) if is_compressed else content

    def read() -> bool:
        with open_fits(inflate(content, where="a"), where="a") as hdus:
            return all(hdu.header is not None for hdu in hdus)

    is_read, refusal = _try(read)

    assert is_read or "xclude the run" in refusal


@_quick
@given(
    st.lists(st.sampled_from(["..", ".", "data", "link", "/", "etc", "a b", "ß", "\0"]))
)
def test_no_path_leads_out_of_the_store(tmp_path, parts):
    store = tmp_path / "store"
    (store / "data").mkdir(parents=True, exist_ok=True)
    link = store / "link"
    if not link.is_symlink():
        link.symlink_to("/etc")

    found, refusal = _try(lambda: locate(store, "/".join(parts), where="run 7"))

    assert "the store" in refusal or "HDU index" in refusal or _is_in(store, found)


def _is_in(store: Path, found: Path) -> bool:
    return found.is_relative_to(store.resolve())


def _try(read: Callable[[], Any]) -> tuple[Any, str]:
    """Return what is read, or else why it is refused."""
    try:
        return read(), ""
    except InputError as error:
        return None, str(error)
