"""Make the page that shows whether to believe the models."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import KeptShare, RateModel, Report
from bkgpipe.io.count import read_mask_effects
from bkgpipe.io.record import read_page_header, write_page
from bkgpipe.io.smooth import read_models
from bkgpipe.io.stack import read_groups
from bkgpipe.numerics.exposure import compare_exposure, most_different
from bkgpipe.production.inputs import load_table
from bkgpipe.production.summary import find_chunks, read_summary
from bkgpipe.settings import Settings, settings_values
from bkgpipe.tasks.base import StageTask
from bkgpipe.tasks.count import AllCounts
from bkgpipe.tasks.rank import read_all_rankings
from bkgpipe.tasks.smooth import AllSmooths
from bkgpipe.tasks.store import MakeStore
from bkgpipe.tasks.targets import ProductTarget
from bkgpipe.tasks.versions import versions
from bkgpipe.view.report import make_report

__all__ = ["MakeReport"]

_MAX_MODELS = 4
_MAX_KEPT_SHARES = 8


class MakeReport(StageTask):
    """Report: reads all products, writes ``report/index.html``."""

    stage = "report"

    def requires(self) -> list[StageTask]:
        counts, smooths = self.sibling(AllCounts), self.sibling(AllSmooths)
        return [self.sibling(MakeStore), counts, smooths]

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "index.html", inputs=self.inputs, read_header=read_page_header
        )

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        report = _read_report(self.settings)

        page = make_report(report)

        with self.output().temporary_path() as path:
            write_page(Path(path), self.header(), page)


def _read_report(settings: Settings) -> Report:
    summary = read_summary(settings)
    models = _read_some_models(settings)
    groups = settings.folder("stack") / "groups.ecsv"
    return Report(
        title=f"Background models from {settings.store.name}",
        table=load_table(settings),
        conservation=summary.conservation,
        refused=summary.refused,
        timing=summary.timing,
        groups=read_groups(groups) if groups.exists() else (),
        models=models,
        n_models=len(summary.models),
        settings=settings_values(settings),
        versions=versions(),
        store=summary.store,
        unfit=summary.unfit,
        rankings=read_all_rankings(settings),
        kept_shares=_read_kept_shares(settings),
        exposure=settings.count.exposure,
    )


def _read_kept_shares(settings: Settings) -> tuple[KeptShare, ...]:
    shares: list[KeptShare | None] = []
    for path in find_chunks(settings, "count"):
        shares += [compare_exposure(**found) for found in read_mask_effects(path)]
    return most_different(shares, n_runs=_MAX_KEPT_SHARES)


def _read_some_models(settings: Settings) -> tuple[RateModel, ...]:
    models: list[RateModel] = []
    for path in find_chunks(settings, "smooth"):
        models += read_models(path).records.values()
        if len(models) >= _MAX_MODELS:
            break
    return tuple(models[:_MAX_MODELS])
