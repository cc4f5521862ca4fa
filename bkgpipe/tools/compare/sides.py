"""What can be compared: stores, model files, checkpoints and truths."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.files import read_truth
from bkgpipe.stages.export.nodes import make_node_model
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.store.store import read_runs
from bkgpipe.tools.compare.common_grid import CommonGrid
from bkgpipe.tools.compare.data import BinRates, FileModel
from bkgpipe.tools.compare.models import StoreModels, read_file_model, read_file_run
from bkgpipe.tools.compare.score import frame_of_truth, truth_rates

__all__ = ["Side", "open_side"]


class Side(ABC):
    """One of two things to compare.

    Parameters
    ----------
    path : Path
        File or folder.
    obs_ids : tuple of int or None
        Runs that it has a model for; None for one model that is of no run.
    runs : mapping of int to Run, optional
        What is known of its runs.
    """

    def __init__(
        self,
        path: Path,
        *,
        obs_ids: tuple[int, ...] | None,
        runs: Mapping[int, Run] | None = None,
    ) -> None:
        self.name = str(path)
        self.obs_ids = obs_ids
        self.runs = runs or {}

    @abstractmethod
    def model(self, obs_id: int | None, *, as_2d: bool) -> FileModel | None:
        """Return the model of a run.

        Parameters
        ----------
        obs_id : int or None
            Run number; None takes the only one.
        as_2d : bool
            Take the model on offsets, if there are two.

        Returns
        -------
        FileModel or None
            The model; None for a formula, which fits any bins.
        """

    def alignment(self, model: FileModel | None) -> str:
        """Return the frame of images.

        Parameters
        ----------
        model : FileModel or None
            What `model` returned.

        Returns
        -------
        str
            Its alignment; empty when it does not matter.
        """
        return "" if model is None else model.fov_alignment

    def rates(self, obs_id: int | None, grid: CommonGrid) -> BinRates:
        """Take a formula in the bins of a grid.

        Parameters
        ----------
        obs_id : int or None
            Run number.
        grid : CommonGrid
            The bins.

        Returns
        -------
        BinRates
            Rates per live time.

        Raises
        ------
        InputError
            If there is no formula.
        """
        raise InputError(
            what=f"has no formula for run {obs_id} on {grid.binning.n_energy} energies",
            where=self.name,
            fix="Name a truth.ecsv",
        )

    def notes(self) -> list[str]:
        """Say what a reader has to know of it.

        Returns
        -------
        list of str
            Sentences.
        """
        return []


class _Store(Side):
    """A DL3 store of any tool."""

    def __init__(self, path: Path) -> None:
        self._models = StoreModels(path)
        runs = {run.obs_id: run for run in read_runs(path).runs}
        super().__init__(path, obs_ids=self._models.obs_ids, runs=runs)
        if not self.obs_ids:
            raise InputError(
                what="its HDU index names no background model",
                where=self.name,
                fix="Name a store with models, as the one that bkgpipe run tells of",
            )

    def model(self, obs_id: int | None, *, as_2d: bool) -> FileModel:  # noqa: ARG002
        return self._models.read(-1 if obs_id is None else obs_id)


class _File(Side):
    """One model in a FITS file."""

    def __init__(self, path: Path) -> None:
        obs_id = read_file_run(path)
        super().__init__(path, obs_ids=None if obs_id is None else (obs_id,))
        self._model = read_file_model(path)

    def model(self, obs_id: int | None, *, as_2d: bool) -> FileModel:  # noqa: ARG002
        return self._model


class _Checkpoint(Side):
    """Rates before they are written as values at bin centres."""

    def __init__(self, path: Path) -> None:
        self._models = MODELS.read(path).records
        super().__init__(path, obs_ids=tuple(sorted(self._models)))
        self._frame = _find_alignment(path)

    def model(self, obs_id: int | None, *, as_2d: bool) -> FileModel:
        rates = self._models[min(self._models) if obs_id is None else obs_id]
        nodes = make_node_model(rates, fov_alignment=self._frame or "RADEC")
        axes, deadc = nodes.binning, nodes.conditions.deadc
        image = (axes.fov_lon_edges, axes.fov_lat_edges)
        return FileModel(
            energy_edges=axes.energy_edges,
            field_edges=(axes.offset_edges,) if as_2d else image,
            rate=nodes.bkg_2d if as_2d else nodes.bkg_3d,
            error=nodes.error_2d if as_2d else nodes.error_3d,
            systematic=nodes.systematic,
            fov_alignment="" if as_2d else self._frame,
            deadc=deadc,
            ontime=nodes.livetime / deadc,
        )

    def notes(self) -> list[str]:
        if self._frame:
            return []
        return [f"The frame of {self.name} is not known, taken as that of the other"]


class _Truth(Side):
    """The formula behind a simulated store."""

    def __init__(self, path: Path) -> None:
        self._truth = read_truth(path)
        obs_ids = tuple(int(obs_id) for obs_id in self._truth.obs_ids)
        super().__init__(path, obs_ids=obs_ids, runs=_runs_beside(path))

    def model(self, obs_id: int | None, *, as_2d: bool) -> None:
        """Return nothing: it fits any bins."""

    def alignment(self, model: FileModel | None) -> str:  # noqa: ARG002
        return frame_of_truth(self._truth.truth)

    def rates(self, obs_id: int | None, grid: CommonGrid) -> BinRates:
        number = -1 if obs_id is None else obs_id
        factor = float(self._truth.factors(np.array([number]))[0])
        return truth_rates(self._truth.truth, grid, factor=factor)


def open_side(path: Path) -> Side:
    """Open something to compare.

    Parameters
    ----------
    path : Path
        A store, a GADF file, ``smooth_<n>.h5`` or ``truth.ecsv``.

    Returns
    -------
    Side
        It.

    Raises
    ------
    InputError
        If it is none of these, or cannot be read.
    DamagedFileError
        If it is a damaged checkpoint.
    """
    if path.is_dir():
        return _Store(path)
    endings: dict[str, Callable[[Path], Side]] = {
        ".h5": _Checkpoint,
        ".ecsv": _Truth,
        ".fits": _File,
        ".gz": _File,
    }
    if path.is_file() and path.suffix in endings:
        return endings[path.suffix](path)
    raise InputError(
        what="is nothing that can be compared",
        where=str(path),
        fix="Name the folder of a store, a FITS file, smooth_0.h5 or truth.ecsv",
    )


def _find_alignment(checkpoint: Path) -> str:
    """Read the frame of a production from its record; empty when there is none."""
    path = checkpoint.resolve().parent.parent / "production.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        return str(settings["export"]["alignment"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _runs_beside(truth: Path) -> dict[int, Run]:
    """Read the runs of the store that a truth lies in, if it still does."""
    try:
        return {run.obs_id: run for run in read_runs(truth.parent).runs}
    except InputError:
        return {}
