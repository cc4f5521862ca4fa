"""Score BAccMod's models of runs that they have not seen beside those of bkgpipe.

Give BAccMod an environment of its own, and this script the interpreter of that::

    python -m venv rival
    rival/bin/pip install BAccMod==0.4.1
    python benchmarks/score_baccmod.py FOLDER --python rival/bin/python

Folds, runs, excluded regions and scores are those of ``bkgpipe validate``: BAccMod
makes the models of each fold of H.E.S.S. DL3 DR1 from the runs of the other four, in
bins of the cosine of zenith that hold the hours asked for, interpolated between them.
They are not fitted to the run itself, since that is what they are scored on: the free
norm of the scores does that. They are written as a data store into FOLDER, which
``bkgpipe validate`` scores as any other. BAccMod divides by live time, so its models
are read as per live time. gammapy's interpolation turns empty bins into rates without
bound; wide bins leave few of them, and ratios are told again without such runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from bench_count import read_regions

from bkgpipe.stages.validate.score import make_folds
from bkgpipe.store.store import read_runs

_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
_NAME = "BACKGROUND"


def main(folder: Path, data: Path, asked: argparse.Namespace) -> None:
    """Make the rival's models and their store, and print both scores."""
    store = data / "hess-dl3-dr1"
    name = f"{asked.hours:g}h-{asked.per_decade}-{asked.offset_bins}"
    rival = folder / name
    if not (rival / "job.json").exists():
        _make_models(rival, _job(store, data, rival, asked), python=asked.python)
    _write_index(store, rival)
    config = folder / "luigi.cfg"
    output = ("--output", folder / "bkgpipe", "--config", config)
    bkgpipe = (sys.executable, "-m", "bkgpipe")
    if not config.exists():
        _call(*bkgpipe, "init", "--data", store, *output)
    table = folder / f"{name}.ecsv"
    against = ("--against", rival, "--against-livetime", "--table", table)
    _call(*bkgpipe, "validate", "--config", config, "--workers", "2", *against)
    _print_ratios(Table.read(table))


def _make_models(rival: Path, job: dict[str, Any], *, python: str) -> None:
    rival.mkdir(parents=True, exist_ok=True)
    path = rival / "asked.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    _call(python, Path(__file__).with_name("rival_baccmod_store.py"), path)
    path.rename(rival / "job.json")  # all is made


def _job(
    store: Path, data: Path, models: Path, asked: argparse.Namespace
) -> dict[str, Any]:
    """Tell the rival what to do: folds, circles to exclude, bins."""
    folds = make_folds(
        read_runs(store).runs, n_folds=5, by="run", rng=np.random.default_rng(1)
    )
    return {
        "store": str(store),
        "models": str(models),
        "folds": folds,
        "circles": [[one.ra, one.dec, one.radius] for one in read_regions(data)],
        "energy_edges": _energy_edges(asked.per_decade),
        "offset_bins": asked.offset_bins,
        "livetime": 3600.0 * asked.hours,
    }


def _print_ratios(table: Table) -> None:
    """Tell predicted over counted without runs that are off by more than ten."""
    for name in sorted(set(table["model"])):
        ratio = np.array(table["ratio"][table["model"] == name])
        kept = ratio[(ratio > 0.1) & (ratio < 10.0)]
        print(
            f"{name}: {kept.mean():.3f} +- {kept.std(ddof=1):.3f} in {kept.size} of "
            f"{ratio.size} runs, median of all {np.median(ratio):.3f}"
        )


def _energy_edges(per_decade: int) -> list[float]:
    """From 0.1 TeV to the first edge above 30 TeV."""
    n_bins = int(np.ceil(np.log10(30.0 / 0.1) * per_decade))
    edges = 0.1 * 10.0 ** (np.arange(n_bins + 1) / per_decade)
    found: list[float] = edges.tolist()
    return found


def _write_index(store: Path, folder: Path) -> None:
    """Index the original files, with the models of the folder in place of theirs."""
    index = Table.read(store / "hdu-index.fits.gz")
    index.convert_bytestring_to_unicode()
    place = os.path.relpath(store, folder)
    rows = []
    for row in index.iterrows(*_COLUMNS):
        obs_id, *texts = row
        kind, form, where, file, name = (str(text).strip() for text in texts)
        if kind == "bkg":
            rows.append((obs_id, kind, "bkg_2d", ".", f"bkg_{obs_id}.fits", _NAME))
        else:
            rows.append((obs_id, kind, form, str(Path(place, where)), file, name))
    written = Table(rows=rows, names=_COLUMNS)
    written.write(folder / "hdu-index.fits.gz", overwrite=True)
    Table.read(store / "obs-index.fits.gz").write(
        folder / "obs-index.fits.gz", overwrite=True
    )


def _call(*words: str | Path) -> None:
    subprocess.run(list(map(str, words)), check=True)  # noqa: S603 - as the user said


if __name__ == "__main__":
    if "GAMMAPY_DATA" not in os.environ:
        sys.exit("Set GAMMAPY_DATA to a folder with hess-dl3-dr1")
    parser = argparse.ArgumentParser(description="Score BAccMod beside bkgpipe.")
    parser.add_argument("folder", type=Path, help="folder for all products")
    parser.add_argument("--python", required=True, help="interpreter with BAccMod")
    parser.add_argument("--hours", type=float, default=10.0, help="in a zenith bin")
    parser.add_argument("--per-decade", type=int, default=4, help="energy bins")
    parser.add_argument("--offset-bins", type=int, default=6, help="offset bins")
    arguments = parser.parse_args()
    main(
        arguments.folder.absolute(),
        Path(os.environ["GAMMAPY_DATA"]).absolute(),
        arguments,
    )
