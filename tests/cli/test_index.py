from __future__ import annotations

import json

import pytest

from bkgpipe.store.store import read_runs


def _forget_index(folder):
    for path in (folder / "store").glob("*-index.fits*"):
        path.unlink()


def test_a_folder_without_index_gets_one(bkgpipe, folder):
    before = read_runs(folder / "store").runs
    _forget_index(folder)
    begun = bkgpipe("init", "--data", "store", "--config", "new.cfg")
    assert begun.exit_code == 1
    assert "bkgpipe index store" in begun.output

    made = bkgpipe("index", "store")

    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("8 runs, with aeff, edisp, events, gti, psf:\n  run ")
    assert "Next: bkgpipe init --data store." in made.stdout
    for one, two in zip(before, read_runs(folder / "store").runs, strict=True):
        assert (two.obs_id, two.ra) == (one.obs_id, one.ra)
        assert two.zenith == pytest.approx(one.zenith)
    assert bkgpipe("init", "--data", "store", "--config", "new.cfg").exit_code == 0


def test_an_index_is_replaced_only_by_force(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").rename(folder / "store" / "obs-index.fits")
    before = (folder / "store" / "hdu-index.fits.gz").read_bytes()

    refused = bkgpipe("index", "store")

    assert refused.exit_code == 2
    assert "exists already. Write the index elsewhere with --to" in refused.stderr
    assert (folder / "store" / "hdu-index.fits.gz").read_bytes() == before
    assert bkgpipe("index", "store", "--force").exit_code == 0
    assert not (folder / "store" / "obs-index.fits").exists()
    assert len(read_runs(folder / "store").runs) == 8


def test_an_index_elsewhere_leads_to_the_files(bkgpipe, folder):
    made = bkgpipe("index", "store", "--to", "other", "--json")

    answer = json.loads(made.stdout)
    assert len(answer["runs"]) == answer["hdus"]["events"] == 8
    assert answer["left_out"] == {}
    begun = bkgpipe("init", "--data", "other", "--config", "new.cfg")
    assert f"data.allow = {folder / 'store' / 'data'}" in begun.stdout
    assert "No problems" in bkgpipe("check", "--config", "new.cfg").stdout


def test_a_folder_without_events_is_refused(bkgpipe, folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "a.fits").write_text("words")

    refused = bkgpipe("index", "empty")

    assert refused.exit_code == 1
    assert "has no events file of GADF; the first of 1 FITS files" in refused.stderr
    assert not list((folder / "empty").glob("*-index*"))
