from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_IS_ROOT = os.geteuid() == 0

# An account that every machine has, and that owns nothing
_ACCOUNT = "daemon"
_AS_ACCOUNT = ("setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}")
_AS_ACCOUNT += ("--clear-groups", "--no-new-privs", "--bounding-set=-all")
_GRID = ("--containall", "--cleanenv", "--no-home", "--net", "--network", "none")

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the project."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image() -> Path:
    name = os.environ.get("BKGPIPE_IMAGE")
    if not name:
        pytest.skip("set BKGPIPE_IMAGE to a built image, as make test-image does")
    if not shutil.which("apptainer"):
        pytest.skip("Apptainer is not installed")
    return Path(name).resolve(strict=True)


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """Folder that the ordinary account can reach, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="bkgpipe-image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def unpacked(image: Path, workshop: Path) -> Path:
    """The image as a plain folder, as CVMFS serves it."""
    folder = workshop / "unpacked"
    words = ["apptainer", "build", "--fakeroot", "--sandbox", folder, image]
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603
    return folder


@pytest.fixture(scope="session")
def _reachable() -> Iterator[None]:
    """Let the ordinary account pass the folders above Apptainer, as a home of root."""
    program = Path(shutil.which("apptainer") or "/").resolve()
    closed = [each for each in program.parents if not each.stat().st_mode & 0o001]
    if closed and not _IS_ROOT:
        pytest.skip(f"other accounts cannot reach {program}")
    for folder in closed:
        _set_acl("--modify", f"u:{_ACCOUNT}:--x", folder)
    yield
    for folder in closed:
        _set_acl("--remove", f"u:{_ACCOUNT}", folder)


def _set_acl(change: str, entry: str, folder: Path) -> None:
    words = ["setfacl", change, entry, str(folder)]
    subprocess.run(words, check=True)  # noqa: S603


@pytest.fixture(scope="session")
def inside(_reachable: None) -> Call:
    """Call a command as a job does: ``inside(image, *words, folder=...)``.

    It may write in the folder only, has no network, and must succeed. Root is root of a
    user namespace, or the ordinary account if asked for.
    """

    def call(
        image: Path,
        *words: str,
        folder: Path,
        binds: tuple[Path, ...] = (),
        as_account: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        shared = [word for path in binds for word in ("--bind", f"{path}:{path}:ro")]
        start = _AS_ACCOUNT if as_account and _IS_ROOT else ()
        command = [*start, "apptainer", "exec", "--userns", *_GRID, *shared]
        command += ["--bind", folder, "--pwd", folder, image, *words]
        done = subprocess.run(  # noqa: S603
            command, check=False, cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return call


@pytest.fixture(scope="session")
def give_away() -> Callable[[Path], None]:
    """Make a folder and what is in it the ordinary account's own."""

    def give(folder: Path) -> None:
        if _IS_ROOT:
            for path in [folder, *folder.rglob("*")]:
                shutil.chown(path, _ACCOUNT, _ACCOUNT)

    return give


@pytest.fixture(scope="session")
def find_strays(workshop: Path) -> Callable[[], list[Path]]:
    """List what the ordinary account left where everybody may write."""

    def find() -> list[Path]:
        folders = (Path(name) for name in ("/tmp", "/var/tmp", "/dev/shm"))  # noqa: S108
        strays = (path for folder in folders for path in folder.glob("*"))
        mine = (path for path in strays if path.lstat().st_uid == _account_id())
        return [path for path in mine if path != workshop]

    return find


def _account_id() -> int:
    return pwd.getpwnam(_ACCOUNT).pw_uid
