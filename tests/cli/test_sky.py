from __future__ import annotations

import json
from pathlib import Path

import pytest
from gammapy.maps import Map

OWN = ("--set", "stack.strategy=own")


@pytest.fixture
def made(folder, bkgpipe):
    assert bkgpipe("sky", *OWN).exit_code == 0
    return folder


def test_maps_are_made_with_all_that_is_missing(made, bkgpipe):
    result = bkgpipe("sky", *OWN)

    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["field", "name", "runs", "hours"]
    (folder,) = (made / "out").glob("sky-*")
    assert lines[-1].startswith("Maps and tables: ")
    assert lines[-1].endswith(folder.name)
    n_fields = lines.index("") - 1
    assert len(list(folder.glob("field_*.fits.gz"))) == n_fields


@pytest.mark.usefixtures("made")
def test_json_has_all_fields(bkgpipe):
    answer = json.loads(bkgpipe("sky", *OWN, "--json").stdout)

    assert sum(field["n_runs"] for field in answer["fields"]) == 8
    # those that were simulated, and nothing else
    assert len(answer["hot_spots"]) > 2
    assert max(spot["separation"] for spot in answer["hot_spots"]) < 0.2
    assert Path(answer["folder"], answer["fields"][0]["file"]).exists()


@pytest.mark.usefixtures("made")
def test_a_field_is_drawn_and_a_part_cut_out(bkgpipe):
    fields = json.loads(bkgpipe("sky", *OWN, "--json").stdout)["fields"]
    place = (str(fields[1]["ra"]), str(fields[1]["dec"]))

    cut = ("--cut", *place, "1.5", "--to", "cut.fits")
    result = bkgpipe("sky", *OWN, "--plot", "field.png", *cut)

    assert "Written: field.png" in result.stdout
    assert Path("field.png").read_bytes().startswith(b"\x89PNG")
    counts = Map.read("cut.fits", hdu="COUNTS")
    assert counts.data.shape[1:] == (30, 30)
    assert abs(counts.geom.center_skydir.ra.deg - fields[1]["ra"]) < 0.1


@pytest.mark.usefixtures("made")
def test_a_field_that_is_not_there(bkgpipe):
    result = bkgpipe("sky", *OWN, "--field", "99", "--plot", "field.png")

    assert result.exit_code == 1
    assert "there is no field 99" in result.stderr
    assert "Choose one of 1 to" in result.stderr


@pytest.mark.usefixtures("made")
def test_a_place_that_no_run_saw(bkgpipe):
    result = bkgpipe("sky", *OWN, "--cut", "1", "89", "1", "--to", "cut.fits")

    assert result.exit_code == 1
    assert "is outside of the field" in result.stderr
    assert not Path("cut.fits").exists()


@pytest.mark.usefixtures("folder")
def test_a_cut_needs_a_file(bkgpipe):
    result = bkgpipe("sky", "--cut", "1", "2", "3")

    assert result.exit_code == 2
    assert "--cut and --to belong together" in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_failed_run_is_told(bkgpipe):
    for path in Path("store/data").glob("*"):
        path.unlink()

    result = bkgpipe("sky", *OWN)

    assert result.exit_code == 1


@pytest.mark.usefixtures("made")
def test_the_report_shows_what_is_left(bkgpipe):
    assert bkgpipe("run", *OWN).exit_code == 0
    (folder,) = Path("out").glob("report-*")
    few = {path.name for path in folder.glob("field-*.png")}
    assert bkgpipe("report", *OWN, "--models", "3").exit_code == 0

    index = (folder / "index.html").read_text()

    assert len(few) == 1
    assert len(list(folder.glob("field-*.png"))) == 3
    assert "What is left on the sky" in index
    assert "<h3>Hot spots</h3>" in index
    listed = (folder / "fields-1.html").read_text()
    assert all(f'href="{path.name}"' in listed for path in folder.glob("field-*.png"))
    assert "Nothing to do" in bkgpipe("run", *OWN).stdout


@pytest.mark.usefixtures("made")
def test_checkpoints_and_tables_are_shown_and_verified(bkgpipe):
    (folder,) = Path("out").glob("sky-*")

    assert "Norm: " in bkgpipe("show", folder / "sky_333.h5").stdout
    before = bkgpipe("check", *OWN, "--deep")
    path = folder / "field_1.fits.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    after = bkgpipe("check", *OWN, "--deep")
    assert "field_1.fits.gz" not in before.output
    assert "field_1.fits.gz" in after.output
    assert after.exit_code == 1
