from __future__ import annotations

import pytest

from bkgpipe.chain.contents import contents_file
from bkgpipe.chain.kept import frozen_settings
from bkgpipe.chain.leftovers import (
    find_leftovers,
    is_of_earlier_version,
    unused_folders,
)
from bkgpipe.flow.mask import AllMasks


@pytest.fixture
def settings(production, build):
    """Settings of which the masks are made."""
    task = production()
    assert build(task.sibling(AllMasks))
    return task.settings


def test_nothing_is_left_over_at_first(settings):
    assert find_leftovers([settings]) == []
    assert unused_folders([settings]) == []


def test_folders_of_other_settings_are_left_over(settings):
    output = settings.data.output
    other = output / "count-abcdef"
    other.mkdir()
    (other / "count_333.h5").write_bytes(b"12345")
    for name in ("count-mine", "notes", "count-abcdeg"):
        (output / name).mkdir()
    (output / "mask-abcdef").symlink_to(output / "notes")

    (found,) = find_leftovers([settings])

    assert (found.path, found.n_bytes) == (other, 5)
    assert found.reason == "not used by these settings"


def test_what_one_of_several_settings_uses_is_kept(settings, production):
    wider = production(mask__radius="0.9 deg").settings
    assert unused_folders([wider]) == [settings.folder("mask")]
    assert unused_folders([wider, settings]) == []


def test_earlier_settings_and_damaged_files_are_left_over(settings):
    output = settings.data.output
    present, text = frozen_settings(settings)
    present.parent.mkdir()
    for path in (present, earlier := present.with_name("settings-abcdef.cfg")):
        path.write_text(text, encoding="utf-8")
    damaged = [
        output / "production.json.damaged",
        settings.folder("mask") / "m.damaged",
    ]
    for path in damaged:
        path.touch()

    found = {each.path: each.reason for each in find_leftovers([settings])}

    assert found.pop(earlier) == "of earlier settings"
    assert found == dict.fromkeys(damaged, "damaged, and made again")


def test_chunks_without_runs_are_left_over(settings):
    folder = settings.folder("mask")
    gone = folder / "mask_900.h5"
    for name in ("mask_900.h5", "strange.h5"):
        (folder / name).touch()

    (found,) = find_leftovers([settings])

    assert (found.path, found.reason) == (gone, "holds no run of these settings")


def test_products_of_an_earlier_version_are_told_until_the_first_run(settings):
    assert is_of_earlier_version(settings) is False

    contents_file(settings).unlink()  # which it did not have

    assert is_of_earlier_version(settings) is True
