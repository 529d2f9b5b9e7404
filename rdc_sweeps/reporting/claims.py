"""The claims of the paper, and the pairs of rows that put them to the test, as the specs tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any, Literal

from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.specs.contrast import GaussianContrast, VectorContrast
from rdc_sweeps.specs.fields import at_path, with_values
from rdc_sweeps.specs.method import RegionContrast, Supervised, terms_of
from rdc_sweeps.specs.run import BESIDE, RunSpec, run_id

ClaimKey = Literal[
    "supervised", "li", "dejavu", "region", "vector", "pixel", "sam", "distance", "full", "partial-normals"
]

IMAGE_REGIONS = ("sam", "superpixel")
"""Sources of regions of the image itself; profiles other than `paper` have superpixels for SAM."""


@dataclass(frozen=True)
class Candidate:
    """A row as one of a pair; rows of several tables with the same spec are one."""

    runs: tuple[Run, ...]
    """The same training in each table that has it, with one seed."""

    @property
    def spec(self) -> RunSpec:
        """What is trained."""
        return self.runs[0].spec

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The spec as plain values, without what changes nothing, and with methods' own ways to pass two views."""
        data = self.spec.model_dump(mode="json", exclude=BESIDE)
        return with_values(data, {"seed": None, "training.augmentation.view_norm": None})

    def part(self, path: str) -> Any:
        """A part of the spec; None if it has no such part. A variant of a union is given by its name."""
        value = at_path(self.fields, path, None)
        return value.get("name") or value.get("source") if isinstance(value, Mapping) else value

    def without(self, *paths: str) -> dict[str, Any]:
        """The fields but those at these paths."""
        return with_values(self.fields, dict.fromkeys(paths))


FitsPair = Callable[[Candidate, Candidate], bool]


@dataclass(frozen=True)
class Claim:
    """A claim: one of two rows is better."""

    key: ClaimKey
    text: str
    source: str
    """Tables of the paper."""
    fits: FitsPair
    """Whether the first of two rows is the one that it says is better than the second."""
    measure: Literal["delta_m", "mErr"] = "delta_m"
    """What it says is better."""


@dataclass(frozen=True)
class ClaimPair:
    """Two rows that put a claim to the test; the first is the one that it says is better."""

    claim: Claim
    better: Run
    worse: Run


def claim_pairs(runs: Sequence[Run], claims: Sequence[Claim] | None = None) -> list[ClaimPair]:
    """The pairs of rows to which a claim applies, by claim.

    Args:
        runs: One for each row of one or more tables.
        claims: None for all.
    """
    candidates = candidates_of(runs)
    return [
        ClaimPair(claim, *_named_together(first, second))
        for claim in (CLAIMS if claims is None else claims)
        for first, second in permutations(candidates, 2)
        if claim.fits(first, second)
    ]


def candidates_of(runs: Sequence[Run]) -> list[Candidate]:
    """Rows by what they train, in order; those of the paper's tables first, which have published numbers."""
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: not run.table.paper):
        found.setdefault(run_id(run.spec.model_copy(update={"seed": 0})), []).append(run)
    return [Candidate(tuple(same)) for same in found.values()]


def _named_together(first: Candidate, second: Candidate) -> tuple[Run, Run]:
    """Both rows as of one table, if a table has both."""
    pairs = ((one, two) for one in first.runs for two in second.runs if one.table.table == two.table.table)
    return next(pairs, (first.runs[0], second.runs[0]))


def _is_rdc(one: Candidate) -> bool:
    """The paper's method: Wasserstein distances of Gaussians of the image's regions, with a gradient."""
    return _contrasts_gaussians(one) and one.part("method.extraction.regions") != "semantic"


def _contrasts_gaussians(one: Candidate) -> bool:
    """Whether it contrasts Gaussians of an image's regions, from wherever they come, by the Wasserstein distance."""
    return (
        _has_contrast(one, GaussianContrast)
        and one.part("method.contrast.distance") == "wasserstein"
        and one.part("method.contrast.negatives") != "images"
    )


def _has_contrast(one: Candidate, contrast: type[object]) -> bool:
    """Whether it contrasts regions of this kind, with a gradient."""
    method = one.spec.method
    return (
        isinstance(method, RegionContrast)
        and method.gradient
        and method.extraction.name == "region"
        and isinstance(method.contrast, contrast)
    )


def _rdc_over(others: Callable[[set[str]], bool], *, full: bool = False) -> FitsPair:
    """RDC, and a method that has `others` among its terms, in equal settings."""

    def fits(first: Candidate, second: Candidate) -> bool:
        return (
            (first.part("labels.setting") == "full") == full
            and _is_rdc(first)
            and others({term.model_dump()["name"] for term in terms_of(second.spec.method).values()})
            and first.without("method") == second.without("method")
        )

    return fits


def _part(path: str, better: str, worse: str, *, part: str | None = None) -> FitsPair:
    """Two contrasts with a gradient that differ in one part of the method, which has these names.

    A part may come with others that it needs, such as a distance with a regularisation: then all of `part` may differ
    but where negatives come from.
    """
    differing = f"method.{part or path}"

    def fits(first: Candidate, second: Candidate) -> bool:
        methods = [one.spec.method for one in (first, second)]
        return (
            all(isinstance(method, RegionContrast) and method.gradient for method in methods)
            and first.part(f"method.{path}") == better
            and second.part(f"method.{path}") == worse
            and len({one.part("method.contrast.negatives") for one in (first, second)}) == 1
            and first.without(differing) == second.without(differing)
        )

    return fits


def _gaussians_over(contrast: str) -> FitsPair:
    """Gaussians as in the paper, and another contrast of the same regions."""
    fits = _part("contrast", "gaussian", contrast)
    return lambda first, second: first.part("method.contrast.distance") == "wasserstein" and fits(first, second)


def _gaussians_without_sam(first: Candidate, second: Candidate) -> bool:
    """Gaussians of regions, from wherever they come, and vectors of SAM's regions or of the same ones."""
    regions = "method.extraction.regions"
    return (
        _contrasts_gaussians(first)
        and _has_contrast(second, VectorContrast)
        and (second.part(regions) in IMAGE_REGIONS or first.part(regions) == second.part(regions))
        and first.without("method.contrast", regions) == second.without("method.contrast", regions)
    )


def _partial_over_full(first: Candidate, second: Candidate) -> bool:
    """RDC with random labels, and supervision alone with all of them."""
    return (
        first.part("labels.setting") == "randomlabels"
        and second.part("labels.setting") == "full"
        and _is_rdc(first)
        and isinstance(second.spec.method, Supervised)
        and first.without("method", "labels") == second.without("method", "labels")
    )


CLAIMS = (
    Claim(
        "supervised",
        "RDC is better than supervision alone",
        "table 1",
        _rdc_over(lambda terms: terms == {"supervised"}),
    ),
    Claim("li", "RDC is better than Li et al.", "tables 1 and 2", _rdc_over(lambda terms: terms == {"cross_task"})),
    Claim(
        "dejavu",
        "RDC is better than DejaVu",
        "table 1",
        _rdc_over(lambda terms: "dejavu" in terms and "region_contrast" not in terms),
    ),
    Claim("region", "regions are better than patches", "table 3", _part("extraction", "region", "patch")),
    Claim("vector", "Gaussians are better than vectors", "tables 2, 3 and 6", _gaussians_over("vector")),
    Claim("pixel", "Gaussians are better than pixels", "tables 2, 3 and 6", _gaussians_over("pixel")),
    Claim(
        "sam",
        "distributions are better than SAM's regions alone",
        "tables 2, 3, 4 and 6",
        _gaussians_without_sam,
    ),
    Claim(
        "distance",
        "the Wasserstein distance is better than KL",
        "table 5",
        _part("contrast.distance", "wasserstein", "kl", part="contrast"),
    ),
    Claim(
        "full",
        "RDC also helps with all labels",
        "table 6",
        _rdc_over(lambda terms: terms in ({"supervised"}, {"cross_task"}), full=True),
    ),
    Claim(
        "partial-normals",
        "RDC with random labels is better at normals than supervision with all labels",
        "table 1",
        _partial_over_full,
        "mErr",
    ),
)
"""In the order of the paper's tables."""
