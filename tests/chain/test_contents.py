from __future__ import annotations

import os
import pickle
from dataclasses import replace

import pytest

from bkgpipe.chain.contents import (
    add_checksums,
    contents_file,
    find_checksums,
    forget_contents,
    keep_checksums,
)
from bkgpipe.chain.inputs import read_store


@pytest.fixture
def settings(production):
    return production().settings


def _files(tmp_path):
    return sorted((tmp_path / "store" / "data").iterdir())


def test_runs_that_are_read_get_the_checksums_of_their_files(settings):
    table = read_store(settings)

    known = add_checksums(settings, table)

    sums = [run.checksum for run in known.runs]
    assert len({*sums}) == 8
    assert {len(each) for each in sums} == {64}
    # simulated runs share the responses of one file
    assert {len(run.aeff_checksum) for run in known.runs} == {64}
    assert len({run.aeff_checksum for run in known.runs}) == 1
    assert not contents_file(settings).exists()


def test_checksums_are_kept_where_that_is_asked_for(settings):
    table = read_store(settings)

    add_checksums(settings, table)
    assert not contents_file(settings).exists()

    keep_checksums(settings)

    assert contents_file(settings).exists()


def test_a_touched_file_is_the_same_and_a_changed_one_is_not(settings, tmp_path):
    runs = read_store(settings).runs
    before = find_checksums(settings, runs)
    keep_checksums(settings)
    first, second, *_ = _files(tmp_path)
    os.utime(first, ns=(1, 1))
    second.write_bytes(second.read_bytes()[:-1] + b"x")
    forget_contents()

    after = find_checksums(settings, runs)

    assert {key for key in before if before[key] != after[key]} == {1002}


def test_a_file_that_is_gone_has_no_checksum(settings, tmp_path):
    runs = read_store(settings).runs
    _files(tmp_path)[2].unlink()

    found = find_checksums(settings, runs)

    assert [key for key, (events, _) in found.items() if not events] == [1003]


def test_a_run_in_an_allowed_folder_has_a_checksum(production, tmp_path):
    settings = production().settings
    elsewhere = tmp_path / "elsewhere"
    first, *_ = _files(tmp_path)
    elsewhere.mkdir()
    first.rename(elsewhere / first.name)
    first.symlink_to(elsewhere / first.name)
    allowing = replace(settings, data=replace(settings.data, allow=(elsewhere,)))
    copied = pickle.loads(pickle.dumps(allowing))  # noqa: S301

    assert copied.store.allow == (elsewhere,)
    for each, has_sum in ((settings, False), (allowing, True), (copied, True)):
        forget_contents()
        runs = read_store(each).runs
        found = find_checksums(each, runs)
        assert bool(found[1001][0]) is has_sum
