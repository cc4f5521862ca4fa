from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from astropy.table import Table

from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.stages.select.files import read_runs_table, write_runs


@pytest.fixture
def runs(run: Run) -> tuple[Run, ...]:
    bare = replace(
        run,
        obs_id=12345678901,
        target="",
        telescopes="",
        quality=-1,
        safe_energy_min=float("nan"),
        events_file="",
        file_size=-1,
        selected=False,
        exported=False,
        reason="zenith 71 deg is above 60 deg, \u201cfar\u201d too much",
    )
    # the time of a file is not kept
    return replace(run, file_time=0, checksum="ab" * 32), replace(bare, file_time=0)


def test_runs_come_back_to_the_last_digit(
    tmp_path: Path, header: ProductHeader, runs: tuple[Run, ...]
) -> None:
    path = tmp_path / "runs.ecsv"

    write_runs(path, header, RunTable(runs=runs, observations=Table()))
    table = read_runs_table(path)

    assert repr(table.runs) == repr(runs)
    assert table.observations is None
    assert table.selected == table.runs[:1]
    assert read_table_header(path) == header


def test_every_attribute_has_a_column_that_says_what_it_is(
    tmp_path: Path, header: ProductHeader, runs: tuple[Run, ...]
) -> None:
    path = tmp_path / "runs.ecsv"
    write_runs(path, header, RunTable(runs=runs))

    table = Table.read(path, format="ascii.ecsv")

    assert table.colnames == [
        name for name in Run.__dataclass_fields__ if name != "file_time"
    ]
    assert all(table[name].description for name in table.colnames)
    assert table["safe_energy_min"].unit == "TeV"
    assert table["ontime"].unit == "s"
    assert table["altitude"].unit == "m"


def test_empty_store(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "runs.ecsv"
    write_runs(path, header, RunTable(runs=()))
    assert read_runs_table(path).runs == ()


def test_damaged_table(
    tmp_path: Path, header: ProductHeader, runs: tuple[Run, ...]
) -> None:
    path = tmp_path / "runs.ecsv"
    with pytest.raises(DamagedFileError, match=r"runs\.ecsv: .*Run the stage again"):
        read_table_header(path)
    write_runs(path, header, RunTable(runs=runs))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DamagedFileError, match=r"runs\.ecsv: .*Run the stage again"):
        read_runs_table(path)
    with pytest.raises(OutputError, match=r"absent.*existing folder"):
        write_runs(tmp_path / "absent" / "runs.ecsv", header, RunTable(runs=runs))
