from __future__ import annotations

import healpy as hp
import numpy as np
import pytest

from bkgpipe.stages.sky.data import FINE_BITS, RunSky

NSIDE = 256
BANDS = np.array([0.5, 1.0, 8.0])


@pytest.fixture
def make_run_sky():
    """Factory of runs on the sky with a smooth background, and sources if asked for."""

    def make(
        obs_id=1, ra=80.0, dec=20.0, *, level=4.0, sources=(), excluded=(), seed=0
    ) -> RunSky:
        rng = np.random.default_rng(seed + obs_id)
        centre = hp.ang2vec(ra, dec, lonlat=True)
        pixels = np.sort(hp.query_disc(NSIDE, centre, np.radians(2.0), nest=True))
        vectors = np.column_stack(hp.pix2vec(NSIDE, pixels, nest=True))
        offset = np.degrees(np.arccos(np.clip(vectors @ centre, -1, 1)))
        background = level * np.exp(-0.5 * offset**2) * np.array([[0.75], [0.25]])
        counts = rng.poisson(background)
        events, bands = _scatter(pixels, counts, rng)
        for source in sources:
            found = _point(source, rng)
            events = np.append(events, found)
            bands = np.append(bands, np.ones(found.size, dtype=np.uint8))
        kept = np.ones(pixels.size, dtype=bool)
        for place in excluded:
            around = hp.ang2vec(*place[:2], lonlat=True)
            disc = hp.query_disc(NSIDE, around, np.radians(place[2]), nest=True)
            kept &= ~np.isin(pixels, disc)
        return RunSky(
            obs_id=obs_id,
            nside=NSIDE,
            band_edges=BANDS,
            energy_range=BANDS[[0, -1]],
            ontime=1800.0,
            pixels=pixels,
            is_kept=kept,
            background=background.astype(np.float32),
            event_pixels=events,
            event_bands=bands.astype(np.uint8),
            norm=1.0,
            norm_error=0.01,
        )

    return make


def _scatter(pixels, counts, rng):
    n_parts = 2**FINE_BITS
    events, bands = [], []
    for band, row in enumerate(counts):
        coarse = np.repeat(pixels, row)
        events.append((coarse << FINE_BITS) + rng.integers(0, n_parts, coarse.size))
        bands.append(np.full(coarse.size, band))
    return np.concatenate(events), np.concatenate(bands)


def _point(source, rng):
    """Events of a source of 0.08 deg: ra, dec, number."""
    ra, dec, n_events = source
    lat = dec + rng.normal(0, 0.08, n_events)
    lon = ra + rng.normal(0, 0.08, n_events) / np.cos(np.radians(dec))
    fine = NSIDE * 2 ** (FINE_BITS // 2)
    return hp.ang2pix(fine, lon, lat, nest=True, lonlat=True)
