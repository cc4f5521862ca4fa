"""Put the events of one run, and the background of its model, on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import healpy as hp
import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.alignment import Alignment, align_run
from bkgpipe.geometry.frames import unit_vectors
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.pixels import is_kept_vectors
from bkgpipe.stages.sky.data import FINE_BITS, RunSky
from bkgpipe.stages.sky.model import WrittenModel

__all__ = ["make_run_sky"]

_FINE = 2 ** (FINE_BITS // 2)


def make_run_sky(
    run: Run,
    events: Events,
    mask: ExclusionMask,
    model: WrittenModel,
    *,
    binning: Binning,
    nside: int,
    bands: tuple[np.ndarray, tuple[float, float]],
    has_norm: bool,
) -> RunSky:
    """Count the events of a run on the sky, and predict them.

    The field is the pixels that have their centre within the largest offset; events in
    other pixels, or outside the energies of the run, are left out of both.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its exclusion mask.
    model : WrittenModel
        Its background model, per on-time.
    binning : Binning
        Axes of the models, for the size of the field.
    nside : int
        HEALPix resolution.
    bands : tuple of np.ndarray and tuple of float
        Edges of the energy bands, shape ``(n_band + 1,)``, and lowest and highest
        energy of the run [TeV].
    has_norm : bool
        Whether to scale the background to the events outside the mask.

    Returns
    -------
    RunSky
        Events and background.

    Raises
    ------
    InputError
        If the pointing is not known; for an ALTAZ model also if the place of the
        observatory is not.
    """
    band_edges, energy_range = bands
    good = events.keep(events.is_valid & events.is_in_good_time)
    alignment = align_run(run, good, binning, fov_alignment=model.fov_alignment)
    field = _find_pixels(alignment, mask, nside=nside, offset_max=binning.offset_max)
    seen = _locate(good, field, band_edges=band_edges, energy_range=energy_range)
    rate = _mean_rate(model, alignment, field.vectors, _limit(band_edges, energy_range))
    background = rate * (events.ontime * hp.nside2pixarea(nside))
    norm, error = _norm(field, seen, background) if has_norm else (1.0, np.nan)
    return RunSky(
        obs_id=run.obs_id,
        nside=nside,
        band_edges=band_edges,
        energy_range=np.array(energy_range),
        ontime=events.ontime,
        pixels=field.pixels,
        is_kept=field.is_kept,
        background=(norm * background).astype(np.float32),
        event_pixels=seen.pixels,
        event_bands=seen.bands,
        norm=norm,
        norm_error=error,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _FieldPixels:
    """Pixels of the field: numbers, directions, and whether the mask keeps them."""

    pixels: np.ndarray
    vectors: np.ndarray
    is_kept: np.ndarray
    nside: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """Events in the field: their fine pixels and energy bands."""

    pixels: np.ndarray
    bands: np.ndarray


def _find_pixels(
    alignment: Alignment, mask: ExclusionMask, *, nside: int, offset_max: float
) -> _FieldPixels:
    pointing = alignment.radec_matrix[0]
    pixels = np.sort(hp.query_disc(nside, pointing, np.radians(offset_max), nest=True))
    vectors = np.column_stack(hp.pix2vec(nside, pixels, nest=True))
    return _FieldPixels(
        pixels=pixels,
        vectors=vectors,
        is_kept=is_kept_vectors(mask, vectors),
        nside=nside,
    )


def _locate(
    events: Events,
    field: _FieldPixels,
    *,
    band_edges: np.ndarray,
    energy_range: tuple[float, float],
) -> _Seen:
    low, high = energy_range
    used = events.keep((events.energy >= low) & (events.energy < high))
    band = np.searchsorted(band_edges, used.energy, side="right") - 1
    vectors = unit_vectors(used.ra, used.dec)
    fine = hp.vec2pix(_FINE * field.nside, *vectors.T, nest=True)
    place = np.searchsorted(field.pixels, fine >> FINE_BITS)
    place = place.clip(max=field.pixels.size - 1)
    is_in = field.pixels[place] == fine >> FINE_BITS
    is_in &= (band >= 0) & (band < band_edges.size - 1)
    return _Seen(pixels=fine[is_in], bands=band[is_in].astype(np.uint8))


def _limit(
    band_edges: np.ndarray, energy_range: tuple[float, float]
) -> list[tuple[float, float]]:
    """Cut bands of energy to those of the run."""
    return list(pairwise(np.clip(band_edges, *energy_range).tolist()))


def _mean_rate(
    model: WrittenModel,
    alignment: Alignment,
    vectors: np.ndarray,
    bands: list[tuple[float, float]],
) -> np.ndarray:
    """Mean over the turn of the field, shape ``(n_band, n)`` [s-1 sr-1]."""
    rate = np.zeros((len(bands), len(vectors)))
    steps = zip(alignment.step_matrices, alignment.step_weights, strict=True)
    for matrix, weight in steps:
        rate += weight * model.integrate(vectors @ matrix.T, bands)
    return rate


def _norm(
    field: _FieldPixels, seen: _Seen, background: np.ndarray
) -> tuple[float, float]:
    """Events over prediction outside the mask, and the error of that."""
    kept = field.pixels[field.is_kept]
    n_events = int(np.isin(seen.pixels >> FINE_BITS, kept).sum())
    predicted = float(background[:, field.is_kept].sum())
    if not n_events or not predicted > 0:
        return 1.0, float("nan")
    return n_events / predicted, np.sqrt(n_events) / predicted
