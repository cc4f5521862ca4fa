from __future__ import annotations

from bkgpipe.simulate.mixing.data import MixRecord, Provenance
from bkgpipe.simulate.mixing.view import describe_provenance


def _record(**changes: object) -> MixRecord:
    values: dict[str, object] = {
        "obs_id": 7,
        "component": "hadrons",
        "bkg_type": 1,
        "file": "model.fits",
        "rate": 0.5,
        "scale": 1.0,
        "expected": 400.0,
        "drawn": 440,
        "rejected": 3,
        "reused": 2,
    }
    return MixRecord(**values | changes)  # type: ignore[arg-type]


def _describe(*records: MixRecord) -> list[str]:
    provenance = Provenance(
        method="overlay", store="store", seed=12, settings={}, records=records
    )
    return describe_provenance(provenance).splitlines()


def test_expected_stands_beside_drawn():
    lines = _describe(
        _record(), _record(obs_id=8, drawn=400), _record(component="e", bkg_type=2)
    )

    assert lines[0] == "overlay: 2 runs of store, seed 12"
    assert lines[2].split()[:5] == ["component", "type", "runs", "expected", "drawn"]
    assert lines[3].split() == [
        *("hadrons", "1", "2", "800.0", "840", "+1.41", "6", "4"),
        *("4.0", "/", "2", "0.135"),
    ]
    assert lines[4].split()[:6] == ["e", "2", "1", "400.0", "440", "+2.00"]


def test_columns_are_aligned():
    lines = _describe(_record(), _record(component="electrons", expected=9.0, drawn=7))

    rows = zip(lines[2:], ("drawn", " 440", "  7"), strict=True)
    assert len({line.index(word) + len(word) for line, word in rows}) == 1


def test_nothing_expected_has_neither_pull_nor_probability():
    lines = _describe(_record(expected=0.0, drawn=0))

    assert lines[3].split()[5] == "-"
    assert lines[3].split()[-2:] == ["-", "-"]


def test_no_component_is_a_heading():
    assert len(_describe()) == 3
