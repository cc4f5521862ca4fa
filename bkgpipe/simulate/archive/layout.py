"""How the stores of different observatories are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "OBS_COLUMNS",
    "Clock",
    "EventsLayout",
    "IndexLayout",
    "Layout",
    "ResponseLayout",
]

OBS_COLUMNS = (
    "OBS_ID",
    "OBJECT",
    "RA_PNT",
    "DEC_PNT",
    "GLON_PNT",
    "GLAT_PNT",
    "ZEN_PNT",
    "ALT_PNT",
    "AZ_PNT",
    "ONTIME",
    "LIVETIME",
    "DEADC",
    "TSTART",
    "TSTOP",
    "N_TELS",
    "TELLIST",
    "QUALITY",
    "MUONEFF",
    "SAFE_ENERGY_LO",
)
"""Columns of the observation table of `simulate store` unless a layout has others."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The mission clock that times in a store are seconds of.

    Attributes
    ----------
    mjdrefi, mjdreff : float
        Modified Julian date of its zero, whole days and the rest [d].
    timesys : str
        Time system of that date, as the keyword spells it.
    timeref : str
        Keyword ``TIMEREF``.
    false_days : float
        What true times are put back by, for stores without real dates [d].
    """

    mjdrefi: float = 51910
    mjdreff: float = 0.000742870370370241
    timesys: str = "TT"
    timeref: str = "LOCAL"
    false_days: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class EventsLayout:
    """Events and good time intervals of a run.

    Attributes
    ----------
    file : str
        File of a run relative to the store, with ``{obs_id}`` in its name.
    hdu : str
        Name of the events HDU.
    gti_file : str
        File of the good time intervals, likewise; empty is that of the events.
    gti_hdu : str
        Name of their HDU; empty writes none.
    gti_first : bool
        True if they come before the events.
    has_pointing : bool
        True writes a pointing table.
    real : str
        Type of directions and energies: ``f4`` or ``f8``.
    units : mapping of str to str
        Units of ``RA``, ``DEC``, ``ENERGY`` and ``TIME``.
    extra : tuple of str
        Optional columns.
    is_lower : bool
        True spells all columns in lower case.
    without : frozenset of str
        Keywords that are left out.
    keywords : mapping of str to object
        Further keywords, or other values.
    """

    file: str = "data/run_{obs_id}.fits.gz"
    hdu: str = "EVENTS"
    gti_file: str = ""
    gti_hdu: str = "GTI"
    gti_first: bool = False
    has_pointing: bool = False
    real: str = "f8"
    units: Mapping[str, str] = field(
        default_factory=lambda: {
            "TIME": "s",
            "RA": "deg",
            "DEC": "deg",
            "ENERGY": "TeV",
        }
    )
    extra: tuple[str, ...] = ()
    is_lower: bool = False
    without: frozenset[str] = frozenset()
    keywords: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class IndexLayout:
    """The two index files.

    Attributes
    ----------
    ending : str
        Ending of both: ``.fits.gz`` or ``.fits``.
    names : tuple of str
        Names of the HDUs with the observations and with the HDUs.
    columns : tuple of str
        Columns of the observation table.
    units : mapping of str to str
        Units of columns that are not in those of the package.
    real : str
        Type of its numbers: ``f4`` or ``f8``.
    without : frozenset of str
        Keywords that its header lacks.
    folder : str
        How folders are spelt: ``{}`` as they are, ``{}/`` with a slash after them.
    here : str
        How the folder of the index is spelt.
    has_gti : bool
        True if the HDU index names the good time intervals.
    base_dir : str
        Keyword ``BASE_DIR`` of the HDU index; empty writes none.
    """

    ending: str = ".fits.gz"
    names: tuple[str, str] = ("OBS_INDEX", "HDU_INDEX")
    columns: tuple[str, ...] = OBS_COLUMNS
    units: Mapping[str, str] = field(default_factory=dict)
    real: str = "f8"
    without: frozenset[str] = frozenset()
    folder: str = "{}"
    here: str = "."
    has_gti: bool = True
    base_dir: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseLayout:
    """Instrument responses that are built in.

    Attributes
    ----------
    file : str
        File relative to the store; ``{kind}`` in its name gives each its own.
    hdus : mapping of str to str
        Name of the HDU of each kind: ``aeff``, ``edisp``, ``psf``, ``rad_max``. What
        is not named is not written.
    psf : str
        Class of the point spread function: ``psf_table``, ``psf_3gauss`` or
        ``psf_king``.
    rad_max : float
        Directional cut of point-like responses; 0 for full-enclosure ones [deg].
    area : str
        Effective area: ``hess``, gammapy's parametrisation of H.E.S.S.; or ``cta``,
        which rises over more than two decades of energy.
    offsets : tuple of float
        Edges of the offset axis [deg]; two for responses of a single offset.
    """

    file: str = "irfs.fits.gz"
    hdus: Mapping[str, str] = field(
        default_factory=lambda: {"aeff": "AEFF", "edisp": "EDISP", "psf": "PSF"}
    )
    psf: str = "psf_table"
    rad_max: float = 0.0
    area: str = "hess"
    offsets: tuple[float, ...] = (0.0, 2.5, 5.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How the store of an observatory is laid out, and what it observes.

    Attributes
    ----------
    about : str
        What it is like, and where that is known from.
    telescope, instrument : str
        Keywords ``TELESCOP`` and ``INSTRUME``.
    frame_key, frame : str
        Keyword for the reference frame and its value.
    version : str
        Version of GADF that the files claim.
    longitude, latitude, altitude : float
        Place of the observatory [deg, deg, m].
    energy_min, energy_max, offset_max : float
        Energies and field of the background, unless settings say others
        [TeV, TeV, deg].
    truth : mapping of str to str
        Further keys of ``[truth]`` likewise, as a user writes them.
    clock : Clock
        Its clock.
    events : EventsLayout
        Files of the runs.
    index : IndexLayout
        The index files.
    responses : ResponseLayout
        Instrument responses.
    """

    about: str
    telescope: str = "SIMTEL"
    instrument: str = "SIMULATION"
    frame_key: str = "RADECSYS"
    frame: str = "ICRS"
    version: str = "0.3"
    longitude: float = 16.5002222
    latitude: float = -23.2717777
    altitude: float = 1835.0
    energy_min: float = 0.05
    energy_max: float = 100.0
    offset_max: float = 4.0
    truth: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    events: EventsLayout = field(default_factory=EventsLayout)
    index: IndexLayout = field(default_factory=IndexLayout)
    responses: ResponseLayout = field(default_factory=ResponseLayout)
