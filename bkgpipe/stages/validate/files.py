"""The table of a validation, one row for each model and run, and its numbers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.ecsv import Column, write_rows
from bkgpipe.stages.validate.data import (
    NORMS,
    ScoreSummary,
    Validation,
    ValidationSummary,
)

__all__ = ["read_validation", "write_scores", "write_validation"]

_COLUMNS = {
    "model": Column(str, "", "models that were scored"),
    "obs_id": Column(int, "", "run number, the first one of a night"),
    "n_runs": Column(int, "", "runs of the night that are scored as one"),
    "fold": Column(int, "", "fold that the run was left out with"),
    "counts": Column(int, "", "events counted outside the mask"),
    "predicted": Column(float, "", "events predicted there"),
    "ratio": Column(float, "", "predicted over counted"),
    "n_unpredicted": Column(int, "", "pixels with events where none are predicted"),
}
_MEASURES = {
    "deviance": "Poisson deviance",
    "noise": "what noise alone would give for it",
    "dof": "degrees of freedom",
}
_SUFFIXES = tuple(norm.replace(" ", "_") for norm in NORMS)


def write_scores(path: Path, header: ProductHeader, validation: Validation) -> None:
    """Write the score of each model and run.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    validation : Validation
        Scores of ``n_models`` models for ``n_runs`` runs: as many rows as their
        product.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns = dict(_COLUMNS)
    pairs = [(model.name, run) for model in validation.models for run in model.runs]
    names = ("obs_id", "counts", "predicted", "ratio", "n_unpredicted")
    values = {name: [getattr(run, name) for _, run in pairs] for name in names}
    values["n_runs"] = [1 + len(run.joined) for _, run in pairs]
    values["model"] = [model for model, _ in pairs]
    values["fold"] = [validation.fold_of(run.obs_id) for _, run in pairs]
    for measure, meaning in _MEASURES.items():
        for i, suffix in enumerate(_SUFFIXES):
            name = f"{measure}_{suffix}"
            columns[name] = Column(float, "", f"{meaning}, {NORMS[i]}")
            values[name] = [getattr(run, measure)[i] for _, run in pairs]
    write_rows(path, header, columns=columns, values=values)


def write_validation(path: Path, summary: ValidationSummary) -> None:
    """Write the numbers of a validation.

    Parameters
    ----------
    path : Path
        JSON file.
    summary : ValidationSummary
        Numbers.
    """
    path.write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")


def read_validation(path: Path) -> ValidationSummary:
    """Read the numbers of a validation.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    ValidationSummary
        Numbers.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        models = tuple(_make_score(model) for model in found.pop("models"))
        return ValidationSummary(models=models, **found)
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        require_lasting(error, where=str(path))
        raise DamagedFileError(
            what="is not the result of a validation",
            where=str(path),
            fix="Run bkgpipe validate again",
        ) from error


def _make_score(values: dict[str, Any]) -> ScoreSummary:
    measures = {name: tuple(values.pop(name)) for name in ("deviance", "noise")}
    if any(len(numbers) != len(NORMS) for numbers in measures.values()):
        raise ValueError("a measure for each norm is expected")
    numbers = [*measures["deviance"], *measures["noise"], values["ratio"]]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("numbers are expected")
    found: dict[str, Any] = values | measures
    return ScoreSummary(**found)
