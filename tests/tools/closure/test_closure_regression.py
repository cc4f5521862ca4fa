"""The errors of the regression cover the truth: a small part of the benchmark."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_SCRIPT = Path(__file__).parents[3] / "benchmarks" / "closure_regression.py"
N_SEEDS = 12


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("closure_regression", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("name", ["no scatter", "strong", "chromatic"])
def test_errors_cover_the_truth(script, name):
    pulls = script.closure(script.TRUTHS[name], range(N_SEEDS))
    share, _ = script.coverage(pulls.bins)
    bins = pulls.bins[np.isfinite(pulls.bins)]
    assert pulls.bins.shape[2:] == (12, 90)
    assert bins.size > 0.6 * pulls.bins.size
    # Errors of seeds go together: one of a coverage of 68 % is about 3 %
    assert 0.60 < share < 0.76
    assert 0.8 < bins.std() < 1.2
    assert abs(bins.mean()) < 0.3


def test_the_scatter_of_norms_is_found(script):
    pulls = script.closure(script.TRUTHS["weak"], range(N_SEEDS))
    norms = pulls.norms[np.isfinite(pulls.norms)]
    assert pulls.scatter.mean() == pytest.approx(0.1, rel=0.1)
    assert 0.7 < norms.std() < 1.3
    assert 0.5 < np.mean(np.abs(norms) < 1) < 0.85
