from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.stages.mask.catalog_files import CATALOG_FILES, find_catalog


@pytest.mark.parametrize("name", [*CATALOG_FILES, "HGPS"])
def test_catalogues_with_names_lie_in_the_gammapy_data(name):
    path = find_catalog(name, gammapy_data=Path("/data"))

    assert path.is_relative_to("/data")


def test_another_name_is_a_file():
    assert find_catalog(Path("my.ecsv"), gammapy_data=None) == Path("my.ecsv")


def test_a_name_without_the_gammapy_data():
    with pytest.raises(SettingsError, match=r"\[mask\] catalogs.*Set GAMMAPY_DATA"):
        find_catalog("hgps", gammapy_data=None)
