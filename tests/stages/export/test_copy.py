from __future__ import annotations

import gzip
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from gammapy.data import DataStore, Observation

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError, OutputError
from bkgpipe.stages.export.copy import copy_events, read_origin, write_hdu_index
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.gadf import Origin, write_bkg_2d, write_bkg_3d
from bkgpipe.stages.export.tables import write_observation_table
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.stack.data import Conditions
from bkgpipe.store.fits_sums import with_sums

HESS_RUN = 23523
HESS_CREATOR = "SASH FITS::EventListWriter"
BINNING = Binning(
    energy_edges=np.geomspace(0.5, 50.0, 4),
    fov_lon_edges=np.linspace(-2.5, 2.5, 11),
    fov_lat_edges=np.linspace(-2.5, 2.5, 13),
    offset_edges=np.linspace(0.0, 2.5, 6),
)


@pytest.fixture(scope="module")
def make_run(make_run):
    """Factory: run 7, in the way that the files of this module name it."""
    return partial(
        make_run, obs_id=7, events_file="data/run_7.fits.gz", events_hdu="events"
    )


@pytest.fixture(scope="module")
def hess_run(make_run):
    file = f"data/hess_dl3_dr1_obs_id_0{HESS_RUN}.fits.gz"
    return make_run(obs_id=HESS_RUN, events_file=file)


def _hdu(name: str, n_rows: int = 3, **keywords: object) -> fits.BinTableHDU:
    column = fits.Column(name="A", format="D", array=np.arange(float(n_rows)))
    hdu = fits.BinTableHDU.from_columns([column], name=name)
    hdu.header.update(keywords)
    return hdu


def _write_file(path: Path, *, n_events: int = 500) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    events = _hdu("EVENTS", n_events, CREATOR=HESS_CREATOR, TELESCOP="HESS")
    others = [_hdu("GTI", 1), _hdu("AEFF"), _hdu("BKG"), _hdu("B2", HDUCLAS2="BKG")]
    fits.HDUList([fits.PrimaryHDU(), events, *others]).writeto(path, checksum=True)


def _write_source(store: Path) -> None:
    """A store of which one run has its area in a file of its own."""
    rows = []
    for obs_id in (7, 8, 9):
        _write_file(store / f"data/run_{obs_id}.fits.gz")
        file = ("data", f"run_{obs_id}.fits.gz")
        area = file if obs_id != 8 else ("irfs", "shared.fits")
        rows += [
            (obs_id, "events", "events", *file, "EVENTS"),
            (obs_id, "bkg", "bkg_3d", *file, "BKG"),
            (obs_id, "GTI ", "gti", *file, "GTI"),
            (obs_id, "aeff", "aeff_2d", *area, "AEFF"),
        ]
    names = ["OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME"]
    Table(rows=rows, names=names).write(store / "hdu-index.fits.gz")


def _entry(obs_id: int, **changes: object) -> ExportEntry:
    entry = ExportEntry(
        obs_id=obs_id,
        stack_id=1,
        bkg_3d=f"models/bkg_3d_{obs_id}.fits",
        bkg_2d=f"models/bkg_2d_{obs_id}.fits",
        events="",
        n_runs=3,
        hours=1.5,
        deadc=0.9,
        n_filled_3d=0,
        n_filled_2d=0,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def _index_rows(path: Path) -> dict[tuple[int, str], tuple[str, str]]:
    """File and HDU of each run and type."""
    table = Table.read(path)
    return {
        (int(row["OBS_ID"]), str(row["HDU_TYPE"])): (
            f"{row['FILE_DIR']}/{row['FILE_NAME']}",
            str(row["HDU_NAME"]),
        )
        for row in table
    }


def _model(alignment: str = "ALTAZ") -> NodeModel:
    """Brighter at positive longitude, so that a mirrored one is seen."""
    bkg_3d = np.ones(BINNING.shape_3d)
    bkg_3d[:, 7:] = 5.0
    return NodeModel(
        stack_id=1,
        obs_id=HESS_RUN,
        binning=BINNING,
        bkg_3d=bkg_3d,
        bkg_2d=np.ones(BINNING.shape_2d),
        n_filled_3d=0,
        n_filled_2d=0,
        fov_alignment=alignment,
        n_runs=2,
        livetime=3600.0,
        conditions=Conditions(
            zenith=45.0,
            azimuth=20.0,
            cos_zenith=0.7,
            deadc=0.9,
            muon_efficiency=0.9,
        ),
    )


def test_copy_leaves_all_but_background_and_creator(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    copy_events(tmp_path, tmp_path / "copy.tmp", run=make_run(), creator="bkgpipe 1")
    with (
        fits.open(tmp_path / "copy.tmp", checksum=True) as copied,
        fits.open(tmp_path / "data/run_7.fits.gz") as original,
    ):
        assert [hdu.name for hdu in copied] == ["PRIMARY", "EVENTS", "GTI", "AEFF"]
        assert copied["EVENTS"].header["CREATOR"] == "bkgpipe 1"
        assert copied["EVENTS"].header["ORIGCREA"] == HESS_CREATOR
        assert copied["EVENTS"].header["TELESCOP"] == "HESS"
        assert {"CHECKSUM", "DATASUM"} <= set(copied["EVENTS"].header)
        for name in ("EVENTS", "GTI", "AEFF"):
            np.testing.assert_array_equal(copied[name].data, original[name].data)
        for name in ("GTI", "AEFF"):
            assert copied[name].header == original[name].header


def test_copy_leaves_events_out_and_says_how_many(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    is_kept = np.arange(500) % 3 > 0
    copy_events(
        tmp_path,
        tmp_path / "copy.fits",
        run=make_run(),
        creator="bkgpipe 1",
        is_kept=is_kept,
    )
    with fits.open(tmp_path / "copy.fits") as copied:
        copied.verify("exception")
        assert [hdu.name for hdu in copied] == ["PRIMARY", "EVENTS", "GTI", "AEFF"]
        assert copied["EVENTS"].header["NCUT"] == 167
        assert copied["EVENTS"].header["CREATOR"] == "bkgpipe 1"
        np.testing.assert_array_equal(
            copied["EVENTS"].data["A"], np.arange(500.0)[is_kept]
        )
        assert len(copied["AEFF"].data) == 3


def test_copy_takes_good_time_from_a_file_of_its_own(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    (tmp_path / "gti").mkdir()
    other = _hdu("STDGTI", 2, MARK="other")
    fits.HDUList([fits.PrimaryHDU(), other]).writeto(tmp_path / "gti/7.fits.gz")
    run = make_run(gti_file="gti/7.fits.gz", gti_hdu="StdGti")

    copy_events(tmp_path, tmp_path / "copy.fits", run=run, creator="bkgpipe 1")

    with fits.open(tmp_path / "copy.fits") as copied:
        names = [hdu.name for hdu in copied]
        assert names == ["PRIMARY", "EVENTS", "GTI", "AEFF", "STDGTI"]
        assert copied["STDGTI"].header["MARK"] == "other"
        assert len(copied["STDGTI"].data) == 2


def test_copy_has_one_good_time_alone(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    other = _hdu("GTI", 2, MARK="other")
    fits.HDUList([fits.PrimaryHDU(), other]).writeto(tmp_path / "7.fits")

    run = make_run(gti_file="7.fits")
    copy_events(tmp_path, tmp_path / "copy.fits", run=run, creator="bkgpipe 1")

    with fits.open(tmp_path / "copy.fits") as copied:
        assert [hdu.name for hdu in copied] == ["PRIMARY", "EVENTS", "AEFF", "GTI"]
        assert copied["GTI"].header["MARK"] == "other"


def test_copy_without_the_file_of_good_time_is_named(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    run = make_run(gti_file="gti/7.fits")
    with pytest.raises(InputError, match=r"run 7 \(gti/7\.fits\): .*cannot be read"):
        copy_events(tmp_path, tmp_path / "c", run=run, creator="bkgpipe 1")


def test_copy_of_plain_fits_works_and_is_not_compressed(
    tmp_path: Path, make_run
) -> None:
    _write_file(tmp_path / "data/run_7.fits")
    run = make_run(events_file="data/run_7.fits")
    copy_events(tmp_path, tmp_path / "copy.fits", run=run, creator="bkgpipe 1")
    assert (tmp_path / "copy.fits").read_bytes().startswith(b"SIMPLE")


def test_copy_of_no_events_is_a_copy(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz", n_events=0)
    copy_events(tmp_path, tmp_path / "copy.fits", run=make_run(), creator="bkgpipe 1")
    assert len(fits.getdata(tmp_path / "copy.fits", "EVENTS")) == 0


def test_equal_input_gives_equal_bytes(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    for name in ("a", "b"):
        copy_events(tmp_path, tmp_path / name, run=make_run(), creator="bkgpipe 1")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_copy_of_a_missing_file_is_named(tmp_path: Path, make_run) -> None:
    with pytest.raises(
        InputError, match=r"run 7 .*run_7\.fits\.gz\): .*exclude the run"
    ):
        copy_events(tmp_path, tmp_path / "c", run=make_run(), creator="bkgpipe 1")


@pytest.mark.parametrize("n_lost", [100, 3000])
def test_copy_of_a_truncated_file_is_named(
    tmp_path: Path, n_lost: int, make_run
) -> None:
    _write_file(tmp_path / "data/run_7.fits")
    content = (tmp_path / "data/run_7.fits").read_bytes()
    (tmp_path / "data/run_7.fits.gz").write_bytes(
        gzip.compress(content[:-n_lost], mtime=0)
    )
    with pytest.raises(
        InputError, match=r"run 7 .*run_7\.fits\.gz\): .*exclude the run"
    ):
        copy_events(tmp_path, tmp_path / "c", run=make_run(), creator="bkgpipe 1")
    assert not (tmp_path / "c").exists()


def test_copy_of_no_fits_is_named(tmp_path: Path, make_run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/run_7.fits.gz").write_bytes(b"nothing of the kind")
    with pytest.raises(
        InputError, match=r"run 7 .*run_7\.fits\.gz\): .*exclude the run"
    ):
        copy_events(tmp_path, tmp_path / "c", run=make_run(), creator="bkgpipe 1")


def test_copy_without_an_events_hdu_is_named(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    run = make_run(events_hdu="EVENTS_2")
    for read in (
        lambda: copy_events(tmp_path, tmp_path / "c", run=run, creator="bkgpipe 1"),
        lambda: read_origin(tmp_path, run),
    ):
        with pytest.raises(
            InputError, match=r"run 7 .*no HDU EVENTS_2.*Correct HDU_NAME"
        ):
            read()


def test_copy_to_a_missing_folder_is_named(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    with pytest.raises(OutputError, match=r"absent/c: .*existing folder"):
        copy_events(
            tmp_path, tmp_path / "absent/c", run=make_run(), creator="bkgpipe 1"
        )


def test_origin_is_that_of_the_events(tmp_path: Path, make_run) -> None:
    _write_file(tmp_path / "data/run_7.fits.gz")
    assert read_origin(tmp_path, make_run()) == Origin(telescope="HESS")


def test_origin_tells_what_gammapy_mirrors(hess_store: Path, hess_run) -> None:
    origin = read_origin(hess_store, hess_run)
    assert origin.is_mirrored
    assert origin.organisation == "H.E.S.S. Collaboration"


def test_index_of_copies_names_copies_and_models(tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "export" / "store"
    _write_source(source)
    entries = [_entry(obs_id, events=f"data/{obs_id}.fits") for obs_id in (8, 7)]
    path = tmp_path / "hdu-index.tmp"
    write_hdu_index(path, source, store=store, entries=entries, model_class="bkg_3d")
    rows = _index_rows(path)
    assert rows == {
        (7, "events"): ("data/7.fits", "EVENTS"),
        (7, "gti"): ("data/7.fits", "GTI"),
        (7, "aeff"): ("data/7.fits", "AEFF"),
        (7, "bkg"): ("models/bkg_3d_7.fits", "BACKGROUND"),
        (8, "events"): ("data/8.fits", "EVENTS"),
        (8, "gti"): ("data/8.fits", "GTI"),
        (8, "aeff"): ("../../source/irfs/shared.fits", "AEFF"),
        (8, "bkg"): ("models/bkg_3d_8.fits", "BACKGROUND"),
    }
    table = Table.read(path)
    assert list(table["OBS_ID"]) == [7] * 4 + [8] * 4
    assert table.meta["HDUCLAS2"] == "HDU"


def test_index_alone_names_the_originals(tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    _write_source(source)
    path = tmp_path / "hdu-index.fits.gz"
    entries = [_entry(9)]
    write_hdu_index(path, source, store=store, entries=entries, model_class="bkg_2d")
    assert _index_rows(path) == {
        (9, "events"): ("../source/data/run_9.fits.gz", "EVENTS"),
        (9, "gti"): ("../source/data/run_9.fits.gz", "GTI"),
        (9, "aeff"): ("../source/data/run_9.fits.gz", "AEFF"),
        (9, "bkg"): ("models/bkg_2d_9.fits", "BACKGROUND"),
    }
    assert list(Table.read(path)["HDU_CLASS"])[-1] == "bkg_2d"


def test_index_follows_links(tmp_path: Path) -> None:
    source = tmp_path / "deep" / "down" / "source"
    _write_source(source)
    (tmp_path / "link").symlink_to(source)
    path = tmp_path / "hdu-index.fits.gz"
    write_hdu_index(
        path,
        tmp_path / "link",
        store=tmp_path,
        entries=[_entry(9)],
        model_class="bkg_3d",
    )
    file = _index_rows(path)[9, "events"][0]
    assert file == "deep/down/source/data/run_9.fits.gz"


def test_index_of_a_run_that_is_gone_is_named(tmp_path: Path) -> None:
    _write_source(tmp_path)
    with pytest.raises(
        InputError, match=r"hdu-index\.fits\.gz: runs \[99\] .*Select the r"
    ):
        write_hdu_index(
            tmp_path / "i",
            tmp_path,
            store=tmp_path,
            entries=[_entry(99), _entry(7)],
            model_class="bkg_3d",
        )


def _export(
    store: Path, source: Path, run: Run, *, full: bool, model_class: str = "bkg_3d"
) -> Observation:
    """Write a store of one H.E.S.S. run and let gammapy read it."""
    store.mkdir()
    header = ProductHeader(
        stage="export", fingerprint="a", inputs="b", seconds=0.0, version="1"
    )
    events = "events.fits" if full else ""
    entry = _entry(HESS_RUN, bkg_3d="3d.fits", bkg_2d="2d.fits", events=events)
    origin = read_origin(source, run)
    write_bkg_3d(store / "3d.fits", _model(), header=header, origin=origin)
    write_bkg_2d(store / "2d.fits", _model(), header=header, origin=origin)
    if full:
        copy_events(source, store / events, run=run, creator="bkgpipe 1")
    path = store / "obs-index.fits.gz"
    write_observation_table(path, source, obs_ids=[HESS_RUN])
    write_hdu_index(
        store / "hdu-index.fits.gz",
        source,
        store=store,
        entries=[entry],
        model_class=model_class,
    )
    (observation,) = DataStore.from_dir(store).get_observations()
    return observation


def test_gammapy_does_not_mirror_the_full_store(
    tmp_path: Path, hess_store: Path, hess_run
) -> None:
    observation = _export(tmp_path / "new", hess_store, hess_run, full=True)
    assert observation.bkg.fov_alignment.value == "ALTAZ"
    assert observation.bkg.meta["TELESCOP"] == "HESS"
    assert observation.bkg.meta["INSTRUME"] == "H.E.S.S. Phase I"
    np.testing.assert_allclose(observation.bkg.data * 1e6, _model().bkg_3d)
    original = DataStore.from_dir(hess_store).obs(HESS_RUN)
    assert len(observation.events.table) == len(original.events.table) == 7613
    assert observation.available_hdus == original.available_hdus
    np.testing.assert_array_equal(observation.aeff.data, original.aeff.data)
    np.testing.assert_array_equal(observation.edisp.data, original.edisp.data)
    np.testing.assert_array_equal(observation.psf.data, original.psf.data)
    assert observation.observation_live_time_duration.to_value("s") == pytest.approx(
        original.observation_live_time_duration.to_value("s")
    )


def test_gammapy_reads_the_index_store_but_mirrors_it(
    tmp_path: Path, hess_store: Path, hess_run
) -> None:
    observation = _export(tmp_path / "new", hess_store, hess_run, full=False)
    assert len(observation.events.table) == 7613
    np.testing.assert_allclose(observation.bkg.data * 1e6, _model().bkg_3d)
    # Not wanted, but what gammapy does to events of this creator
    assert observation.bkg.fov_alignment.value == "REVERSE_LON_RADEC"


def test_gammapy_reads_the_2d_model_of_the_store(
    tmp_path: Path, hess_store: Path, hess_run
) -> None:
    store = tmp_path / "new"
    observation = _export(store, hess_store, hess_run, full=True, model_class="bkg_2d")
    assert observation.bkg.tag == "bkg_2d"
    assert observation.bkg.has_offset_axis


def test_index_of_copies_has_good_time_in_the_copy(tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    _write_source(source)
    table = Table.read(source / "hdu-index.fits.gz")
    is_gti = [kind.strip() == "GTI" for kind in table["HDU_TYPE"]]
    table["FILE_DIR"][is_gti] = "gti"
    table.write(source / "hdu-index.fits.gz", overwrite=True)
    path = tmp_path / "hdu-index.fits.gz"

    entries = [_entry(7, events="data/7.fits"), _entry(8)]
    write_hdu_index(path, source, store=store, entries=entries, model_class="bkg_3d")

    rows = _index_rows(path)
    assert rows[7, "gti"] == ("data/7.fits", "GTI")
    assert rows[8, "gti"] == ("../source/gti/run_8.fits.gz", "GTI")


def _change(path: Path, old: bytes, new: bytes) -> None:
    content = gzip.decompress(path.read_bytes())
    assert old in content
    assert len(old) == len(new)
    # the checksums are of what is there now
    path.write_bytes(gzip.compress(with_sums(content.replace(old, new))))


@pytest.mark.parametrize(
    ("new", "telescope"),
    [
        (b"'HE\tSS '", "HE SS"),
        (b"'HE\x1bSS '", "HE?SS"),
        (b"'       '", "UNKNOWN"),
        (b"        ", "UNKNOWN"),
        (b"HESS    ", "HESS"),
    ],
)
def test_odd_cards_stop_no_copy(
    new: bytes, telescope: str, tmp_path: Path, make_run
) -> None:
    path = tmp_path / "data/run_7.fits.gz"
    _write_file(path)
    old = b"TELESCOP= 'HESS    '"
    _change(path, old, b"TELESCOP= " + new.ljust(len(old) - 10))

    assert read_origin(tmp_path, make_run()).telescope == telescope
    copy = tmp_path / "copy.fits"
    copy_events(tmp_path, copy, run=make_run(), creator="bkgpipe 1")

    with fits.open(copy) as hdus:
        assert len(hdus["EVENTS"].data) == 500
        hdus.verify("exception")


def test_control_characters_of_any_header_are_not_copied(
    tmp_path: Path, make_run
) -> None:
    path = tmp_path / "data/run_7.fits.gz"
    _write_file(path)
    _change(path, b"'GTI     '", b"'GTI    '\t")

    copy = tmp_path / "copy.fits"
    copy_events(tmp_path, copy, run=make_run(), creator="bkgpipe 1")

    with fits.open(copy) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "EVENTS", "GTI", "AEFF"]
        hdus.verify("exception")


def test_a_card_that_cannot_be_copied_names_its_run(tmp_path: Path, make_run) -> None:
    path = tmp_path / "data/run_7.fits.gz"
    _write_file(path)
    _change(path, b"TELESCOP= 'HESS    '", b"CONTINUE  'HESS     ")

    with pytest.raises(InputError, match=r"run 7 \(data.*cannot be copied.*exclude"):
        copy_events(tmp_path, tmp_path / "copy", run=make_run(), creator="bkgpipe 1")


def test_an_index_with_a_second_events_file_has_one_copy(tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    _write_source(source)
    path = source / "hdu-index.fits.gz"
    table = Table.read(path)
    table.add_row([7, "events", "events", "v2", "run_7.fits.gz", "EVENTS"])
    table.add_row([7, "aeff", "aeff_2d", "v2", "run_7.fits.gz", "AEFF"])
    table.write(path, overwrite=True)

    entries = [_entry(7, events="data/7.fits")]
    index = tmp_path / "hdu-index.tmp"
    write_hdu_index(index, source, store=store, entries=entries, model_class="bkg_3d")

    assert len(Table.read(index)) == 4
    assert _index_rows(index)[7, "events"] == ("data/7.fits", "EVENTS")


def test_an_index_can_hold_names_of_any_language(tmp_path: Path) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    _write_source(source)
    path = source / "hdu-index.fits.gz"
    table = Table.read(path)
    table["FILE_NAME"] = [name.replace("run", "läuf") for name in table["FILE_NAME"]]
    table["FILE_NAME"] = np.char.encode(np.asarray(table["FILE_NAME"]), "utf-8")
    table.write(path, overwrite=True)

    index = tmp_path / "hdu-index.tmp"
    write_hdu_index(
        index, source, store=store, entries=[_entry(9)], model_class="bkg_3d"
    )

    file, _ = _index_rows(index)[9, "events"]
    assert file == "../source/data/läuf_9.fits.gz"
