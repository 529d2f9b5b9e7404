"""Checks, before anything is trained, that every configuration of a study's search space is a valid run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations, product
from math import prod
from typing import Any

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.document import Document
from rdc_sweeps.specs.fields import DISCRIMINATORS, MISSING, at_path, has_path, with_values
from rdc_sweeps.specs.ranges import ChoiceRange
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import GridSampler, StudySpec, why_fixed
from rdc_sweeps.specs.validation import build, suggestion

Locator = Callable[..., str]
"""Maps a location in the study's data to its place in the file."""

NO_EFFECT: dict[str, tuple[str, str]] = {
    "method.contrast.direction": ("kl", "direction is of the KL divergence"),
    "method.contrast.diagonal": ("kl", "diagonal is of the KL divergence"),
    "method.contrast.root": ("wasserstein", "root is of the Wasserstein distance"),
}
"""Fields that only one distance uses: that distance, and the reason."""

EPOCH_FIELDS = ("training.batch_size", "training.last_batch")
"""Fields that decide how many steps an epoch has."""

MAX_COMBINATIONS = 1024
"""Maximum number of combinations checked: for all fields together, and for each pair of fields."""

MAX_GRID_SIZE = 10_000
"""Maximum number of combinations of a grid; all of them are enqueued when the study starts."""

MAX_REPORTED = 5
"""Rejected values reported for each range, and rejected combinations reported for the space."""


def space_problems(spec: StudySpec, run: RunSpec, place: Locator) -> list[str]:
    """All problems of a search space for a run: its paths, ranges, combinations and enqueued configurations."""
    data = run.model_dump(mode="json")
    problems = [
        f"{place('space', path)}: space.{path}: {problem}"
        for path in spec.space
        for problem in _path_problems(path, spec, data)
    ]
    if problems:
        # Checking values for a path that does not exist would only add noise.
        return problems
    problems += list(_range_problems(spec, data, place))
    if not problems:
        problems += list(_combination_problems(spec, data, place))
    problems += list(_enqueue_problems(spec, place))
    if isinstance(spec.sampler, GridSampler):
        size = prod(len(drawn.grid(spec.sampler.points)) for drawn in spec.space.values())
        if size > MAX_GRID_SIZE:
            problems.append(
                f"{place('sampler')}: sampler: a grid of {size} combinations is too large; at most {MAX_GRID_SIZE}"
            )
    return problems


def _path_problems(path: str, spec: StudySpec, data: Mapping[str, Any]) -> Iterator[str]:
    keys = path.split(".")
    fixed = why_fixed(path)
    inside = next((other for other in spec.space if path.startswith(f"{other}.")), None)
    if fixed is not None:
        yield f"cannot be tuned: {fixed}"
    elif keys[-1] in DISCRIMINATORS:
        yield "cannot be tuned: it chooses which other fields there are; make one study for each"
    elif inside is not None:
        yield f"is inside {inside}, which is tuned as a whole"
    elif (value := at_path(data, path)) is MISSING:
        yield _absent(path, keys, data)
    elif path in EPOCH_FIELDS and at_path(data, "training.iterations") is not None:
        yield (
            f"cannot be tuned: {spec.table}/{spec.row} trains for a number of iterations, so that trials would end "
            "after different numbers of epochs; give the study `epochs`"
        )
    elif isinstance(value, Mapping):
        yield f"is a group of fields; tune one of them, such as {path}.{next(iter(value), 'x')}"
    elif path in NO_EFFECT:
        distance, reason = NO_EFFECT[path]
        if distance not in _possible_values("method.contrast.distance", spec, data):
            yield f"has no effect on {spec.table}/{spec.row}: {reason}, and the row uses another distance"


def _absent(path: str, keys: list[str], data: Mapping[str, Any]) -> str:
    if not has_path(RunSpec, keys):
        return "no run has such a field" + _nearest(keys, data)
    return "the row has no such field" + _nearest(keys, data)


def _nearest(keys: list[str], data: Mapping[str, Any]) -> str:
    """The valid field names at the point where the path leaves the run."""
    node: Any = data
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            break
        node = node[key]
    if not isinstance(node, Mapping):
        return "; the path continues below a field that has no fields"
    variant = next((f"its {name} is {node[name]!r}" for name in DISCRIMINATORS if name in node), None)
    return (f" ({variant})" if variant else "") + suggestion(key, [name for name in node if name not in DISCRIMINATORS])


def _possible_values(path: str, spec: StudySpec, data: Mapping[str, Any]) -> list[Any]:
    return spec.space[path].probes() if path in spec.space else [at_path(data, path)]


def _range_problems(spec: StudySpec, data: Mapping[str, Any], place: Locator) -> Iterator[str]:
    """Values of one field that are rejected while all others have a valid value."""
    base = _base(spec, data)
    for path, drawn in spec.space.items():
        kind = next(iter(type(drawn).model_fields))
        reported: set[str] = set()
        for value in drawn.probes():
            for problem in _rejections(data, {**base, path: value}, path, value):
                if len(reported) < MAX_REPORTED and problem not in reported:
                    reported.add(problem)
                    yield f"{place('space', path, kind)}: space.{path}: {value!r} of this range: {problem}"


def _base(spec: StudySpec, data: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration inside the space: the row's own values, or the first of a range that does not contain them."""
    own = {path: at_path(data, path) for path in spec.space}
    return {path: own[path] if drawn.contains(own[path]) else drawn.probes()[0] for path, drawn in spec.space.items()}


def _combination_problems(spec: StudySpec, data: Mapping[str, Any], place: Locator) -> Iterator[str]:
    reported: set[str] = set()
    for values in _combinations(spec, _base(spec, data)):
        for problem in _rejections(data, values):
            if problem not in reported and len(reported) < MAX_REPORTED:
                reported.add(problem)
                chosen = ", ".join(f"{path} = {value!r}" for path, value in values.items())
                yield f"{place('space')}: space: a combination that cannot be trained: {problem} ({chosen})"


def _combinations(spec: StudySpec, base: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The corners of the space, and for each pair of fields the combinations of their values."""
    paths = list(spec.space)
    ends = [drawn.probes() if isinstance(drawn, ChoiceRange) else drawn.probes()[:2] for drawn in spec.space.values()]
    if prod(map(len, ends)) <= MAX_COMBINATIONS:
        for corner in product(*ends):
            yield dict(zip(paths, corner, strict=True))
    for one, other in combinations(paths, 2):
        side = int(MAX_COMBINATIONS**0.5)
        for pair in product(_subset(spec.space[one].probes(), side), _subset(spec.space[other].probes(), side)):
            yield {**base, one: pair[0], other: pair[1]}


def _subset(values: list[Any], count: int) -> Iterable[Any]:
    """The bounds and evenly spaced values between them, about `count` in total."""
    return values if len(values) <= count else [*values[:2], *values[2 :: -(-(len(values) - 2) // (count - 2))]]


def _rejections(data: Mapping[str, Any], values: Mapping[str, Any], path: str = "", value: Any = None) -> list[str]:
    try:
        run = build(RunSpec, Document(with_values(data, values)))
    except SpecError as error:
        return error.problems
    if not path:
        return []
    read = at_path(run.model_dump(mode="json"), path)
    if read != value or isinstance(read, bool) != isinstance(value, bool):
        return [f"it is read as {read!r}"]
    if isinstance(value, float) and isinstance(read, int):
        return ["the field takes whole numbers only; write {integer: [a, b]}"]
    return []


def _enqueue_problems(spec: StudySpec, place: Locator) -> Iterator[str]:
    for index, values in enumerate(spec.enqueue):
        for path, value in values.items():
            where = f"{place('enqueue', index, path)}: enqueue[{index}].{path}"
            if path not in spec.space:
                yield f"{where}: is not in the space{suggestion(path, spec.space)}"
            elif not spec.space[path].contains(value):
                yield f"{where}: {value!r} is not in its range"
