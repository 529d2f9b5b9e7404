"""The pages of a report and all their files, by address; a folder holds them, or a server sends them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rdc_sweeps
from rdc_sweeps.errors import RdcError, UsageError
from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.reporting.evidence import ClaimsReport, build_claims
from rdc_sweeps.reporting.lines import header_lines, missing_lines, remedy
from rdc_sweeps.reporting.pages import ASSETS, Frame, asset, page_templates
from rdc_sweeps.reporting.report import MISSING, Report
from rdc_sweeps.reporting.text_tables import TextTable
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.dialect import yaml_text
from rdc_sweeps.web.best import best_of
from rdc_sweeps.web.claims import ClaimsPage, claims_page
from rdc_sweeps.web.curves import row_groups, run_drawing, table_drawing
from rdc_sweeps.web.pictures import PictureReader
from rdc_sweeps.web.readings import RunReading, TableReader, TableReading
from rdc_sweeps.web.results import result_rows, shown_columns
from rdc_sweeps.web.studies import StudyLink, render_study, study_links

INDEX = "index.html"
CLAIMS = "claims.html"
STUDIES = f"{INDEX}#studies"
PLOTLY = "plotly.min.js"
RECORD = "report.json"

STUDY_SECONDS, STUDY_SHARE = 30.0, 0.05
"""A study's page is drawn again after this time at the earliest, and in at most this share of the time."""

Content = Callable[[], bytes]
"""Makes the content of a file when it is asked for."""


@dataclass(frozen=True)
class Site:
    """The files of a report at one moment.

    Attributes:
        files: What makes each file, by its address; the addresses are all that there is.
    """

    files: Mapping[str, Content]

    def content(self, address: str) -> bytes | None:
        """The content of a file; None if there is no such file."""
        make = self.files.get(address)
        return None if make is None else make()


class SiteReader:
    """Reads tables and studies, and builds the site of the moment.

    Args:
        tables: The tables.
        root: The runs folder.
        catalogue: Has the tables of the studies.
        live: Whether the pages refresh themselves.

    Raises:
        UsageError: A package is missing, or two tables have the same name.
    """

    def __init__(self, tables: Sequence[TableReader], root: Path, catalogue: Catalogue, *, live: bool = False) -> None:
        names = [table.runs[0].table.table for table in tables]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"{', '.join(sorted(twice))}: named twice; name each table once")
        self.tables, self.root, self.catalogue, self.live = tables, root, catalogue, live
        self.templates = page_templates(Path(__file__).parent / "templates")
        self.plotly = plotly_script()
        self._pictures = PictureReader(root)
        self._studies: dict[str, tuple[float, bytes]] = {}

    def read(self) -> Site:
        """The site at this moment."""
        self._pictures.begin()
        readings = [table.read() for table in self.tables]
        studies = study_links(self.root)
        return Site(_Builder(self, readings, claims_page(self._claims()), studies).files())

    def _claims(self) -> ClaimsReport:
        first = self.tables[0]
        runs = [run for table in self.tables for run in table.runs]
        return build_claims(runs, self.root, selection=first.selection, open_run=first.reader.open_run)

    def pictures(self, table: TableReading) -> Any:
        """The pictures of a table, whose files are then in `picture_files`."""
        return self._pictures.read(table.runs)

    def study(self, address: str, render: Content) -> bytes:
        """The page of a study, which takes seconds to draw, as it was a while ago."""
        due, page = self._studies.get(address, (0.0, b""))
        if (start := time.monotonic()) >= due:
            page = render()
            due = start + max(STUDY_SECONDS, (time.monotonic() - start) / STUDY_SHARE)
            self._studies[address] = due, page
        return page

    @property
    def picture_files(self) -> Mapping[str, bytes]:
        """The pictures by address."""
        return self._pictures.files


def plotly_script() -> Path:
    """The library that draws figures.

    Raises:
        UsageError: It is not installed.
    """
    from importlib.util import find_spec

    # Only the script is needed, and importing the package takes long.
    found = find_spec("plotly")
    if found is None or found.origin is None:
        raise UsageError("No module named 'plotly'; pages need: pip install -e '.[html]' in the checkout")
    return Path(found.origin).parent / "package_data" / PLOTLY


class _Builder:
    """The site of some readings."""

    def __init__(
        self,
        reader: SiteReader,
        tables: Sequence[TableReading],
        claims: ClaimsPage | None,
        studies: Sequence[StudyLink],
    ) -> None:
        self.reader, self.tables, self.claims, self.studies = reader, tables, claims, studies
        links = [(INDEX, "Overview"), *((f"{table.report.table}.html", table.report.table) for table in tables)]
        links += [(CLAIMS, "Claims")] if claims else []
        self.links = (*links, *([(STUDIES, "Studies")] if studies else []))
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        self.written = "" if reader.live else f"Written by rdc-sweeps {rdc_sweeps.__version__} on {now}."
        self.pictures = [reader.pictures(table) for table in tables]

    def files(self) -> dict[str, Content]:
        """What makes each file."""
        files: dict[str, Content] = {name: (lambda name=name: asset(name)) for name in ASSETS}  # type: ignore[misc]
        files[PLOTLY] = self.reader.plotly.read_bytes
        files[RECORD] = self.record
        files[INDEX] = self.index
        if self.claims is not None:
            files[CLAIMS] = self.claimed
        for table, pictures in zip(self.tables, self.pictures, strict=True):
            files[f"{table.report.table}.html"] = lambda table=table, pictures=pictures: self.table(table, pictures)  # type: ignore[misc]
            for run in table.runs:
                files.setdefault(f"runs/{run.run.id}.html", lambda table=table, run=run: self.run(table, run))  # type: ignore[misc]
        for study in self.studies:
            render = partial(self.study, study)
            files[study.address] = partial(self.reader.study, study.address, render)
        files |= {address: (lambda content=content: content) for address, content in self.reader.picture_files.items()}  # type: ignore[misc]
        return files

    def record(self) -> bytes:
        """All tables as data."""
        tables = [asdict(table.report) for table in self.tables]
        return json.dumps({"tables": tables}, indent=1, allow_nan=False).encode()

    def index(self) -> bytes:
        """The overview."""
        names = ", ".join(table.report.table for table in self.tables)
        context = {
            "tables": [
                self._results(table) | {"best": best_of(table.report, pictures)}
                for table, pictures in zip(self.tables, self.pictures, strict=True)
            ],
            "claims": self.claims,
            "studies": self.studies,
        }
        return self._render("index.html.j2", f"Results of {names}", Frame("", self.links, INDEX), context)

    def claimed(self) -> bytes:
        """The claims of the paper."""
        frame = Frame("", self.links, CLAIMS)
        return self._render("claims.html.j2", "Claims of the paper", frame, {"claims": self.claims})

    def table(self, table: TableReading, pictures: Any) -> bytes:
        """A table with its curves, pictures, runs and notes."""
        report = table.report
        shown = self._results(table) | {
            "facts": header_lines(report),
            "missing": missing_lines(report),
            "remedy": remedy(report),
            "curves": table_drawing(report, table.runs),
            "pictures": pictures,
            "runs": [_run_line(run) for run in table.runs],
        }
        frame = Frame("", self.links, f"{report.table}.html")
        return self._render("table.html.j2", f"{report.table}: {report.title}", frame, {"table": shown})

    def run(self, table: TableReading, reading: RunReading) -> bytes:
        """A run."""
        run = reading.run
        context = {
            "facts": _run_facts(table.report, reading),
            "command": reading.command,
            "metrics": _run_metrics(table.report, reading),
            "curves": run_drawing(reading),
            "environment": _environment(reading),
            "spec": yaml_text(run.spec.model_dump(mode="json")),
        }
        return self._render("run.html.j2", run.title, Frame("../", self.links, f"{run.table.table}.html"), context)

    def study(self, study: StudyLink) -> bytes:
        """A study; one that cannot be read says why."""
        frame = self._framed(Frame("../", self.links, STUDIES))
        try:
            return render_study(self.reader.root, study.name, self.reader.catalogue, frame).encode()
        except (RdcError, OSError) as error:
            return self._render("problem.html.j2", f"Study {study.name}", frame, {"problem": str(error)})

    def _framed(self, frame: Frame) -> Frame:
        return Frame(frame.up, frame.links, frame.here, self.reader.live, self.written)

    def _render(self, template: str, title: str, frame: Frame, context: Mapping[str, Any]) -> bytes:
        text = self.reader.templates.get_template(template).render(title=title, frame=self._framed(frame), **context)
        return text.encode()

    def _results(self, table: TableReading) -> dict[str, Any]:
        report = table.report
        rows, bases = result_rows(report), set(row_groups(report))
        cells = {measure.key: [row.cells[measure.key] for row in report.rows] for measure in report.measures}
        measures = []
        for measure in report.measures:
            gains = any(cell.improvement is not None for cell in cells[measure.key])
            published = any(cell.published for cell in cells[measure.key])
            span = 1 + gains + 2 * published
            measures.append({**asdict(measure), "gains": gains, "published": published, "span": span})
        done = sum(run.view.state == "done" for run in table.runs)
        return {
            "report": report,
            "columns": shown_columns(report),
            "has_method_column": any(column.key == "method" for column in report.columns),
            "measures": measures,
            "rows": [{**row, "is_base": row["id"] in bases} for row in rows],
            "done": f"{done} of {len(table.runs)} runs are done",
        }


def _run_line(reading: RunReading) -> dict[str, Any]:
    view, status = reading.view, reading.view.status
    epochs = f"{status.epoch} of {status.epochs} epochs" if status and status.epochs else ""
    if view.seconds_left is not None:
        epochs += f", {max(1, round(view.seconds_left / 60))} min left"
    return {
        "row": reading.run.row.id,
        "seed": reading.run.spec.seed,
        "state": view.state,
        "progress": view.progress,
        "text": epochs,
        "id": reading.run.id,
        "device": status.device if status else reading.result.device if reading.result else "",
        "cause": view.problem,
    }


def _run_facts(report: Report, reading: RunReading) -> list[tuple[str, str]]:
    run, view, result = reading.run, reading.view, reading.result
    facts = [("run", run.id), ("row", f"{run.row.id}: {run.row.method}"), ("seed", str(run.spec.seed))]
    facts += [("profile", report.profile), ("state", f"{view.state}{f': {view.cause}' if view.cause else ''}")]
    if view.status and view.status.epochs:
        facts.append(("epochs", f"{view.status.epoch} of {view.status.epochs}"))
    if result is not None:
        minutes, seconds = divmod(round(result.seconds), 60)
        facts += [
            ("time", f"{minutes} min {seconds} s of training and evaluation on {result.device}"),
            ("training images", str(result.images)),
            ("parameters", f"{result.parameters:,} of the network"),
        ]
    return facts


def _run_metrics(report: Report, reading: RunReading) -> TextTable | None:
    """Test metrics by each selection rule."""
    if reading.result is None:
        return None
    found = {rule: one for rule, one in reading.result.selected.items() if one is not None}
    names = [name for name in METRICS if any(name in one.metrics for one in found.values())]
    rows = [
        [
            f"{rule}{' (reported)' if rule == report.selection else ''}",
            str(one.epoch + 1),
            *(MISSING if (value := one.metrics.get(name)) is None else METRICS[name].text(value) for name in names),
        ]
        for rule, one in found.items()
    ]
    return TextTable("Test metrics after the epoch that each rule selects", ["rule", "epoch", *names], rows)


def _environment(reading: RunReading) -> list[tuple[str, str]]:
    found = reading.environment
    if found is None:
        return []
    facts = [
        ("commit", found.commit or "not recorded: the code was outside a checkout"),
        ("packages", ", ".join(f"{name} {version}" for name, version in found.packages.items())),
        ("Python", found.python),
        ("platform", found.platform),
        ("host", f"{found.host}, {found.cores} cores, {found.threads} threads per process"),
        ("GPUs", f"{', '.join(found.devices)}; CUDA {found.cuda}" if found.devices else "none"),
        ("Slurm job", found.slurm_job or ""),
    ]
    return [(name, value) for name, value in facts if value]
