"""Gather from the products on disk what the report shows of a production."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from bkgpipe.chain.inputs import load_fit, load_table
from bkgpipe.chain.runs import used_ids
from bkgpipe.chain.summary import find_chunks, read_used_tallies
from bkgpipe.core.binning import Binning
from bkgpipe.core.clock import Clock
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.chunk_file import read_checksums
from bkgpipe.settings import Settings
from bkgpipe.stages.count.exposure import compare_exposure, most_different
from bkgpipe.stages.count.files import read_heads, read_mask_effects
from bkgpipe.stages.count.kept_share import KeptShare
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.report.curves import (
    choose_energy,
    predict_curve,
    rate_above,
    run_spectrum,
)
from bkgpipe.stages.report.dependence import ConditionCurve, Dependence, RunSpectrum
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import read_groups
from bkgpipe.stages.table import has_stage
from bkgpipe.stages.validate.axes_data import AxesSummary
from bkgpipe.stages.validate.axes_files import read_axes
from bkgpipe.stages.validate.data import ValidationSummary
from bkgpipe.stages.validate.files import read_validation

__all__ = [
    "axes_files",
    "find_models",
    "read_axes_test",
    "read_clocks",
    "read_dependence",
    "read_excluded",
    "read_kept_shares",
    "read_regression",
    "read_validated",
    "validation_files",
]

_log = logging.getLogger(__name__)

_Kept = TypeVar("_Kept")

_MAX_KEPT_SHARES = 8
_MAX_MASKS = 500  # of different pointings: more show nothing new on a map of the sky
_CURVES = {"zenith": "zenith", "time": "time", "muon_efficiency": "muon"}


def find_models(settings: Settings) -> dict[int, Path]:
    """List the rates of a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    dict of int to Path
        File of each, in order of their numbers.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    found = {
        stack_id: path
        for path in find_chunks(settings, "smooth")
        for stack_id in read_checksums(path)
    }
    return dict(sorted(found.items()))


def read_clocks(settings: Settings) -> dict[int, Clock]:
    """Find the runs of which the store says different times.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    dict of int to Clock
        What it says of each, by ``obs_id``.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    return {
        obs_id: tally.clock
        for obs_id, tally in read_used_tallies(settings).items()
        if tally.clock.is_doubtful
    }


def read_kept_shares(settings: Settings) -> tuple[KeptShare, ...]:
    """Find the runs in which geometry and events tell most different exposures.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple of KeptShare
        A few runs, the most significant difference first.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    used = used_ids(load_table(settings))
    shares: list[KeptShare | None] = []
    for path in find_chunks(settings, "count"):
        effects = read_mask_effects(path).only(used).records.values()
        shares += [compare_exposure(**found) for found in effects]
    return most_different(shares, n_runs=_MAX_KEPT_SHARES)


def read_dependence(settings: Settings) -> Dependence:
    """Read the rates of all runs that were counted, and what their models predict.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    Dependence
        Rates above one energy, and curves where there is a regression.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    spectra: list[RunSpectrum] = []
    conditions: list[RunConditions] = []
    binning = None
    alignment, groups = settings.export.alignment, _read_group_models(settings)
    used = used_ids(load_table(settings))
    for path in find_chunks(settings, "count"):
        models = groups if settings.in_groups else _read_own_models(settings, path)
        for run in read_heads(path).only(used).records.values():
            stack_id, rate_2d = models.get(run.obs_id, (-1, None))
            spectra.append(run_spectrum(run, stack_id=stack_id, rate_2d=rate_2d))
            conditions.append(make_conditions(run, fov_alignment=alignment))
            binning = run.binning
    if binning is None:
        return Dependence()
    first = choose_energy(spectra)
    runs = [rate_above(spectrum, first) for spectrum in spectra]
    seen = [each for each, run in zip(conditions, runs, strict=True) if run.exposure]
    return Dependence(
        energy_min=float(binning.energy_edges[first]),
        runs=tuple(sorted(runs, key=lambda run: run.obs_id)),
        curves=_read_curves(settings, seen, binning, first),
    )


_Models = Mapping[int, tuple[int, np.ndarray]]


def _read_group_models(settings: Settings) -> _Models:
    """Read the model of the group of each run; nothing for other strategies."""
    table = settings.folder("stack") / "groups.ecsv"
    if not settings.in_groups or not table.exists():
        return {}
    rates = {
        stack_id: values["rate_2d"]
        for path in find_chunks(settings, "smooth")
        for stack_id, values in MODELS.read_fields(path, ["rate_2d"]).records.items()
    }
    return {
        int(obs_id): (group.group_id, rates[group.group_id])
        for group in read_groups(table)
        for obs_id in group.obs_ids
        if group.group_id in rates
    }


def _read_own_models(settings: Settings, counts: Path) -> _Models:
    """Read the models of the runs in a chunk of counts, which have their numbers."""
    path = settings.folder("smooth") / counts.name.replace("count", "smooth")
    if not path.exists():
        return {}
    found = MODELS.read_fields(path, ["rate_2d"]).records
    return {key: (key, values["rate_2d"]) for key, values in found.items()}


def _read_curves(
    settings: Settings,
    conditions: list[RunConditions],
    binning: Binning,
    first: int,
) -> tuple[ConditionCurve, ...]:
    fit = read_regression(settings)
    if fit is None or not conditions:
        return ()
    curves = [
        predict_curve(fit, conditions, binning, name=name, first=first)
        for name, term in _CURVES.items()
        if term in fit.terms
    ]
    return tuple(curve for curve in curves if curve is not None)


def read_regression(settings: Settings) -> RegressionFit | None:
    """Read the fit of all runs.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    RegressionFit or None
        The fit; None for other methods, or without the file.
    """
    path = settings.folder("fit") / "fit.h5"
    if not has_stage(settings, "fit") or not path.exists():
        return None
    return load_fit(path)


def read_excluded(settings: Settings) -> tuple[tuple[ExclusionRegion, ...], int]:
    """Gather the regions that the masks of runs exclude.

    Of runs with nearly the same pointing one mask is read, and of a large archive
    some hundred masks, spread evenly.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple
        Regions, each once, in order of their names; number of masks read.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    chosen = _choose_masks(settings)
    regions: dict[tuple[str, float, float, float], ExclusionRegion] = {}
    n_read = 0
    for path in find_chunks(settings, "mask"):
        keys = [key for key in read_checksums(path) if key in chosen]
        n_read += len(keys)
        for region in _read_regions(path, keys):
            regions[region.name, region.ra, region.dec, region.radius] = region
    return tuple(regions[key] for key in sorted(regions)), n_read


def _choose_masks(settings: Settings) -> set[int]:
    pointings = {
        (round(run.ra, 1), round(run.dec, 1)): run.obs_id
        for run in load_table(settings).used
    }
    step = max(1, -(-len(pointings) // _MAX_MASKS))
    return set(list(pointings.values())[::step])


def _read_regions(path: Path, keys: list[int]) -> Iterator[ExclusionRegion]:
    names = ["region_names", "region_origins", "region_circles", "region_capped"]
    for found in MASKS.read_fields(path, names, keys=keys).records.values():
        rows = zip(*(found[name] for name in names), strict=True)
        for name, origin, (ra, dec, radius, extension), is_capped in rows:
            yield ExclusionRegion(
                name=name,
                origin=origin,
                ra=float(ra),
                dec=float(dec),
                radius=float(radius),
                extension=float(extension),
                is_capped=bool(is_capped),
            )


def validation_files(settings: Settings) -> tuple[Path, Path]:
    """Name the files in which a validation of a production is kept.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple of Path
        Numbers as JSON, figure as PNG; they need not exist.
    """
    return _validate_files(settings, "result")


def _validate_files(settings: Settings, kind: str) -> tuple[Path, Path]:
    folder = settings.data.output / "validate"
    name = f"{kind}-{settings.fingerprint('export')}"
    return folder / f"{name}.json", folder / f"{name}.png"


def _read_kept(
    files: tuple[Path, Path], read: Callable[[Path], _Kept], what: str
) -> _Kept | None:
    """Read the numbers of a test, if they and their figure are there and undamaged."""
    if not all(path.exists() for path in files):
        return None
    try:
        return read(files[0])
    except DamagedFileError as error:
        _log.warning("The report leaves %s out: %s", what, error)
        return None


def read_validated(settings: Settings) -> ValidationSummary | None:
    """Read what ``bkgpipe validate`` found for a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    ValidationSummary or None
        Numbers; None when it was not run, or its files are damaged, which is logged.
    """
    return _read_kept(validation_files(settings), read_validation, "the validation")


def axes_files(settings: Settings) -> tuple[Path, Path]:
    """Name the files in which the test on several axes is kept.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple of Path
        Numbers as JSON, figure as PNG; they need not exist.
    """
    return _validate_files(settings, "axes")


def read_axes_test(settings: Settings) -> AxesSummary | None:
    """Read what ``bkgpipe validate --axes`` found for a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    AxesSummary or None
        Numbers; None when it was not run, or its files are damaged, which is logged.
    """
    return _read_kept(axes_files(settings), read_axes, "the test on several axes")
