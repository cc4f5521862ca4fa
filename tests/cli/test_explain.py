from __future__ import annotations

import pytest


@pytest.mark.usefixtures("finished")
def test_every_candidate_is_told(bkgpipe, tmp_path):
    picture = tmp_path / "picture.png"

    result = bkgpipe("explain", "1001", "--plot", picture)

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Ranking for run 1001"
    # 1003 has no file, so it was not counted
    assert sum(line.startswith("  run ") for line in lines) == 7
    assert any(line.endswith(": own run") for line in lines)
    assert lines[-1] == f"Drawn: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("finished")
def test_a_refused_run_has_no_ranking(bkgpipe):
    result = bkgpipe("explain", "1003")

    assert result.exit_code == 1
    assert "run_1003.fits.gz" in result.stderr


@pytest.mark.usefixtures("folder")
def test_before_the_runs_are_counted(bkgpipe):
    result = bkgpipe("explain", "1001")

    assert result.exit_code == 1
    assert "were not counted yet" in result.stderr
