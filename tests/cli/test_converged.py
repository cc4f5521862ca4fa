"""Fits of real and simulated archives, beside fits to a much tighter tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.settings import read_settings
from bkgpipe.simulate.archive.make import simulate_archive
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.fit import array_fit
from bkgpipe.stages.fit import fit as regression
from bkgpipe.stages.fit.points import join_runs


@pytest.fixture
def store(request, tmp_path, monkeypatch):
    """Folder of a public archive, or one of simulated runs."""
    monkeypatch.chdir(tmp_path)
    if request.param in ("hess-dl3-dr1", "fact-open-crab"):
        folder = request.getfixturevalue("gammapy_data") / request.param
        if not folder.is_dir():
            pytest.skip(f"{request.param} is not among the data")
        return folder
    given = [f"simulation.layout={request.param}", "simulation.runs=8"]
    folder = tmp_path / "simulated"
    simulate_archive(folder, settings=read_simulate_settings(None, given))
    return folder


@pytest.fixture
def fit(monkeypatch, caplog):
    """Fit as the settings say; return the result of `fit_arrays`."""
    found = []

    def keep(*arrays, **model):
        found.append(array_fit.fit_arrays(*arrays, **model))
        return found[-1]

    monkeypatch.setattr(regression, "fit_arrays", keep)

    def run(points, settings):
        fit = settings.fit
        regression.fit_regression(
            points,
            fov_alignment=settings.export.alignment,
            terms=fit.terms,
            energy_splines=fit.energy_splines,
            offset_splines=fit.offset_splines,
            penalty=fit.penalty,
            term_penalty=fit.term_penalty,
            ridge=fit.ridge,
        )
        assert "converged" not in caplog.text
        return found[-1]

    return run


@pytest.mark.parametrize(
    "store", ["hess", "cta-like", "hess-dl3-dr1", "fact-open-crab"], indirect=True
)
def test_expected_counts_are_those_of_the_optimum(store, bkgpipe, fit, monkeypatch):
    """Scoring by the Fisher information alone gets there as well, in more steps."""
    assert bkgpipe("init", "--data", store, "--output", "out").exit_code == 0
    assert bkgpipe("run", "count").exit_code == 0
    settings = read_settings(Path("luigi.cfg"))
    runs = {}
    for path in settings.folder("count").glob("count_*.h5"):
        runs |= COUNTS.read(path).records
    points = join_runs(
        runs.values(), np.arange(len(runs)), fov_alignment=settings.export.alignment
    )

    ours = fit(points, settings)
    monkeypatch.setattr(array_fit, "_TOLERANCE", 1e-12)
    monkeypatch.setattr(array_fit, "_NEAR", 0.0)
    monkeypatch.setattr(array_fit, "_MAX_STEPS", 200)
    optimum = fit(points, settings)

    assert ours.n_steps < optimum.n_steps
    np.testing.assert_allclose(ours.expected, optimum.expected, rtol=1e-5)
    np.testing.assert_allclose(ours.deviance, optimum.deviance, rtol=1e-9)
