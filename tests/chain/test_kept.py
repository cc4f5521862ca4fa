from __future__ import annotations

from pathlib import Path

from bkgpipe.chain.kept import find_changes, frozen_settings
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
