from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.settings import STAGES
from bkgpipe.stages import table as stages


def _changed(make_settings, *overrides, base=()):
    base = ("smooth.method=gaussian", *base)
    before, after = make_settings(*base), make_settings(*base, *overrides)
    return [
        stage
        for stage in STAGES
        if before.fingerprint(stage) != after.fingerprint(stage)
    ]


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("select.max_zenith=50 deg", "select"),
        ("mask.radius=0.5 deg", "mask"),
        ("binning.per_decade=5", "count"),
        ("export.alignment=ALTAZ", "count"),
        ("count.exposure=events", "count"),
        ("stack.method=michi", "stack"),
        ("smooth.sigma=2", "smooth"),
        ("export.format=bkg_2d", "export"),
    ],
)
def test_a_change_repeats_its_stage_and_all_after_it(make_settings, override, first):
    expected = list(STAGES[STAGES.index(first) :])
    if first == "select":  # masks and counts serve every selection
        expected = [word for word in expected if word not in {"mask", "count"}]
    if first == "stack":  # a regression has no use for sums
        expected.remove("fit")
    # rank is no ancestor of the groups, and does not depend on what comes after it
    assert _changed(make_settings, override) == expected


def test_ranking_matters_to_ranked_stacks_alone(make_settings):
    assert _changed(make_settings, "rank.hours=3 h") == ["rank"]
    assert _changed(
        make_settings, "rank.hours=3 h", base=["stack.strategy=ranked"]
    ) == [
        "rank",
        "stack",
        "smooth",
        "export",
        "sky",
        "report",
    ]


@pytest.mark.parametrize(
    ("override", "base"),
    [
        ("run.workers=7", ()),
        ("run.allow_refused=true", ()),
        ("data.output=elsewhere", ()),
        ("smooth.sigma=2", ("smooth.method=none",)),
        ("mask.star_radius=0.2 deg", ()),
        ("mask.star_magnitude=6", ()),
        ("stack.zenith_edges=0, 45, 90 deg", ("stack.strategy=own",)),
    ],
)
def test_what_changes_no_result_repeats_nothing(make_settings, override, base):
    assert _changed(make_settings, override, base=base) == []


def test_equal_values_in_other_words_are_equal(make_settings):
    assert _changed(make_settings, "mask.radius=21 arcmin") == []


@pytest.mark.parametrize("key", ["mask.regions", "mask.masks"])
def test_region_files_count_by_content(make_settings, tmp_path, key):
    first, copy, other = (tmp_path / name for name in ("a.reg", "b.reg", "c.reg"))
    first.write_text("icrs; circle(1, 2, 0.5)")
    copy.write_text("icrs; circle(1, 2, 0.5)")
    other.write_text("icrs; circle(1, 2, 0.6)")
    base = [f"{key}={first}"]

    assert _changed(make_settings, f"{key}={copy}", base=base) == []
    assert "mask" in _changed(make_settings, f"{key}={other}", base=base)


def test_folders_are_named_by_stage_and_fingerprint(make_settings):
    settings = make_settings()

    folder = settings.folder("count")

    assert folder.parent == settings.data.output
    assert folder.name == f"count-{settings.fingerprint('count')}"
    assert len(settings.fingerprint("count")) == 6


@pytest.fixture
def hgps(tmp_path):
    """Make a folder that holds a catalogue of some content."""

    def make(name: str, content: str) -> str:
        path = tmp_path / name / "catalogs" / "hgps_catalog_v1.fits.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return f"data.gammapy_data={tmp_path / name}"

    return make


def test_catalogues_count_by_what_they_hold_and_not_by_their_place(make_settings, hgps):
    first, copy, other = hgps("a", "x"), hgps("b", "x"), hgps("c", "y")
    base = ["mask.catalogs=hgps", first]

    assert _changed(make_settings, copy, base=base) == []
    assert _changed(make_settings, other, base=base)[0] == "mask"
    assert _changed(make_settings, other, base=[first]) == []


def test_a_catalogue_that_changes_repeats_the_masks(make_settings, hgps):
    place = hgps("a", "x")
    before = make_settings("mask.catalogs=hgps", place).fingerprint("mask")
    hgps("a", "longer")

    assert make_settings("mask.catalogs=hgps", place).fingerprint("mask") != before


def test_neither_place_nor_name_of_the_store_counts(make_settings):
    assert _changed(make_settings, "data.store=elsewhere") == []


def test_regression_has_no_use_for_stacks(make_settings):
    base = ["smooth.method=regression"]

    assert _changed(make_settings, "stack.min_hours=3 h", base=base) == ["stack"]
    assert _changed(make_settings, "smooth.sigma=3", base=base) == []
    assert _changed(make_settings, "fit.ridge=3", base=base) == [
        "fit",
        "smooth",
        "export",
        "sky",
        "report",
    ]
    assert _changed(make_settings, "fit.ridge=3") == ["fit"]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (
            "count",
            ["count", "rank", "stack", "fit", "smooth", "export", "sky", "report"],
        ),
        ("smooth", ["smooth", "export", "sky", "report"]),
    ],
)
def test_a_revision_of_the_code_repeats_what_comes_after(
    make_settings, monkeypatch, stage, expected
):
    def fingerprints():
        settings = make_settings("smooth.method=gaussian")
        return {name: settings.fingerprint(name) for name in STAGES}

    before = fingerprints()
    row = replace(stages._BY_WORD[stage], revision=99)
    table = tuple(row if each.word == stage else each for each in stages.STAGE_TABLE)
    monkeypatch.setattr(stages, "STAGE_TABLE", table)
    after = fingerprints()

    assert [name for name in STAGES if before[name] != after[name]] == expected
