"""The claims of the paper in each format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.reporting.differences import DELTA_M
from rdc_sweeps.reporting.evidence import ClaimEvidence, ClaimsReport, PairEvidence
from rdc_sweeps.reporting.lines import interval_text, p_text, signed
from rdc_sweeps.reporting.report import MISSING
from rdc_sweeps.reporting.terminal import fixed_line
from rdc_sweeps.texts import markdown

ClaimsFormat = Literal["terminal", "markdown", "json"]

STYLES: Mapping[str, str] = {"holds": "green", "does not hold": "red", "not measured": "dim", "one seed": "dim"}
"""Of answers on a terminal."""

HEAD = ("better − worse", "seeds", "gain %", "95 % interval", "p (Holm)", "answer", "shows", "published %")

WIDTHS = (5, 7, 18, 8, 13, 6, 13)
"""Of all columns but the first; lines of all pairs stand under one another."""


def render_claims(report: ClaimsReport, form: ClaimsFormat, console: Console) -> None:
    """Print the claims; Markdown and JSON are written as they are, without wrapping or colour."""
    if form == "terminal":
        console.print(_terminal(report))
    else:
        console.file.write(claims_markdown(report) if form == "markdown" else claims_json(report))


def claims_json(report: ClaimsReport) -> str:
    """All fields of the report, by name, as JSON."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def claims_markdown(report: ClaimsReport) -> str:
    """A heading and a table for each claim, and notes."""
    lines = ["## Claims of the paper", ""]
    lines += [f"- **{name}** {markdown(value)}" for name, value in claims_header(report)]
    for claim in report.claims:
        lines += ["", f"### {markdown(claim.claim)} ({claim.source})", "", markdown(claim_summary(claim))]
        if claim.pairs:
            lines += ["", _line(HEAD), _line((":--", *["--:"] * 4, ":--", "--:", "--:"))]
            lines += [_line([markdown(text) for text in pair_cells(claim, pair)]) for pair in claim.pairs]
    return "\n".join([*lines, "", *(f"- {markdown(text)}" for text in claims_notes(report))]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _terminal(report: ClaimsReport) -> RenderableType:
    head = Table.grid(padding=(0, 2))
    head.add_column(style="dim", no_wrap=True)
    head.add_column()
    for name, value in claims_header(report):
        head.add_row(name, Text(value))
    parts: list[RenderableType] = [Text("Claims of the paper", style="bold cyan"), head]
    for claim in report.claims:
        parts += ["", Text.assemble((claim.claim, "bold"), f" ({claim.source})"), Text(claim_summary(claim))]
        if claim.pairs:
            parts.append(_numbers([Text(title, style="dim") for title in HEAD[1:]]))
        for pair in claim.pairs:
            name, *texts = pair_cells(claim, pair)
            styles = [STYLES.get(pair.answer, "") if title == "answer" else "" for title in HEAD[1:]]
            parts.append(Text(f"  {name}"))
            parts.append(_numbers([Text(text, style=style) for text, style in zip(texts, styles, strict=True)]))
    notes = Table.grid(padding=(0, 1))
    for text in claims_notes(report):
        notes.add_row(Text("·", style="dim"), Text(text, style="dim"))
    return Group(*parts, "", notes)


def _numbers(texts: Sequence[Text]) -> RenderableType:
    """A line of numbers, below the name of its pair, which may be long."""
    return fixed_line(texts, WIDTHS, {HEAD.index("answer") - 1})


def pair_cells(claim: ClaimEvidence, pair: PairEvidence) -> list[str]:
    """The line of a pair, under `HEAD`."""
    names = _pair_text(pair)
    published = _published(claim, pair)
    if (found := pair.difference) is None:
        return [names, "0", MISSING, "", "", pair.answer, "", published]
    return [
        names,
        str(len(found.seeds)),
        signed(found.mean),
        interval_text(found),
        p_text(found.p_holm),
        pair.answer,
        "" if found.smallest is None else f"{found.smallest:.2f}",
        published,
    ]


def _pair_text(pair: PairEvidence) -> str:
    """`table: row − row`, or with the tables of both if they are of two."""
    (table, row), (other, worse) = (name.split("/", 1) for name in (pair.better, pair.worse))
    return f"{table}: {row} − {worse}" if table == other else f"{pair.better} − {pair.worse}"


def _published(claim: ClaimEvidence, pair: PairEvidence) -> str:
    """The published gain; for delta-m, with the number of metrics in which the row is better."""
    gain = pair.published.get(claim.measure)
    if gain is None:
        return ""
    gains = [value for name, value in pair.published.items() if name != DELTA_M]
    agree = f" ({sum(value > 0 for value in gains)}/{len(gains)})" if claim.measure == DELTA_M else ""
    return f"{signed(gain)}{agree}"


def claim_summary(claim: ClaimEvidence) -> str:
    """The answers of all pairs, and what the published numbers say."""
    if not claim.pairs:
        return "No rows of these tables put it to the test."
    answers = ", ".join(f"{answer} {count}" for answer, count in claim.answers.items())
    said = [answer for pair in claim.pairs if (answer := pair.published_answer(claim.measure))]
    by = "Δm" if claim.measure == DELTA_M else METRICS[claim.measure].column_title
    text = f"By {by}, of {len(claim.pairs)} pairs: {answers}."
    return f"{text} Published: holds in {said.count('holds')} of {len(said)}." if said else f"{text} Not published."


def claims_header(report: ClaimsReport) -> list[tuple[str, str]]:
    """The header, as names and values."""
    return [
        ("tables", ", ".join(report.tables)),
        ("profile", report.profile),
        *(("data", text) for text in report.data),
        ("selection", report.selection),
        ("seeds", ", ".join(map(str, report.seeds))),
    ]


def claims_notes(report: ClaimsReport) -> list[str]:
    """How to read the answers, and what is missing."""
    tested = report.statistics.families["answers"]
    notes = list(report.notes)
    if report.missing:
        lacking = ", ".join(f"{table} ({count})" for table, count in report.missing.items())
        notes.insert(0, f"Runs without results, by table: {lacking}. `rdc-sweep report TABLE` has the causes.")
    notes.append(
        "Gains are improvements of the first row over the second in percent, paired by seed, and their mean; + is "
        "better. Δm is the mean over the metrics, with aErr and mErr by the honest meter."
    )
    if report.has_verdicts:
        notes.append(
            f"Answers are by two-sided paired t tests, corrected by Holm over all {tested} tests of this list: the "
            "chance of any wrong `holds` or `does not hold` is at most 5 %. Intervals are not corrected. `shows`: the "
            "true gain that these seeds would have shown with a chance of 80 %, if their deviation is the true one."
        )
    else:
        notes.append("No pair has results of several seeds, so that there is no answer.")
    notes.append(
        "Published gains are computed from the published numbers of one run each, with aErr and mErr by the released "
        "meters; in brackets, in how many metrics the first row is better."
    )
    return [*notes, *(one.text for one in report.inconsistencies)]
