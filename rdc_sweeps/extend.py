"""Everything that an extension imports: bases of its specs, and interfaces that its implementation fills in.

What a spec needs is imported immediately. What an implementation needs, which imports PyTorch or NumPy, is imported on
first access, so that a module of specs stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rdc_sweeps.errors import DataError, UsageError, WeightsError
from rdc_sweeps.specs.backbone import FileWeights, InputValues, NoWeights, Pretrained, TimmWeights
from rdc_sweeps.specs.base import RelativeFile, Size, Spec, Task
from rdc_sweeps.specs.dataset import ByZoom, DrawnImagesSpec, ImagesSpec, StoredImagesSpec, StreetImagesSpec
from rdc_sweeps.specs.extensions import Extension

if TYPE_CHECKING:
    from rdc_sweeps.contrast.gaussians import Gaussians
    from rdc_sweeps.data.batches import Batch, View
    from rdc_sweeps.data.mtan import MtanFolder, MtanLayout
    from rdc_sweeps.data.roots import open_mtan_splits, open_stored
    from rdc_sweeps.data.scene import VOID, Dataset, Floats, Scene
    from rdc_sweeps.methods.method import Losses, Method, Outputs, Term
    from rdc_sweeps.methods.supervised import supervised_losses
    from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, Normalise
    from rdc_sweeps.models.pyramid import PyramidNetwork
    from rdc_sweeps.regions.generator import RegionGenerator, eight_bit, generator_key
    from rdc_sweeps.regions.maps import NO_REGION, IdMap, contiguous
    from rdc_sweeps.synthetic.engine.rendered import RenderedScenes, Renderer

_MODULES = {
    "Gaussians": "rdc_sweeps.contrast.gaussians",
    "Batch": "rdc_sweeps.data.batches",
    "View": "rdc_sweeps.data.batches",
    "MtanFolder": "rdc_sweeps.data.mtan",
    "MtanLayout": "rdc_sweeps.data.mtan",
    "open_mtan_splits": "rdc_sweeps.data.roots",
    "open_stored": "rdc_sweeps.data.roots",
    "VOID": "rdc_sweeps.data.scene",
    "Dataset": "rdc_sweeps.data.scene",
    "Floats": "rdc_sweeps.data.scene",
    "Scene": "rdc_sweeps.data.scene",
    "Losses": "rdc_sweeps.methods.method",
    "Method": "rdc_sweeps.methods.method",
    "Outputs": "rdc_sweeps.methods.method",
    "Term": "rdc_sweeps.methods.method",
    "supervised_losses": "rdc_sweeps.methods.supervised",
    "Backbone": "rdc_sweeps.models.network",
    "MultiTaskNetwork": "rdc_sweeps.models.network",
    "Normalise": "rdc_sweeps.models.network",
    "PyramidNetwork": "rdc_sweeps.models.pyramid",
    "RegionGenerator": "rdc_sweeps.regions.generator",
    "eight_bit": "rdc_sweeps.regions.generator",
    "generator_key": "rdc_sweeps.regions.generator",
    "NO_REGION": "rdc_sweeps.regions.maps",
    "IdMap": "rdc_sweeps.regions.maps",
    "contiguous": "rdc_sweeps.regions.maps",
    "RenderedScenes": "rdc_sweeps.synthetic.engine.rendered",
    "Renderer": "rdc_sweeps.synthetic.engine.rendered",
}

__all__ = [
    "NO_REGION",
    "VOID",
    "Backbone",
    "Batch",
    "ByZoom",
    "DataError",
    "Dataset",
    "DrawnImagesSpec",
    "Extension",
    "FileWeights",
    "Floats",
    "Gaussians",
    "IdMap",
    "ImagesSpec",
    "InputValues",
    "Losses",
    "Method",
    "MtanFolder",
    "MtanLayout",
    "MultiTaskNetwork",
    "NoWeights",
    "Normalise",
    "Outputs",
    "Pretrained",
    "PyramidNetwork",
    "RegionGenerator",
    "RelativeFile",
    "RenderedScenes",
    "Renderer",
    "Scene",
    "Size",
    "Spec",
    "StoredImagesSpec",
    "StreetImagesSpec",
    "Task",
    "Term",
    "TimmWeights",
    "UsageError",
    "View",
    "WeightsError",
    "contiguous",
    "eight_bit",
    "generator_key",
    "open_mtan_splits",
    "open_stored",
    "supervised_losses",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
