"""How well models predict runs that they have not seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.checks import require_edges, require_shape

__all__ = [
    "NORMS",
    "FieldCounts",
    "ModelScore",
    "RunScore",
    "ScoreBins",
    "ScoreSummary",
    "Validation",
    "ValidationSummary",
    "summarise_validation",
]

# What is left free before the deviance is taken, in the order of all arrays of three.
NORMS = ("as predicted", "free norm", "free norm per energy")

# Pulls of bins with less predicted are far from normal
_MIN_PULL_COUNTS = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreBins:
    """Energies and sky pixels in which models are scored.

    The pixels are squares in the plane that touches the sky at the pointing.

    Attributes
    ----------
    energy_edges : np.ndarray
        Energy edges, shape ``(n_energy + 1,)`` [TeV].
    pixel : float
        Width of a pixel [deg].
    offset_max : float
        Largest offset that is scored [deg].
    oversampling : int
        Finer pixels along each side of a pixel, in which models are evaluated.
    min_counts : float
        Pixels in which the run's own events, spread evenly over what is kept of the
        field, would be fewer do not enter the deviance, which they would only dilute.
    """

    energy_edges: np.ndarray
    pixel: float = 0.25
    offset_max: float = 2.0
    oversampling: int = 5
    min_counts: float = 0.15

    def __post_init__(self) -> None:
        require_edges("energy_edges", self.energy_edges)

    @property
    def n_energy(self) -> int:
        """Number of energy bins."""
        return self.energy_edges.size - 1

    @property
    def n_pixels(self) -> int:
        """Pixels along each side of the field, which they cover."""
        return 2 * int(np.ceil(self.offset_max / self.pixel - 1e-9))

    @property
    def n_fine(self) -> int:
        """Finer pixels along each side of the field."""
        return self.n_pixels * self.oversampling

    @property
    def fine_pixel(self) -> float:
        """Width of a finer pixel [deg]."""
        return self.pixel / self.oversampling


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldCounts:
    """Counts of one run in the bins of a score.

    Attributes
    ----------
    obs_id : int
        Run number.
    bins : ScoreBins
        Energies and pixels.
    counts : np.ndarray
        Events kept by the mask, shape ``(n_energy, n_pixels, n_pixels)``; pixels
        count to the north, then to the west.
    kept_share : np.ndarray
        Share of each finer pixel that mask and largest offset keep, shape
        ``(n_fine, n_fine)``.
    is_seen : np.ndarray
        True for safe energies and pixels that are kept, shape ``(n_energy, n_pixels,
        n_pixels)``; ratios and pulls are taken there.
    even : np.ndarray
        The run's own events of each energy, spread evenly over what is kept, same
        shape. It depends on the run alone, so pixels chosen by it are the same for
        each model, and not biased as by the counts of each pixel.
    """

    obs_id: int
    bins: ScoreBins
    counts: np.ndarray
    kept_share: np.ndarray
    is_seen: np.ndarray
    even: np.ndarray

    def __post_init__(self) -> None:
        n_energy, n_pixels = self.bins.n_energy, self.bins.n_pixels
        require_shape("counts", self.counts, (n_energy, n_pixels, n_pixels))
        require_shape("kept_share", self.kept_share, (self.bins.n_fine,) * 2)
        require_shape("is_seen", self.is_seen, self.counts.shape)
        require_shape("even", self.even, self.counts.shape)

    @property
    def is_scored(self) -> np.ndarray:
        """True for seen pixels that hold enough for the deviance."""
        is_scored: np.ndarray = self.is_seen & (self.even >= self.bins.min_counts)
        return is_scored

    @property
    def n_events(self) -> int:
        """Events outside the mask at safe energies."""
        return int(self.counts[self.is_seen].sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class RunScore:
    """How well a model predicts one run, or the poor runs of one night.

    Attributes
    ----------
    obs_id : int
        Run number; the first one of a night.
    counts_energy, predicted_energy : np.ndarray
        Events counted and predicted in each energy bin, shape ``(n_energy,)``; zero in
        bins that are not safe.
    deviance, noise, dof : np.ndarray
        Poisson deviance, its expectation if the prediction is the truth, and degrees
        of freedom; shape ``(3,)`` in order of `NORMS`.
    n_unpredicted : int
        Pixels with events where the model predicts none.
    joined : tuple of int
        Runs of the same night that are scored with it.
    """

    obs_id: int
    counts_energy: np.ndarray
    predicted_energy: np.ndarray
    deviance: np.ndarray
    noise: np.ndarray
    dof: np.ndarray
    n_unpredicted: int = 0
    joined: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("deviance", "noise", "dof"):
            require_shape(name, getattr(self, name), (len(NORMS),))
        require_shape(
            "predicted_energy", self.predicted_energy, self.counts_energy.shape
        )

    @property
    def counts(self) -> int:
        """Events counted."""
        return int(self.counts_energy.sum())

    @property
    def predicted(self) -> float:
        """Events predicted."""
        return float(self.predicted_energy.sum())

    @property
    def ratio(self) -> float:
        """Predicted over counted."""
        return self.predicted / self.counts


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelScore:
    """How well the models of one kind predict runs.

    Attributes
    ----------
    name : str
        Name of the kind.
    runs : tuple of RunScore
        Runs, in order of ``obs_id``; at least one.
    """

    name: str
    runs: tuple[RunScore, ...]

    def _sum(self, name: str) -> np.ndarray:
        total: np.ndarray = np.sum([getattr(run, name) for run in self.runs], axis=0)
        return total

    @property
    def deviance(self) -> np.ndarray:
        """Deviance per degree of freedom, in order of `NORMS`."""
        deviance: np.ndarray = self._sum("deviance") / self._sum("dof")
        return deviance

    @property
    def noise(self) -> np.ndarray:
        """What Poisson noise alone would give for it, in order of `NORMS`."""
        noise: np.ndarray = self._sum("noise") / self._sum("dof")
        return noise

    @property
    def n_runs(self) -> int:
        """Runs, each of a night counted."""
        return sum(1 + len(run.joined) for run in self.runs)

    @property
    def n_events(self) -> int:
        """Events counted in all runs."""
        return sum(run.counts for run in self.runs)

    @property
    def n_unpredicted(self) -> int:
        """Pixels with events where the model predicts none."""
        return sum(run.n_unpredicted for run in self.runs)

    @property
    def ratios(self) -> np.ndarray:
        """Predicted over counted of each run, shape ``(n_runs,)``."""
        return np.array([run.ratio for run in self.runs])

    @property
    def pulls(self) -> np.ndarray:
        """(Counted - predicted) / sqrt(predicted) where ten are predicted, flat."""
        counts = np.concatenate([run.counts_energy for run in self.runs])
        predicted = np.concatenate([run.predicted_energy for run in self.runs])
        is_used = predicted >= _MIN_PULL_COUNTS
        pulls: np.ndarray = (counts - predicted)[is_used] / np.sqrt(predicted[is_used])
        return pulls


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """Models scored side by side, on the same runs and bins.

    Attributes
    ----------
    bins : ScoreBins
        Energies and pixels.
    models : tuple of ModelScore
        Models, with the same runs each.
    folds : tuple of tuple of int
        Runs of each fold.
    kept_together : str
        What a fold keeps together: ``run``, ``night``, ``field`` or ``random``.
    left_out : dict of int to str
        Reason for each run that could not be scored.
    """

    bins: ScoreBins
    models: tuple[ModelScore, ...]
    folds: tuple[tuple[int, ...], ...]
    kept_together: str
    left_out: dict[int, str] = field(default_factory=dict)

    def fold_of(self, obs_id: int) -> int:
        """Return the fold of a run.

        Parameters
        ----------
        obs_id : int
            Run number.

        Returns
        -------
        int
            Number of its fold, from 1 on.
        """
        return next(k for k, fold in enumerate(self.folds, start=1) if obs_id in fold)


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """Numbers of one kind of models, without the runs.

    Attributes
    ----------
    name : str
        Name of the kind.
    n_runs, n_events : int
        Runs that were scored, and their events.
    deviance, noise : tuple of float
        Deviance per degree of freedom, and what Poisson noise alone would give, in
        order of `NORMS`.
    ratio, ratio_spread : float
        Mean and standard deviation of predicted over counted, over runs.
    pull, pull_spread : float
        Likewise of the pulls; NaN without any.
    n_unpredicted : int
        Pixels with events where the model predicts none.
    """

    name: str
    n_runs: int
    n_events: int
    deviance: tuple[float, ...]
    noise: tuple[float, ...]
    ratio: float
    ratio_spread: float
    pull: float
    pull_spread: float
    n_unpredicted: int


@dataclass(frozen=True, kw_only=True)
class ValidationSummary:
    """A validation without its runs, as it is kept for the report.

    Attributes
    ----------
    models : tuple of ScoreSummary
        Numbers of each kind of models.
    n_folds : int
        Number of folds.
    kept_together : str
        What a fold keeps together.
    energy_min, energy_max : float
        Energies that were scored [TeV].
    n_left_out : int
        Runs that could not be scored.
    """

    models: tuple[ScoreSummary, ...]
    n_folds: int
    kept_together: str
    energy_min: float
    energy_max: float
    n_left_out: int


def summarise_validation(validation: Validation) -> ValidationSummary:
    """Take the numbers of a validation that its report tells.

    Parameters
    ----------
    validation : Validation
        Scores.

    Returns
    -------
    ValidationSummary
        Numbers.
    """
    edges = validation.bins.energy_edges
    return ValidationSummary(
        models=tuple(_summarise(model) for model in validation.models),
        n_folds=len(validation.folds),
        kept_together=validation.kept_together,
        energy_min=float(edges[0]),
        energy_max=float(edges[-1]),
        n_left_out=len(validation.left_out),
    )


def _summarise(model: ModelScore) -> ScoreSummary:
    pulls, ratios = model.pulls, model.ratios
    return ScoreSummary(
        name=model.name,
        n_runs=model.n_runs,
        n_events=model.n_events,
        deviance=tuple(model.deviance.tolist()),
        noise=tuple(model.noise.tolist()),
        ratio=float(ratios.mean()),
        ratio_spread=float(ratios.std()),
        pull=float(pulls.mean()) if pulls.size else float("nan"),
        pull_spread=float(pulls.std()) if pulls.size else float("nan"),
        n_unpredicted=model.n_unpredicted,
    )
