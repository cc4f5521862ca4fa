"""Sources of `gallery.py`, and what Mohrmann et al. 2019 found."""

from __future__ import annotations

from dataclasses import dataclass

from astropy.coordinates import SkyCoord
from gammapy.modeling.models import (
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PointSpatialModel,
    SpatialModel,
)

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A source, and what the paper found with gammapy and a 3D fit.

    Attributes
    ----------
    name, runs : str
        Name, and ``TARGET_NAME`` of its runs.
    ra, dec, radius : float
        Position, and radius around it that counts as source [deg].
    spatial : SpatialModel
        Shape at the start of the fit.
    reference : float
        Energy at which the amplitude is told [TeV].
    paper : tuple of float
        Amplitude, its error [TeV-1 cm-2 s-1], index, its error at that energy, from
        ``spectrum_results/gammapy_*_3d*_powerlaw.dat`` of
        https://github.com/lmohrmann/hess_ost_paper_material
    others : tuple of tuple of float
        Other sources, which the fit leaves out: position and radius [deg].
    free : tuple of str
        Parameters of the shape that gammapy freezes and the fit frees.
    """

    name: str
    runs: str
    ra: float
    dec: float
    radius: float
    spatial: SpatialModel
    reference: float
    paper: tuple[float, float, float, float]
    others: tuple[tuple[float, float, float], ...] = ()
    free: tuple[str, ...] = ()

    @property
    def position(self) -> SkyCoord:
        """Where the source is."""
        return SkyCoord(self.ra, self.dec, unit="deg")


TARGETS = (
    Target(
        name="Crab nebula",
        runs="Crab",
        ra=83.633,
        dec=22.014,
        radius=0.4,
        spatial=PointSpatialModel(),
        reference=1.45,
        paper=(1.73144e-11, 8.28426e-13, 2.69252, 0.0661353),
    ),
    Target(
        name="PKS 2155-304",
        runs="PKS 2155-304 (steady)",
        ra=329.717,
        dec=-30.226,
        radius=0.4,
        spatial=PointSpatialModel(),
        reference=0.65,
        paper=(2.20939e-11, 2.23194e-12, 3.49762, 0.225395),
    ),
    Target(
        name="MSH 15-52",
        runs="MSH 15-52",
        ra=228.53,
        dec=-59.16,
        radius=0.6,
        spatial=GaussianSpatialModel(sigma="0.12 deg", e=0.7, phi="140 deg"),
        free=("e", "phi"),
        reference=1.4,
        paper=(2.91361e-12, 1.35954e-13, 2.41311, 0.0525351),
        others=((225.8, -58.24, 0.8),),  # HESS J1503-582
    ),
    Target(
        name="RX J1713.7-3946",
        runs="RX J1713.7-3946",
        ra=258.39,
        dec=-39.76,
        radius=0.9,
        # A shell is not smooth in its parameters: Minuit finds no minimum
        spatial=GeneralizedGaussianSpatialModel(r_0="0.5 deg", eta=0.1),
        reference=1.15,
        paper=(1.33086e-11, 4.74099e-13, 2.21401, 0.0349274),
        others=(
            (258.6, -38.54, 0.3),  # CTB 37A
            (258.45, -38.2, 0.35),  # CTB 37B
            (259.54, -38.53, 0.4),  # HESS J1718-385
            (257.06, -41.08, 0.35),  # HESS J1708-410
        ),
    ),
)
