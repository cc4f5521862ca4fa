from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bkgpipe.cli.main import main


@pytest.mark.parametrize("command", ["run", "cancel"])
def test_site_without_shared_folders_is_refused(tmp_path: Path, command: str) -> None:
    pytest.importorskip("law")
    config = tmp_path / "luigi.cfg"
    config.write_text(
        f"[data]\nstore = {tmp_path}\noutput = {tmp_path}/out\n[mask]\ncatalogs =\n"
        "[site:far]\nengine = arc\nendpoint = https://ce.test/arex\ntransfer = files\n",
        encoding="utf-8",
    )
    words = [command, "--site", "far", "--config", str(config)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "[site:far] transfer" in done.output
    assert "cannot be sent yet" in done.output
