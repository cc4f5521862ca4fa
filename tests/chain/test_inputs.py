from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.chain.inputs import (
    digest_store,
    forget,
    is_selected,
    load_fit,
    load_table,
    read_store,
)
from bkgpipe.errors import InputError
from bkgpipe.flow import Fit
from bkgpipe.flow.select import Select
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.fit.files import FIT


def test_a_fit_is_read_again_when_its_file_changes(production, build):
    task = production(smooth__method="regression", binning__per_decade="5")
    fit = task.sibling(Fit)
    assert build(fit)
    path = fit.folder / "fit.h5"
    first = load_fit(path)
    assert load_fit(path) is first

    FIT.write_one(path, read_header(path), replace(first, scatter=0.5))
    os.utime(path, ns=(1, 1))

    assert load_fit(path).scatter == 0.5


def test_a_production_keeps_the_runs_that_it_started_with(production, tmp_path):
    settings = production().settings
    before, sum_before = read_store(settings), digest_store(settings)
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()

    assert read_store(settings) is before
    assert digest_store(settings) == sum_before

    forget()
    assert read_store(settings).runs[0].file_size == -1
    assert digest_store(settings) != sum_before


def test_runs_are_selected_once_the_file_is_there(production, build, tmp_path):
    task = production()
    assert not is_selected(task.settings)
    assert load_table(task.settings).runs == ()

    assert build(task.sibling(Select))

    assert is_selected(task.settings)
    assert len(load_table(task.settings).runs) == 8
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()
    forget()
    assert not is_selected(task.settings)


def test_a_damaged_table_counts_as_not_selected(production, build):
    task = production()
    assert build(task.sibling(Select))
    path: Path = task.settings.folder("select") / "runs.ecsv"
    path.write_text("words")
    forget()

    assert not is_selected(task.settings)


def test_a_store_without_an_index(production, tmp_path):
    settings = production().settings
    (tmp_path / "store" / "obs-index.fits.gz").unlink()

    with pytest.raises(InputError, match="obs-index"):
        read_store(settings)
