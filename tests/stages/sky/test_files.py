from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import InputError
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.files import (
    RUN_SKIES,
    read_fields,
    read_hot_spots,
    read_model,
    write_fields,
    write_hot_spots,
)
from bkgpipe.stages.sky.summary import FieldSummary

HEADER = ProductHeader(
    stage="sky", fingerprint="abc123", inputs="x", seconds=1.0, version="1"
)


def test_runs_are_read_as_they_were_written(tmp_path, make_run_sky):
    path = tmp_path / "sky_0.h5"
    runs = {1: make_run_sky(1), 7: make_run_sky(7, ra=20.0)}

    RUN_SKIES.write(path, HEADER, Chunk(records=runs, refused={3: "no events"}))
    found = RUN_SKIES.read(path)

    assert found.refused == {3: "no events"}
    for key, run in runs.items():
        for name in ("pixels", "is_kept", "background", "event_pixels", "event_bands"):
            np.testing.assert_array_equal(
                getattr(found.records[key], name), getattr(run, name)
            )


def test_tables_are_read_as_they_were_written(tmp_path):
    field = FieldSummary(
        number=1,
        name="Crab, north",
        ra=83.6,
        dec=22.0,
        n_runs=4,
        hours=1.9,
        counts=12,
        background=11.5,
        peak=3.1,
        peak_ra=83.0,
        peak_dec=22.5,
        mean=-0.1,
        width=1.03,
        poisson_mean=-0.08,
        poisson_width=1.01,
        trials=9e3,
        file="field_1.fits.gz",
    )
    spot = HotSpot(
        field=1,
        ra=83.6,
        dec=22.0,
        radius=0.4,
        search_radius=0.1,
        significance=39.0,
        counts=415,
        background=25.2,
    )
    write_fields(tmp_path / "fields.ecsv", HEADER, [field])
    write_hot_spots(tmp_path / "hot_spots.ecsv", HEADER, [spot])

    assert read_fields(tmp_path / "fields.ecsv") == (field,)
    (found,) = read_hot_spots(tmp_path / "hot_spots.ecsv")
    assert np.isnan([found.separation, found.false_alarms]).all()
    known = {"separation": 0.0, "false_alarms": 0.0}
    assert replace(found, **known) == replace(spot, **known)


def test_no_model_is_told(tmp_path):
    with pytest.raises(InputError, match=r"model cannot be read.*bkgpipe run export"):
        read_model(tmp_path / "bkg_3d_1.fits", word="bkg_3d")
