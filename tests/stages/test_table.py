from __future__ import annotations

import inspect
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.settings import STAGES
from bkgpipe.settings.run_sections import BinningSettings
from bkgpipe.settings.sections import SECTIONS
from bkgpipe.stages import table as stages
from bkgpipe.stages.smooth.methods import SMOOTH_METHODS
from bkgpipe.stages.table import (
    STAGE_TABLE,
    Method,
    has_stage,
    list_chain,
    method_names,
    method_values,
    stage_grain,
)

# Keys that change no result: where things are, how they are run, and shared by whom
_NOT_OF_RESULTS = {
    "data.store",
    "data.output",
    "data.counts",
    "data.allow",
    "data.gammapy_data",
    # what is found becomes discs of the settings, which matter
    "mask.find",
    "mask.find_passes",
}
_SECTIONS = tuple(name for name in SECTIONS if name != "run")
# What must be set for a key to matter at all
_MATTERS_WITH = {
    "mask.star_radius": ("mask.catalogs=stars",),
    "mask.star_magnitude": ("mask.catalogs=stars",),
    "smooth.sigma": ("smooth.method=gaussian",),
}
_BINNING = tuple(each.name for each in fields(BinningSettings))
_FIRST_STAGE = {
    "data.chunk_size": "mask",
    "mask.min_kept_fraction": "rank",
    **{f"binning.{key}": "count" for key in _BINNING},
    "export.obs_ids": "select",
    "export.alignment": "count",
}


def _all_keys(settings):
    return [
        f"{section}.{each.name}"
        for section in _SECTIONS
        for each in fields(getattr(settings, section))
    ]


def _other(value):
    """Return a value that is not the same."""
    if value is None or value == ():
        return Path("/elsewhere") if value is None else ("other",)
    if isinstance(value, float) and not np.isfinite(value):
        return 55000.0
    return {
        bool: lambda: not value,
        int: lambda: value + 1,
        float: lambda: value + 1,
        str: lambda: f"{value}x",
        tuple: tuple,
    }.get(type(value), lambda: Path("/elsewhere"))()


def _changed(settings, key):
    section, _, name = key.partition(".")
    part = getattr(settings, section)
    return replace(
        settings, **{section: replace(part, **{name: _other(getattr(part, name))})}
    )


def test_every_key_moves_the_fingerprints_of_its_stage_and_of_no_earlier_one(
    make_settings,
):
    plain = make_settings("smooth.method=gaussian", "mask.catalogs=")
    unmoved = set()
    for key in _all_keys(plain):
        settings = plain
        if key in _MATTERS_WITH:
            settings = make_settings(
                f"data.gammapy_data={plain.path.parent}", *_MATTERS_WITH[key]
            )
        after = _changed(settings, key)
        moved = [
            word
            for word in STAGES
            if settings.fingerprint(word) != after.fingerprint(word)
        ]
        if not moved:
            unmoved.add(key)
            continue
        first = _FIRST_STAGE.get(key, key.partition(".")[0])
        assert first in moved, key
        assert min(map(STAGES.index, moved)) == STAGES.index(first), key

    assert unmoved == _NOT_OF_RESULTS


@pytest.mark.parametrize("key", ["select.max_zenith=50 deg", "export.obs_ids=1, 2"])
def test_masks_and_counts_serve_every_selection(make_settings, key):
    before, after = make_settings(), make_settings(key)

    assert before.fingerprint("mask") == after.fingerprint("mask")
    assert before.fingerprint("count") == after.fingerprint("count")
    assert before.fingerprint("smooth") != after.fingerprint("smooth")


@pytest.mark.parametrize(
    ("overrides", "words", "grain"),
    [
        (
            ["smooth.method=regression"],
            "select mask count fit smooth export",
            "targets",
        ),
        (["smooth.method=none"], "select mask count stack smooth export", "groups"),
        (
            ["smooth.method=gaussian", "stack.strategy=ranked"],
            "select mask count rank stack smooth export",
            "targets",
        ),
        (
            ["smooth.method=none", "stack.strategy=own"],
            "select mask count stack smooth export",
            "targets",
        ),
    ],
)
def test_the_chain_follows_from_the_methods(make_settings, overrides, words, grain):
    settings = make_settings(*overrides)

    chain = [stage.word for stage in list_chain(settings)]

    assert chain == [*words.split(), "report"]
    assert stage_grain(settings, "smooth") == grain
    assert settings.in_groups == (grain == "groups")
    assert has_stage(settings, "rank") == ("rank" in words)
    assert stage_grain(settings, "count") == "runs"


def test_a_stage_knows_only_what_comes_before_it():
    for number, stage in enumerate(STAGE_TABLE):
        before = set(STAGES[:number])
        parents = {*stage.parents}.union(
            *(method.parents for method in stage.methods.values())
        )
        assert parents <= before
        assert stage.does


def test_a_smoothing_method_is_given_the_keys_that_it_declares(make_settings):
    for name, smooth in SMOOTH_METHODS.items():
        settings = make_settings(f"smooth.method={name}")
        wanted = {
            each.name
            for each in inspect.signature(smooth).parameters.values()
            if each.kind is inspect.Parameter.KEYWORD_ONLY
        }
        assert set(method_values(settings, "smooth")) == wanted
    assert {*SMOOTH_METHODS, "regression"} == set(method_names("smooth"))


def test_a_key_that_a_method_does_not_declare_is_not_given_to_it(
    make_settings, monkeypatch
):
    forgotten = {**stages._BY_WORD["smooth"].methods, "gaussian": Method()}
    row = replace(stages._BY_WORD["smooth"], methods=forgotten)
    monkeypatch.setitem(stages._BY_WORD, "smooth", row)

    values = method_values(make_settings("smooth.method=gaussian"), "smooth")

    with pytest.raises(TypeError, match="sigma"):
        SMOOTH_METHODS["gaussian"](None, **values)
