"""The claims of the paper, and what the runs of the tables say about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rdc_sweeps.reporting.claims_formats import HEAD, claim_summary, claims_header, claims_notes, pair_cells
from rdc_sweeps.reporting.evidence import ClaimsReport

STYLES: Mapping[str, str] = {"holds": "good", "does not hold": "bad"}
"""Classes of answers."""


@dataclass(frozen=True)
class ClaimLine:
    """Two rows that put a claim to the test."""

    cells: Sequence[str]
    """Under the titles of the page."""
    style: str
    """The class of its answer."""


@dataclass(frozen=True)
class ShownClaim:
    """A claim on a page."""

    key: str
    text: str
    source: str
    summary: str
    pairs: Sequence[ClaimLine]


@dataclass(frozen=True)
class ClaimsPage:
    """What the page of the claims shows."""

    facts: Sequence[tuple[str, str]]
    columns: Sequence[str]
    claims: Sequence[ShownClaim]
    """Those that rows of the tables put to the test."""
    notes: Sequence[str]


def claims_page(report: ClaimsReport) -> ClaimsPage | None:
    """The page; None if the rows put no claim to the test."""
    shown = [
        ShownClaim(
            claim.key,
            claim.claim,
            claim.source,
            claim_summary(claim),
            [ClaimLine(pair_cells(claim, pair), STYLES.get(pair.answer, "")) for pair in claim.pairs],
        )
        for claim in report.claims
        if claim.pairs
    ]
    return ClaimsPage(claims_header(report), HEAD, shown, claims_notes(report)) if shown else None
