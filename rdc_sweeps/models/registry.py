"""Which class implements which backbone spec."""

from rdc_sweeps.models.backbones import Backbone
from rdc_sweeps.models.efficientnet import EfficientNetLite0
from rdc_sweeps.models.hrnet import HRNet18
from rdc_sweeps.specs.backbone import BackboneSpec, EfficientNetLite0Spec, Hrnet18Spec
from rdc_sweeps.specs.base import Spec

BACKBONES: dict[type[Spec], type[Backbone]] = {
    Hrnet18Spec: HRNet18,
    EfficientNetLite0Spec: EfficientNetLite0,
}
"""Every backbone, by the type of its spec."""


def backbone_class(spec: BackboneSpec) -> type[Backbone]:
    """The class that implements `spec`."""
    return BACKBONES[type(spec)]
