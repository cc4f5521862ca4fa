"""Each engine with commands of ours in place of its own; answers as they print them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.batch.ship.arc import make_arc
from bkgpipe.batch.ship.htcondor import make_htcondor
from bkgpipe.batch.ship.protocol import JobState, Parcel
from bkgpipe.batch.ship.slurm import make_slurm
from bkgpipe.errors import SiteError
from bkgpipe.settings import read_settings
from bkgpipe.settings.site_sections import SiteSettings

_ID = "https://ce.test:8443/arex/abc"


@pytest.fixture
def site(tmp_path: Path) -> SiteSettings:
    config = tmp_path / "luigi.cfg"
    config.write_text(
        f"[data]\nstore = {tmp_path}\noutput = {tmp_path}/out\n[mask]\ncatalogs =\n"
        "[site:far]\nengine = arc\nendpoint = https://ce.test:8443/arex\n"
        "transfer = files\nmemory = 1000 MB\noptions = (queue=long)\n",
        encoding="utf-8",
    )
    return read_settings(config).site("far")


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a command in place that prints something and notes its words."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, text: str = "", *, code: int = 0, then: str = "") -> None:
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        path = folder / name
        path.write_text(
            f'#!/bin/sh\necho "$@" >>{folder}/{name}.words\ncat {folder}/{name}.txt\n'
            f"{then}\nexit {code}\n",
            encoding="utf-8",
        )
        path.chmod(0o755)

    return put


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    parcels = []
    for name in ("a", "b"):
        script = tmp_path / f"{name}.sh"
        script.write_text("echo\n", encoding="utf-8")
        bundle = tmp_path / f"{name}.in.tar"
        parcels.append(
            Parcel(
                name=name,
                script=script,
                inputs=(bundle,),
                output=f"{name}.out.tar",
                memory=1500,
                time=90,
            )
        )
    return parcels


def _condor(number: int, status: int, **more: object) -> dict[str, object]:
    return {"ClusterId": 7, "ProcId": number, "JobStatus": status, **more}


def test_condor_sends_all_in_one_file(site, says, parcels, tmp_path):
    says("condor_submit", "7.0 - 7.1\n")
    assert make_htcondor(site, tmp_path).submit(parcels) == ["7.0", "7.1"]
    text = (tmp_path / "a.sub").read_text(encoding="utf-8")
    assert text.count("\nqueue") == 2
    assert text.count("request_memory = 1500MB") == 2
    assert f"transfer_input_files = {tmp_path}/b.sh, {tmp_path}/b.in.tar" in text


def test_condor_that_takes_fewer_jobs(site, says, parcels, tmp_path):
    says("condor_submit", "7.0 - 7.0\n")
    with pytest.raises(SiteError, match="1 of 2 jobs"):
        make_htcondor(site, tmp_path).submit(parcels)


def test_states_of_condor(site, says, tmp_path):
    hold = {"HoldReason": "memory usage exceeded request_memory", "HoldReasonCode": 34}
    queue = [_condor(0, 1), _condor(1, 2), _condor(2, 5, **hold)]
    history = [
        _condor(3, 4, ExitCode=0),
        _condor(4, 4, ExitCode=71),
        _condor(5, 4, ExitBySignal=True, ExitSignal=9),
        _condor(6, 3, RemoveReason="via condor_rm"),
    ]
    says("condor_q", json.dumps(queue))
    says("condor_history", json.dumps(history))
    ids = [f"7.{n}" for n in range(8)]
    found = make_htcondor(site, tmp_path).poll(ids)
    assert [found[each] for each in ids] == [
        JobState(state="queued"),
        JobState(state="running"),
        JobState(state="held", reason=hold["HoldReason"], lacks_memory=True),
        JobState(state="done"),
        JobState(state="failed", reason="exit code 71"),
        JobState(state="failed", reason="signal 9"),
        JobState(state="failed", reason="via condor_rm"),
        JobState(state="lost", reason="HTCondor knows no such job"),
    ]


def test_condor_finds_jobs_by_name(site, says, tmp_path):
    says("condor_q", json.dumps([_condor(0, 1, BkgpipeName="a")]))
    says("condor_history", json.dumps([_condor(1, 4, BkgpipeName="b")]))
    assert make_htcondor(site, tmp_path).find(["a", "c"]) == {"a": "7.0"}


@pytest.mark.parametrize("text", ["{", '{"a": 1}'])
def test_condor_that_answers_nonsense(site, says, tmp_path, text):
    says("condor_q", text)
    with pytest.raises(SiteError, match="its answer is no"):
        make_htcondor(site, tmp_path).poll(["7.0"])


def test_command_that_fails_is_quoted(site, says, tmp_path):
    says("condor_q", "no schedd here", code=1)
    with pytest.raises(SiteError, match="no schedd here"):
        make_htcondor(site, tmp_path).poll(["7.0"])


def test_slurm_sends_and_reads(site, says, parcels, tmp_path):
    says("sbatch", "12;cluster\n")
    says("sacct", "12|RUNNING|0:0\n13|OUT_OF_MEMORY|0:125\n14|COMPLETED|0:0\n")
    engine = make_slurm(site, tmp_path)
    assert engine.submit(parcels[:1]) == ["12"]
    assert "#SBATCH --mem=1500M\n" in (tmp_path / "a.sbatch").read_text("utf-8")
    found = engine.poll(["12", "13", "14", "15"])
    assert [state.state for state in found.values()] == [
        "running",
        "failed",
        "done",
        "lost",
    ]
    assert found["13"].lacks_memory


def test_arc_sends_a_short_description(site, says, parcels, tmp_path):
    # arcsub -C CE -j LIST -o IDS FILE
    says("arcsub", "", then=f'echo {_ID} >>"$6"')
    engine = make_arc(site, tmp_path)
    assert engine.submit(parcels[:1]) == [_ID]
    assert engine.find(["a", "b"]) == {"a": _ID}
    text = (tmp_path / "a.xrsl").read_text(encoding="utf-8")
    assert f'(inputFiles= ("a.sh" "{tmp_path}/a.sh")' in text
    assert '(outputFiles=("a.out.tar" ""))' in text
    assert "(queue=long)" in text


def test_states_of_arc(site, says, tmp_path):
    ends = ["Running (INLRMS)", "Finished (FINISHED)\n Exit Code: 0"]
    ends += [
        "Finished (FINISHED)\n Exit Code: 3",
        "Failed (FAILED)\n Job Error: no disk",
    ]
    says("arcstat", "".join(f"Job: {n}\n State: {e}\n\n" for n, e in enumerate(ends)))
    found = make_arc(site, tmp_path).poll(["0", "1", "2", "3", "4"])
    assert list(found.values()) == [
        JobState(state="running"),
        JobState(state="done"),
        JobState(state="failed", reason="exit code 3"),
        JobState(state="failed", reason="no disk"),
        # its information comes late
        JobState(state="queued"),
    ]


def test_expired_proxy_of_arc(site, says, tmp_path):
    says("arcstat", "", code=1)
    with pytest.raises(SiteError) as caught:
        make_arc(site, tmp_path).poll([_ID])
    assert "renew it; then run again" in caught.value.fix


def test_arc_brings_log_and_answer(site, says, tmp_path):
    # arcget -j LIST --keep --dir PLACE ID
    says("arcget", "", then='mkdir -p "$5/x"; touch "$5/x/a.log" "$5/x/gmlog"')
    make_arc(site, tmp_path).fetch(_ID, "a")
    assert (tmp_path / "a.log").exists()
    assert not (tmp_path / "a.arc").exists()
