from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.batch.jobs import Job
from bkgpipe.batch.ship import carriage
from bkgpipe.batch.ship.baggage import Verdict
from bkgpipe.batch.ship.desk import ShipDesk
from bkgpipe.batch.ship.protocol import JobState
from bkgpipe.errors import SiteError

_Desks = Callable[..., ShipDesk]
_ONCE = 'bash -c \'if mkdir {0}/once 2>/dev/null; then {1}; else cp "$2" "$4"; fi\''


class _Killed(BaseException):
    """In place of kill -9: nothing that runs after it may be relied on."""


def _jobs(desk: ShipDesk) -> list[Job]:
    return list(desk.journal.read().values())


def _are_made(products: dict) -> bool:
    return all(each.complete() for each in products.values())


def test_packed_sent_fetched_and_put(new_desk: _Desks, products: dict) -> None:
    desk = new_desk()
    desk.make("count", products)
    assert _are_made(products)
    assert [job.chunks for job in _jobs(desk)] == [(0, 1), (2, 3), (4,)]
    assert {job.state for job in _jobs(desk)} == {"finished"}
    assert len({job.sum for job in _jobs(desk)}) == 3
    # what was sent and brought back is not kept twice
    assert not list(desk.carriage.folder.glob("*.tar"))


def test_what_is_there_is_not_packed(new_desk: _Desks, products: dict) -> None:
    products[0].path.touch()
    desk = new_desk()
    desk.make("count", products)
    assert desk.baggage.packed == [(1, 2), (3, 4)]


@pytest.mark.parametrize("address", [False, True], ids=["files", "url"])
@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (":", "brought no answer"),
        (': > "$4"', "brought no answer"),
        ('head -c 3 "$2" > "$4"', "is cut off"),
        ("exit 7", "exit code 7"),
        ("kill -9 $PPID", "exit code -9"),
    ],
    ids=["lost", "empty", "truncated", "failed", "killed"],
)
def test_bad_answer_is_sent_again(  # noqa: PLR0917 pytest gives them by name
    new_desk: _Desks,
    products: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: str,
    reason: str,
    address: bool,
) -> None:
    if address:
        pytest.importorskip("fsspec")
        monkeypatch.setattr(carriage, "_LAG", 0.0)
    command = _ONCE.format(tmp_path, work)
    url = f"file://{tmp_path}/storage"
    if address:
        command = command.replace('"$2"', '"${2#file://}"')
        command = command.replace('"$4"', '"${4#file://}"')
    desk = new_desk(command=command, transfer=url if address else "files")
    desk.make("count", products)
    assert _are_made(products)
    failed = [job for job in _jobs(desk) if job.state == "failed"]
    assert len(failed) == 1
    assert reason in failed[0].error
    assert len(_jobs(desk)) == 4
    assert not list((tmp_path / "storage").glob("*"))


def test_retries_have_a_limit(new_desk: _Desks, products: dict) -> None:
    desk = new_desk(command="bash -c 'exit 7'")
    with pytest.raises(SiteError, match=r"5 chunk.*exit code 7") as caught:
        desk.make("count", products)
    assert len(_jobs(desk)) == 6
    assert "--site" in caught.value.fix
    new_desk().make("count", products)
    assert _are_made(products)


def test_other_version_is_not_sent_again(new_desk: _Desks, products: dict) -> None:
    desk = new_desk()
    reason = "was made by bkgpipe 0.9, not by 1.0"
    desk.baggage.verdicts[2] = Verdict(is_taken=False, reason=reason, can_help=False)
    with pytest.raises(SiteError, match=r"0\.9, not by 1\.0") as caught:
        desk.make("count", products)
    assert "same bkgpipe" in caught.value.fix
    assert len(_jobs(desk)) == 3
    assert products[0].complete()
    assert products[4].complete()


def test_held_for_memory_gets_more(new_desk: _Desks, products: dict) -> None:
    desk = new_desk(chunks_per_job=5, retries=5)
    engine = desk.carriage.engine
    held = JobState(state="held", reason="used 1200 MB", lacks_memory=True)
    stem = desk._stem
    engine.said = {f"{stem}-count-0-{n}": held for n in range(5)}
    desk.make("count", products)
    asked = [engine.parcels[job.name].memory for job in _jobs(desk)]
    assert asked == [1000, 2000, 4000, 8000, 8000, 8000]
    assert _jobs(desk)[0].error == "held: used 1200 MB"
    assert engine.killed == list(engine.said)


def test_held_for_another_reason(new_desk: _Desks, products: dict) -> None:
    desk = new_desk(chunks_per_job=5)
    engine = desk.carriage.engine
    name = f"{desk._stem}-count-0-0"
    engine.said = {name: JobState(state="held", reason="ran for more than 60 s")}
    desk.make("count", products)
    assert [parcel.memory for parcel in engine.parcels.values()] == [1000, 1000]


def test_silence_is_waited_out(new_desk: _Desks, products: dict) -> None:
    desk = new_desk()
    desk.carriage.engine.n_silent = 3
    desk.make("count", products)
    assert _are_made(products)


@pytest.mark.parametrize(
    ("owner", "method", "is_after", "n_sent"),
    [
        ("baggage", "pack", True, 3),
        ("journal", "write", False, 3),
        ("journal", "write", True, 3),
        ("engine", "submit", False, 3),
        ("engine", "submit", True, 3),
        ("engine", "poll", True, 3),
        ("engine", "fetch", True, 3),
        ("baggage", "put", True, 3),
        ("engine", "forget", False, 3),
    ],
)
def test_killed_at_a_step(  # noqa: PLR0917 pytest gives them by name
    new_desk: _Desks,
    products: dict,
    monkeypatch: pytest.MonkeyPatch,
    owner: str,
    method: str,
    is_after: bool,
    n_sent: int,
) -> None:
    first = new_desk()
    owners = {
        "baggage": type(first.baggage),
        "engine": type(first.carriage.engine),
        "journal": type(first.journal),
    }
    true = getattr(owners[owner], method)

    def killed(*arguments: object) -> None:
        if is_after:
            true(*arguments)
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(owners[owner], method, killed)
        with pytest.raises(_Killed):
            first.make("count", products)
    second = new_desk()
    second.make("count", products)
    assert _are_made(products)
    # none is sent twice
    assert len(second.carriage.engine.processes) == n_sent
    assert not list(second.carriage.folder.glob("*.in.tar"))
    assert {job.state for job in _jobs(second)} <= {"finished", "failed"}
