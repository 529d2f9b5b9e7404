"""Figures of runs as files in a folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar, get_args

from matplotlib.figure import Figure

from rdc_sweeps.errors import CheckpointError, DamagedError, DataError, EventLogError, UsageError, WeightsError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.reporting.curves import curves_of
from rdc_sweeps.reporting.figures.choice import USUAL_COUNT, ImageChoice
from rdc_sweeps.reporting.figures.classes import draw_classes
from rdc_sweeps.reporting.figures.curves import draw_curves
from rdc_sweeps.reporting.figures.predictions import ShownRun, draw_errors, draw_predictions
from rdc_sweeps.reporting.figures.regions import draw_regions
from rdc_sweeps.reporting.figures.style import FigureFormat, encoded
from rdc_sweeps.reporting.image_source import ImageSource
from rdc_sweeps.reporting.sides import Side, images_key
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.training import PredictionsSpec
from rdc_sweeps.training.scores import ImageScores

FigureKind = Literal["predictions", "errors", "regions", "curves", "classes"]

KINDS: tuple[FigureKind, ...] = get_args(FigureKind)

MISSING = (UsageError, DataError, WeightsError, CheckpointError, DamagedError, EventLogError)
"""Errors of one run, which must not hide the others."""

Tell = Callable[[str], object]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class FigureChoice:
    """What is drawn.

    Attributes:
        kinds: Which figures.
        images: The test images; None: those whose predictions all sides keep, or some that are spread over the split.
        seed: Whose predictions and regions of a row are shown; None: those of its first run.
        training_image: The image whose regions are shown, by its position among the training images.
        form: The format of the files.
    """

    kinds: tuple[FigureKind, ...] = KINDS
    images: ImageChoice | None = None
    seed: int | None = None
    training_image: int = 0
    form: FigureFormat = "png"


def write_figures(
    sides: Sequence[Side], settings: Settings, folder: Path, choice: FigureChoice, tell: Tell = lambda _: None
) -> list[Path]:
    """Draw figures of sides into a folder; files of the same names are replaced.

    Args:
        sides: Rows or runs; the first is what others are compared with.
        settings: Data roots, caches and device.
        folder: Created if it does not exist. What is computed from checkpoints is cached in its folder `cache`.
        choice: What to draw.
        tell: Told what is missing, and what is computed.

    Returns:
        The files.

    Raises:
        UsageError: The folder cannot be created, an image does not exist, or nothing could be drawn.
    """
    created(folder)
    tell = _once(tell)
    source = ImageSource(settings, folder / "cache", tell)
    written = []
    for name, figure in _figures(sides, settings, source, choice, tell):
        path = folder / f"{name}.{choice.form}"
        content = encoded(figure, choice.form)
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        written.append(path)
    if not written:
        raise UsageError("nothing could be drawn; the messages above say why")
    return written


def _once(tell: Tell) -> Tell:
    """The same, but each text once: several figures may lack the same."""
    told: set[str] = set()

    def tell_once(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    return tell_once


def created(folder: Path) -> None:
    """Create a folder for figures, unless it exists.

    Raises:
        UsageError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be created: {error.strerror}; choose another with --output") from error


def _figures(
    sides: Sequence[Side], settings: Settings, source: ImageSource, choice: FigureChoice, tell: Tell
) -> Iterator[tuple[str, Figure]]:
    if "curves" in choice.kinds:
        found = [_known(tell, curves_of, side) for side in sides]
        curves = [one for one in found if one is not None and one.values]
        if curves:
            yield "curves", draw_curves(curves)
        else:
            tell("no curves: no run has finished an epoch")
    if "classes" in choice.kinds:
        yield from _classes(sides, source, tell)
    if {"predictions", "errors"} & set(choice.kinds):
        yield from _predictions(sides, source, choice, tell)
    if "regions" in choice.kinds:
        yield from _regions(sides, settings, source, choice, tell)


def _classes(sides: Sequence[Side], source: ImageSource, tell: Tell) -> Iterator[tuple[str, Figure]]:
    classes = sides[0].spec.dataset.classes
    found = {}
    for side in sides:
        if side.spec.dataset.classes != classes:
            tell(f"{side.name}: has other classes than {sides[0].name}, and is not in the figure of classes")
            continue
        scores = [one for run in side.runs.values() if (one := _known(tell, source.scores, run))]
        per_class = [iou for one in scores if (iou := one.class_iou()) is not None]
        if per_class:
            found[side.name] = per_class
    if found:
        yield "classes", draw_classes(found, classes)


def _predictions(
    sides: Sequence[Side], source: ImageSource, choice: FigureChoice, tell: Tell
) -> Iterator[tuple[str, Figure]]:
    scored: list[tuple[Side, ImageScores]] = []
    for side in sides:
        if images_key(side) != images_key(sides[0]):
            tell(f"{side.name}: has other test images than {sides[0].name}, and is not in the figures of predictions")
            continue
        if (found := _known(tell, source.scores, side.run(choice.seed))) is not None:
            scored.append((side, found))
    if not scored:
        return
    images = chosen_images([side for side, _ in scored], [scores for _, scores in scored], source, choice)
    shown: list[tuple[ShownRun, ImageScores]] = []
    for side, scores in scored:
        predictions = _known(tell, source.predictions, side.run(choice.seed), images)
        if predictions is not None:
            shown.append((ShownRun(side.name, predictions, {}), scores))
    for image in images if shown else ():
        runs = [ShownRun(one.name, one.predictions, scores.of_image(image)) for one, scores in shown]
        if "predictions" in choice.kinds:
            yield f"predictions-{image}", draw_predictions(image, runs, sides[0].spec.dataset)
        if "errors" in choice.kinds:
            yield f"errors-{image}", draw_errors(image, runs, sides[0].spec.dataset)


def chosen_images(
    sides: Sequence[Side], scores: Sequence[ImageScores], source: ImageSource, choice: FigureChoice
) -> list[int]:
    """The test images to show.

    Raises:
        UsageError: One does not exist, or a rule does not apply.
    """
    if choice.images is not None:
        images = choice.images.of(scores)
        if missing := sorted(set(images) - set(scores[0].images.tolist())):
            raise UsageError(f"--images: no test image {missing[0]}; there are {len(scores[0])}, counted from 0")
        return images
    kept = [set(source.kept_images(side.run(choice.seed))) for side in sides]
    common = sorted(set.intersection(*kept))
    return common[:USUAL_COUNT] or list(PredictionsSpec(images=USUAL_COUNT).positions(len(scores[0])))


def _regions(
    sides: Sequence[Side], settings: Settings, source: ImageSource, choice: FigureChoice, tell: Tell
) -> Iterator[tuple[str, Figure]]:
    from rdc_sweeps.training.inference import trained
    from rdc_sweeps.training.region_features import has_regions, region_features
    from rdc_sweeps.training.setup import build_learner

    contrasting = [side for side in sides if has_regions(side.spec)]
    if not contrasting:
        tell("no figure of regions: no row has a region contrast")

    def figure(side: Side) -> Figure:
        spec, state, _ = source.checkpoint(side.run(choice.seed))
        learners = build_learner(spec, settings), trained(spec, state, settings)
        before, after = (region_features(one, spec, settings, choice.training_image) for one in learners)
        return draw_regions(f"{side.name} ({side.title})", after, before, choice.training_image)

    for number, side in enumerate(contrasting):
        if (drawn := _known(tell, figure, side)) is not None:
            yield f"regions-{number + 1}" if len(contrasting) > 1 else "regions", drawn


def _known(tell: Tell, compute: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """What is computed; None, with a message, if something of its run is missing or damaged."""
    try:
        return compute(*arguments, **named)
    except MISSING as error:
        tell(str(error))
        return None
