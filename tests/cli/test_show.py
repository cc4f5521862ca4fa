from __future__ import annotations

import pytest


@pytest.fixture
def product(finished):
    """Find a product of the finished production by its pattern."""

    def find(pattern: str):
        return sorted((finished / "out").glob(pattern))[0]

    return find


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("select-*/runs.ecsv", ["8 runs: 8 selected"]),
        ("mask-*/mask_334.h5", ["3 products, 0 refused", "mask of run 1002"]),
        ("count-*/count_334.h5", ["2 products, 1 refused", "  1003: ", "Events kept"]),
        ("rank-*/rank_333.h5", ["1 product", "Ranking for run 1001", "nat"]),
        ("stack-*/stack_333.h5", ["Stack 1001: ", "live time"]),
        ("smooth-*/smooth_333.h5", ["Rate of stack 1001", "smoothing gaussian"]),
        ("export-*/nodes_333.h5", ["model of stack 1001", "FOVALIGN RADEC"]),
        ("export-*/export_333.h5", ["Export of run 1001", "models/bkg_3d_1001.fits"]),
        ("export-*/export_335.h5", ["3 products", "  Export of run 1006: model of"]),
        ("export-*/store/models/bkg_3d_1001.fits", ["BKG_3D", "BKG [s-1 MeV-1 sr-1]"]),
        ("export-*/store/models/bkg_2d_1001.fits", ["BKG_2D", "THETA_LO [deg]"]),
        ("export-*/store/hdu-index.fits.gz", ["HDU HDU_INDEX", "from 1001 to 1008"]),
        (
            "production.json",
            ["Product of stage report", "Runs: 7 used (0.4", "run 1003: ", "numpy 2."],
        ),
    ],
)
def test_products_in_words(bkgpipe, product, pattern, words):
    result = bkgpipe("show", product(pattern))

    assert result.exit_code == 0
    for word in words:
        assert word in result.stdout


def test_hdf5_products_say_where_they_come_from(bkgpipe, product):
    path = product("count-*/count_334.h5")

    first = bkgpipe("show", path).stdout.splitlines()[0]

    fingerprint = path.parent.name.partition("-")[2]
    assert first.startswith(f"Product of stage count, settings {fingerprint}, made by")


def test_groups_in_words(bkgpipe, folder):
    assert bkgpipe("run", "stack").exit_code == 0
    (path,) = (folder / "out").glob("stack-*/groups.ecsv")

    result = bkgpipe("show", path)

    assert result.exit_code == 0
    assert result.stdout.startswith("Group 1: ")
    refused = bkgpipe("show", path, "--plot", folder / "groups.png")
    assert refused.exit_code == 1
    assert "groups.ecsv: there is no picture of such a product" in refused.stderr
    assert "Draw a mask, count, rank, stack or smooth file" in refused.stderr


def test_the_table_of_groups_in_words(bkgpipe, made):
    (path,) = (made / "out").glob("export-*/bg_observation_groups.ecsv")

    result = bkgpipe("show", path)

    assert result.exit_code == 0
    assert result.stdout.startswith("2 rows\nGROUP_ID ZENITH_MIN ")
    path.write_text("words")
    damaged = bkgpipe("show", path)
    assert damaged.exit_code == 1
    assert "bg_observation_groups.ecsv: cannot be read as a table" in damaged.stderr


def test_a_regression_in_words(bkgpipe, folder):
    changes = ("--set", "smooth.method=regression", "--set", "binning.per_decade=5")
    assert bkgpipe("run", "smooth", *changes).exit_code == 0
    (path,) = (folder / "out").glob("fit-*/fit.h5")

    result = bkgpipe("show", path)

    assert result.exit_code == 0
    assert result.stdout.startswith("Product of stage fit, settings ")
    assert "Regression of 8 runs, 0.48 h live time" in result.stdout


def test_one_run_of_several(bkgpipe, product):
    result = bkgpipe("show", product("count-*/count_335.h5"), "--id", "1006")

    assert result.exit_code == 0
    assert "Counts of run 1006" in result.stdout
    assert "1005" not in result.stdout


@pytest.mark.parametrize(
    ("number", "what"), [(77, "holds no number 77"), (1003, "run_1003.fits.gz")]
)
def test_a_run_that_is_not_in_the_file(bkgpipe, product, number, what):
    result = bkgpipe("show", product("count-*/count_334.h5"), "--id", str(number))

    assert result.exit_code == 1
    assert what in result.stderr
    assert "Choose with --id one of: 1002, 1004" in result.stderr


@pytest.mark.parametrize("stage", ["mask", "count", "rank", "stack", "smooth"])
def test_products_as_pictures(bkgpipe, product, tmp_path, stage):
    picture = tmp_path / "picture.png"

    result = bkgpipe(
        "show", product(f"{stage}-*/{stage}_333.h5"), "--plot", picture, "--id", "1001"
    )

    assert result.exit_code == 0
    assert result.stdout.endswith(f"Drawn: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_a_number_the_first_run_is_drawn(bkgpipe, product, tmp_path):
    picture = tmp_path / "picture.png"

    result = bkgpipe("show", product("count-*/count_335.h5"), "--plot", picture)

    assert result.exit_code == 0
    assert "Counts of run 1005" in result.stdout


def test_a_picture_that_cannot_be_written(bkgpipe, product, tmp_path):
    picture = tmp_path / "nowhere" / "picture.png"

    result = bkgpipe("show", product("mask-*/mask_333.h5"), "--plot", picture)

    assert result.exit_code == 1
    assert f"{picture}: the figure cannot be written" in result.stderr


@pytest.mark.parametrize("name", ["notes.txt", "other_0.h5", "runs_0.json"])
def test_a_file_that_is_no_product(bkgpipe, tmp_path, name):
    path = tmp_path / name
    path.write_text("words")

    result = bkgpipe("show", path)

    assert result.exit_code == 1
    assert f"{name}: is not a product that can be shown. Name a file" in result.stderr


@pytest.mark.parametrize("name", ["count_0.h5", "runs.ecsv", "groups.ecsv", "a.fits"])
def test_a_damaged_product(bkgpipe, tmp_path, name):
    path = tmp_path / name
    path.write_text("words")

    result = bkgpipe("show", path)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {path}: ")
