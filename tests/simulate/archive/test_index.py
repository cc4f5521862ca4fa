from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.index import write_simulated_index
from bkgpipe.simulate.archive.layouts import LAYOUTS
from bkgpipe.simulate.archive.responses import BUILT_IN, RESPONSE_FILE, ResponseRow
from bkgpipe.store.store import read_runs


def test_built_in_responses_are_named_once_for_all(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = tuple(make_run(i, events_file=f"data/{i}.fits") for i in (3, 4))
    write_simulated_index(tmp_path, runs)
    table = Table.read(tmp_path / "hdu-index.fits.gz")
    responses = table[[kind in {"aeff", "edisp", "psf"} for kind in table["HDU_TYPE"]]]
    assert len(responses) == 2 * len(BUILT_IN)
    assert set(responses["FILE_NAME"]) == {RESPONSE_FILE}
    assert set(responses["FILE_DIR"]) == {"."}


def test_a_run_may_have_responses_elsewhere(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = tuple(make_run(i, events_file=f"data/{i}.fits") for i in (3, 4))
    row = ResponseRow("aeff", "aeff_2d", "../real/data/9.fits", "area")
    write_simulated_index(tmp_path, runs, {4: (row,)})
    table = Table.read(tmp_path / "hdu-index.fits.gz")
    (found,) = table[(table["OBS_ID"] == 4) & (table["HDU_TYPE"] == "aeff")]
    assert found["FILE_DIR"] == "../real/data"
    assert (found["FILE_NAME"], found["HDU_NAME"]) == ("9.fits", "area")
    assert (table["OBS_ID"] == 3).sum() == 5


def test_runs_come_back_as_they_were(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(3, events_file="data/3.fits", nsb=float("nan"))
    write_simulated_index(tmp_path, (run,))
    (found,) = read_runs(tmp_path).runs
    for name in ("target", "ra", "zenith", "azimuth", "livetime", "telescopes"):
        assert getattr(found, name) == getattr(run, name), name
    assert abs(found.time_start - run.time_start) < 1e-9


def test_a_layout_chooses_columns_units_and_names(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(3, events_file="data/3.fits")
    write_simulated_index(tmp_path, (run,), layout=LAYOUTS["units"])
    table = Table.read(tmp_path / "obs-index.fits.gz")
    assert table["LIVETIME"][0] == run.livetime / 3600
    assert (str(table["LIVETIME"].unit), str(table["ZEN_PNT"].unit)) == ("h", "rad")

    write_simulated_index(tmp_path, (run,), layout=LAYOUTS["lst"])
    with fits.open(tmp_path / "obs-index.fits.gz") as hdus:
        assert hdus[1].name == "OBS INDEX"
        assert "MUONEFF" not in hdus[1].columns.names
        assert not {"TIMESYS", "GEOLON"} & set(hdus[1].header)
        start = Time(run.time_start, format="mjd", scale="tt").utc.isot
        row = hdus[1].data[0]
        assert f"{row['DATE-OBS']}T{row['TIME-OBS']}" == start[:19]
    with fits.open(tmp_path / "hdu-index.fits.gz") as hdus:
        assert hdus[1].header["BASE_DIR"] == "/somewhere/else"
        assert "pointing" in hdus[1].data["HDU_TYPE"]


@pytest.mark.parametrize(
    ("layout", "folders"),
    [
        ("hess", {"data", "."}),
        ("split", {"./data/", "./irf/"}),
        ("fact", {"data", "./"}),
        ("veritas", {"data", "irfs"}),
    ],
)
def test_a_layout_spells_folders(
    layout: str, folders: set[str], *, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(3, events_file="data/3.fits")
    write_simulated_index(tmp_path, (run,), layout=LAYOUTS[layout])
    (path,) = tmp_path.glob("hdu-index*")
    table = Table.read(path, mask_invalid=False)
    assert set(table["FILE_DIR"]) == folders
    assert ("gti" in table["HDU_TYPE"]) == LAYOUTS[layout].index.has_gti


def test_numbers_of_single_precision(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(3, events_file="3.fits")
    write_simulated_index(tmp_path, (run,), layout=LAYOUTS["veritas"])
    with fits.open(tmp_path / "obs-index.fits.gz") as hdus:
        formats = {column.name: column.format for column in hdus[1].columns}
    assert formats["OBS_ID"] == "K"
    assert {formats[name] for name in ("RA_PNT", "TSTART", "DEADC")} == {"E"}
