from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.batch.script import job_command, job_script
from bkgpipe.settings import Settings, read_settings
from bkgpipe.settings.site_sections import SiteSettings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "luigi.cfg"
    (tmp_path / "my store").mkdir()
    (tmp_path / "sources.ecsv").touch()
    config.write_text(
        "[data]\nstore = my store\noutput = out\n[mask]\ncatalogs = sources.ecsv\n"
        "[site:here]\n",
        encoding="utf-8",
    )
    (tmp_path / "out").mkdir()
    return read_settings(config)


@pytest.fixture
def site(settings: Settings) -> SiteSettings:
    return settings.site("here")


def _run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


def test_command_names_chunks_settings_and_products(settings: Settings):
    assert job_command(settings, "fit", (0,)) == [
        *("job", "fit", "0", "--config", str(settings.path)),
        *("--folder", settings.folder("fit").name),
    ]


def test_job_runs_in_the_output_folder_with_a_scratch_of_its_own(
    settings: Settings, site: SiteSettings, tmp_path: Path
):
    site = replace(
        site,
        command='echo "$NAME|$PWD|$TMPDIR"; exit 5; :',
        environment=("NAME=two words", f"TMPDIR={tmp_path}/scratch"),
    )
    (tmp_path / "scratch").mkdir()

    done = _run(job_script(site, settings, ["x"]), TMPDIR="/no/such/folder")

    assert done.returncode == 5
    name, folder, scratch = done.stdout.splitlines()[-1].split("|")
    assert (name, folder) == ("two words", str(settings.data.output))
    assert Path(scratch).parent == tmp_path / "scratch"
    # it is gone when the job has ended
    assert list((tmp_path / "scratch").iterdir()) == []


def test_setup_comes_before_the_work(settings: Settings, site: SiteSettings):
    site = replace(site, setup="GREETING=hello", command="echo $GREETING")

    assert _run(job_script(site, settings, ["you"])).stdout.endswith("hello you\n")


def test_no_scratch_ends_the_job(settings: Settings, site: SiteSettings):
    site = replace(site, command="echo worked")

    done = _run(job_script(site, settings, ["x"]), TMPDIR="/no/such/folder")

    assert done.returncode == 71
    assert "worked" not in done.stdout


def test_image_sees_what_the_settings_name(
    settings: Settings, site: SiteSettings, tmp_path: Path
):
    image = tmp_path / "the image.sif"
    site = replace(
        site,
        container=image,
        apptainer="apptainer",
        binds=("/cvmfs",),
        environment=("LEVEL=3",),
    )

    script = job_script(site, settings, ["job", "count", "7"])

    words = shlex.split(script.partition("apptainer")[2].replace("\\\n", " "))
    binds = [words[at + 1] for at, word in enumerate(words) if word == "--bind"]
    out, store = settings.data.output, tmp_path / "my store"
    sources = tmp_path / "sources.ecsv"
    assert binds[0] == f"{out}:{out}"
    assert set(binds[1:]) >= {f"{store}:{store}:ro", f"{sources}:{sources}:ro"}
    assert binds[-2:] == ["/cvmfs", "$scratch:/scratch"]
    assert words[:4] == ["exec", "--containall", "--cleanenv", "--no-home"]
    assert words[-6:] == [str(out), str(image), "bkgpipe", "job", "count", "7"]
    environment = [words[at + 1] for at, word in enumerate(words) if word == "--env"]
    assert environment == ["LEVEL=3", "TMPDIR=/scratch"]
