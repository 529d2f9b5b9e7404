"""The claims of the paper that findings put to the test: those about delta-m."""

from collections.abc import Sequence

from benchmarks.findings.records import ClaimRecord
from rdc_sweeps.reporting.claims import CLAIMS as ALL_CLAIMS
from rdc_sweeps.reporting.claims import claim_pairs
from rdc_sweeps.specs.catalogue import Run

CLAIMS = tuple(claim for claim in ALL_CLAIMS if claim.measure == "delta_m")


def claim_records(runs: Sequence[Run]) -> tuple[ClaimRecord, ...]:
    """The pairs of rows to which a claim applies.

    Args:
        runs: One for each row.
    """
    return tuple(
        ClaimRecord(claim=pair.claim.text, better=pair.better.row.id, worse=pair.worse.row.id)
        for pair in claim_pairs(runs, CLAIMS)
    )
