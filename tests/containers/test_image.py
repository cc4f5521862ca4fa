"""The built image: what it says of itself, and the chain in it as a job runs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe import __version__
from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.count.files import COUNTS

_HESS_RUNS = (20275, 20282, 20283, 20301, 20302, 20303, 20322, 20323, 20324, 20136)
_SOURCES = {"mask__catalogs": "../store/sources.ecsv"}
_PACKAGES = "/opt/bkgpipe/share/packages"


@pytest.fixture(scope="module")
def job(workshop: Path, give_away: Callable[[Path], None]) -> Path:
    """Folder in which the ordinary account may write."""
    folder = workshop / "job"
    folder.mkdir()
    give_away(folder)
    return folder


@pytest.fixture(scope="module")
def production(workshop: Path, give_away: Callable[[Path], None]) -> Path:
    """Production of the ordinary account on a simulated store that is not its own."""
    simulation = Simulation(
        n_runs=8,
        first_obs_id=1001,
        duration=360,
        seed=5,
        sources=(PointSource(fov_lon=0.5, fov_lat=0.2, rate=0.2),),
    )
    write_simulated_store(workshop / "store", simulation=simulation, truth=Truth())
    folder = _prepare(workshop / "production", workshop / "store", **_SOURCES)
    give_away(folder)
    return folder


def _prepare(folder: Path, store: Path, **more: str) -> Path:
    """Write the settings of a production on a store elsewhere."""
    folder.mkdir(exist_ok=True)
    given = {"data.store": str(store), "data.output": "out", "run.workers": "2"}
    given |= {key.replace("__", "."): text for key, text in more.items()}
    text = settings_template(given)
    (folder / "luigi.cfg").write_text(text, encoding="utf-8")
    return folder


def _run_outside(folder: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"}
    _call(sys.executable, "-m", "bkgpipe", "run", cwd=folder, env=environment)


def _call(*words: str | Path, **where: Any) -> str:
    """Call a command that must succeed; return what it prints."""
    done = subprocess.run(  # noqa: S603
        words, check=False, capture_output=True, text=True, **where
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _listing(folder: Path, *, but: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of all there is, except below one folder."""
    listing = {}
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(top, name) != but]
        for path in (Path(top, name) for name in [*folders, *files]):
            status = path.lstat()
            listing[path] = (status.st_size, status.st_mtime_ns)
    return listing


def _assert_same_models(out: Path, other: Path, *, n_runs: int) -> None:
    """Counts bin by bin; models up to what another linear algebra may round."""
    n_counted = 0
    for path in out.glob("count-*/count_*.h5"):
        (twin,) = other.glob(f"count-*/{path.name}")
        records, expected = COUNTS.read(path).records, COUNTS.read(twin).records
        assert records.keys() == expected.keys()
        for obs_id, record in records.items():
            np.testing.assert_array_equal(record.counts_3d, expected[obs_id].counts_3d)
            np.testing.assert_array_equal(record.counts_2d, expected[obs_id].counts_2d)
            n_counted += 1
    assert n_counted == n_runs

    models = sorted(out.glob("export-*/store/**/bkg_*.fits"))
    assert len(models) == 2 * n_runs
    for path in models:
        (twin,) = other.glob(f"export-*/store/**/{path.name}")
        model, expected = _read_model(path), _read_model(twin)
        assert expected.max() > 0
        np.testing.assert_allclose(model, expected, rtol=1e-5)


def _read_model(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus["BACKGROUND"].data["BKG"][0], dtype=float)


def test_labels_say_what_is_in_the_image(image, root):
    told = _call("apptainer", "inspect", "--json", image)
    labels = json.loads(told)["data"]["attributes"]["labels"]
    lock = (root / "containers" / "requirements.lock").read_bytes()

    assert labels["org.opencontainers.image.version"] == __version__
    assert re.fullmatch(
        "unknown|[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"]
    )
    assert labels["bkgpipe.requirements.sha256"] == hashlib.sha256(lock).hexdigest()
    assert not re.search(r"/(tmp|home|root|work)/", told)


def test_help_says_how_to_run(image):
    told = _call("apptainer", "run-help", image)

    assert "apptainer run --containall --cleanenv --no-home" in told
    assert "apptainer test" in told


def test_image_passes_its_own_test(image, workshop):
    words = ("apptainer", "test", "--userns", "--containall", "--no-home", image)

    assert "The image works: 6 simulated runs" in _call(*words, cwd=workshop)


def test_packages_are_those_of_the_lock(image, inside, job, root):
    listed = inside(image, "cat", f"{_PACKAGES}/pip.txt", folder=job).stdout
    lock = (root / "containers" / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9-]+==\S+) ", lock, re.MULTILINE)

    names = {line.lower().replace("_", "-") for line in listed.splitlines()}
    assert {name for name in names if not name.startswith("bkgpipe ")} == set(pins)
    assert any(name.startswith("bkgpipe ") for name in names)

    system = inside(image, "cat", f"{_PACKAGES}/dpkg.txt", folder=job).stdout
    assert re.search(r"^libc6\S*\t2\.36", system, re.MULTILINE)


def test_jobs_can_fetch_their_files(image, inside, job):
    script = """
        import fsspec
        for protocol in ("s3", "webdav", "root"):
            print(fsspec.get_filesystem_class(protocol).__name__)
    """.replace("\n        ", "\n")

    told = inside(image, "python", "-c", script, folder=job).stdout

    kinds = ["S3FileSystem", "WebdavFileSystem", "XRootDFileSystem"]
    assert told.split() == kinds


@pytest.mark.parametrize("form", ["image", "unpacked"])
def test_a_job_sees_no_network_and_no_way_to_write(form, request, inside, job):
    script = """
        test -n "$APPTAINER_CONTAINER" && echo in a container
        for folder in / /opt /opt/bkgpipe /usr /etc "$HOME"; do
            touch "$folder/x" 2>/dev/null && echo "wrote in $folder"
        done
        sed '1,2d; s/:.*//' /proc/net/dev
        echo "$OMP_NUM_THREADS ${MPLCONFIGDIR#/tmp/bkgpipe-cache-}"
        python -c 'import matplotlib, astropy.config as a
        print(matplotlib.get_cachedir(), a.get_cache_dir(), a.get_config_dir())'
    """.replace("\n        ", "\n")

    # the image as a file needs /dev/fuse, which is not everybody's everywhere
    done = inside(
        request.getfixturevalue(form),
        *("sh", "-c", script),
        folder=job,
        as_account=form == "unpacked",
    )

    user = "1" if form == "unpacked" and os.geteuid() == 0 else str(os.geteuid())
    lines = [line.strip() for line in done.stdout.splitlines()]
    cache = f"/tmp/bkgpipe-cache-{user}"  # noqa: S108
    assert lines[0] == "in a container"
    assert lines[1] == "lo"
    assert lines[2] == f"1 {user}/matplotlib"
    assert lines[3].split() == [
        f"{cache}/matplotlib",
        f"{cache}/cache/astropy",
        f"{cache}/config/astropy",
    ]
    assert len(lines) == 4
    assert list(job.iterdir()) == []


def test_chain_in_the_image_makes_the_models_made_outside(
    unpacked, inside, production, find_strays
):
    """As an ordinary account, on the image as a folder; the store is read-only."""
    workshop, store = production.parent, production.parent / "store"
    outside = _prepare(workshop / "outside", store, **_SOURCES)
    _run_outside(outside)
    before, strays = _listing(workshop, but=production), find_strays()

    done = inside(
        unpacked, "bkgpipe", "run", folder=production, binds=(store,), as_account=True
    )

    assert "8 used" in done.stdout
    assert _listing(workshop, but=production) == before
    assert find_strays() == strays
    assert {path.name for path in production.iterdir()} == {"luigi.cfg", "out"}
    _assert_same_models(production / "out", outside / "out", n_runs=8)


def test_real_runs_give_the_same_models(image, inside, workshop, gammapy_data):
    """As root in a user namespace, or whoever tests, on the image as a file."""
    runs = ", ".join(map(str, _HESS_RUNS))
    more = {"data__gammapy_data": str(gammapy_data), "select__obs_ids": runs}
    archive = gammapy_data / "hess-dl3-dr1"
    outside = _prepare(workshop / "outside-hess", archive, **more)
    _run_outside(outside)
    folder = _prepare(workshop / "hess", archive, **more)

    done = inside(image, "bkgpipe", "run", folder=folder, binds=(gammapy_data,))

    assert "10 used" in done.stdout
    _assert_same_models(folder / "out", outside / "out", n_runs=10)
