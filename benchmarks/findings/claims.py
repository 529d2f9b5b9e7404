"""The claims of the paper, and the rows of a table that put them to the test."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import permutations

from benchmarks.findings.records import ClaimRecord
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.specs.contrast import GaussianContrast
from rdc_sweeps.specs.fields import with_values
from rdc_sweeps.specs.method import Combined, CrossTask, DejaVu, RegionContrast, Supervised
from rdc_sweeps.specs.run import RunSpec

FitsPair = Callable[[RunSpec, RunSpec], bool]


@dataclass(frozen=True)
class Claim:
    """A claim: one of two rows is better."""

    text: str
    source: str
    fits: FitsPair
    """Whether the first of two specs is the one that it says is better than the second."""


def claim_records(runs: Sequence[Run]) -> tuple[ClaimRecord, ...]:
    """The pairs of rows, with equal labels, to which a claim applies.

    Args:
        runs: One for each row.
    """
    return tuple(
        ClaimRecord(claim=claim.text, better=first.row.id, worse=second.row.id)
        for claim in CLAIMS
        for first, second in permutations(runs, 2)
        if first.spec.labels == second.spec.labels and claim.fits(first.spec, second.spec)
    )


def _is_rdc(spec: RunSpec) -> bool:
    """The paper's method: Gaussians of regions, with a gradient."""
    method = spec.method
    return (
        isinstance(method, RegionContrast)
        and method.gradient
        and method.extraction.name == "region"
        and isinstance(method.contrast, GaussianContrast)
        and method.contrast.distance == "wasserstein"
    )


def _rdc_over(*others: type[object], full: bool = False) -> FitsPair:
    def fits(first: RunSpec, second: RunSpec) -> bool:
        labels = (first.labels.setting == "full") == full
        return labels and first.backbone == second.backbone and _is_rdc(first) and isinstance(second.method, others)

    return fits


def _part(path: str, better: str | Container[object], worse: str) -> FitsPair:
    """Two contrasts with a gradient that differ in one part of the method, which has these names."""
    names = (better,) if isinstance(better, str) else better

    def fits(first: RunSpec, second: RunSpec) -> bool:
        methods = [spec.method for spec in (first, second)]
        if not all(isinstance(method, RegionContrast) and method.gradient for method in methods):
            return False
        found, other = (_name(_at(method, path)) for method in methods)
        return found in names and other == worse and _without(first, path) == _without(second, path)

    return fits


def _at(node: object, path: str) -> object:
    for name in path.split("."):
        node = getattr(node, name, None)
    return node


def _name(part: object) -> object:
    return getattr(part, "name", None) or getattr(part, "source", None) or part


def _without(spec: RunSpec, path: str) -> object:
    # A distance may come with regularisation that it needs, so the whole contrast is left out.
    part = "contrast" if path.startswith("contrast") else path
    return with_values(spec.model_dump(mode="json"), {f"method.{part}": None, "seed": None})


CLAIMS = (
    Claim("RDC is better than supervision alone", "tables 1 and 3", _rdc_over(Supervised)),
    Claim("RDC is better than Li et al.", "tables 1 and 2", _rdc_over(CrossTask)),
    Claim("RDC is better than DejaVu", "table 1", _rdc_over(DejaVu, Combined)),
    Claim("regions are better than patches", "table 3", _part("extraction", "region", "patch")),
    Claim("Gaussians are better than vectors", "tables 2 and 3", _part("contrast", "gaussian", "vector")),
    Claim("Gaussians are better than pixels", "tables 2 and 3", _part("contrast", "gaussian", "pixel")),
    # Profiles other than `paper` have superpixels for SAM.
    Claim(
        "regions of the image are better than semantic ones",
        "table 4",
        _part("extraction.regions", ("sam", "superpixel"), "semantic"),
    ),
    Claim("the Wasserstein distance is better than KL", "table 5", _part("contrast.distance", "wasserstein", "kl")),
    Claim("RDC also helps with all labels", "table 6", _rdc_over(Supervised, CrossTask, full=True)),
)
"""In the order of the paper's tables."""
