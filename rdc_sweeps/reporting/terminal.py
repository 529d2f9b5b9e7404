"""A report on a terminal: a line of measured values per row, their deviation and the published values below."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rdc_sweeps.reporting.lines import (
    DIFFERENCE_HEAD,
    DIFFERENCES,
    DIFFERENCES_NOTE,
    compared_rows,
    difference_lines,
    differences_title,
    header_lines,
    missing_lines,
    note_lines,
    remedy,
    signed,
)
from rdc_sweeps.reporting.report import DEVIATION, Cell, Measure, Report, Row
from rdc_sweeps.reporting.statistics import Difference
from rdc_sweeps.texts import NATURAL_WIDTH


@dataclass(frozen=True)
class TableLayout:
    """How wide a table is drawn."""

    labels: bool = True
    """Whether there are label columns; without them, rows are named by their ids."""
    hyphenated: bool = False
    """Long titles of label columns on two lines."""
    gap: str = " "
    """Extra space between columns."""
    gains_below: bool = False
    """Improvements on a line of their own below their values, not beside them."""


LAYOUTS = (
    TableLayout(),
    TableLayout(hyphenated=True),
    TableLayout(hyphenated=True, gap=""),
    TableLayout(labels=False),
    TableLayout(labels=False, gap=""),
    TableLayout(labels=False, gap="", gains_below=True),
)
"""From the widest to the narrowest."""

HYPHENATED = {"Region": "Re-\ngion", "Vector": "Vec-\ntor", "Gaussian": "Gaus-\nsian"}


DIFFERENCE_WIDTHS = (13, 8, 18, 8, 8, 11, 6)


def render_terminal(report: Report, *, statistics: bool = False) -> RenderableType:
    """A report fitted to the width of the terminal: if label columns are too wide, rows are named by their ids.

    Args:
        report: The report.
        statistics: Whether all differences are listed below it.
    """
    return TerminalReport(report, statistics)


@dataclass(frozen=True)
class TerminalReport:
    """The renderable: it chooses its layout by the width that it is given."""

    report: Report
    statistics: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Header, table, missing runs and notes."""
        natural = options.update(width=NATURAL_WIDTH)
        for layout in LAYOUTS:
            table = _table(self.report, layout)
            if Measurement.get(console, natural, table).maximum <= options.max_width:
                break
        differences = _differences(self.report) if self.statistics else []
        yield Group(_header(self.report), "", table, "", *differences, *_notes(self.report))


def _header(report: Report) -> RenderableType:
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column()
    for name, value in header_lines(report):
        lines.add_row(name, Text(value))
    return Group(Text.assemble((report.table, "bold cyan"), "  ", (report.title, "bold")), lines)


def _notes(report: Report) -> list[RenderableType]:
    lines = [_bullet("✗", "red", text) for text in missing_lines(report)]
    if command := remedy(report):
        lines.append(_bullet("→", "red", f"to train the missing runs: {command}"))
    return [
        *lines,
        *(_bullet("·", "yellow" if index == 0 else "dim", text) for index, text in enumerate(note_lines(report))),
    ]


def _differences(report: Report) -> list[RenderableType]:
    """All differences, with their intervals, tests and verdicts; nothing if no row has a baseline."""
    if not (rows := compared_rows(report)):
        return []
    head = fixed_line([Text(title, style="dim") for title in DIFFERENCE_HEAD], DIFFERENCE_WIDTHS, {0, 5})
    parts: list[RenderableType] = [Text(DIFFERENCES, style="bold"), head]
    for row in rows:
        parts.append(Text(differences_title(row)))
        for line in difference_lines(report, row):
            style = {"better": "green", "worse": "red"}.get(line[5], "")
            parts.append(fixed_line([Text(text, style=style) for text in line], DIFFERENCE_WIDTHS, {0, 5}))
    return [*parts, "", Text(DIFFERENCES_NOTE, style="dim"), ""]


def fixed_line(texts: Sequence[Text], widths: Sequence[int], left: Container[int]) -> RenderableType:
    """A line with columns of these widths, for lines that stand apart but under one another.

    Args:
        texts: One per column.
        widths: One per column.
        left: The columns that are aligned to the left; all others to the right.
    """
    line = Table.grid(padding=(0, 1, 0, 0))
    for index, width in enumerate(widths):
        line.add_column(justify="left" if index in left else "right", width=width)
    line.add_row(*texts)
    return Padding(line, (0, 0, 0, 2))


def _bullet(sign: str, style: str, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(sign, style=style), Text(text, style=style))
    return grid


def _table(report: Report, layout: TableLayout) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, header_style="bold")
    for title, mark in _label_titles(report, layout):
        table.add_column(title, justify="center" if mark else "left", vertical="bottom", no_wrap=True)
    for measure in report.measures:
        arrow = "↑" if measure.higher_is_better else "↓"
        title = measure.title.replace(" ", "\n")
        table.add_column(f"{title} {arrow}", justify="right", vertical="bottom", no_wrap=True)
    table.add_column("Δm %", justify="right", vertical="bottom", no_wrap=True)
    stacks = {measure.key: _Stack(report, measure, layout) for measure in report.measures}
    for row, following in zip(report.rows, (*report.rows[1:], None), strict=True):
        _add_row(table, report, row, stacks, layout)
        if following and following.baseline not in (row.baseline, row.id):
            table.add_section()
    return table


def _label_titles(report: Report, layout: TableLayout) -> list[tuple[str, bool]]:
    """Titles of the label columns, and whether check marks stand in them; the first has room for `published`."""
    columns = report.columns if layout.labels else ()
    first = [] if columns and not columns[0].mark else [("Row", False)]
    hyphenated = HYPHENATED if layout.hyphenated else {}
    shown = [(hyphenated.get(column.title, column.title.replace(" ", "\n")), column.mark) for column in columns]
    return [*first, *shown]


def _add_row(table: Table, report: Report, row: Row, stacks: Mapping[str, "_Stack"], layout: TableLayout) -> None:
    """A line each: measured, deviation, published; below them their improvements, if the layout says so."""
    labels = row.labels if layout.labels else ()
    if not labels or isinstance(labels[0], bool):
        labels = (row.id, *labels)
    blank = [""] * (len(labels) - 1)
    is_baseline = any(other.baseline == row.id for other in report.rows)
    marked = report.has_verdicts
    gain = Text("base" + " " * marked, style="dim")
    if not is_baseline or row.delta_m is not None:
        gain = _gain(row.delta_m, row.difference, marked=marked)
    measured = [stacks[key].measured(cell) for key, cell in row.cells.items()]
    table.add_row(*map(_label, labels), *measured, Text.assemble(layout.gap, gain))
    if layout.gains_below and any(cell.improvement is not None for cell in row.cells.values()):
        gains = [_gain(cell.improvement, cell.difference, marked=marked) for cell in row.cells.values()]
        table.add_row(Text("  gain %", style="dim"), *blank, *gains, "")
    if any(cell.sd is not None for cell in row.cells.values()):
        deviations = [stacks[key].deviation(cell) for key, cell in row.cells.items()]
        table.add_row(Text("  ± sd", style="dim"), *blank, *deviations, "")
    if any(cell.published for cell in row.cells.values()):
        published = [stacks[key].published(cell) for key, cell in row.cells.items()]
        table.add_row(Text("  published", style="dim"), *blank, *published, "")
    if layout.gains_below and any(cell.published_improvement is not None for cell in row.cells.values()):
        gains = [
            Text(_gain(cell.published_improvement, marked=marked).plain, style="dim") for cell in row.cells.values()
        ]
        table.add_row(Text("  gain %", style="dim"), *blank, *gains, "")


def _label(label: str | bool) -> Text:
    return Text(label) if isinstance(label, str) else Text("✓" if label else "", style="green")


def _gain(percent: float | None, difference: Difference | None = None, *, marked: bool = False, width: int = 0) -> Text:
    """An improvement with its sign and mark: green if better, red if worse.

    Args:
        percent: The improvement; None for empty space.
        difference: Whose verdict is marked.
        marked: Whether there are marks in the report, for which all others leave space.
        width: To which it is padded.
    """
    if percent is None:
        return Text(" " * width)
    text = signed(percent, 1)
    style = "green" if text[0] == "+" else "red" if text[0] == "-" else ""
    mark = difference.mark if difference else ""
    return Text(f"{text}{mark or ' ' * marked}".rjust(width), style=style)


class _Stack:
    """The texts of a measure's column, so padded that values and improvements stand under one another."""

    def __init__(self, report: Report, measure: Measure, layout: TableLayout) -> None:
        self.gap, self.marked = layout.gap, report.has_verdicts
        cells = [row.cells[measure.key] for row in report.rows]
        gains = [gain for cell in cells for gain in (cell.improvement, cell.published_improvement) if gain is not None]
        self.gain_width = (
            0 if layout.gains_below else max((len(signed(gain, 1)) + self.marked for gain in gains), default=0)
        )

    def measured(self, cell: Cell) -> Text:
        """The value, and its improvement beside it."""
        value = Text(cell.text.partition(DEVIATION)[0], style="bold red" if cell.value is None else "")
        return self._join(value, _gain(cell.improvement, cell.difference, marked=self.marked, width=self.gain_width))

    def deviation(self, cell: Cell) -> Text:
        """The deviation under its value."""
        sd = cell.text.partition(DEVIATION)[2]
        return self._join(Text(f"±{sd}" if sd else "", style="dim"), _gain(None, width=self.gain_width))

    def published(self, cell: Cell) -> Text:
        """The published value, and its improvement beside it, dim."""
        gain = _gain(cell.published_improvement, marked=self.marked, width=self.gain_width)
        return self._join(Text(cell.published or "", style="dim"), Text(gain.plain, style="dim"))

    def _join(self, value: Text, gain: Text) -> Text:
        return Text.assemble(self.gap, value, " ", gain) if self.gain_width else Text.assemble(self.gap, value)
