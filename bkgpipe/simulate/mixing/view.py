"""In words, how background events came into a store."""

from __future__ import annotations

import numpy as np

from bkgpipe.simulate.mixing.data import ComponentTotal, Provenance

__all__ = ["describe_provenance"]

_HEADINGS: tuple[str, ...] = (
    "component",
    "type",
    "runs",
    "expected",
    "drawn",
    "pull",
    "rejected",
    "reused",
    "chi2 / dof",
    "p",
)


def describe_provenance(provenance: Provenance) -> str:
    """Compare the events that were drawn with those expected.

    Parameters
    ----------
    provenance : Provenance
        The record.

    Returns
    -------
    str
        A table with a row for each component; without a final line break.
    """
    rows = [_HEADINGS, *(_row(total) for total in provenance.totals)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    n_runs = len({record.obs_id for record in provenance.records})
    what = f"{provenance.method}: {n_runs} runs of {provenance.store}"
    return "\n".join([f"{what}, seed {provenance.seed}", "", *lines])


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """Words to the left, numbers to the right."""
    name, *numbers = row
    right = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
    return [name.ljust(widths[0]), *right]


def _row(total: ComponentTotal) -> tuple[str, ...]:
    return (
        total.component,
        str(total.bkg_type),
        str(total.n_runs),
        f"{total.expected:.1f}",
        str(total.drawn),
        _pull(total),
        str(total.rejected),
        str(total.reused),
        f"{total.chi_squared:.1f} / {total.dof}" if total.dof else "-",
        f"{total.p_value:.3f}" if total.dof else "-",
    )


def _pull(total: ComponentTotal) -> str:
    if not total.expected > 0:
        return "-"
    return f"{(total.drawn - total.expected) / np.sqrt(total.expected):+.2f}"
