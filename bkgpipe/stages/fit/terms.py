"""How the conditions of observation enter the regression: named terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.core.usable import is_placed
from bkgpipe.errors import InputError
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.fit.data import RunConditions

__all__ = [
    "CONDITION_NAMES",
    "DEFAULT_TERMS",
    "TERMS",
    "WRITTEN_NAMES",
    "Term",
    "TermInputs",
    "condition_table",
    "find_epochs",
    "make_conditions",
    "require_pointing",
    "sky_directions",
]

CONDITION_NAMES = (
    "zenith",
    "azimuth",
    "muon",
    "deadtime",
    "time",
    "safe_energy",
    "control_outer",
    "control_low",
    "control_rim",
)
# What readers are told that the regression sees of some of them
WRITTEN_NAMES = {
    "zenith": "cosine of the zenith angle",
    "azimuth": "north component of the pointing",
    "deadtime": "log of the live-time fraction",
    "safe_energy": "log of the safe energy",
    "control_outer": "log rate of control events beyond the field",
    "control_low": "log rate of control events below the safe energy",
    "control_rim": "log rate of control events at the rim",
}
# A larger jump of the muon efficiency between runs is new mirrors or electronics
_EPOCH_JUMP = 0.1
# Control rates are integrals far above and below the safe energy, which has steps from
# run to run. These powers of it take most of that out; found on H.E.S.S. DR1 by the
# deviance of runs left out, which is flat about them
_OUTER_POWER = 0.5
_LOW_POWER = -2.0
_RIM_POWER = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class TermInputs:
    """What the terms are made of, for each of several runs.

    Attributes
    ----------
    conditions : np.ndarray
        Standardised conditions in the order of `CONDITION_NAMES`,
        shape ``(n_runs, n_conditions)``.
    upward : np.ndarray
        Components in lon and lat of the direction of the zenith, ``(n_runs, 2)``.
    tan_zenith : np.ndarray
        Tangent of the zenith angle, shape ``(n_runs,)``.
    epoch : np.ndarray
        Number of the epoch from zero on, shape ``(n_runs,)``.
    n_epochs : int
        Number of epochs.
    n_radial : int
        Number of splines in offset squared.
    """

    conditions: np.ndarray
    upward: np.ndarray
    tan_zenith: np.ndarray
    epoch: np.ndarray
    n_epochs: int
    n_radial: int

    def condition(self, name: str) -> np.ndarray:
        """Return one standardised condition.

        Parameters
        ----------
        name : str
            One of `CONDITION_NAMES`.

        Returns
        -------
        np.ndarray
            Values, shape ``(n_runs,)``.
        """
        values: np.ndarray = self.conditions[:, CONDITION_NAMES.index(name)]
        return values


@dataclass(frozen=True, kw_only=True)
class Term:
    """A part of the regression that the settings can name.

    Attributes
    ----------
    needs : tuple of str
        Conditions that must be known and vary.
    columns : callable
        Makes its columns of the design from `TermInputs`: for each run the weights of
        the functions of the field, radial splines, lon, lat, lon2 - lat2 and 2 lon
        lat, shape ``(n_runs, n_columns, n_radial + 4)``.
    """

    needs: tuple[str, ...]
    columns: Callable[[TermInputs], np.ndarray]


def make_conditions(run: RunCounts, *, fov_alignment: str) -> RunConditions:
    """Collect the conditions of a run.

    Parameters
    ----------
    run : RunCounts
        Histograms and control events of the run.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    RunConditions
        Its conditions.
    """
    control, source = run.control, run.run
    log_safe = float(np.log(run.lowest_energy))
    outer = _log_rate(control.counts_outer, control.exposure_outer)
    low = _log_rate(control.counts_low, control.exposure_low)
    rim = _log_rate(control.counts_rim, control.exposure_rim)
    return RunConditions(
        cos_zenith=float(np.cos(np.radians(source.zenith))),
        azimuth=source.azimuth,
        position_angle=0.0 if fov_alignment == "ALTAZ" else run.position_angle,
        muon_efficiency=source.muon_efficiency,
        deadc=source.deadc,
        time=(source.time_start + source.time_stop) / 2,
        safe_energy=run.lowest_energy,
        control_outer=outer + _OUTER_POWER * log_safe,
        control_low=low + _LOW_POWER * log_safe,
        control_rim=rim + _RIM_POWER * log_safe,
    )


def require_pointing(run: Run, terms: Sequence[str], *, fov_alignment: str) -> None:
    """Refuse a run of which it is not known where the zenith is.

    Other conditions may be missing: their terms are dropped, or take the mean.

    Parameters
    ----------
    run : Run
        The run.
    terms : sequence of str
        Terms of the regression.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Raises
    ------
    InputError
        If the zenith angle is not known, or its direction where a term needs that.
    """
    where = f"run {run.obs_id}"
    if not np.isfinite(run.zenith):
        raise InputError(
            what="the zenith angle is unknown",
            where=where,
            fix="Add ZEN_PNT or ALT_PNT to the observation index, or leave the run out "
            "by [select] exclude_obs_ids",
        )
    is_known = fov_alignment == "ALTAZ" or is_placed(run)
    if "gradient_zenith" in terms and not is_known:
        raise InputError(
            what="the direction of the zenith is unknown",
            where=where,
            fix="Add GEOLON and GEOLAT to the events, or take gradient_zenith out of "
            "[fit] terms",
        )


def condition_table(conditions: Sequence[RunConditions]) -> np.ndarray:
    """Return what the terms are linear in, not standardised.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run.

    Returns
    -------
    np.ndarray
        In the order of `CONDITION_NAMES`, shape ``(n_runs, n_conditions)``: cosine of
        the zenith angle; north component of the pointing, cos(azimuth) sin(zenith);
        muon efficiency; log of the dead-time fraction; time [d]; logs of the safe
        energy and of the control rates.
    """
    rows = [
        (
            one.cos_zenith,
            np.cos(np.radians(one.azimuth)) * np.sqrt(max(0, 1 - one.cos_zenith**2)),
            one.muon_efficiency,
            np.log(one.deadc) if one.deadc > 0 else np.nan,
            one.time,
            np.log(one.safe_energy) if one.safe_energy > 0 else np.nan,
            one.control_outer,
            one.control_low,
            one.control_rim,
        )
        for one in conditions
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(CONDITION_NAMES))


def sky_directions(conditions: Sequence[RunConditions]) -> np.ndarray:
    """Return where the zenith is in the field of view.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run.

    Returns
    -------
    np.ndarray
        Components in lon and lat, shape ``(n_runs, 2)``: lon grows with decreasing
        right ascension, position angles from north over east.
    """
    angle = np.radians([one.position_angle for one in conditions])
    return np.column_stack([-np.sin(angle), np.cos(angle)])


def find_epochs(conditions: Sequence[RunConditions]) -> np.ndarray:
    """Find the times at which the muon efficiency jumps.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run.

    Returns
    -------
    np.ndarray
        Times between epochs, shape ``(n_epochs - 1,)`` [d].
    """
    known = [c for c in conditions if np.isfinite(c.muon_efficiency + c.time)]
    time = np.array([one.time for one in known])
    order = np.argsort(time, kind="stable")
    muon = np.array([one.muon_efficiency for one in known])[order]
    jumps = np.flatnonzero(np.abs(np.diff(muon)) > _EPOCH_JUMP)
    edges: np.ndarray = (time[order][jumps] + time[order][jumps + 1]) / 2
    return edges


def _log_rate(counts: int, exposure: float) -> float:
    if not exposure > 0:
        return float("nan")
    # 1/2 keeps a run without control events finite
    return float(np.log((counts + 0.5) / exposure))


def _blank(inputs: TermInputs, n_columns: int) -> np.ndarray:
    return np.zeros((len(inputs.conditions), n_columns, inputs.n_radial + 4))


def _uniform(inputs: TermInputs, *factors: np.ndarray) -> np.ndarray:
    """Columns that are the same all over the field: the splines sum to one."""
    columns = _blank(inputs, len(factors))
    columns[:, :, : inputs.n_radial] = np.column_stack(factors)[:, :, np.newaxis]
    return columns


def _radial(inputs: TermInputs, values: np.ndarray) -> np.ndarray:
    """Columns that change the radial shape: values times each radial spline."""
    columns = _blank(inputs, inputs.n_radial)
    radial = np.arange(inputs.n_radial)
    columns[:, radial, radial] = values[:, np.newaxis]
    return columns


def _zenith(inputs: TermInputs) -> np.ndarray:
    z = inputs.condition("zenith")
    return np.concatenate([_radial(inputs, z), _radial(inputs, z**2)], axis=1)


def _linear(name: str) -> Callable[[TermInputs], np.ndarray]:
    def columns(inputs: TermInputs) -> np.ndarray:
        return _uniform(inputs, inputs.condition(name))

    return columns


def _radial_with_zenith(name: str) -> Callable[[TermInputs], np.ndarray]:
    def columns(inputs: TermInputs) -> np.ndarray:
        values = inputs.condition(name)
        with_zenith = _uniform(inputs, values * inputs.condition("zenith"))
        return np.concatenate([_radial(inputs, values), with_zenith], axis=1)

    return columns


def _epoch(inputs: TermInputs) -> np.ndarray:
    later = range(1, inputs.n_epochs)
    steps = [(inputs.epoch == number).astype(np.float64) for number in later]
    return _uniform(inputs, *steps) if steps else _blank(inputs, 0)


def _gradient(inputs: TermInputs) -> np.ndarray:
    columns = _blank(inputs, 2)
    columns[:, 0, inputs.n_radial] = 1.0
    columns[:, 1, inputs.n_radial + 1] = 1.0
    return columns


def _gradient_zenith(inputs: TermInputs) -> np.ndarray:
    columns = _blank(inputs, 3)
    for power in range(3):
        scale = inputs.tan_zenith**power
        place = slice(inputs.n_radial, inputs.n_radial + 2)
        columns[:, power, place] = scale[:, np.newaxis] * inputs.upward
    return columns


def _quadrupole(inputs: TermInputs) -> np.ndarray:
    columns = _blank(inputs, 2)
    columns[:, 0, inputs.n_radial + 2] = 1.0
    columns[:, 1, inputs.n_radial + 3] = 1.0
    return columns


TERMS: MappingProxyType[str, Term] = MappingProxyType(
    {
        "zenith": Term(needs=("zenith",), columns=_zenith),
        "azimuth": Term(needs=("azimuth",), columns=_linear("azimuth")),
        "muon": Term(needs=("muon",), columns=_linear("muon")),
        "epoch": Term(needs=("muon",), columns=_epoch),
        "gradient": Term(needs=(), columns=_gradient),
        "gradient_zenith": Term(needs=(), columns=_gradient_zenith),
        "time": Term(needs=("time",), columns=_linear("time")),
        "safe_energy": Term(needs=("safe_energy",), columns=_linear("safe_energy")),
        "control_outer": Term(
            needs=("control_outer",), columns=_linear("control_outer")
        ),
        "control_low": Term(
            needs=("control_low",), columns=_radial_with_zenith("control_low")
        ),
        "control_rim": Term(needs=("control_rim",), columns=_linear("control_rim")),
        "quadrupole": Term(needs=(), columns=_quadrupole),
        "deadtime": Term(needs=("deadtime",), columns=_linear("deadtime")),
    }
)

DEFAULT_TERMS = (
    "zenith",
    "azimuth",
    "time",
    "gradient",
    "gradient_zenith",
    "quadrupole",
    "control_outer",
    "control_low",
)
