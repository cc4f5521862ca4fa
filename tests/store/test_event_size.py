from __future__ import annotations

import gzip
import shutil
from dataclasses import replace

import pytest
from astropy.io import fits

from bkgpipe.store.event_size import read_event_size
from bkgpipe.store.store import read_events, read_runs


@pytest.fixture
def store(simulate_archive, tmp_path):
    archive = simulate_archive(duration=30, seed=2)
    return shutil.copytree(archive, tmp_path / "store")


def test_sizes_are_those_of_the_files(store):
    runs = read_runs(store).runs[:3]
    n_bytes = sum(run.file_size for run in runs)
    n_events = sum(read_events(store, run)[0].energy.size for run in runs)
    files = [store / run.events_file for run in runs]
    n_inflated = sum(len(gzip.decompress(file.read_bytes())) for file in files)

    size = read_event_size(store, runs)

    assert size.n_events == pytest.approx(n_events / n_bytes)
    assert size.n_inflated == pytest.approx(n_inflated / n_bytes)


def test_files_without_gzip_are_as_large_as_they_are(store):
    (run, *_) = read_runs(store).runs
    plain = store / "data" / "plain.fits"
    with fits.open(store / run.events_file) as hdus:
        hdus.writeto(plain)
    run = replace(run, events_file="data/plain.fits", file_size=plain.stat().st_size)

    assert read_event_size(store, [run]).n_inflated == 1.0


def test_files_that_cannot_be_read_are_left_to_others(store):
    lost, damaged, good = read_runs(store).runs[:3]
    (store / lost.events_file).unlink()
    (store / damaged.events_file).write_bytes(b"\x1f\x8b and no more")

    both = read_event_size(store, [replace(lost, file_size=-1), damaged, good])

    assert both.n_events == read_event_size(store, [good]).n_events
    assert read_event_size(store, [damaged]).n_events > 0
    assert read_event_size(store, []).n_events > 0
