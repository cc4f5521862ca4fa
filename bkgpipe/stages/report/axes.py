"""The test on several energy axes in a report."""

from __future__ import annotations

from bkgpipe.plot.pages import Cell, Picture, Table, number, word
from bkgpipe.stages.validate.axes_data import AxesSummary, AxisRow

__all__ = ["axes_picture", "axes_table"]


def axes_table(summary: AxesSummary) -> Table:
    """Put the numbers of models on axes that are not their own.

    Parameters
    ----------
    summary : AxesSummary
        Numbers.

    Returns
    -------
    Table
        A row for each kind of models, range and axis.
    """
    columns = (
        *("model", "energies", "bins per decade", "runs", "events"),
        *("predicted / counted", "shape, rms", "worst bin", "at [TeV]", "chi2 / bins"),
        *("floor of predicted / counted", "floor of chi2"),
        *("scatter of runs, worst", "scatter of runs, median"),
        "events where models have no bin",
    )
    rows = tuple(_row(row) for row in summary.rows)
    return Table(name="Energy axes", columns=columns, rows=rows)


def _row(row: AxisRow) -> tuple[Cell, ...]:
    return (
        word(row.model),
        word(row.energies),
        word(row.axis),
        number(row.n_runs),
        number(row.n_events, ",d"),
        number(row.total, ".3f"),
        number(row.rms, ".1%"),
        number(row.worst, "+.1%"),
        number(row.worst_energy, ".2g"),
        word(f"{row.chi2:.0f} / {row.n_bins}"),
        number(row.floor_total, ".3f"),
        number(row.floor_chi2, ".0f"),
        number(row.scatter, ".3f"),
        number(row.scatter_median, ".3f"),
        number(row.n_uncovered, ",d"),
    )


def axes_picture(summary: AxesSummary, *, file: str) -> Picture:
    """Describe the figure of the test.

    Parameters
    ----------
    summary : AxesSummary
        Numbers.
    file : str
        Name of the image.

    Returns
    -------
    Picture
        File, words in its place, and caption.
    """
    n_runs = max((row.n_runs for row in summary.rows), default=0)
    return Picture(
        file=file,
        alt="Counted over predicted events against energy, on axes of several numbers "
        "of bins per decade, above the safe energy and from half of it",
        caption=f"{n_runs} runs after one norm each, which is taken above the safe "
        "energy; Poisson errors. Bins in which 20 or more events are counted or "
        "predicted.",
    )
