"""What finished runs, and the published numbers, say about the claims of the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.claims import CLAIMS, Claim, ClaimKey, ClaimPair, claim_pairs
from rdc_sweeps.reporting.differences import DELTA_M, Pair, gains_of, improvements
from rdc_sweeps.reporting.notes import SELECTION_NOTES, comparability, describe_data, other_data
from rdc_sweeps.reporting.outcomes import Outcome, data_of, images_of, outcome
from rdc_sweeps.reporting.published import Inconsistency, inconsistencies, published_gain
from rdc_sweeps.reporting.statistics import Difference, Statistics, Verdict, corrected
from rdc_sweeps.runs.directory import OpenRun, RunDirectory
from rdc_sweeps.specs.catalogue import Run

Answer = Literal["holds", "does not hold", "cannot tell", "identical", "one seed", "not measured"]

ANSWERS: Mapping[Verdict, Answer] = {
    "better": "holds",
    "worse": "does not hold",
    "cannot tell": "cannot tell",
    "identical": "identical",
}
"""What the verdict on two rows says about the claim that the first is better."""


@dataclass(frozen=True)
class PairEvidence:
    """What two rows say about a claim that the first of them is better."""

    better: str
    """`table/row`."""
    worse: str
    answer: Answer
    difference: Difference | None
    """Improvement of the first over the second in percent, by the claim's measure; None if it was not measured."""
    improvements: Mapping[str, float]
    """Mean improvement in percent by every measure that was measured; not tested."""
    missing: int
    """Number of their runs whose metrics are missing."""
    published: Mapping[str, float]
    """Improvement in percent by measure, computed from the published numbers; empty if there are none."""

    def published_answer(self, measure: str) -> Literal["holds", "does not hold"] | None:
        """What the published numbers say; None if there are none."""
        gain = self.published.get(measure)
        return None if gain is None else "holds" if gain > 0 else "does not hold"


@dataclass(frozen=True)
class ClaimEvidence:
    """A claim, and all pairs of rows that put it to the test."""

    key: ClaimKey
    claim: str
    source: str
    """Tables of the paper that it is made from."""
    measure: str
    """`delta_m`, or the metric that it is about."""
    pairs: tuple[PairEvidence, ...]

    @property
    def answers(self) -> dict[Answer, int]:
        """How many pairs give each answer."""
        found = [pair.answer for pair in self.pairs]
        return {answer: found.count(answer) for answer in dict.fromkeys(found)}


@dataclass(frozen=True)
class ClaimsReport:
    """The claims of the paper, and what is known about them."""

    version: Literal[1] = field(default=1, kw_only=True)
    """Of its form as JSON (`rdc-sweep schema claims`)."""
    tables: tuple[str, ...]
    profile: str
    comparable: bool
    """Whether the numbers are comparable with the published ones."""
    changes: tuple[str, ...]
    data: tuple[str, ...]
    selection: Selection
    seeds: tuple[int, ...]
    claims: tuple[ClaimEvidence, ...]
    inconsistencies: tuple[Inconsistency, ...]
    """Published percentages that do not follow from the published numbers."""
    missing: Mapping[str, int]
    """By table, the number of runs of these pairs whose metrics are missing."""
    statistics: Statistics
    notes: tuple[str, ...]

    @property
    def has_verdicts(self) -> bool:
        """Whether any pair has an answer from several seeds."""
        return any(
            pair.difference is not None and pair.difference.verdict is not None
            for claim in self.claims
            for pair in claim.pairs
        )


def build_claims(
    runs: Sequence[Run], root: Path, *, selection: Selection | None = None, open_run: OpenRun = RunDirectory
) -> ClaimsReport:
    """Read the finished runs of all rows that put a claim to the test.

    Args:
        runs: Runs of one or more tables under one profile.
        root: The runs folder.
        selection: Which epoch counts; None for the profile's rule.
        open_run: Opens a run's directory.

    Raises:
        UsageError: There are no runs.
    """
    if not runs:
        raise UsageError("there are no runs to put claims to the test; name at least one table and seed")
    profile, rule = runs[0].profile, selection or runs[0].profile.selection
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(_name(run), []).append(run)
    found = claim_pairs([of_row[0] for of_row in rows.values()])
    named = dict.fromkeys(name for pair in found for name in _names(pair))
    compared = [run for name in named for run in rows[name]]
    outcomes = {name: tuple(outcome(run, root, rule, _metrics(run), open_run) for run in rows[name]) for name in named}
    # Two claims may be about the same pair, which is one test then.
    tests: dict[tuple[Pair, str], Difference] = {}
    for pair in found:
        names, measure = _names(pair), pair.claim.measure
        gains = improvements(outcomes[names[0]], outcomes[names[1]], _gains(pair).get(measure, ()))
        if gains is not None:
            tests[names, measure] = gains
    tested = corrected(tests)
    changes = tuple(dict.fromkeys(change for run in runs for change in run.changes))
    records = data_of(compared, root, open_run)
    lacking: dict[str, int] = {}
    for name, of_row in outcomes.items():
        if count := sum(one.cause is not None for one in of_row):
            table = name.partition("/")[0]
            lacking[table] = lacking.get(table, 0) + count
    tables = {run.table.table: run.table for run in runs}
    return ClaimsReport(
        tables=tuple(tables),
        profile=profile.profile,
        comparable=profile.comparable and not changes,
        changes=changes,
        data=describe_data(compared, images_of(compared, root, records, open_run)),
        selection=rule,
        seeds=tuple(sorted({run.spec.seed for run in runs})),
        claims=tuple(_evidence(claim, found, outcomes, tested) for claim in CLAIMS),
        inconsistencies=tuple(one for table in tables.values() for one in inconsistencies(table)),
        missing=lacking,
        statistics=Statistics.of({"answers": tested}),
        notes=(comparability(profile, changes), *other_data(compared, records), SELECTION_NOTES[rule]),
    )


def _name(run: Run) -> str:
    return f"{run.table.table}/{run.row.id}"


def _metrics(run: Run) -> list[str]:
    return [measure for measure in gains_of(run.table.metrics) if measure != DELTA_M]


def _names(pair: ClaimPair) -> Pair:
    return _name(pair.better), _name(pair.worse)


def _gains(pair: ClaimPair) -> dict[str, tuple[str, ...]]:
    """By measure that both tables have, the metrics whose mean improvement it is."""
    return gains_of([metric for metric in pair.better.table.metrics if metric in pair.worse.table.metrics])


def _evidence(
    claim: Claim,
    pairs: Sequence[ClaimPair],
    outcomes: Mapping[str, Sequence[Outcome]],
    tested: Mapping[tuple[Pair, str], Difference],
) -> ClaimEvidence:
    found = []
    for pair in pairs:
        if pair.claim is not claim:
            continue
        names = _names(pair)
        difference = tested.get((names, claim.measure))
        row, other = (outcomes[name] for name in names)
        gains = {measure: improvements(row, other, metrics) for measure, metrics in _gains(pair).items()}
        found.append(
            PairEvidence(
                better=names[0],
                worse=names[1],
                answer=_answer(difference),
                difference=difference,
                improvements={measure: one.mean for measure, one in gains.items() if one is not None},
                missing=sum(one.cause is not None for name in names for one in outcomes[name]),
                published=_published(pair),
            )
        )
    return ClaimEvidence(claim.key, claim.text, claim.source, claim.measure, tuple(found))


def _answer(found: Difference | None) -> Answer:
    if found is None:
        return "not measured"
    return "one seed" if found.verdict is None else ANSWERS[found.verdict]


def _published(pair: ClaimPair) -> dict[str, float]:
    """Improvements by metric; and their mean, if all are published."""
    metrics = _gains(pair)[DELTA_M]
    gains = {
        metric: gain
        for metric in pair.better.table.metrics
        if metric in metrics and (gain := published_gain(pair.better.row, pair.worse.row, metric)) is not None
    }
    return gains | ({DELTA_M: sum(gains.values()) / len(gains)} if len(gains) == len(metrics) else {})
