"""Extensions: methods, data sets, ... that other packages add through entry points."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import Field

from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.base import Spec

Group = Literal[
    "rdc_sweeps.methods", "rdc_sweeps.backbones", "rdc_sweeps.datasets", "rdc_sweeps.regions", "rdc_sweeps.distances"
]
"""The groups of entry points."""

Builder = TypeVar("Builder")

_entry_points = lru_cache(entry_points)
"""Those of all installed packages, whose files are read once."""

_NEEDED: dict[Group, tuple[str, ...]] = {
    "rdc_sweeps.methods": (),
    "rdc_sweeps.backbones": ("pretrained",),
    "rdc_sweeps.datasets": (
        "size", "validation_images", "train_images", "test_images",
        "training_count", "test_count", "tasks", "classes", "depth_by_zoom", "synthetic",
    ),
    "rdc_sweeps.regions": (),
    "rdc_sweeps.distances": (),
}  # fmt: skip
"""Fields and properties that the specs of a group must have besides their name."""


@dataclass(frozen=True)
class Extension:
    """The object that an entry point names: a spec, and where its implementation is.

    Attributes:
        spec: The fields that a table file may set. Its `name` (for regions, its `source`) is a literal: the name of
            the entry point.
        implementation: `module:object`, imported only for training, so that specs need no heavy packages. Called like
            the values of `methods.registry.METHODS`, `models.registry.NETWORKS`, `training.splits.OPENERS` or
            `regions.sources.GENERATORS`; a distance is called with its spec and `Gaussians`, see `contrast.loss`.
    """

    spec: type[Spec]
    implementation: str


def name_field(group: Group) -> str:
    """The field by which a table file chooses a spec of this group."""
    return "source" if group == "rdc_sweeps.regions" else "name"


def extension_specs(group: Group, taken: frozenset[str]) -> tuple[type[Spec], ...]:
    """The specs of the installed extensions of a group; `taken` are the built-in names.

    Raises:
        UsageError: An extension cannot be loaded, lacks a field, or has a name that is taken.
    """
    return tuple(extension.spec for extension in _installed(group, taken))


def union_of(alias: str, group: Group, builtin: tuple[type[Spec], ...]) -> Callable[[str], Any]:
    """A module's `__getattr__` whose attribute `alias` is the union of the built-in specs and those of extensions.

    The union is built on first access, when an extension's own module can import this one's classes.

    Raises:
        UsageError: From the attribute: an extension cannot be loaded, lacks a field, or has a name that is taken.
    """

    def module_attribute(name: str) -> Any:
        if name != alias:
            raise AttributeError(f"module has no attribute {name!r}")
        key = name_field(group)
        added = extension_specs(group, frozenset(spec.model_fields[key].default for spec in builtin))
        return Annotated[Union[(*builtin, *added)], Field(discriminator=key)]

    return module_attribute


def implementation(group: Group, spec: Spec, builtin: Mapping[type[Spec], Builder]) -> Builder:
    """The builder of a spec: built in, or imported from its extension.

    Raises:
        UsageError: The extension's implementation cannot be imported.
    """
    kind = type(spec)
    if kind in builtin:
        return builtin[kind]
    where = {extension.spec: extension.implementation for extension in _installed(group)}[kind]
    module, _, name = where.partition(":")
    try:
        found: Builder = getattr(import_module(module), name)
    except Exception as error:  # Another package's module may fail in any way.
        raise UsageError(
            f"{kind.__name__}: its implementation {where!r} cannot be loaded ({_summary(error)}); fix that module, or "
            "name the object as module:object in its Extension"
        ) from error
    return found


@lru_cache
def _installed(group: Group, taken: frozenset[str] = frozenset()) -> tuple[Extension, ...]:
    return load_extensions(group, sorted(_entry_points().select(group=group), key=lambda point: point.name), taken)


def load_extensions(group: Group, points: Iterable[EntryPoint], taken: frozenset[str]) -> tuple[Extension, ...]:
    """The extensions that entry points name.

    Args:
        group: What they add to.
        points: Entry points of that group.
        taken: The built-in names.

    Raises:
        UsageError: An entry point cannot be loaded, is not an extension of this group, or has a name that is taken.
    """
    found: dict[str, tuple[Extension, str]] = {}
    for point in points:
        origin = f"{point.dist.name if point.dist else 'unknown package'}: entry point {point.name!r} of {group}"
        if point.name in taken:
            raise UsageError(f"{origin}: this name is built in; rename the extension or uninstall its package")
        if point.name in found:
            raise UsageError(
                f"{origin}: this name is also used by {found[point.name][1]}; rename one of them, or uninstall one "
                "package"
            )
        found[point.name] = (_loaded(point, group, origin), origin)
    return tuple(extension for extension, _ in found.values())


def _loaded(point: EntryPoint, group: Group, origin: str) -> Extension:
    remedy = "fix or uninstall the package"
    try:
        extension = point.load()
    except Exception as error:  # Another package's module may fail in any way.
        if "partially initialized module" in str(error):
            remedy = "its module may import nothing of rdc_sweeps but rdc_sweeps.extend, since specs load extensions"
        raise UsageError(f"{origin}: {point.value!r} cannot be loaded ({_summary(error)}); {remedy}") from error
    if not isinstance(extension, Extension):
        raise UsageError(f"{origin}: {point.value!r} is {type(extension).__name__}, not an Extension; {remedy}")
    spec, key = extension.spec, name_field(group)
    if key not in spec.model_fields or spec.model_fields[key].default != point.name:
        raise UsageError(
            f"{origin}: {spec.__name__} needs a field {key}: Literal[{point.name!r}] = {point.name!r}; {remedy}"
        )
    missing = [name for name in _NEEDED[group] if name not in spec.model_fields and not hasattr(spec, name)]
    if missing:
        raise UsageError(f"{origin}: {spec.__name__} lacks {', '.join(missing)}; {remedy}")
    return extension


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
