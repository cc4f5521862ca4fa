from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.errors import BinningMismatchError


def test_shapes_must_fit(make_run_sky):
    run = make_run_sky()
    with pytest.raises(BinningMismatchError, match="is_kept"):
        replace(run, is_kept=run.is_kept[1:])
    with pytest.raises(BinningMismatchError, match="background"):
        replace(run, background=run.background[:1])
    with pytest.raises(BinningMismatchError, match="event_bands"):
        replace(run, event_bands=run.event_bands[1:])
