"""Products in words, as pictures and as a page."""

from __future__ import annotations

from bkgpipe.view.figures import (
    figure_counts,
    figure_mask,
    figure_rate,
    make_figure,
)
from bkgpipe.view.images import save_figure
from bkgpipe.view.ranking import figure_ranking, figure_rankings
from bkgpipe.view.report import make_pages
from bkgpipe.view.words import describe

__all__ = [
    "describe",
    "figure_counts",
    "figure_mask",
    "figure_ranking",
    "figure_rankings",
    "figure_rate",
    "make_figure",
    "make_pages",
    "save_figure",
]
