"""Chains of which each chunk was made from a bundle alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bkgpipe.batch.bundle.pack import BUNDLED, find_open, pack_chunks
from bkgpipe.batch.bundle.put import put_answers
from bkgpipe.batch.bundle.work import run_bundle
from bkgpipe.batch.waves import list_waves, split_chunks
from bkgpipe.chain.inputs import forget
from bkgpipe.flow import Select
from bkgpipe.product.chunk_file import read_checksums

_CASES = {
    "regression": {"smooth__method": "regression"},
    "ranked": {
        "smooth__method": "gaussian",
        "stack__strategy": "ranked",
        "rank__hours": "0.3 h",
        "rank__allow_short": "true",
    },
    "own": {"smooth__method": "none", "stack__strategy": "own"},
    "groups": {"smooth__method": "none", "export__store": "index"},
}


@pytest.mark.parametrize("name", _CASES)
def test_jobs_make_what_this_machine_makes(name, production, build, tmp_path):
    task = production(**_CASES[name], binning__per_decade="5")
    assert build(task)
    expected = _products(task.settings.data.output)
    shutil.move(task.settings.data.output, tmp_path / "local")
    assert build(task.sibling(Select))

    for word in list_waves(task.settings, None):
        if word in BUNDLED:
            _make_in_jobs(task.settings, word, tmp_path)

    assert build(task)
    assert _products(task.settings.data.output) == expected


def _make_in_jobs(settings, word, tmp_path):
    jobs = split_chunks(find_open(settings, word, [333, 334, 335, 336]), size=2)
    bundles = list(pack_chunks(settings, word, jobs, folder=tmp_path / "sent"))
    assert [bundle.chunks for bundle in bundles] == jobs == [(333, 334), (335, 336)]
    # nothing is seen of where it was packed
    shutil.move(tmp_path / "store", tmp_path / "hidden")
    shutil.move(settings.data.output, tmp_path / "out-hidden")
    answers = []
    for bundle in bundles:
        forget()
        answers.append(tmp_path / "back" / bundle.path.name)
        assert run_bundle(bundle.path, answers[-1]) == 0
    shutil.move(tmp_path / "hidden", tmp_path / "store")
    shutil.move(tmp_path / "out-hidden", settings.data.output)
    forget()
    for result in put_answers(settings, answers):
        assert not result.reason
        assert result.n_files >= len(result.chunks)


def _products(output: Path) -> dict[str, object]:
    """Content of all products, apart from the time that each took."""
    found: dict[str, object] = {}
    for path in output.glob("*-*/**/*"):
        name = str(path.relative_to(output))
        if path.suffix == ".h5" and path.name not in {"fit.h5", "candidates.h5"}:
            found[name] = read_checksums(path)
        elif path.suffix in {".fits", ".gz"} and "index" not in path.name:
            found[name] = path.read_bytes()
    return found
