from __future__ import annotations

import pytest

from bkgpipe.settings import read_settings


@pytest.fixture
def bare(folder):
    (folder / "luigi.cfg").unlink()
    return folder


def test_the_file_reads_back_with_store_and_output(bkgpipe, bare):
    result = bkgpipe("init", "--data", "store", "--output", "elsewhere")

    assert result.exit_code == 0
    assert "store: 8 runs, 0.5 h." in result.stdout
    assert "Wrote luigi.cfg. Next: bkgpipe check" in result.stdout
    settings = read_settings(bare / "luigi.cfg")
    assert settings.store == bare / "store"
    assert settings.data.output == bare / "elsewhere"


def test_missing_catalogues_are_noted_and_not_asked_for(bkgpipe, bare):
    result = bkgpipe("init", "--data", "store")

    assert "No catalogues found: set GAMMAPY_DATA" in result.stdout
    assert read_settings(bare / "luigi.cfg").mask.catalogs == ()


@pytest.mark.parametrize("is_named", [True, False])
def test_catalogues_are_found_by_the_variable_or_beside_the_store(
    bkgpipe, bare, monkeypatch, is_named
):
    place = bare / "named" if is_named else bare
    (place / "catalogs").mkdir(parents=True)
    if is_named:
        monkeypatch.setenv("GAMMAPY_DATA", str(place))

    result = bkgpipe("init", "--data", bare / "store")

    assert "No catalogues" not in result.stdout
    settings = read_settings(bare / "luigi.cfg")
    assert settings.data.gammapy_data == place
    assert settings.mask.catalogs == ("gammacat", "3hwc")


def test_an_existing_file_stays_unless_forced(bkgpipe, folder):
    before = (folder / "luigi.cfg").read_text()

    refused = bkgpipe("init", "--data", "store")

    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: luigi.cfg: exists already. Choose another")
    assert (folder / "luigi.cfg").read_text() == before
    assert bkgpipe("init", "--data", "store", "--force").exit_code == 0
    assert (folder / "luigi.cfg").read_text() != before


def test_another_name_leaves_the_first_file(bkgpipe, folder):
    before = (folder / "luigi.cfg").read_text()

    assert bkgpipe("init", "--data", "store", "--config", "new.cfg").exit_code == 0

    assert (folder / "luigi.cfg").read_text() == before
    assert read_settings(folder / "new.cfg").store == folder / "store"


def test_folder_without_a_store_is_an_error_and_writes_nothing(bkgpipe, bare):
    result = bkgpipe("init", "--data", "nowhere")

    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert not (bare / "luigi.cfg").exists()


@pytest.mark.usefixtures("bare")
def test_settings_file_in_a_missing_folder_is_an_error(bkgpipe):
    result = bkgpipe("init", "--data", "store", "--config", "nowhere/luigi.cfg")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: nowhere/luigi.cfg: cannot be written (No such file or directory). "
        "Name a file in a folder that you may write to with --config.\n"
    )
