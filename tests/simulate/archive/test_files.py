from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.errors import InputError, OutputError
from bkgpipe.simulate.archive.files import read_truth, write_sources, write_truth
from bkgpipe.simulate.archive.truth_data import RunTruth, Truth
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion


def test_truth_survives_the_file(tmp_path: Path) -> None:
    truth = Truth(
        norm=123.4,
        gradient_lat=0.1,
        fov_alignment="ALTAZ",
        epoch_steps=((53000.5, 0.9), (54000.25, 0.8)),
    )
    run_truth = RunTruth(
        truth=truth, obs_ids=np.array([5, 7]), factor=np.array([1.1, 0.9])
    )
    write_truth(tmp_path / "truth.ecsv", run_truth)
    again = read_truth(tmp_path / "truth.ecsv")
    assert again.truth == truth
    np.testing.assert_array_equal(again.obs_ids, [5, 7])
    np.testing.assert_array_equal(again.factor, run_truth.factor)


def test_missing_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"truth\.ecsv: .*no truth.*'simulate store'"):
        read_truth(tmp_path / "truth.ecsv")


def test_a_table_that_is_no_truth_is_named(tmp_path: Path) -> None:
    Table({"OBS_ID": [1]}).write(tmp_path / "other.ecsv")
    with pytest.raises(InputError, match=r"other\.ecsv: .*no truth.*'simulate store'"):
        read_truth(tmp_path / "other.ecsv")


@pytest.mark.parametrize("n_sources", [0, 3])
def test_sources_are_a_catalogue(tmp_path: Path, n_sources: int) -> None:
    sources = [
        ExclusionRegion(
            name=f"SIM {i}", origin="simulation", ra=10.0 * i, dec=-5.0, radius=np.nan
        )
        for i in range(n_sources)
    ]
    write_sources(tmp_path / "sources.ecsv", sources)
    table = Table.read(tmp_path / "sources.ecsv")
    assert [str(name) for name in table["source_name"]] == [s.name for s in sources]
    np.testing.assert_array_equal(table["ra"], [s.ra for s in sources])
    assert table["dec"].unit == u.deg


def test_a_truth_without_steps_is_read(tmp_path: Path) -> None:
    meta = {"truth": {"norm": 5.0}}
    table = Table({"OBS_ID": [1, 4], "FACTOR": [1.0, 0.5]}, meta=meta)
    table.write(tmp_path / "truth.ecsv")
    assert read_truth(tmp_path / "truth.ecsv").truth == Truth(norm=5.0)


def test_extended_sources_are_known_to_the_mask(tmp_path: Path) -> None:
    source = ExclusionRegion(
        name="wide", origin="", ra=3.0, dec=-5.0, radius=np.nan, extension=0.4
    )
    write_sources(tmp_path / "sources.ecsv", [source])
    (found,) = read_catalog(str(tmp_path / "sources.ecsv"), gammapy_data=None)
    assert (found.name, found.extension) == ("wide", 0.4)


def test_a_table_without_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent/sources.*existing folder"):
        write_sources(tmp_path / "absent" / "sources.ecsv", ())
