"""A report on a terminal: a line of measured values per row, their deviation and the published values below."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rdc_sweeps.reporting.lines import header_lines, missing_lines, remedy
from rdc_sweeps.reporting.report import MISSING, Cell, Measure, Report, Row

NATURAL_WIDTH = 1000
"""A width that every table fits into, for measuring one."""


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


def render_terminal(report: Report) -> RenderableType:
    """A report fitted to the width of the terminal: if label columns are too wide, rows are named by their ids."""
    return TerminalReport(report)


@dataclass(frozen=True)
class TerminalReport:
    """The renderable: it chooses its layout by the width that it is given."""

    report: Report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Header, table, missing runs and notes."""
        natural = options.update(width=NATURAL_WIDTH)
        for layout in LAYOUTS:
            table = _table(self.report, layout)
            if Measurement.get(console, natural, table).maximum <= options.max_width:
                break
        yield Group(_header(self.report), "", table, "", *_notes(self.report))


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
    return [*lines, *(_bullet("·", "yellow" if index == 0 else "dim", text) for index, text in enumerate(report.notes))]


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
    gain = Text("base", style="dim") if is_baseline and row.delta_m is None else _gain(row.delta_m)
    measured = [stacks[key].measured(cell) for key, cell in row.cells.items()]
    table.add_row(*map(_label, labels), *measured, Text.assemble(layout.gap, gain))
    if layout.gains_below and any(cell.improvement is not None for cell in row.cells.values()):
        gains = [_gain(cell.improvement) for cell in row.cells.values()]
        table.add_row(Text("  gain %", style="dim"), *blank, *gains, "")
    if any(cell.sd is not None for cell in row.cells.values()):
        deviations = [stacks[key].deviation(cell) for key, cell in row.cells.items()]
        table.add_row(Text("  ± sd", style="dim"), *blank, *deviations, "")
    if any(cell.published for cell in row.cells.values()):
        published = [stacks[key].published(cell) for key, cell in row.cells.items()]
        table.add_row(Text("  published", style="dim"), *blank, *published, "")
    if layout.gains_below and any(cell.published_improvement is not None for cell in row.cells.values()):
        gains = [Text(_gain(cell.published_improvement).plain, style="dim") for cell in row.cells.values()]
        table.add_row(Text("  gain %", style="dim"), *blank, *gains, "")


def _label(label: str | bool) -> Text:
    return Text(label) if isinstance(label, str) else Text("✓" if label else "", style="green")


def _gain(percent: float | None, width: int = 0) -> Text:
    """An improvement with its sign: green if better, red if worse."""
    if percent is None:
        return Text(" " * width)
    text = _signed(percent)
    style = "green" if text[0] == "+" else "red" if text[0] == "-" else ""
    return Text(text.rjust(width), style=style)


def _signed(percent: float) -> str:
    text = f"{percent:+.1f}"
    return text if float(text) else "0.0"


class _Stack:
    """The texts of a measure's column, so padded that values and improvements stand under one another."""

    def __init__(self, report: Report, measure: Measure, layout: TableLayout) -> None:
        self.digits, self.gap = measure.digits, layout.gap
        cells = [row.cells[measure.key] for row in report.rows]
        gains = [gain for cell in cells for gain in (cell.improvement, cell.published_improvement) if gain is not None]
        self.gain_width = 0 if layout.gains_below else max((len(_signed(gain)) for gain in gains), default=0)

    def measured(self, cell: Cell) -> Text:
        """The value, and its improvement beside it."""
        value = Text(MISSING, style="bold red") if cell.value is None else Text(f"{cell.value:.{self.digits}f}")
        return self._join(value, _gain(cell.improvement, self.gain_width))

    def deviation(self, cell: Cell) -> Text:
        """The deviation under its value."""
        text = "" if cell.sd is None else f"±{cell.sd:.{self.digits}f}"
        return self._join(Text(text, style="dim"), _gain(None, self.gain_width))

    def published(self, cell: Cell) -> Text:
        """The published value, and its improvement beside it, dim."""
        gain = _gain(cell.published_improvement, self.gain_width)
        return self._join(Text(cell.published or "", style="dim"), Text(gain.plain, style="dim"))

    def _join(self, value: Text, gain: Text) -> Text:
        return Text.assemble(self.gap, value, " ", gain) if self.gain_width else Text.assemble(self.gap, value)
