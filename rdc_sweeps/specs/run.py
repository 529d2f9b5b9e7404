"""A run: a row of a table with one seed, fully resolved, and its identity."""

import hashlib
import json
from typing import Self

from pydantic import Field, model_validator

from rdc_sweeps.specs.backbone import BackboneSpec, Hrnet18Spec
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.dataset import DatasetSpec, LabelSpec, NyuV2Spec
from rdc_sweeps.specs.method import CrossTask, DejaVu, MethodSpec, RegionContrast
from rdc_sweeps.specs.training import TrainingSpec

SCHEMA_VERSION = 3
"""Increased whenever the same spec would train differently than before."""


class RunSpec(Spec):
    """Everything that determines the result of a training run, and nothing else."""

    dataset: DatasetSpec = NyuV2Spec()
    labels: LabelSpec = LabelSpec()
    backbone: BackboneSpec = Hrnet18Spec()
    method: MethodSpec = RegionContrast()
    training: TrainingSpec = TrainingSpec()
    seed: int = Field(0, ge=0, description="Seed of initialisation, order, augmentation and noise.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        method = self.method
        height, width = self.dataset.size
        if isinstance(method, RegionContrast | CrossTask) and min(height, width) < 2 ** len(method.mapping.channels):
            raise ValueError(f"method.mapping.channels: too many levels for {height}x{width}")
        if (
            isinstance(method, DejaVu)
            and method.redaction.name == "checkerboard"
            and method.redaction.block >= max(height, width)
        ):
            raise ValueError(f"method.redaction.block: a block of {method.redaction.block} covers {height}x{width}")
        if isinstance(method, RegionContrast):
            extraction = method.extraction
            if (
                extraction.name == "region"
                and extraction.regions.source == "semantic"
                and self.labels.setting != "full"
            ):
                raise ValueError(
                    "method.extraction.regions: semantic regions need every image's semantic label, "
                    f"but labels.setting is {self.labels.setting!r}; use sam or superpixel, or the full setting"
                )
            if height % method.region_stride or width % method.region_stride:
                raise ValueError(f"method.region_stride: {method.region_stride} does not divide {height}x{width}")
        return self


def run_id(spec: RunSpec) -> str:
    """Identity of a run: 16 hex digits of SHA-256 over the canonical JSON of its spec and the schema version."""
    content = {"schema": SCHEMA_VERSION, "spec": spec.model_dump(mode="json")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
