from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.stages.export.events_background import events_background
from bkgpipe.stages.export.gadf import BKG_HDU_NAME


def test_the_model_gets_the_name_that_gammapy_looks_for(tmp_path: Path) -> None:
    column = fits.Column(name="BKG", format="3D", array=[[1.0, 2.0, 3.0]])
    model = fits.BinTableHDU.from_columns([column], name=BKG_HDU_NAME)
    model.header["HDUCLAS4"] = "BKG_3D"
    path = tmp_path / "bkg.fits"
    other = fits.BinTableHDU.from_columns([column], name="BKG_ERROR")
    fits.HDUList([fits.PrimaryHDU(), model, other]).writeto(path)
    events = tmp_path / "events.fits"
    fits.PrimaryHDU().writeto(events)

    with events.open("ab") as file:
        file.write(events_background(path))

    with fits.open(events) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "BACKGROUND"]
        assert hdus[1].header["HDUCLAS4"] == "BKG_3D"
        np.testing.assert_array_equal(hdus[1].data["BKG"], model.data["BKG"])


def test_a_model_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        events_background(tmp_path / "gone.fits")


def test_a_file_without_a_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bkg.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(InputError, match="no HDU BACKGROUND") as error:
        events_background(path)
    assert error.value.where == str(path)
    assert error.value.fix == "Remove it, and run again"
