"""Send ten chunks by HTCondor with file transfer, as the user who runs this."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from bkgpipe.batch.ship.baggage import Packed, Verdict
from bkgpipe.batch.ship.carriage import Carriage
from bkgpipe.batch.ship.desk import ShipDesk
from bkgpipe.batch.ship.htcondor import make_htcondor
from bkgpipe.settings import read_settings

# the first time it runs on a node, chunk 0 fails
_WORK = """bash -c 'if [ $(cat "$2") = 0 ] && mkdir {0}/once; then exit 7; fi
{{ cat "$2"; pwd; }} >"$4"'"""


@dataclass
class _Chunk:
    path: Path

    def complete(self) -> bool:
        return self.path.exists()


@dataclass
class _Numbers:
    folder: Path

    def pack(self, word: str, chunks: list[tuple[int, ...]], folder: Path):
        for each in chunks:
            (folder / f"{word}-{each[0]}").write_text(f"{each[0]}\n", "utf-8")
        return [
            Packed(path=folder / f"{word}-{each[0]}", sum="", chunks=each)
            for each in chunks
        ]

    def put(self, answer: Path) -> Verdict:
        number, place = answer.read_text("utf-8").split()
        (self.folder / number).write_text(place, "utf-8")
        return Verdict(is_taken=True)


def main(folder: Path) -> None:
    config = folder / "luigi.cfg"
    config.write_text(
        f"[data]\nstore = {folder}\noutput = {folder}/out\n[mask]\ncatalogs =\n"
        "[site:far]\nengine = htcondor\ntransfer = files\nmemory = 100 MB\n"
        "poll = 1 s\n",
        encoding="utf-8",
    )
    settings = read_settings(config)
    site = replace(settings.site("far"), command=_WORK.format(folder))
    jobs, products = folder / "jobs", folder / "products"
    jobs.mkdir()
    products.mkdir()
    engine = make_htcondor(site, jobs)
    carriage = Carriage(site=site, engine=engine, folder=jobs)
    desk = ShipDesk(settings=settings, carriage=carriage, baggage=_Numbers(products))
    desk.make("count", {n: _Chunk(products / str(n)) for n in range(10)})
    errors = [job.error for job in desk.journal.read().values() if job.error]
    places = [path.read_text("utf-8") for path in products.iterdir()]
    sys.stdout.write(json.dumps({"errors": errors, "places": places}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
