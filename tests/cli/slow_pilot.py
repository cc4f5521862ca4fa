"""``bkgpipe`` whose task ``SLOW_TASK`` takes ``SLOW_SECONDS``; at 0 it dies of it."""

from __future__ import annotations

import os
import time

from bkgpipe.cli.main import main
from bkgpipe.flow import Select
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.count import Count
from bkgpipe.flow.names import task_name
from bkgpipe.product.whole_file import whole_file

_SECONDS = float(os.environ["SLOW_SECONDS"])
_quick = {Select: Select.run, Count: Count.run}


def _slow(task: StageTask) -> None:
    if task_name(task) == os.environ["SLOW_TASK"]:
        out = task.settings.data.output
        with whole_file(out / "half") as path:
            path.write_text("half of it", encoding="utf-8")
            (out / "in-hand").touch()
            time.sleep(_SECONDS)
            if not _SECONDS:
                os._exit(9)
    _quick[type(task)](task)


for task_class in _quick:
    task_class.run = _slow
main()
