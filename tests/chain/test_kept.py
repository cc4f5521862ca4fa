from __future__ import annotations

import os
from pathlib import Path

import pytest

from bkgpipe.chain.kept import find_changes, frozen_settings, load_settings, register
from bkgpipe.errors import SettingsError
from bkgpipe.settings import read_settings


def _keep(settings) -> Path:
    path, text = frozen_settings(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_kept_settings_are_those_of_the_production(production):
    settings = production(run__workers="3").settings

    path = _keep(settings)

    assert path.parent == settings.data.output / "settings"
    found = read_settings(path)
    assert found.folder("report") == settings.folder("report")
    assert found.run.workers == 1  # where it runs is not part of what it is
    assert frozen_settings(production(run__workers="1").settings)[0] == path


def test_settings_are_read_again_when_the_file_changes(production, tmp_path):
    production()
    path = tmp_path / "luigi.cfg"
    first = load_settings(str(path))
    assert load_settings(str(path)) is first

    path.write_text(path.read_text().replace("fov_bins = 10", "fov_bins = 12"))
    os.utime(path, ns=(1, 1))

    assert load_settings(str(path)).binning.fov_bins == 12


def test_settings_that_are_not_there(tmp_path):
    with pytest.raises(
        SettingsError, match=r"none\.cfg: cannot be read .*bkgpipe init"
    ):
        load_settings(str(tmp_path / "none.cfg"))


def test_settings_that_are_registered_are_those_of_the_file(production):
    settings = production(
        mask__radius="0.123456789 deg",
        select__conditions="livetime > 100",
        rank__max_zenith_difference="7.1 deg",
        run__workers="3",
        run__scheduler_host="elsewhere",
    ).settings

    name = register(settings)

    found = load_settings(name)
    assert not Path(name).exists()
    assert load_settings(name) is found
    assert _keep(settings) == found.path == Path(name)
    assert repr(read_settings(Path(name))) == repr(found)


def test_changes_are_those_from_the_nearest_settings_with_products(production):
    for number, sigma in enumerate(("1.5", "2.5")):
        other = {"smooth__sigma": sigma, "stack__min_hours": f"{number} h"}
        earlier = production(**other).settings
        _keep(earlier)
        earlier.folder("smooth").mkdir(parents=True)
    present = production(smooth__sigma="3", stack__min_hours="1 h").settings

    assert find_changes(present, "smooth") == ["smooth.sigma"]
    assert find_changes(present, "count") == []


def test_settings_that_cannot_be_read_are_passed_over(production):
    settings = production().settings
    path = _keep(settings)
    path.with_name("settings-abcdef.cfg").write_text("[nowhere]\nkey = 1\n")
    settings.folder("smooth").mkdir(parents=True)

    changed = production(smooth__sigma="3").settings

    assert find_changes(changed, "smooth") == ["smooth.sigma"]
