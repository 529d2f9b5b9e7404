"""Checks of the data sets, label settings and weights that the tables need under the chosen profile."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.data.label_settings import label_mask
from rdc_sweeps.data.samples import check_samples
from rdc_sweeps.doctor.findings import Finding, Level
from rdc_sweeps.errors import RdcError
from rdc_sweeps.models.registry import check_pretrained
from rdc_sweeps.regions.sources import region_generator
from rdc_sweeps.settings import Settings, dataset_root, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import stored_regions
from rdc_sweeps.training.splits import open_splits, other_count


@dataclass(frozen=True)
class Need:
    """A data set or file that runs need.

    Attributes:
        topic: Name in the report.
        inspect: Says whether what is there is as it should be, and describes it; or raises an `RdcError`.
        severity: Level of the finding if it is missing or damaged.
        remedy: The command that tells more, if it is missing or damaged.
    """

    topic: str
    inspect: Callable[[], tuple[Level, str]]
    severity: Level
    remedy: str | None = None


def examine_tables(settings: Settings) -> Iterator[Finding]:
    """Check each data set or file that a table needs; each finding lists the tables that need it."""
    try:
        catalogue = Catalogue(experiments_folder(settings))
        runs = {table: catalogue.runs(table, settings.profile, seeds=[0]) for table in catalogue.tables}
    except RdcError as error:
        yield Finding("tables", "problem", " ".join(str(error).split()), "run rdc-sweep validate")
        return
    yield Finding("tables", "ok", f"{len(runs)} under profile {settings.profile}, in {catalogue.folder}")
    for need, tables in _needs(runs, settings).items():
        wanted_by = f"needed by {', '.join(tables)}"
        try:
            level, text = need.inspect()
            yield Finding(need.topic, level, f"{text}; {wanted_by}")
        except RdcError as error:
            text = f"{' '.join(str(error).split()).rstrip('.')}; {wanted_by}"
            yield Finding(need.topic, need.severity, text, need.remedy)


def _needs(runs: Mapping[str, list[Run]], settings: Settings) -> dict[Need, list[str]]:
    """Every need, without duplicates, and the tables that have it."""
    found: dict[tuple[object, ...], Need] = {}
    tables: dict[tuple[object, ...], list[str]] = {}
    for table, of_table in runs.items():
        for run in of_table:
            for key, need in _needs_of(run, settings):
                found.setdefault(key, need)
                if table not in tables.setdefault(key, []):
                    tables[key].append(table)
    return {need: tables[key] for key, need in found.items()}


def _needs_of(run: Run, settings: Settings) -> Iterator[tuple[tuple[object, ...], Need]]:
    spec = run.spec
    root = dataset_root(spec.dataset.name, settings)
    height, width = spec.dataset.size
    yield (
        ("data", spec.dataset),
        Need(
            f"data {spec.dataset.name} {height}x{width}",
            lambda: _images(run, root, settings.cache_root),
            _severity(root),
            f"rdc-sweep data check {root} lists all that is wrong" if root is not None and root.is_dir() else None,
        ),
    )
    if spec.labels.origin == "published" and spec.labels.setting != "full":
        folder = settings.label_settings_root
        yield (
            ("labels", spec.dataset, spec.labels),
            Need(
                f"labels {spec.dataset.name} {spec.labels.setting}",
                lambda: _labels(spec, root, settings),
                _severity(folder),
            ),
        )
    pretrained = spec.backbone.pretrained
    if pretrained.source != "none":
        weights = settings.weights_root if pretrained.source == "file" else None
        yield (
            ("weights", spec.backbone),
            Need(f"weights {spec.backbone.name}", lambda: _weights(spec, settings), _severity(weights)),
        )
    regions = stored_regions(spec)
    if regions is not None and regions.source == "sam":

        def checkpoint() -> tuple[Level, str]:
            region_generator(regions, weights_root=settings.weights_root, device="cpu")
            return "ok", f"{settings.weights_root}/{regions.checkpoint}"

        yield ("sam", regions), Need("weights SAM", checkpoint, _severity(settings.weights_root))


def _severity(folder: Path | None) -> Level:
    """Only a warning if its folder was never configured."""
    return "warning" if folder is None else "problem"


def _images(run: Run, root: Path | None, cache: Path) -> tuple[Level, str]:
    spec = run.spec
    splits = open_splits(spec.dataset, root=root, cache=cache)
    if not spec.dataset.synthetic:
        for name, split in (("training", splits.train), ("test", splits.test)):
            check_samples(split, None, f"{spec.dataset.name}: {name} images")
    held_out = f", {len(splits.validation)} held out" if len(splits.validation) else ""
    where = f"{root}: " if root is not None else ""
    text = f"{where}{len(splits.train)} training images{held_out}, {len(splits.test)} test images"
    if not spec.dataset.synthetic:
        text += "; `rdc-sweep data check` reads all of them"
    if (other := other_count(spec.dataset, splits)) is None:
        return "ok", text
    return "problem" if run.profile.comparable else "warning", f"{text}; {other}"


def _labels(spec: RunSpec, root: Path | None, settings: Settings) -> tuple[Level, str]:
    # The number of images of a published data set is known even if it is not here.
    published = getattr(spec.dataset, "published", None)
    images = (
        published[0] if published else open_splits(spec.dataset, root=root, cache=settings.cache_root).training_images
    )
    label_mask(spec.labels, spec.dataset, images, root=settings.label_settings_root)
    return "ok", f"{settings.label_settings_root}: for {images} training images"


def _weights(spec: RunSpec, settings: Settings) -> tuple[Level, str]:
    check_pretrained(spec.backbone, settings.weights_root)
    pretrained = spec.backbone.pretrained
    if pretrained.source == "file":
        return "ok", f"{settings.weights_root}/{pretrained.file}"
    return "ok", "on timm's hub or in its cache"
