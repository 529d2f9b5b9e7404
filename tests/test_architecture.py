"""The rooms of the package: they import in one direction, and nothing imports in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rdc_sweeps"

GROUND = ("compiled", "errors", "files", "processes", "seals", "settings", "texts")

ROOMS: dict[str, set[str]] = {
    "specs": {"metrics"},
    "metrics": {"specs"},
    "parallel": set(),
    "contrast": {"specs"},
    "data": {"specs"},
    "models": {"specs", "data"},
    "synthetic": {"specs", "data"},
    "regions": {"specs", "data"},
    "methods": {"specs", "metrics", "parallel", "contrast", "models", "data", "regions"},
    "probing": {"specs", "methods", "models", "data"},
}
"""Rooms up to `probing`, each with the rooms from which it may import besides the ground. Specs and metrics are on one
level: tables name metrics, and metrics are of tasks."""

STOREYS = (
    {"training"},
    {"runs", "tracking"},
    {"dispatch"},
    {"doctor", "monitoring", "tuning", "reporting"},
    {"dashboards", "notifications", "web"},
    {"api", "extend"},
    {"cli"},
)
"""Rooms above those; each may import from all below it, and within a storey as `BESIDE` says."""

BESIDE = {("tuning", "reporting"), ("tracking", "runs")}
"""Imports between rooms of one storey: importer and imported."""


def modules() -> dict[str, Path]:
    """All modules by their dotted names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports anywhere in it, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [
                full if (full := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names
            ]
        elif isinstance(node, ast.ImportFrom):
            names = [f"rdc_sweeps.relative import in {path}"]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name.split(".")[0] == "rdc_sweeps")


# All may import the package for its version; its own file imports the API, but only on access.
GRAPH = {name: set(imports(path)) - {name, "rdc_sweeps"} for name, path in MODULES.items()}


def room(module: str) -> str:
    """The room of a module; the package itself is `rdc_sweeps`."""
    return module.split(".")[1] if "." in module else module


def allowed(importer: str) -> set[str]:
    """Rooms from which a room may import."""
    if importer in GROUND:
        return set(GROUND)
    if importer in ROOMS:
        return {*GROUND, *ROOMS[importer]}
    below = {*GROUND, *ROOMS}
    for storey in STOREYS:
        if importer in storey:
            return below | {imported for one, imported in BESIDE if one == importer}
        below |= storey
    return below


def circles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """Modules that import each other, directly or through others."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph.get(waiting.pop(), ()):
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)
        reached[start] = seen
    return sorted(
        {tuple(sorted(two for two in reached[one] if one in reached[two])) for one in graph if one in reached[one]}
    )


def test_every_import_is_of_a_module_that_exists() -> None:
    unknown = {(name, imported) for name, found in GRAPH.items() for imported in found if imported not in MODULES}
    assert not unknown


def test_no_modules_import_each_other() -> None:
    assert circles(GRAPH) == []


def test_the_order_of_the_rooms_is_one() -> None:
    names = list(ROOMS)
    for index, (importer, below) in enumerate(ROOMS.items()):
        assert below <= {*names[:index], "specs", "metrics"}, importer
    assert not {(imported, importer) for importer, imported in BESIDE} & BESIDE


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [("a", "b", "c")]


@pytest.mark.parametrize("importer", sorted({room(name) for name in MODULES} - {"rdc_sweeps", "__main__"}))
def test_rooms_import_only_what_stands_below_them(importer: str) -> None:
    known = {*GROUND, *ROOMS, *set().union(*STOREYS)}
    assert importer in known, "a new room needs its place in the order"
    wrong = {
        f"{name} imports {imported}"
        for name, found in GRAPH.items()
        if room(name) == importer
        for imported in found
        if room(imported) not in {importer, *allowed(importer)}
    }
    assert not wrong


def test_the_executor_is_chosen_in_one_place() -> None:
    comparing = {
        str(path.relative_to(PACKAGE))
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(part, ast.Attribute) and part.attr == "executor" for part in [node.left, *node.comparators])
    }
    assert not comparing
