"""The layouts that `simulate store` knows, by name.

A layout has the name of an instrument where a public program of that instrument, or
its public files, show it; all others are called by what is different in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from bkgpipe.simulate.archive.layout import (
    OBS_COLUMNS,
    Clock,
    EventsLayout,
    IndexLayout,
    Layout,
    ResponseLayout,
)

__all__ = ["DEFAULT_LAYOUT", "LAYOUTS"]

DEFAULT_LAYOUT = "hess"

_DATES = ("DATE-OBS", "TIME-OBS", "DATE-END", "TIME-END")
_OBJECT = ("OBJECT", "RA_OBJ", "DEC_OBJ")
_POINTING = ("OBS_ID", "RA_PNT", "DEC_PNT", "ZEN_PNT", "ALT_PNT", "AZ_PNT")
_TIMES = ("TSTART", "TSTOP", "ONTIME", "LIVETIME", "DEADC")
_LONG_NAMES = {"aeff": "EFFECTIVE AREA", "edisp": "ENERGY DISPERSION", "psf": "PSF"}
_WITHOUT_SAFE_ENERGY = tuple(
    name for name in OBS_COLUMNS if name not in {"SAFE_ENERGY_LO", "MUONEFF"}
)
_PLACE = frozenset({"GEOLON", "GEOLAT", "ALTITUDE"})

_VERITAS = Layout(
    about="VERITAS, as the converter V2DL3 writes it (GADF 0.3)",
    telescope="VERITAS",
    instrument="VERITAS",
    frame="FK5",
    longitude=-110.952408,
    latitude=31.674951,
    altitude=1277.110044,
    energy_min=0.08,
    energy_max=30.0,
    offset_max=1.75,
    clock=Clock(mjdrefi=53402.0, mjdreff=0.0, timesys="utc", timeref="topocenter"),
    events=EventsLayout(
        file="{obs_id}.anasum.fits",
        real="f4",
        extra=("EVENT_TYPE_INT", "HIL_MSW", "HIL_MSL", "GAMMANESS"),
        without=frozenset({"OBS_MODE", "EV_CLASS", "MUONEFF"}),
        keywords={"EUNIT": "TeV"},
    ),
    index=IndexLayout(
        columns=(*_POINTING, *_TIMES, "N_TELS", "TELLIST", *_OBJECT, "NSBLEVEL"),
        real="f4",
        here="",
    ),
    responses=ResponseLayout(file="irfs/{kind}.fits", hdus=_LONG_NAMES, psf="psf_king"),
)

_MAGIC = Layout(
    about="MAGIC: clock of magic-cta-pipe, point-like responses of the joint Crab data",
    telescope="MAGIC",
    instrument="MAGIC",
    version="0.2",
    longitude=-17.8915,
    latitude=28.7617,
    altitude=2200.0,
    energy_min=0.05,
    energy_max=30.0,
    offset_max=1.5,
    clock=Clock(mjdrefi=40587, mjdreff=0.0, timesys="UTC", timeref="TOPOCENTER"),
    events=EventsLayout(
        file="run_{obs_id:08d}_DL3.fits",
        real="f4",
        without=frozenset({"MUONEFF", "EV_CLASS", "TELLIST"}),
        keywords={"OBS_MODE": "WOBBLE", "FOVALIGN": "RADEC"},
    ),
    index=IndexLayout(
        columns=("OBS_ID", *_DATES, *_POINTING[1:], *_TIMES, *_OBJECT),
        without=_PLACE,
        here="./",
    ),
    responses=ResponseLayout(
        hdus={"aeff": "EFFECTIVE AREA", "edisp": "ENERGY DISPERSION"},
        rad_max=0.1414213,
    ),
)

_LST = Layout(
    about="LST-1 of CTAO, as lstchain writes it (GADF 0.3)",
    telescope="CTA-N",
    instrument="LST-1",
    longitude=-17.8915,
    latitude=28.7617,
    altitude=2200.0,
    energy_min=0.02,
    energy_max=30.0,
    offset_max=2.0,
    clock=Clock(mjdrefi=58392, mjdreff=0.0, timesys="UTC", timeref="TOPOCENTER"),
    events=EventsLayout(
        file="dl3_LST-1.Run{obs_id:05d}.fits",
        has_pointing=True,
        extra=("GAMMANESS", "MULTIP", "GLON", "GLAT"),
        without=frozenset({"RADECSYS", "EQUINOX", "MUONEFF", "EV_CLASS"}),
        keywords={"FOVALIGN": "RADEC"},
    ),
    index=IndexLayout(
        names=("OBS INDEX", "HDU INDEX"),
        columns=("OBS_ID", *_DATES, *_POINTING[1:], *_TIMES, *_OBJECT, "OBS_MODE"),
        without=_PLACE | {"TIMESYS", "TIMEUNIT", "TIMEREF"},
        base_dir="/somewhere/else",
    ),
    responses=ResponseLayout(
        hdus=_LONG_NAMES | {"rad_max": "RAD_MAX"}, rad_max=0.2, psf="psf_table"
    ),
)

_FACT = Layout(
    about="FACT, as fact-project/irf writes it (open Crab sample, GADF 0.2)",
    telescope="FACT",
    instrument="FACT",
    version="0.2",
    longitude=-17.890701,
    latitude=28.761795,
    altitude=2199.4,
    energy_min=0.4,
    energy_max=30.0,
    offset_max=2.25,
    clock=Clock(mjdrefi=55835, mjdreff=0.0, timesys="utc", timeref="local"),
    events=EventsLayout(
        file="{obs_id}_dl3.fits",
        without=frozenset(
            {"OBS_ID", "RA_PNT", "DEC_PNT", "ALT_PNT", "AZ_PNT", "RA_OBJ", "DEC_OBJ"}
            | {"OBJECT", "OBS_MODE", "TELLIST", "N_TELS", "MUONEFF", "EV_CLASS"}
            | {"RADECSYS", "EQUINOX", "INSTRUME", "TIMEUNIT", "HDUCLASS", "HDUDOC"}
        ),
        keywords={"EUNIT": "TeV"},
    ),
    index=IndexLayout(
        ending=".fits",
        columns=(*_POINTING, "N_TELS", "TELLIST", "QUALITY", *_TIMES, *_DATES),
        without=frozenset({"TIMEUNIT"}),
        here="./",
        has_gti=False,
    ),
    responses=ResponseLayout(
        file="fact_irf.fits",
        hdus={"aeff": "EFFECTIVE AREA", "edisp": "ENERGY DISPERSION"},
    ),
)

_CTA_1DC = Layout(
    about="CTAO, first data challenge: its clock, columns and folders below the index",
    telescope="CTA",
    instrument="1DC",
    version="0.2",
    longitude=-70.3166667,
    latitude=-24.6833333,
    altitude=2150.0,
    energy_min=0.01,
    energy_max=300.0,
    offset_max=5.0,
    clock=Clock(mjdrefi=51544, mjdreff=0.5, timesys="TT", timeref="LOCAL"),
    events=EventsLayout(
        file="data/baseline/gps/gps_baseline_{obs_id:06d}.fits",
        real="f4",
        extra=("DETX", "DETY"),
        without=frozenset({"MUONEFF", "EV_CLASS", "TELLIST"}),
    ),
    index=IndexLayout(
        columns=(*_POINTING, "GLON_PNT", "GLAT_PNT", *_TIMES, *_OBJECT, "N_TELS"),
        folder="{}/",
    ),
    responses=ResponseLayout(
        file="caldb/data/cta/1dc/bcf/South_z20_50h/irf_file.fits",
        hdus={
            "aeff": "EFFECTIVE AREA",
            "edisp": "ENERGY DISPERSION",
            "psf": "POINT SPREAD FUNCTION",
        },
        psf="psf_3gauss",
    ),
)

# Events are most frequent at 0.03 TeV, a factor of three below where the effective area
# is a tenth of its largest: 86 % of the background is below that
_CTA_LIKE = Layout(
    about="low threshold, as CTAO will have: events peak at 0.03 TeV, wide field",
    telescope="CTA",
    instrument="SIMULATION",
    longitude=-70.3166667,
    latitude=-24.6833333,
    altitude=2150.0,
    energy_min=0.01,
    energy_max=100.0,
    offset_max=5.0,
    truth={
        "norm": "2 s-1 TeV-1 sr-1",
        "index": "2.7",
        "threshold": "0.028 TeV",
        "sharpness": "5",
        "width": "2.5 deg",
        "width_slope": "0.05",
    },
    index=IndexLayout(columns=_WITHOUT_SAFE_ENERGY),
    responses=ResponseLayout(area="cta", offsets=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),
)

_CTA_LIKE_POINT = replace(
    _CTA_LIKE,
    about="the same with point-like responses of one offset, and RAD_MAX",
    responses=ResponseLayout(
        hdus={"aeff": "AEFF", "edisp": "EDISP", "rad_max": "RAD_MAX"},
        rad_max=0.1,
        area="cta",
        offsets=(0.49, 0.51),
    ),
)

_MINIMAL = Layout(
    about="only what GADF 0.2 makes mandatory; all else is in the headers of events",
    version="0.2",
    events=EventsLayout(
        without=frozenset({"TELLIST", "N_TELS", "MUONEFF", "EV_CLASS", "OBS_MODE"})
    ),
    index=IndexLayout(
        columns=("OBS_ID", "RA_PNT", "DEC_PNT", "TSTART", "TSTOP"), without=_PLACE
    ),
)

_FULL = Layout(
    about="the optional columns of GADF that a simulation can fill",
    version="0.2",
    events=EventsLayout(
        real="f4",
        extra=(
            *("EVENT_TYPE", "MULTIP", "GLON", "GLAT", "DETX", "DETY", "THETA"),
            *("HIL_MSW", "HIL_MSL", "GAMMANESS"),
        ),
        keywords={"OBS_MODE": "WOBBLE", "EV_CLASS": "hard"},
    ),
    index=IndexLayout(
        columns=(
            *OBS_COLUMNS,
            *("DATE_OBS", "TIME_OBS", "DATE_END", "TIME_END"),
            *("RA_OBJ", "DEC_OBJ", "NSBLEVEL"),
        )
    ),
)

_UNITS = Layout(
    about="energies in GeV, angles in radians, times in days, hours and minutes",
    events=EventsLayout(
        units={"TIME": "d", "RA": "rad", "DEC": "rad", "ENERGY": "GeV"}
    ),
    index=IndexLayout(
        units={
            "RA_PNT": "rad",
            "DEC_PNT": "rad",
            "ZEN_PNT": "rad",
            "AZ_PNT": "rad",
            "ONTIME": "min",
            "LIVETIME": "h",
            "TSTART": "d",
            "SAFE_ENERGY_LO": "GeV",
        }
    ),
)

_SPLIT = Layout(
    about="each HDU in a file of its own, under other names, in folders with a slash",
    events=EventsLayout(
        file="events/{obs_id}_events.fits",
        hdu="EVENTS_STD",
        gti_file="gti/{obs_id}_gti.fits",
        gti_hdu="STDGTI",
    ),
    index=IndexLayout(ending=".fits", folder="./{}/", here=""),
    responses=ResponseLayout(
        file="irf/{kind}.fits",
        hdus={"aeff": "AEFF_1", "edisp": "EDISP_1", "psf": "PSF_1"},
        psf="psf_king",
    ),
)

_RENAMED_GTI = Layout(
    about="good time intervals before the events, in an HDU of another name",
    events=EventsLayout(gti_hdu="GTI0", gti_first=True),
)

_LOWER = Layout(
    about="TDB, columns of events in lower case, RADESYS, altitude and live time alone",
    frame_key="RADESYS",
    clock=Clock(mjdrefi=54000, mjdreff=0.25, timesys="TDB", timeref="BARYCENTER"),
    events=EventsLayout(is_lower=True),
    index=IndexLayout(
        columns=(
            *("OBS_ID", "RA_PNT", "DEC_PNT", "ALT_PNT", "AZ_PNT", "LIVETIME"),
            *("TSTART", "TSTOP"),
        )
    ),
)

_UNDATED = Layout(
    about="simulation without dates: MJDREF 0, no GTI, no place of the observatory",
    telescope="CTA",
    instrument="SIMULATION",
    clock=Clock(mjdrefi=0, mjdreff=0.0, timesys="TT", false_days=55000.0),
    events=EventsLayout(gti_hdu="", without=_PLACE),
    index=IndexLayout(without=_PLACE, has_gti=False),
)

_DRIFT = Layout(
    about="drift scans: OBS_MODE is DRIFT, which has no place in right ascension",
    events=EventsLayout(keywords={"OBS_MODE": "DRIFT"}),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "hess": Layout(about="times and columns of H.E.S.S. DL3 DR1 (GADF 0.3)"),
        "veritas": _VERITAS,
        "magic": _MAGIC,
        "fact": _FACT,
        "lst": _LST,
        "cta-1dc": _CTA_1DC,
        "cta-like": _CTA_LIKE,
        "cta-like-point": _CTA_LIKE_POINT,
        "minimal": _MINIMAL,
        "full": _FULL,
        "units": _UNITS,
        "split": _SPLIT,
        "renamed-gti": _RENAMED_GTI,
        "lower-case": _LOWER,
        "undated": _UNDATED,
        "drift": _DRIFT,
    }
)
"""Each layout, by the word for it in ``[simulation] layout``."""
