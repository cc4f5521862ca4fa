from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.batch.resources import site_doubts, with_memory
from bkgpipe.chain.cost import Cost
from bkgpipe.settings import read_settings
from bkgpipe.settings.site_sections import SiteSettings

COSTS = {
    "start": Cost(seconds=2.0, memory=1e8, disk=0, n_tasks=1),
    "mask": Cost(seconds=100.0, memory=1e8, disk=0, n_tasks=10),
    "count": Cost(seconds=70_000.0, memory=9e8, disk=0, n_tasks=10),
    "fit": Cost(seconds=10.0, memory=3e9, disk=0, n_tasks=1),
}
WORDS = ("count", "fit")


@pytest.fixture
def make_site(tmp_path: Path):
    def make(text: str) -> SiteSettings:
        path = tmp_path / "luigi.cfg"
        section = "[data]\nstore = store\n[mask]\ncatalogs =\n[site:here]\n"
        path.write_text(section + text)
        return read_settings(path).site("here")

    return make


def test_jobs_ask_for_half_more_than_the_estimate(make_site):
    site = make_site("")

    assert with_memory(site, COSTS, "count").memory == 1500.0
    assert with_memory(site, COSTS, "fit").memory == 4500.0


def test_memory_that_is_given_is_kept(make_site):
    site = make_site("memory = 1 GB\n")

    assert with_memory(site, COSTS, "fit").memory == 1000.0


def test_what_needs_more_than_it_gets_is_told(make_site):
    site = make_site("memory = 1 GB\ntime = 1 h\n")

    few, long = site_doubts(site, COSTS, WORDS, name="here")

    assert few.startswith("a job of count takes about 1.9 h, but [site:here] time is 1")
    assert "lower chunks_per_job" in few
    assert long.startswith(
        "a job of fit needs about 3000 MB, but [site:here] memory is"
    )


def test_chunks_of_a_job_are_made_one_after_the_other(make_site):
    site = make_site("time = 3 h\n")
    many = make_site("time = 3 h\nchunks_per_job = 2\n")

    assert site_doubts(site, COSTS, WORDS, name="here") == []
    (doubt,) = site_doubts(many, COSTS, WORDS, name="here")
    assert "about 3.9 h" in doubt
