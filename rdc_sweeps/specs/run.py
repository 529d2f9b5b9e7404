"""A run: a row of a table with one seed, fully resolved, and its identity."""

import hashlib
import json
from typing import Self

from pydantic import Field, model_validator

from rdc_sweeps.specs.backbone import BackboneSpec, Hrnet18Spec, SegNetSpec, TaskExpertSpec
from rdc_sweeps.specs.base import Seed, Spec
from rdc_sweeps.specs.dataset import DatasetSpec, LabelSpec, NyuV2Spec
from rdc_sweeps.specs.method import CrossTask, DejaVu, MethodSpec, RegionContrast, Teacher, terms_of
from rdc_sweeps.specs.sources import SemanticRegions
from rdc_sweeps.specs.training import TrainingLength, TrainingSpec

SCHEMA_VERSION = 4
"""Increased whenever the same spec would train differently than before."""

BESIDE = {"training": {"keep_checkpoints", "keep_predictions", "probe"}}
"""Fields that say what is kept and measured beside a training. They change nothing in it, so ids leave them out."""


class RunSpec(Spec):
    """Everything that determines the result of a training run, and the fields `BESIDE`."""

    dataset: DatasetSpec = NyuV2Spec()
    labels: LabelSpec = LabelSpec()
    backbone: BackboneSpec = Hrnet18Spec()
    method: MethodSpec = RegionContrast()
    training: TrainingSpec = TrainingSpec()
    seed: Seed = Field(0, description="Seed of initialisation, order, augmentation and noise.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for path, term in terms_of(self.method).items():
            self._check_term(path, term)
        self._check_norms()
        self._check_kept()
        if isinstance(self.method, Teacher) and self.method.teacher_epochs >= self.length.epochs:
            raise ValueError(
                f"method.teacher_epochs: {self.method.teacher_epochs} of {self.length.epochs} epochs leave none for "
                "the student"
            )
        return self

    def _check_kept(self) -> None:
        keep = self.training.keep_predictions
        if keep is None or isinstance(keep.images, int):
            return
        if (largest := max(keep.images, default=0)) >= self.dataset.test_count:
            raise ValueError(
                f"training.keep_predictions.images: there is no test image {largest}; they are 0 to "
                f"{self.dataset.test_count - 1}"
            )

    def _check_norms(self) -> None:
        """Batch norms of an encoder's coarsest map need more than one value per channel."""
        height, width = self.dataset.size
        strided = not isinstance(self.backbone, SegNetSpec | TaskExpertSpec)
        batch = min(self.training.batch_sizes(self.dataset.training_count))
        if strided and batch * (height // 32) * (width // 32) < 2:
            raise ValueError(
                f"training.batch_size: a batch of one image of {height}x{width} gives the batch norms of "
                f"{self.backbone.name} a single pixel; use larger images, larger batches (training.last_batch=dropped) "
                "or more than one training image"
            )

    def _check_term(self, path: str, term: Spec) -> None:
        height, width = self.dataset.size
        if isinstance(term, RegionContrast | CrossTask):
            # The last level then sees 2 pixels or more a side, which its max-pool and reflection both need.
            most = min(height, width).bit_length() - 1
            if len(term.mapping.channels) > most:
                raise ValueError(f"{path}.mapping.channels: too many levels for {height}x{width}; use at most {most}")
        if (
            isinstance(term, DejaVu)
            and term.redaction.name == "checkerboard"
            and term.redaction.block >= max(height, width)
        ):
            raise ValueError(f"{path}.redaction.block: a block of {term.redaction.block} covers {height}x{width}")
        if isinstance(term, RegionContrast):
            extraction = term.extraction
            if (
                extraction.name == "region"
                and isinstance(extraction.regions, SemanticRegions)
                and extraction.regions.missing == "refused"
                and self.labels.setting != "full"
            ):
                raise ValueError(
                    f"{path}.extraction.regions: semantic regions need every image's semantic label, "
                    f"but labels.setting is {self.labels.setting!r}; use sam or superpixel, or the full setting, or "
                    "say with `missing` what images without it have"
                )
            if height % term.region_stride or width % term.region_stride:
                raise ValueError(f"{path}.region_stride: {term.region_stride} does not divide {height}x{width}")

    @property
    def length(self) -> TrainingLength:
        """The length of the training, assuming that the data set has as many images as the published one."""
        return self.training.length(self.dataset.training_count)


def run_id(spec: RunSpec) -> str:
    """Identity of a run: 16 hex digits of SHA-256 over the canonical JSON of its spec and the schema version."""
    content = {"schema": SCHEMA_VERSION, "spec": spec.model_dump(mode="json", exclude=BESIDE)}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
