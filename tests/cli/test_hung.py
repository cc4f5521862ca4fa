"""A process of a task that does nothing is told about, killed and replaced."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from bkgpipe.flow.engine.watch import Pulse

_TRIALS = 5


def _last_child(pid: int) -> int:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return int(path.read_text().split()[-1])


def _lose_one(fork, wait_until, folder, number) -> str:
    """Signal a process that works on a task, or has just given its result."""
    words = ("run", "count", "--workers", "2", "--set", "run.hung_after=3 s")
    process = fork(folder, *words)
    wait_until(lambda: list(folder.glob("out/mask-*/mask_*.h5")))

    os.kill(_last_child(process.pid), number)

    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    return stderr


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGSTOP, "did nothing, and was killed. The task is tried again"),
        (signal.SIGKILL, "ended by signal 9. The task is tried again"),
    ],
)
def test_a_task_whose_process_is_lost_is_tried_again(
    prepare, fork, wait_until, tmp_path, *, number, told
):
    prepare(tmp_path, data__chunk_size="1")
    for _ in range(_TRIALS):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        stderr = _lose_one(fork, wait_until, tmp_path, number)
        if told in stderr:
            break
    assert told in stderr
    assert ("it is stopped. After 3 s it is killed" in stderr) == (
        number == signal.SIGSTOP
    )
    assert len(list(tmp_path.glob("out/count-*/count_*.h5"))) == 8
    assert not list(tmp_path.glob("out/*/.*"))


def test_a_process_that_works_is_not_silent():
    pulse = Pulse(pid=os.getpid())
    pulse.look(step=0.0)
    before = os.times()
    while os.times().user + os.times().system < before.user + before.system + 0.05:
        pass

    pulse.look(step=0.0)

    assert pulse.silent == 0.0


def test_a_process_that_is_gone_is_not_silent():
    pulse = Pulse(pid=2**22 + 1)

    pulse.look(step=0.0)
    pulse.look(step=0.0)

    assert pulse.silent == 0.0
    assert pulse.words == "it is gone"
