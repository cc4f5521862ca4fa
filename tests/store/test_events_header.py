from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.store.events import read_events
from bkgpipe.store.events_header import is_promising


@pytest.fixture
def write(tmp_path: Path, make_events: Callable[..., fits.HDUList]) -> Callable:
    """Write the events of run 7; return the store."""

    def _write(**changes: Any) -> Path:
        (tmp_path / "data").mkdir(exist_ok=True)
        hdus = make_events(3, **changes)
        hdus.writeto(tmp_path / "data" / "run_7.fits", overwrite=True)
        return tmp_path

    return _write


def test_events_that_can_be_read_are_promising(write: Callable, run: Run) -> None:
    store = write()
    assert is_promising(store, run)
    read_events(store, run)


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"OBS_ID": 8}},
        {"header": {"RA_PNT": "north"}},
        {"header": {"OBS_MODE": "DRIFT"}},
        {"header": {"MJDREFI": None}},
        {"header": {"TIMESYS": "moon"}},
        {"drop": ("ENERGY",)},
        {"units": {"ENERGY": "m"}},
        {"gti": [], "header": {"TSTOP": "dawn"}},
    ],
)
def test_headers_alone_tell_what_is_wrong(
    write: Callable, run: Run, changes: dict[str, Any]
) -> None:
    store = write(**changes)
    assert not is_promising(store, run)
    with pytest.raises(InputError):
        read_events(store, run)


@pytest.mark.parametrize(
    "changes",
    [
        {"events_file": ""},
        {"events_file": "data/none.fits"},
        {"events_file": "../outside.fits"},
        {"events_hdu": "EV"},
        {"gti_hdu": "STDGTI"},
        {"gti_file": "data/none.fits"},
    ],
)
def test_an_index_that_leads_nowhere_is_not_promising(
    write: Callable, run: Run, changes: dict[str, str]
) -> None:
    assert not is_promising(write(), replace(run, **changes))


def test_good_time_without_a_clock_of_its_own(write: Callable, run: Run) -> None:
    store = write()
    path = store / "data" / "run_7.fits"
    fits.delval(path, "MJDREFI", extname="GTI")

    assert is_promising(store, replace(run, gti_hdu="GTI"))
    elsewhere = replace(run, gti_hdu="GTI", gti_file="data/run_7.fits")
    assert not is_promising(store, elsewhere)


def test_a_table_must_be_one(write: Callable, run: Run) -> None:
    store = write()
    path = store / "data" / "run_7.fits"
    with fits.open(path) as hdus:
        header = hdus["EVENTS"].header.copy(strip=True)
        hdus["EVENTS"] = fits.ImageHDU(header=header, name="EVENTS")
        hdus.writeto(path, overwrite=True)
    assert not is_promising(store, run)
