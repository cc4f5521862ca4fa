"""Stages of single runs, whose files serve every selection."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from bkgpipe.chain.look import runs_fault
from bkgpipe.chain.runs import chunk_identities, digest, undecided
from bkgpipe.core.product import Chunk
from bkgpipe.core.run import Run
from bkgpipe.errors import DamagedFileError, PassingError
from bkgpipe.flow.base import ChunkTask
from bkgpipe.flow.engine.targets import ProductTarget, set_aside
from bkgpipe.product.chunk_file import ChunkFile, read_identities
from bkgpipe.product.hdf5 import read_header

__all__ = ["Earlier", "OfRuns"]

_Record = TypeVar("_Record")


@dataclass(frozen=True, kw_only=True)
class Earlier(Generic[_Record]):
    """What a file holds already, made for this or another selection.

    Attributes
    ----------
    chunk : Chunk
        Products, and reasons where there are none.
    identities : dict of int to str
        Digest of each of its runs.
    """

    chunk: Chunk[_Record] = field(default_factory=Chunk)
    identities: dict[int, str] = field(default_factory=dict)

    def without(self, numbers: Container[int]) -> Earlier[_Record]:
        """Leave out the runs that are made again.

        Parameters
        ----------
        numbers : container of int
            Their numbers.

        Returns
        -------
        Earlier
            The others.
        """
        kept = {
            key: each for key, each in self.identities.items() if key not in numbers
        }
        return Earlier(chunk=self.chunk.only(kept), identities=kept)

    def joined(self, chunk: Chunk[_Record]) -> Chunk[_Record]:
        """Add what was made now.

        Parameters
        ----------
        chunk : Chunk
            Products and reasons.

        Returns
        -------
        Chunk
            All of them.
        """
        return Chunk(
            records={**self.chunk.records, **chunk.records},
            refused={**self.chunk.refused, **chunk.refused},
        )


class OfRuns(ChunkTask):
    """A stage that makes each run by itself, whoever selects it.

    A file is complete when it holds the runs that are asked for. What it holds of
    others stays in it, for the selections that asked for them.
    """

    file: ClassVar[ChunkFile[Any]]

    def make(self, runs: dict[int, Run], *, later: list[PassingError]) -> Chunk[Any]:
        """Make the products of some runs.

        Parameters
        ----------
        runs : dict of int to Run
            The runs, by their numbers.
        later : list of PassingError
            Is given why some of them cannot be made at the moment.

        Returns
        -------
        Chunk
            Products, and reasons where there are none.
        """
        raise NotImplementedError

    def run(self) -> None:
        earlier = self.earlier()
        runs = self.missing(earlier.identities)

        kept = earlier.without(runs)
        later: list[PassingError] = []
        chunk = kept.joined(self.make(runs, later=later))

        made_from = kept.identities | self._identities_of(chunk)
        with self.output().temporary_path() as path:
            self.file.write(Path(path), self.header(), chunk, identities=made_from)
        if later:  # the others are made, and these when it is tried again
            raise later[0]

    def _identities_of(self, chunk: Chunk[Any]) -> dict[int, str]:
        made = chunk.records.keys() | chunk.refused.keys()
        return {key: each for key, each in self.identities().items() if key in made}

    def identities(self) -> dict[int, str]:
        """Tell the runs that are asked for.

        Returns
        -------
        dict of int to str
            Digest of what is known of each.
        """
        size = self.settings.data.chunk_size
        return chunk_identities(self.table, size, int(self.chunk))

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return digest(sorted(self.identities().items()))

    def output(self) -> ProductTarget:
        return _RunsTarget(self.path, wanted=self.identities)

    def missing(self, known: dict[int, str]) -> dict[int, Run]:
        """Tell the runs that are to be made.

        Parameters
        ----------
        known : dict of int to str
            Digest of each run that the file holds.

        Returns
        -------
        dict of int to Run
            Those that it does not hold, or of which something has changed.
        """
        wanted = self.identities()
        return {
            run.obs_id: undecided(run)
            for run in self.used
            if known.get(run.obs_id) != wanted[run.obs_id]
        }

    def known(self) -> dict[int, str]:
        """Tell what the runs that the file holds were made from.

        Returns
        -------
        dict of int to str
            Digest of each; nothing when the file is damaged or not there.
        """
        with suppress(DamagedFileError):
            return read_identities(self.path) if self.path.exists() else {}
        return {}

    def earlier(self) -> Earlier[Any]:
        """Read what the file holds already.

        Returns
        -------
        Earlier
            What is there; nothing of a damaged file, which is moved aside.
        """
        try:
            if self.path.exists():
                known = read_identities(self.path)
                chunk = self.file.read(self.path)
                both = Earlier(chunk=chunk, identities=known)
                return both.without(self._strangers(known))
        except DamagedFileError as error:
            set_aside(error)
        return Earlier()

    def _strangers(self, numbers: Iterable[int]) -> set[int]:
        """Find runs of another chunk, whose file was put in the place of this."""
        size = self.settings.data.chunk_size
        return {number for number in numbers if number // size != self.chunk}


class _RunsTarget(ProductTarget):
    """A file that is there, whole, and holds the runs that are asked for."""

    def __init__(self, path: Path, *, wanted: Callable[[], dict[int, str]]) -> None:
        super().__init__(path, inputs=str, read_header=read_header)
        self._wanted = wanted

    def _look(self) -> str:
        return runs_fault(Path(self.path), self._wanted())
