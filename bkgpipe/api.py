"""A production as an object, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.inputs import choose_runs, forget, is_selected, load_table
from bkgpipe.chain.models import Models, no_model
from bkgpipe.chain.summary import read_export_entries, read_states, read_status
from bkgpipe.cli.check import check_settings
from bkgpipe.cli.child import call_command
from bkgpipe.cli.init import write_settings_file
from bkgpipe.cli.plan import Plan, make_plan
from bkgpipe.core.run import RunTable
from bkgpipe.errors import BkgpipeError, InputError
from bkgpipe.flow.gather import find_models
from bkgpipe.settings import Settings
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.report.figures import make_figure
from bkgpipe.stages.report.summary import StageState, Summary

if TYPE_CHECKING:  # gammapy takes seconds to import
    from gammapy.data import DataStore
    from gammapy.irf import Background2D, Background3D

__all__ = ["Production"]

_DPI = 100
_RUN_COLUMNS = {
    "obs_id": "",
    "target": "",
    "ra": "deg",
    "dec": "deg",
    "zenith": "deg",
    "azimuth": "deg",
    "ontime": "s",
    "livetime": "s",
    "safe_energy_min": "TeV",
    "muon_efficiency": "",
}


class Production:
    """The background models of a data store, by one settings file.

    Nothing is computed before `run`; whatever was made by the same settings, here or by
    the command, is found again.

    Parameters
    ----------
    config : str or Path
        Settings file.
    settings : mapping of str to object, optional
        Replaces values of the file, as ``{"smooth.method": "gaussian"}``; lists, truth
        values and quantities are understood.

    Attributes
    ----------
    config : Path
        Settings file.
    settings : Settings
        All settings, checked.

    Raises
    ------
    SettingsError
        If the settings cannot be used, with all problems at once.
    """

    def __init__(
        self,
        config: str | Path = "luigi.cfg",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        # a notebook may change its folder
        self.config = Path(config).absolute()
        self._overrides = tuple(
            f"{key}={_as_text(value)}" for key, value in (settings or {}).items()
        )
        self.settings: Settings = read_with_found(self.config, self._overrides)
        self._folder = Path.cwd()

    @classmethod
    def init(
        cls,
        store: str | Path,
        *,
        output: str | Path = "bkgpipe-output",
        config: str | Path = "luigi.cfg",
        force: bool = False,
    ) -> Production:
        """Write a settings file that fits a data store, as ``bkgpipe init``.

        Parameters
        ----------
        store : str or Path
            Folder of the data store.
        output : str or Path
            Folder for all products.
        config : str or Path
            File to write.
        force : bool
            Replace the file if it exists.

        Returns
        -------
        Production
            The production.

        Raises
        ------
        BkgpipeError
            If the store cannot be read, or the file cannot be written.
        """
        write_settings_file(
            Path(store), output=Path(output), config=Path(config), force=force
        )
        return cls(config)

    def check(self) -> list[str]:
        """List every problem that would stop a run; change nothing.

        Returns
        -------
        list of str
            A sentence for each problem; empty if there are none.
        """
        forget()
        return list(check_settings(self.settings).problems)

    def plan(self) -> Plan:
        """Find out what a run would do, how long it takes, and how large it is.

        Returns
        -------
        Plan
            What is to do; it shows itself in words.

        Raises
        ------
        BkgpipeError
            If the store cannot be used.
        """
        forget()
        return make_plan(self.settings)

    def run(
        self, stage: str | None = None, *, workers: int | None = None
    ) -> Production:
        """Make what is not made yet, in a process of its own.

        Interrupt it whenever you like: the next call goes on.

        Parameters
        ----------
        stage : str, optional
            Last stage to run, as ``count``; all if none.
        workers : int, optional
            Worker processes; as ``[run] workers`` says if none.

        Returns
        -------
        Production
            The same, which shows how far it is.

        Raises
        ------
        SettingsError
            If stage or settings cannot be used.
        BkgpipeError
            If it failed, or runs were refused and that is not allowed.
        """
        words = ["run", *([stage] if stage else []), "--config", str(self.config)]
        words += [word for text in self._overrides for word in ("--set", text)]
        words += ["--workers", str(workers)] if workers is not None else []
        # a process of its own has one thread for each worker, as the command, so that
        # models are the same to the last digit, and nothing forks a notebook
        call_command(words, folder=self._folder, where=str(self.config))
        forget()
        # which may have found regions to exclude
        self.settings = read_with_found(self.config, self._overrides)
        return self

    def status(self) -> Table:
        """Tell how far each stage is.

        Returns
        -------
        Table
            Stage, files done and in all, and folder; -1 in all as long as the runs are
            not selected.
        """
        forget()
        states = read_states(self.settings)
        names = ("stage", "done", "total", "folder")
        rows = [(one.stage, one.n_done, one.n_total, one.folder) for one in states]
        return Table(rows=rows, names=names)

    @property
    def summary(self) -> Summary:
        """Runs, hours, models, refused runs with reasons, events, times."""
        forget()
        return read_status(self.settings)[1]

    @property
    def runs(self) -> Table:
        """All runs of the store, with the decision on each and its reason."""
        forget()
        is_known = is_selected(self.settings)
        table = load_table(self.settings) if is_known else choose_runs(self.settings)
        runs = Table({name: table.column(name) for name in _RUN_COLUMNS})
        for name, unit in _RUN_COLUMNS.items():
            runs[name].unit = unit or None
            runs[name].format = "%.3f" if runs[name].dtype.kind == "f" else None
        decided = _decisions(table, read_status(self.settings)[1])
        runs["decision"] = [decision for decision, _ in decided]
        runs["reason"] = [reason for _, reason in decided]
        return runs

    @property
    def models(self) -> Models:
        """Rates as fitted or smoothed, by run or group; each is read when asked for."""
        forget()
        return Models(find_models(self.settings))

    @property
    def store(self) -> DataStore:
        """The data store with the models in it, opened by gammapy."""
        from gammapy.data import DataStore

        return DataStore.from_dir(self._store_folder())

    @property
    def report(self) -> Path:
        """Page that shows whether to believe the models."""
        path = self.settings.folder("report") / "index.html"
        if not path.exists():
            raise _not_made("report", path)
        return path

    def background(self, obs_id: int) -> Background3D | Background2D:
        """Read the model of a run as gammapy uses it.

        Parameters
        ----------
        obs_id : int
            Run number.

        Returns
        -------
        Background3D or Background2D
            The first of ``[export] format``.

        Raises
        ------
        InputError
            If the run has no model, or nothing was exported yet.
        """
        from gammapy.irf import Background2D, Background3D

        folder = self._store_folder()
        entry = self._entry(obs_id)
        word = self.settings.export.format[0]
        kind = {"bkg_3d": Background3D, "bkg_2d": Background2D}[word]
        return kind.read(folder / getattr(entry, word))

    def figure(self, number: int | None = None) -> Figure:
        """Draw a model: images in bands of energy, radial profiles, spectrum.

        Parameters
        ----------
        number : int, optional
            Run or group; the first one if none.

        Returns
        -------
        Figure
            The figure of ``bkgpipe show --plot``; a notebook shows it.

        Raises
        ------
        InputError
            If there is no such model.
        """
        models = self.models
        if number is None:
            number = next(iter(models), -1)
        figure = make_figure(models[number])
        # without pyplot nobody else tells a notebook how to show it
        setattr(figure, "_repr_png_", partial(_png, figure))  # noqa: B010
        return figure

    def __repr__(self) -> str:
        return f"Production({str(self.config)!r}, output={str(self._output)!r})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        return f"<table><caption>bkgpipe production</caption>{rows}</table>"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "settings", " ".join([str(self.config), *self._overrides])
        yield "data", str(self.settings.store)
        yield "output", str(self._output)
        try:
            forget()
            states, summary = read_status(self.settings)
        except BkgpipeError as error:
            yield "problem", str(error)
            return
        yield "runs", _run_words(summary)
        yield "stages", ", ".join(_stage_words(state) for state in states)
        if summary.models:
            yield "models", f"{len(summary.models)} files in {summary.store}"
        page = self.settings.folder("report") / "index.html"
        yield "report", str(page) if page.exists() else "not made yet"

    @property
    def _output(self) -> Path:
        return self.settings.data.output

    def _store_folder(self) -> Path:
        folder = self.settings.folder("export") / "store"
        if not (folder / "hdu-index.fits.gz").exists():
            raise _not_made("store", folder)
        return folder

    def _entry(self, obs_id: int) -> ExportEntry:
        entries = {entry.obs_id: entry for entry in read_export_entries(self.settings)}
        if obs_id in entries:
            return entries[obs_id]
        raise no_model(obs_id, entries, where=str(self._output))


def _as_text(value: Any) -> str:
    """Write a value as in a settings file."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, u.Quantity) and value.shape:
        return f"{_as_text(value.value)} {value.unit}"
    return ", ".join(_as_text(each) for each in value) if np.ndim(value) else str(value)


def _not_made(what: str, path: Path) -> InputError:
    return InputError(
        what=f"there is no {what} by these settings yet",
        where=str(path),
        fix="run() makes it",
    )


def _decisions(table: RunTable, summary: Summary) -> list[tuple[str, str]]:
    """Tell what was decided on each run, and why."""
    found = []
    for run in table.runs:
        if run.obs_id in summary.refused:
            found.append(("refused", summary.refused[run.obs_id]))
        elif run.obs_id in summary.unfit:
            found.append(("not stacked", summary.unfit[run.obs_id]))
        elif run.selected:
            found.append(("selected", ""))
        else:
            found.append(("not selected", run.reason))
    return found


def _run_words(summary: Summary) -> str:
    return (
        f"{summary.n_used} used ({summary.hours:.1f} h), "
        f"{len(summary.left_out)} not selected, {len(summary.refused)} refused"
    )


def _stage_words(state: StageState) -> str:
    total = str(state.n_total) if state.n_total >= 0 else "?"
    outdated = f" ({state.n_outdated} outdated)" if state.n_outdated else ""
    return f"{state.stage} {state.n_done}/{total}{outdated}"


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
