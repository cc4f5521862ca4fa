"""Rankings in words, in a table and in pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bkgpipe.plot.axes import COLORS
from bkgpipe.stages.rank.data import REASONS, Ranking

__all__ = [
    "describe_ranking",
    "figure_ranking",
    "figure_rankings",
    "ranking_rows",
    "worst_first",
]

_LISTED = 20
_MAX_ROWS = 50  # a page of 10^4 targets would be of no use to anybody
_MAX_CELLS = 200  # of the matrix along each side: finer than that is not seen
_TAKEN_COLOR, _OTHER_COLOR = COLORS[:2]


def describe_ranking(ranking: Ranking, *, n_listed: int = _LISTED) -> str:
    """Say what was taken for a target, and why not the others.

    Parameters
    ----------
    ranking : Ranking
        Ranking of ``n_runs`` candidates.
    n_listed : int
        Lines of candidates, at most.

    Returns
    -------
    str
        Lines of text with numbers and units, without a final line break.
    """
    n_taken = int(ranking.is_taken.sum())
    counted = ", ".join(f"{number} {name}" for name, number in ranking.counted.items())
    lines = [
        f"Ranking for run {ranking.obs_id}",
        f"Candidates: {int(ranking.n_by_reason.sum())} ({counted or 'none'})",
        f"Taken: {n_taken} {'run' if n_taken == 1 else 'runs'}, "
        f"{ranking.hours:.2f} h live time"
        + (", fewer hours than asked for" if ranking.is_short else ""),
    ]
    if ranking.widened > 1:
        lines.append(f"Limits widened by the factor {ranking.widened:.3g}")
    n_more = ranking.obs_ids.size - n_listed
    lines += [_line(ranking, i) for i in range(min(n_listed, ranking.obs_ids.size))]
    return "\n".join(lines + ([f"  and {n_more} more"] if n_more > 0 else []))


def worst_first(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Order rankings: the short ones, then those with the largest divergence.

    Parameters
    ----------
    rankings : sequence of Ranking
        Rankings in any order.

    Returns
    -------
    list of Ranking
        The same.
    """

    def badness(ranking: Ranking) -> tuple[bool, float, int]:
        largest = np.nan_to_num(ranking.largest_divergence, nan=np.inf)
        return not ranking.is_short, -float(largest), ranking.obs_id

    return sorted(rankings, key=badness)


def ranking_rows(rankings: Sequence[Ranking]) -> list[dict[str, str]]:
    """Make the lines of a table, one for each target, the worst ones first.

    Parameters
    ----------
    rankings : sequence of Ranking
        Rankings in any order.

    Returns
    -------
    list of dict of str to str
        At most 50 lines, of the same columns; a column for each reason that occurs.
    """
    occurring = sorted(
        {name for ranking in rankings for name in ranking.counted}, key=REASONS.index
    )
    return [_row(ranking, occurring) for ranking in worst_first(rankings)[:_MAX_ROWS]]


def figure_ranking(ranking: Ranking) -> Figure:
    """Draw the divergence against the hours so far, and why others were not taken.

    Parameters
    ----------
    ranking : Ranking
        Ranking of ``n_runs`` candidates.

    Returns
    -------
    Figure
        Divergence of the candidates that pass against cumulative live time, those
        taken marked; number of candidates of each reason.
    """
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    divergence, reasons = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
    is_beyond = ranking.reason == REASONS.index("beyond the hours")
    is_open = ranking.is_taken | is_beyond
    hours = np.cumsum(ranking.livetime * is_open) / 3600.0
    for chosen, color, marker, word in (
        (ranking.is_taken, _TAKEN_COLOR, "o", "taken"),
        (is_beyond, _OTHER_COLOR, "x", "beyond the hours"),
    ):
        divergence.plot(
            hours[chosen],
            ranking.divergence[chosen],
            color=color,
            marker=marker,
            linestyle="none",
            label=f"{word}: {int(chosen.sum())} listed",
        )
    divergence.axvline(ranking.hours, color="0.5", linestyle="--")
    divergence.set(xlabel="live time so far [h]", ylabel="divergence [nat]")
    divergence.set_ylim(bottom=0.0)
    divergence.grid(visible=True, alpha=0.3)
    divergence.legend(title=f"run {ranking.obs_id}", fontsize="small")
    _draw_reasons(reasons, ranking.counted)
    return figure


def figure_rankings(rankings: Sequence[Ranking]) -> Figure:
    """Draw which runs were taken for which targets, and how like they are.

    Parameters
    ----------
    rankings : sequence of Ranking
        One ranking or more.

    Returns
    -------
    Figure
        Matrix of targets and runs taken, both in order of their numbers; divergence
        of the runs taken for each target; how often each run was taken.
    """
    rankings = sorted(rankings, key=lambda ranking: ranking.obs_id)
    figure = Figure(figsize=(12.0, 3.9), layout="constrained")
    matrix, divergence, often = figure.subplots(1, 3)
    listed = np.concatenate([ranking.taken for ranking in rankings])
    targets = np.repeat(
        np.arange(len(rankings)), [ranking.taken.size for ranking in rankings]
    )
    taken_ids, times = np.unique(listed, return_counts=True)
    _draw_matrix(
        matrix,
        targets,
        np.searchsorted(taken_ids, listed),
        sizes=(len(rankings), taken_ids.size),
    )
    _draw_divergences(divergence, rankings)
    often.plot(np.sort(times)[::-1], color=_TAKEN_COLOR, drawstyle="steps-mid")
    often.set(xlabel="runs, in this order", ylabel="times taken", title="how often")
    often.set_ylim(bottom=0.0)
    often.grid(visible=True, alpha=0.3)
    return figure


def _line(ranking: Ranking, index: int) -> str:
    divergence = ranking.divergence[index]
    likeness = (
        f"divergence {divergence:.5f} nat" if np.isfinite(divergence) else "no shape"
    )
    return (
        f"  run {ranking.obs_ids[index]}: {likeness}, "
        f"{ranking.livetime[index] / 3600:.2f} h, rate x {ranking.scale[index]:.3f}: "
        f"{REASONS[ranking.reason[index]]}"
    )


def _row(ranking: Ranking, reasons: Sequence[str]) -> dict[str, str]:
    largest = ranking.largest_divergence
    row = {
        "run": str(ranking.obs_id),
        "hours taken": f"{ranking.hours:.2f}" + (" (short)" * ranking.is_short),
        "largest divergence [nat]": f"{largest:.4f}" if np.isfinite(largest) else "-",
        "limits widened by": f"{ranking.widened:.2f}" if ranking.widened > 1 else "-",
    }
    numbers = {reason: str(ranking.counted.get(reason, 0)) for reason in reasons}
    return row | numbers


def _draw_reasons(ax: Axes, counted: dict[str, int]) -> None:
    names = list(counted)[::-1]
    numbers = [counted[name] for name in names]
    colors = [_TAKEN_COLOR if name == "taken" else _OTHER_COLOR for name in names]
    bars = ax.barh(range(len(names)), numbers, color=colors)
    ax.bar_label(bars, padding=2, fontsize="small")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlim(right=1.15 * max([*numbers, 1]))
    ax.set(xlabel="candidates")


def _draw_matrix(
    ax: Axes, targets: np.ndarray, runs: np.ndarray, *, sizes: tuple[int, int]
) -> None:
    edges = [np.linspace(0, max(n, 1), min(max(n, 1), _MAX_CELLS) + 1) for n in sizes]
    taken, *_ = np.histogram2d(targets + 0.5, runs + 0.5, bins=edges)
    cell = (edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0])
    drawn = ax.pcolormesh(
        edges[1], edges[0], taken / cell, cmap="Blues", vmin=0.0, vmax=1.0
    )
    ax.set(xlabel="run taken", ylabel="target", title="taken, in order of run number")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    figure = ax.get_figure()
    if figure is not None:
        figure.colorbar(drawn, ax=ax, label="share taken")


def _draw_divergences(ax: Axes, rankings: Sequence[Ranking]) -> None:
    taken = [ranking.divergence[ranking.is_taken] for ranking in rankings]
    values = np.array(
        [(each.max(), np.median(each), each.min()) for each in taken if each.size]
    ).reshape(-1, 3)
    ordered = values[np.argsort(values[:, 0])]
    for column, (word, style) in enumerate(
        (("largest", "-"), ("median", "--"), ("smallest", ":"))
    ):
        ax.plot(ordered[:, column], color=_TAKEN_COLOR, linestyle=style, label=word)
    ax.set(xlabel="targets, in this order", ylabel="divergence [nat]")
    ax.set(title="divergence of the runs taken")
    ax.set_ylim(bottom=0.0)
    ax.grid(visible=True, alpha=0.3)
    ax.legend(fontsize="small")
