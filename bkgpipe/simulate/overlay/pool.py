"""Share out the live time of OFF runs among targets, in each cell of the field.

An excluded region is a hole in what its run offers. Where a cell of the field is in a
hole, a target waits for the next run that sees the cell: each cell is read at its own
pace, and gets exactly the live time of the target. So no event needs a weight, none is
given twice unless asked for, and none that is kept is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bkgpipe.simulate.overlay.data import OffExposure, PoolPiece, PoolUse

__all__ = ["OffPool", "describe_spans"]

# less live time than this is rounding [s]
_ROUNDING = 1e-6


class OffPool:
    """The OFF runs, and how much of each cell of them is used.

    Parameters
    ----------
    exposures : mapping of int to OffExposure
        What each OFF run offers, by its number.
    """

    def __init__(self, exposures: Mapping[int, OffExposure]) -> None:
        self._exposures = exposures
        self._offered: dict[int, np.ndarray] = {}
        self._used: dict[int, np.ndarray] = {}
        self._is_second: dict[int, np.ndarray] = {}
        self._spent: set[int] = set()

    def serve(
        self,
        livetime: float,
        off_ids: Sequence[int],
        *,
        factors: Sequence[float],
        reuse: bool,
    ) -> tuple[tuple[PoolPiece, ...], np.ndarray]:
        """Give a target its live time in each cell of the field.

        Parameters
        ----------
        livetime : float
            Live time of the target [s].
        off_ids : sequence of int
            OFF runs that match it, in the order in which they are read.
        factors : sequence of float
            Rate of the target over that of each: of a run with half the rate twice the
            live time is put into one second of the target.
        reuse : bool
            Begin again where all that matches is used up.

        Returns
        -------
        pieces : tuple of PoolPiece
            What each run gives; a run comes twice when it is begun again.
        lacking : np.ndarray
            Live time that is missing in each cell, shape ``(n_cells,)`` [s].
        """
        n_cells = next((self._exposures[i].kept.shape[1] for i in off_ids), 1)
        lacking = np.full(n_cells, livetime)
        pieces = self._read(lacking, livetime, off_ids=off_ids, factors=factors)
        while reuse and (again := self._refillable(lacking, off_ids)).any():
            self._spent.difference_update(off_ids)
            for off_id in off_ids:
                self._used[off_id][again] = 0.0
                self._is_second[off_id][again] = True
            pieces += self._read(lacking, livetime, off_ids=off_ids, factors=factors)
        return tuple(pieces), lacking

    def replay(self, uses: Sequence[PoolUse]) -> None:
        """Take out again what earlier targets got.

        Parameters
        ----------
        uses : sequence of PoolUse
            What they asked for, in that order, of runs that are all in the pool.
        """
        for use in uses:
            self.serve(use.livetime, use.off_ids, factors=use.factors, reuse=True)

    def offered(self, off_ids: Sequence[int]) -> np.ndarray:
        """Tell how long OFF runs see each cell, used or not.

        Parameters
        ----------
        off_ids : sequence of int
            Numbers of the runs, at least one.

        Returns
        -------
        np.ndarray
            Kept live time, shape ``(n_cells,)`` [s].
        """
        for off_id in off_ids:
            self._open(off_id)
        offered: np.ndarray = np.sum([self._offered[i] for i in off_ids], axis=0)
        return offered

    def left(self, off_id: int) -> float:
        """Tell how much of an OFF run nobody got yet.

        Parameters
        ----------
        off_id : int
            Number of the run.

        Returns
        -------
        float
            Live time, as a mean over the field; zero where it was begun again [s].
        """
        self._open(off_id)
        left = np.where(
            self._is_second[off_id], 0.0, self._offered[off_id] - self._used[off_id]
        )
        return float(left.mean())

    def _open(self, off_id: int) -> None:
        if off_id not in self._used:
            offered = self._exposures[off_id].kept_livetime
            self._offered[off_id] = offered
            self._used[off_id] = np.zeros(offered.shape)
            self._is_second[off_id] = np.zeros(offered.shape, dtype=bool)

    def _refillable(self, lacking: np.ndarray, off_ids: Sequence[int]) -> np.ndarray:
        """Cells that lack live time, and that a run sees at all."""
        if not off_ids or not (lacking > _ROUNDING).any():
            return np.zeros(lacking.shape, dtype=bool)
        is_refillable: np.ndarray = self.offered(off_ids) > _ROUNDING
        return is_refillable & (lacking > _ROUNDING)

    def _read(
        self,
        lacking: np.ndarray,
        livetime: float,
        *,
        off_ids: Sequence[int],
        factors: Sequence[float],
    ) -> list[PoolPiece]:
        """Read runs one after another; `lacking` shrinks."""
        pieces = []
        for off_id, factor in zip(off_ids, factors, strict=True):
            # an archive has thousands of runs, most of them used up or not needed yet
            if off_id in self._spent:
                continue
            if not (lacking > _ROUNDING).any():
                break
            self._open(off_id)
            start = self._used[off_id].copy()
            taken = np.minimum(self._offered[off_id] - start, lacking * factor)
            taken[taken < _ROUNDING] = 0.0
            if not taken.any():
                continue
            pieces.append(
                PoolPiece(
                    off_id=off_id,
                    factor=factor,
                    start=start,
                    taken=taken,
                    filled=livetime - lacking,
                    is_reused=self._is_second[off_id].copy(),
                )
            )
            self._used[off_id] = start + taken
            if (self._offered[off_id] - start - taken < _ROUNDING).all():
                self._spent.add(off_id)
            lacking -= taken / factor
        return pieces


def describe_spans(
    pieces: Sequence[PoolPiece],
) -> tuple[tuple[int, float, float, float], ...]:
    """Say in few numbers what each run gave.

    Parameters
    ----------
    pieces : sequence of PoolPiece
        What runs gave to a target.

    Returns
    -------
    tuple of tuple
        For each piece the run, start and end of the span of its kept live time [s],
        and the mean over the field of what was taken of the span.
    """
    spans = []
    for piece in pieces:
        is_taken = piece.taken > 0
        start = float(piece.start[is_taken].min())
        end = float((piece.start + piece.taken)[is_taken].max())
        share = float(piece.taken.mean()) / (end - start)
        spans.append((piece.off_id, round(start, 3), round(end, 3), round(share, 6)))
    return tuple(spans)
