from __future__ import annotations

import re
from dataclasses import replace

import pytest
from astropy.io import fits
from astropy.table import Table, vstack

from bkgpipe.store.store import read_runs


def test_no_problems(bkgpipe, folder):
    result = bkgpipe("check")

    assert result.exit_code == 0
    assert "8 runs, 8 selected (0.5 h), 8 get a model\n" in result.stdout
    assert re.search(
        r"Takes:    about \d+ s with 1 worker, if nothing is made yet; ", result.stdout
    )
    assert re.search(r"Memory:   up to \d+ MB \(\w+\); this machine", result.stdout)
    assert "Regions:  8 excluded\n" in result.stdout
    assert "out (" in result.stdout
    assert " GB free)" in result.stdout
    assert result.stdout.endswith("No problems.\n")
    assert not (folder / "out").exists()


def test_a_site_that_gives_too_little_is_told(bkgpipe, folder):
    with (folder / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[site:small]\nmemory = 100 MB\n[site:open]\n")

    result = bkgpipe("check")

    assert result.exit_code == 0
    assert "but [site:small] memory is 100 MB: raise it" in result.stdout
    assert "[site:open]" not in result.stdout


def test_missing_events_file(bkgpipe, folder, find_events):
    find_events(folder / "store", 1004).unlink()

    result = bkgpipe("check")

    assert result.exit_code == 1
    told = "Problem: run 1004 (data/run_1004.fits.gz): the file cannot be read (No such"
    assert told in result.stdout
    assert result.stdout.endswith("1 problem(s).\n")


def test_a_missing_file_of_a_run_that_is_not_used_is_none(bkgpipe, folder, find_events):
    find_events(folder / "store", 1004).unlink()

    result = bkgpipe("check", "--set", "select.exclude_obs_ids=1004")

    assert result.exit_code == 0


def test_a_second_events_file_is_named_by_check_and_run(bkgpipe, folder):
    path = folder / "store" / "hdu-index.fits.gz"
    table = Table.read(path)
    is_events = [str(kind).strip() == "events" for kind in table["HDU_TYPE"]]
    second = table[is_events & (table["OBS_ID"] == 1004)]
    second["HDU_NAME"] = "EV2"
    table = vstack([table, second])
    table.write(path, overwrite=True)
    told = "run 1004: the HDU index names 2 entries of type events"

    checked = bkgpipe("check")
    ran = bkgpipe("run", "select")

    assert checked.exit_code == ran.exit_code == 0
    assert f"Warning: {told}" in checked.stdout
    (log,) = (folder / "out" / "logs").glob("*.log")
    assert told in log.read_text()


def test_a_range_is_what_the_store_has_of_it(bkgpipe, folder):
    (folder / "runs.txt").write_text("1002-1004  # a night\n1007-9999\n", "utf-8-sig")

    result = bkgpipe("check", "--set", f"select.obs_ids=@{folder / 'runs.txt'}")

    assert "8 runs, 5 selected" in result.stdout


@pytest.mark.parametrize("key", ["select.obs_ids", "export.obs_ids"])
@pytest.mark.usefixtures("folder")
def test_unknown_obs_id(bkgpipe, key):
    result = bkgpipe("check", "--set", f"{key}=1002, 77")

    assert result.exit_code == 1
    (problem,) = [line for line in result.stdout.splitlines() if "Problem" in line]
    assert "77" in problem
    assert "1002" not in problem


@pytest.mark.usefixtures("folder")
def test_no_run_selected(bkgpipe):
    result = bkgpipe("check", "--set", "select.min_livetime=10 h")

    assert result.exit_code == 1
    assert (
        "Problem: [select]: none of 8 runs is selected. Widen its limits.\n"
        in result.stdout
    )


def test_all_problems_are_told_at_once(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").unlink()
    (folder / "file").write_text("in the way")
    (folder / "none.fits").write_text("no table")

    result = bkgpipe(
        "check", "--set", "mask.catalogs=none.fits", "--set", "data.output=file/out"
    )

    assert result.exit_code == 1
    problems = [line for line in result.stdout.splitlines() if "Problem" in line]
    assert len(problems) == 3
    for problem, word in zip(problems, ("index", "none.fits", "file"), strict=True):
        assert word in problem
    assert problems[2].endswith("file cannot be written: choose [data] output")


@pytest.mark.usefixtures("folder")
def test_runs_that_are_left_out_are_counted_by_reason(bkgpipe):
    result = bkgpipe("check", "--set", "select.obs_ids=1001, 1002")

    assert "8 runs, 2 selected (0.1 h), 2 get a model\n" in result.stdout
    some = "1003, 1004, 1005, 1006, 1007 and 1 more"
    assert f"  6 not selected: is not among obs_ids ({some})\n" in result.stdout
    assert result.exit_code == 0


def test_many_problems_are_not_all_told(bkgpipe, folder, monkeypatch):
    monkeypatch.setattr("bkgpipe.cli.check._LISTED", 3)
    for path in (folder / "store" / "data").iterdir():
        path.unlink()

    result = bkgpipe("check")

    lines = result.stdout.splitlines()
    assert sum(line.startswith("Problem: ") for line in lines) == 3
    assert lines[-2:] == ["  and 5 more", "8 problem(s)."]


def test_one_problem_of_each_kind_comes_first(
    bkgpipe, folder, find_events, monkeypatch
):
    monkeypatch.setattr("bkgpipe.cli.check._LISTED", 2)
    table = read_runs(folder / "store")
    runs = [replace(run, azimuth=float("nan")) for run in table.runs[:7]]
    table = replace(table, runs=(*runs, table.runs[7]))
    monkeypatch.setattr("bkgpipe.chain.inputs.read_runs", lambda _store: table)
    find_events(folder / "store", 1008).unlink()

    result = bkgpipe("check")

    problems = [line for line in result.stdout.splitlines() if "Problem" in line]
    assert [line[:18] for line in problems] == [
        "Problem: run 1001:",
        "Problem: run 1008 ",
    ]
    assert result.stdout.endswith("8 problem(s).\n")


def test_of_many_runs_the_headers_are_read(bkgpipe, folder, find_events, monkeypatch):
    monkeypatch.setattr("bkgpipe.cli.check._MAX_READ", 1)
    fits.setval(
        find_events(folder / "store", 1004), "OBS_ID", value=99, extname="EVENTS"
    )

    result = bkgpipe("check")

    told = (
        "Problem: run 1004 (data/run_1004.fits.gz): the events are of run 99. Correct"
    )
    assert told in result.stdout
    assert "Clock:    1 of 8 runs read" in result.stdout


@pytest.mark.usefixtures("folder")
def test_models_of_everything_seen_are_warned_of(bkgpipe):
    result = bkgpipe("check", "--set", "mask.catalogs=")

    assert "Regions:  none: gamma-ray sources are taken for background" in result.stdout


@pytest.mark.parametrize("store", ["full", "index"])
@pytest.mark.usefixtures("folder")
def test_a_disk_that_is_too_small_is_a_problem(bkgpipe, monkeypatch, store):
    monkeypatch.setattr(
        "bkgpipe.cli.check.disk_space", lambda folder: (folder.parent, 1000)
    )

    result = bkgpipe("check", "--set", f"export.store={store}")

    (problem,) = (line for line in result.stdout.splitlines() if "Problem" in line)
    assert "are needed, but 1 MB are free in" in problem
    assert ("set [export] store = index" in problem) == (store == "full")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (("smooth.method=regression",), ["Problem: run 1003: the zenith angle"]),
        (("smooth.method=gaussian",), ["Problem: run 1003: zenith is nan"]),
        (("smooth.method=gaussian", "stack.strategy=ranked"), []),
        # without it the others still get their models
        (("export.obs_ids=1001",), ["Warning: run 1003: zenith is nan"]),
    ],
)
def test_angles_that_models_depend_on_must_be_known(
    bkgpipe, folder, monkeypatch, *, settings, found
):
    table = read_runs(folder / "store")
    lost = replace(table.runs[2], zenith=float("nan"), azimuth=float("nan"))
    table = replace(table, runs=(*table.runs[:2], lost, *table.runs[3:]))
    monkeypatch.setattr("bkgpipe.chain.inputs.read_runs", lambda _store: table)

    result = bkgpipe("check", *(word for text in settings for word in ("--set", text)))

    assert re.findall(r"^\w+: run 1003: \w+ \w+ \w+", result.stdout, re.M) == found
    assert result.exit_code == (1 if "Problem" in result.stdout else 0)


@pytest.mark.usefixtures("folder")
def test_the_clocks_of_the_store_are_compared(bkgpipe):
    result = bkgpipe("check")

    (clock,) = [line for line in result.stdout.splitlines() if "Clock:" in line]
    assert clock.startswith("Clock:    8 of 8 runs read: 0 of ")
    assert "Warning" not in result.stdout


def test_times_that_differ_are_a_warning(bkgpipe, folder, find_events, halve_good_time):
    halve_good_time(find_events(folder / "store", 1004))

    result = bkgpipe("check")

    assert result.exit_code == 0
    (warning,) = [line for line in result.stdout.splitlines() if "Warning" in line]
    assert warning.startswith("Warning: run 1004: its times differ by up to 100.0%")
    assert "120.0 s in the good time intervals" in warning
    assert "240.0 s by ONTIME" in warning
    assert result.stdout.endswith("No problems.\n")


def test_many_events_outside_good_time_are_a_warning(
    bkgpipe, folder, find_events, halve_good_time
):
    for obs_id in range(1001, 1007):
        halve_good_time(find_events(folder / "store", obs_id))

    result = bkgpipe("check")

    warnings = [line for line in result.stdout.splitlines() if "Warning" in line]
    assert len(warnings) == 7
    assert "%) are outside good time and are not counted: check TIME" in warnings[0]
    # those of runs that are not selected do not matter
    few = bkgpipe("check", "--set", "select.obs_ids=1005, 1006, 1007, 1008")
    assert "are outside good time and are not counted" not in few.stdout


def test_an_events_file_that_cannot_be_used_is_a_problem(bkgpipe, folder, find_events):
    path = find_events(folder / "store", 1004)
    path.write_bytes(path.read_bytes()[:2000])

    result = bkgpipe("check")

    assert result.exit_code == 1
    assert "Problem: run 1004 (data/run_1004.fits.gz): " in result.stdout
    assert "Clock:    7 of 8 runs read" in result.stdout


def test_a_run_without_good_time_is_a_problem(bkgpipe, folder, find_events):
    path = find_events(folder / "store", 1004)
    with fits.open(path, memmap=False) as hdus:
        hdus["GTI"].data = hdus["GTI"].data[:0]
        hdus.writeto(path, overwrite=True)

    result = bkgpipe("check")

    assert result.exit_code == 1
    assert "Problem: run 1004: on-time is 0.0 s" in result.stdout
    assert "Clock:    7 of 8 runs read" in result.stdout


@pytest.mark.usefixtures("folder")
def test_energies_that_hold_the_events_are_told(bkgpipe):
    result = bkgpipe("check", "--set", "binning.energy_min=0.02 TeV")

    (told,) = [line for line in result.stdout.splitlines() if "Energies: " in line]
    assert told.startswith("Energies: 100.0% of the events in the field (8 runs looked")
    assert told.endswith("are within [binning], 0.02 to 100 TeV")


@pytest.mark.usefixtures("folder")
def test_many_events_outside_the_energies_are_warned_of(bkgpipe):
    result = bkgpipe("check", "--set", "binning.energy_min=1 TeV")

    (told,) = [line for line in result.stdout.splitlines() if "Energies: " in line]
    assert "are outside [binning], 1 to 100 TeV: " in told
    assert "% below, 0% above; bkgpipe init proposes" in told
    assert result.exit_code == 0


def test_one_energy_is_a_warning(bkgpipe, folder, find_events):
    for obs_id in range(1001, 1009):
        path = find_events(folder / "store", obs_id)
        with fits.open(path) as hdus:
            hdus["EVENTS"].data["ENERGY"][:] = 1.0
            hdus.writeto(path, overwrite=True)

    result = bkgpipe("check")

    assert result.exit_code == 0
    assert re.search("^Warning: .* have the same energy, 1 TeV", result.stdout, re.M)


def test_runs_that_cannot_be_read_are_a_problem(bkgpipe, folder):
    for path in (folder / "store" / "data").iterdir():
        path.write_bytes(b"words")

    result = bkgpipe("check")

    assert result.exit_code == 1
    assert result.stdout.count("the FITS file is damaged or truncated") == 8
    assert result.stdout.endswith("8 problem(s).\n")


def test_runs_in_the_galactic_plane_are_named_without_hgps(
    bkgpipe, folder, monkeypatch
):
    table = read_runs(folder / "store")
    plane = replace(table.runs[2], ra=266.4, dec=-29.0)
    table = replace(table, runs=(*table.runs[:2], plane, *table.runs[3:]))
    monkeypatch.setattr("bkgpipe.chain.inputs.read_runs", lambda _store: table)

    result = bkgpipe("check")

    (told,) = [line for line in result.stdout.splitlines() if "Plane: " in line]
    assert "1 of 8 runs, such as 1003, point within 5 deg of the Galactic plane" in told
