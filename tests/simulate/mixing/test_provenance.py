from __future__ import annotations

import json

import pytest

from bkgpipe.errors import InputError, OutputError
from bkgpipe.simulate.mixing.data import MixRecord, Provenance
from bkgpipe.simulate.mixing.provenance import read_provenance, write_provenance

PROVENANCE = Provenance(
    method="mixing",
    store="store",
    seed=5,
    settings={"mixing": {"scale": 2.0, "runs": [7, 8]}},
    records=tuple(
        MixRecord(
            obs_id=number,
            component="hadrons",
            bkg_type=1,
            file="model.fits",
            rate=0.25,
            scale=2.0,
            expected=100.5,
            drawn=90,
            rejected=3,
        )
        for number in (7, 8)
    ),
    inputs={"model.fits": "ab"},
)


def test_what_is_written_is_read(tmp_path):
    write_provenance(tmp_path / "mixing.json", PROVENANCE)

    assert read_provenance(tmp_path / "mixing.json") == PROVENANCE


def test_the_file_is_plain_and_names_the_program(tmp_path):
    write_provenance(tmp_path / "one.json", PROVENANCE)
    write_provenance(tmp_path / "two.json", PROVENANCE)

    content = (tmp_path / "one.json").read_bytes()
    assert content == (tmp_path / "two.json").read_bytes()
    found = json.loads(content)
    assert found["program"].startswith("bkgpipe ")
    assert found["seed"] == 5
    assert found["records"][1]["expected"] == 100.5
    assert set(found["records"][0]) >= {"rate", "scale", "drawn", "rejected", "reused"}


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"program": "x", "records": [{"obs_id": 1}]}']
)
def test_another_file_is_an_input_error(tmp_path, text):
    (tmp_path / "mixing.json").write_text(text)

    with pytest.raises(InputError, match=r"mixing\.json.*no record.*Give the JSON"):
        read_provenance(tmp_path / "mixing.json")


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no record of mixed events"):
        read_provenance(tmp_path / "none.json")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_provenance(tmp_path / "none" / "mixing.json", PROVENANCE)
