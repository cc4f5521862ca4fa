"""Files moved by the commands of a site, as gfal-copy."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Never

from bkgpipe.batch.transfer.options import TransferOptions
from bkgpipe.batch.transfer.storage import Storage
from bkgpipe.errors import PassingError, SettingsError, SiteError

__all__ = ["command_storage", "command_words"]

_LONGEST = 3600.0  # s, of one file


class _Commands(Storage):
    """Files that commands of a site move, which tell no reasons.

    Parameters
    ----------
    url : str
        Address of any file.
    options : TransferOptions
        The commands.
    """

    renames = False
    lists = False

    def __init__(self, url: str, *, options: TransferOptions) -> None:
        super().__init__(url, silence=options.silence)
        self._options = options

    def _connect(self, silence: float) -> Any:
        """Connect to nothing: that is for the commands to do."""

    @property
    def key(self) -> str:
        """The address itself."""
        return self._url

    def put(self, path: Path, key: str) -> None:
        _run(self._options.stage_out, url=key, path=path)

    def get(self, key: str, path: Path) -> None:
        _run(self._options.stage_in, url=key, path=path)
        if not path.is_file():
            raise PassingError(
                what=f"{self._options.stage_in[0]} ended well, but there is no file",
                where=key,
                fix="Try [site:NAME] stage_in by hand",
            )

    def size(self, key: str) -> Never:
        self._refuse(key)

    def list_files(self, key: str) -> Never:
        self._refuse(key)

    def remove(self, key: str) -> Never:
        self._refuse(key)

    def _refuse(self, key: str) -> Never:
        raise SiteError(
            what="stage_in and stage_out cannot list or remove files",
            where=key,
            fix="Do it with the tools of the site",
        )


def command_storage(url: str, *, options: TransferOptions) -> Storage:
    """Make the storage that commands of a site move files to.

    Parameters
    ----------
    url : str
        Address of any file.
    options : TransferOptions
        The commands.

    Returns
    -------
    Storage
        The storage.
    """
    return _Commands(url, options=options)


def command_words(command: Sequence[str], *, url: str, path: Path) -> list[str]:
    """Put an address and a file into a command.

    Parameters
    ----------
    command : sequence of str
        Words with ``{url}`` and ``{path}``.
    url : str
        Address.
    path : Path
        File.

    Returns
    -------
    list of str
        Words, of which no shell takes any apart.
    """
    given = {"{url}": url, "{path}": str(path.absolute())}
    return [re.sub(r"\{url\}|\{path\}", lambda m: given[m[0]], w) for w in command]


def _run(command: Sequence[str], *, url: str, path: Path) -> None:
    words = command_words(command, url=url, path=path)
    try:
        found = subprocess.run(  # noqa: S603 the words are those of the settings
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_LONGEST,
            stdin=subprocess.DEVNULL,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise SettingsError(
            what=f"{words[0]} cannot be run ({error.strerror})",
            where="[site:NAME] stage_in, stage_out",
            fix="Name a command that is there, or its path",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PassingError(
            what=f"{words[0]} has not ended after {_LONGEST:.0f} s",
            where=url,
            fix="Run again; see what the site says of its storage",
        ) from error
    if found.returncode:
        told = (found.stderr.strip() or found.stdout.strip()).splitlines()
        last = f": {told[-1]}" if told else ""
        raise PassingError(
            what=f"{words[0]} ended with exit code {found.returncode}{last}",
            where=url,
            fix="Try the command by hand, then run again: what is finished is kept",
        )
