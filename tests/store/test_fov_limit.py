from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.store.fov_limit import read_fov_limits
from bkgpipe.store.store import read_runs


@pytest.fixture
def write_area(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> Callable[..., Path]:
    """Write the offset axis of the effective area of run 7 and return the store."""

    def write(values: list[float], *, unit: str = "deg", name: str = "AEFF") -> Path:
        store = make_store(observations, hdu_rows)
        column = fits.Column(
            "THETA_HI", f"{len(values)}E", unit=unit, array=np.array([values])
        )
        hdu = fits.BinTableHDU.from_columns([column], name=name)
        hdu.writeto(store / "data" / "irf_7.fits")
        return store

    return write


def test_the_last_offset_counts(write_area, run: Run):
    limits = read_fov_limits(write_area([0.5, 1.0, 2.5]), [run])

    assert limits == {7: pytest.approx(2.5)}


def test_other_units_are_turned_into_degrees(write_area, run: Run):
    limits = read_fov_limits(write_area([0.01, 0.05], unit="rad"), [run])

    assert limits[7] == pytest.approx(np.degrees(0.05), rel=1e-6)


def test_one_offset_tells_nothing(write_area, run: Run):
    assert np.isnan(read_fov_limits(write_area([0.5]), [run])[7])


def test_runs_without_an_effective_area_are_not_there(write_area, run: Run):
    store = write_area([0.5, 1.0])

    assert read_fov_limits(store, [replace(run, obs_id=8)]) == {}


@pytest.mark.parametrize("values", [[0.5, 1.0]])
def test_an_effective_area_that_is_not_there_is_an_error(write_area, run: Run, values):
    store = write_area(values, name="PSF")

    with pytest.raises(InputError, match=r"run 7, effective area: .*Restore the file"):
        read_fov_limits(store, [run])


def test_a_file_that_is_not_there_is_an_error(
    make_store, observations, hdu_rows, run: Run
):
    store = make_store(observations, hdu_rows)

    with pytest.raises(InputError, match="cannot be read"):
        read_fov_limits(store, [run])


def test_areas_of_hess_end_at_two_and_a_half_degrees(hess_store: Path):
    runs = read_runs(hess_store).runs[:2]

    limits = read_fov_limits(hess_store, runs)

    assert list(limits) == [run.obs_id for run in runs]
    assert set(limits.values()) == {2.5}
