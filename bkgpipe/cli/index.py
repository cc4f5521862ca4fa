"""Make the index files of a folder of DL3 files."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from bkgpipe.errors import InputError, SettingsError
from bkgpipe.product.whole_file import write_file
from bkgpipe.store.make_index import (
    IndexSurvey,
    survey_folder,
    write_hdu_table,
    write_obs_table,
)

__all__ = ["make_index"]

_NAMES = ("obs-index", "hdu-index")
_ENDINGS = (".fits.gz", ".fits")
_LISTED = 10


def make_index(folder: Path, *, to: Path, force: bool, as_json: bool = False) -> None:
    """Write ``obs-index.fits.gz`` and ``hdu-index.fits.gz``, and list what is in them.

    Parameters
    ----------
    folder : Path
        Folder of DL3 files.
    to : Path
        Folder of the index files.
    force : bool
        Replace index files that are there.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    SettingsError
        If there are index files that are not to be replaced.
    InputError
        If there are no events files.
    OutputError
        If the index cannot be written.
    """
    paths = [to / f"{name}{ending}" for ending in _ENDINGS for name in _NAMES]
    existing = [path for path in paths if path.exists()]
    if existing and not force:
        raise SettingsError(
            what="exists already",
            where=str(existing[0]),
            fix="Write the index elsewhere with --to, or replace it with --force",
        )
    survey = survey_folder(folder)
    _require_runs(survey, folder)
    to.mkdir(parents=True, exist_ok=True)
    origin = os.path.relpath(os.path.realpath(folder), os.path.realpath(to))
    writers = (
        partial(write_obs_table, survey=survey),
        partial(write_hdu_table, survey=survey, origin=origin),
    )
    for path, writer in zip(paths, writers, strict=False):
        write_file(path, writer)
    for path in set(existing) - set(paths[:2]):
        path.unlink()
    if as_json:
        click.echo(json.dumps(_answer(survey, paths[:2])))
        return
    for line in _lines(survey):
        click.echo(line)
    click.echo(f"Wrote {paths[0]} and {paths[1].name}. Next: bkgpipe init --data {to}.")


def _require_runs(survey: IndexSurvey, folder: Path) -> None:
    if survey.headers:
        return
    reasons = [f"{file}: {reason}" for file, reason in survey.left_out.items()]
    told = f"; the first of {len(reasons)} FITS files, {reasons[0]}" if reasons else ""
    raise InputError(
        what=f"has no events file of GADF{told}",
        where=str(folder),
        fix="Name a folder of DL3 files",
    )


def _answer(survey: IndexSurvey, paths: Sequence[Path]) -> dict[str, object]:
    return {
        "index": [str(path) for path in paths],
        "runs": [*survey.headers],
        "hdus": dict(Counter(row.hdu_type for row in survey.rows)),
        "left_out": survey.left_out,
    }


def _lines(survey: IndexSurvey) -> list[str]:
    """Say what is in the index, and what is not."""
    n_runs = len(survey.headers)
    counts = Counter(row.hdu_type for row in survey.rows)
    kinds = ", ".join(
        kind if n == n_runs else f"{kind} ({n} of {n_runs})"
        for kind, n in counts.items()
    )
    events = {row.obs_id: row.file for row in survey.rows if row.hdu_type == "events"}
    taken = [f"run {number}: {events[number]}" for number in survey.headers]
    others = [f"{file}: {reason}" for file, reason in survey.left_out.items()]
    lines = [f"{n_runs} runs, with {kinds}:", *_listed(taken)]
    return lines + [f"Left out: {len(others)} files", *_listed(others)] * bool(others)


def _listed(sentences: Sequence[str]) -> list[str]:
    more = len(sentences) - _LISTED
    told = [f"  {sentence}" for sentence in sentences[:_LISTED]]
    return told + [f"  and {more} more; --json lists all"] * (more > 0)
