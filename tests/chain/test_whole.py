from __future__ import annotations

import pytest

from bkgpipe.chain.inputs import forget
from bkgpipe.chain.listing import find_lost, forget_listings
from bkgpipe.chain.look import look_into
from bkgpipe.chain.summary import read_states
from bkgpipe.core.seal import Seal
from bkgpipe.flow import AllExports, Export
from bkgpipe.flow.plan import plan_products


@pytest.fixture
def made(finish):
    return finish()


def _n_done(settings, stage):
    forget()
    return {state.stage: state.n_done for state in read_states(settings)}[stage]


def test_missing_and_cut_files_are_named(tmp_path):
    (tmp_path / "a.fits").write_bytes(b"12345")
    (tmp_path / "b.fits").write_bytes(b"123")
    sizes = {"a.fits": 5, "b.fits": 4, "models/c.fits": 1}
    a, b, c = (Seal(name=name, size=n, sha256="") for name, n in sizes.items())

    assert find_lost(tmp_path, [a]) == ""
    assert find_lost(tmp_path, [a, b]) == "b.fits has 3 of 4 bytes"
    assert find_lost(tmp_path, [a, b, c]) == "models/c.fits missing"

    (tmp_path / "a.fits").write_bytes(b"")
    forget_listings()
    assert find_lost(tmp_path, [b, a]) == "a.fits has 0 of 5 bytes and 1 more"


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("store/models/bkg_3d_1003.fits", 0),
        ("store/data/run_1003.fits", 20000),
        ("store/hdu-index.fits.gz", 0),
        ("bg_observation_table.fits.gz", 100),
    ],
)
def test_a_file_that_was_cut_is_made_again(made, build, name, length):
    path = made.settings.folder("export") / name
    content = path.read_bytes()
    path.write_bytes(content[:length])
    forget()

    assert not made.complete()
    reasons = [found.reason for found in plan_products(made, made.table)]
    assert reasons == [f"{name} has {length} of {len(content)} bytes"]
    is_of_runs = name.startswith(("store/models", "store/data"))
    assert _n_done(made.settings, "export") == (3 if is_of_runs else 4)

    assert build(made)
    assert path.read_bytes() == content


@pytest.mark.parametrize("stage", ["export"])
@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_checkpoint_that_is_gone_is_made_again(made, build, stage, is_damaged):
    path = made.settings.folder(stage) / f"{stage}_334.h5"
    if is_damaged:
        path.write_bytes(path.read_bytes()[:3000])
    else:
        path.rename(f"{path}.damaged")
    forget()

    look = look_into(made.settings, stage, path)
    assert (look and look.fault) == ("damaged" if is_damaged else None)
    assert _n_done(made.settings, stage) == 3
    assert path in [found.path for found in plan_products(made, made.table)]
    assert not made.complete()

    assert build(made)
    assert look_into(made.settings, stage, path).fault == ""
    assert _n_done(made.settings, stage) == 4


def test_the_store_is_not_complete_without_a_checkpoint(made, build):
    exports = made.sibling(AllExports)
    task = made.sibling(Export, chunk=334)
    assert exports.gone() == ""

    task.path.rename(f"{task.path}.damaged")

    assert exports.gone() == "export_334.h5: missing"
    assert build(exports)
    assert exports.gone() == ""
