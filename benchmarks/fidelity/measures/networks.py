"""HRNet18, SegNet, DiffusionMTL and a_theta against functions of the same weights."""

import torch

from benchmarks.fidelity.component import Component, Differences, largest, relative, relative_of
from benchmarks.fidelity.examples import gumbel_numbers
from benchmarks.fidelity.inputs import CLASSES, SIZE, TASKS, images, labels, predictions, randomised
from benchmarks.fidelity.references import diffusion, hrnet, mapping, segnet
from benchmarks.fidelity.references.layers import Weights
from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.methods.method import ViewNorm, network_outputs
from rdc_sweeps.methods.pairs import map_pairs, task_pairs
from rdc_sweeps.models.mapping import build_mapping
from rdc_sweeps.models.network import MultiTaskNetwork, Normalise
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import BackboneSpec, DiffusionSpec, Hrnet18Spec, NoWeights, ResNet18Spec, SegNetSpec
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.method import JointSpaceMapping, MappingSpec, RegionContrast

GRANTED = torch.tensor([[True, False, False], [False, True, True], [True, True, True]])
"""One label, two labels and all labels."""

SMALL = (32, 32)
"""The smallest maps for five levels."""


def copied(module: torch.nn.Module) -> Weights:
    """A module's tensors, copied."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def built(spec: BackboneSpec) -> MultiTaskNetwork:
    """A network with random weights, in float64."""
    torch.manual_seed(0)
    network = build_network(spec, TASKS, CLASSES, weights_root=None)
    randomised(network)
    return network


def hrnet18() -> Differences:
    """Predictions of a training step and of an evaluation after it."""
    return Differences(_hrnet_apart("bilinear"), _hrnet_apart("nearest"))


def _hrnet_apart(fuse: str) -> float:
    """With this upsampling here, and the release's in the reference."""
    network = built(Hrnet18Spec.model_validate({"pretrained": NoWeights(), "fuse": fuse, "norm_momentum": 0.01}))
    weights, image = copied(network), images(2)
    apart = []
    for training in (True, False):
        ours = network.train(training)(image)
        apart.append(relative_of(ours, hrnet.predictions(image, weights, training=training)))
    return max(apart)


def momentum() -> Differences:
    """The running statistics after a training step."""
    apart = []
    for value in (0.01, 0.1):
        network = built(Hrnet18Spec(pretrained=NoWeights(), norm_momentum=value))
        weights, image = copied(network), images(2)
        network.train()(image)
        hrnet.predictions(image, weights, training=True)
        apart.append(_statistics_apart(network, weights))
    return Differences(*apart)


def _statistics_apart(network: MultiTaskNetwork, weights: Weights) -> float:
    state = network.state_dict()
    return max(largest(state[name], tensor) for name, tensor in weights.items() if "running_" in name)


def two_views() -> Differences:
    """Predictions of both views in a training step, and the running statistics after it."""
    return Differences(_views_apart("together"), _views_apart("apart"))


def _views_apart(view_norm: ViewNorm) -> float:
    network = built(Hrnet18Spec(pretrained=NoWeights(), norm_momentum=0.01)).train()
    weights, image = copied(network), images(4)
    views = tuple(View(part, {}, None, torch.empty(0)) for part in image.split(2))
    batch = Batch(torch.arange(2), GRANTED[:2], views, step_noise(0, 0, 0, range(2)))
    outputs = network_outputs(network, batch, last_view=True, encoder=False, view_norm=view_norm)
    ours = {str(task): torch.cat([outputs.first[task], outputs.last[task]]) for task in TASKS}
    apart = relative_of(ours, hrnet.predictions(image, weights, training=True))
    return max(apart, _statistics_apart(network, weights))


def input_values() -> Differences:
    """What the networks see of images in [0, 1]."""
    image = images(2)
    spec = Hrnet18Spec()
    return Differences(*(largest(Normalise(values)(image), image) for values in (spec.input, "imagenet")))


def segnet_of_li() -> Differences:
    """Predictions of a training step and of an evaluation, logits as logarithms of probabilities."""
    network = built(SegNetSpec(width=16))
    weights, image = copied(network), images(2)
    apart = []
    for training in (True, False):
        ours = network.train(training)(image)
        ours["semantic"] = ours["semantic"].log_softmax(1)
        apart.append(relative_of(ours, segnet.predictions(image, weights, training=training)[0]))
    return Differences(max(apart))


def feature_diffusion() -> Differences:
    """First and denoised predictions in evaluation, with the encoder's maps given."""
    spec = DiffusionSpec(encoder=ResNet18Spec(pretrained=NoWeights()), denoise="feature", width=16)
    network, image = built(spec).eval(), images(2)
    assert network.backbone is not None
    size = (image.shape[2], image.shape[3])
    with torch.no_grad():
        reference = diffusion.predictions(network.backbone(image), size, TASKS, copied(network), training=False)
        ours = [{str(task): maps for task, maps in stage.items()} for stage in network.stages(image)]
    return Differences(max(relative_of(*stages) for stages in zip(ours, reference, strict=True)))


def released_mapping() -> Differences:
    """Features of all predictions and labels of three images."""
    spec = RegionContrast().mapping
    return Differences(
        mapping_apart(spec.model_copy(update={"norm": "single", "padding": "zeros"})), mapping_apart(spec)
    )


def mapping_of_li() -> Differences:
    """The same for the wider a_theta."""
    # A quarter of the channels, which the arithmetic does not depend on.
    spec = JointSpaceMapping(channels=(16, 32, 64, 128, 128))
    return Differences(mapping_apart(spec.model_copy(update={"norm": "single"}), SMALL), mapping_apart(spec, SMALL))


def mapping_apart(spec: MappingSpec, size: Size = SIZE) -> float:
    """The difference to a_theta with one map at a time, zero padding and the inputs of the authors' codes."""
    torch.manual_seed(0)
    network = build_mapping(spec, TASKS, CLASSES)
    randomised(network).train()
    weights = copied(network)
    predicted, truth, noise = predictions(3, size=size), labels(3, size=size), step_noise(0, 0, 0, range(3))
    pairs = task_pairs(GRANTED)
    ours = map_pairs(network, predicted, truth, pairs, pairs.noise(noise), TASKS, CLASSES)
    assert ours is not None
    uniform, apart = gumbel_numbers(noise, GRANTED, size), 0.0
    for item, (image, source, target) in enumerate(zip(pairs.image, pairs.predicted, pairs.labelled, strict=True)):
        row, number = slice(int(image), int(image) + 1), mapping.pair_number(int(source), int(target), len(TASKS))
        sides = (
            (
                TASKS[source],
                mapping.prediction_input(
                    TASKS[source], predicted[TASKS[source]][row], uniform(int(image), int(source), int(target))
                ),
            ),
            (TASKS[target], mapping.label_input(TASKS[target], truth[TASKS[target]][row], CLASSES).double()),
        )
        for mapped, (task, maps) in zip(ours, sides, strict=True):
            apart = max(apart, relative(mapped[item], mapping.features(maps, task, number, weights)[0]))
    return apart


COMPONENTS = [
    Component(
        "HRNet18, training and evaluation, in standard deviations",
        "released code, after Wang et al., TPAMI 2021",
        hrnet18,
        {"backbone.fuse": "bilinear"},
    ),
    Component(
        "HRNet18, running statistics after a step",
        "released code",
        momentum,
        {"backbone.norm_momentum": 0.01},
    ),
    Component(
        "HRNet18, both views in a training step, in standard deviations",
        "released code and that of Li et al., which concatenate the views",
        two_views,
        {"training.augmentation.view_norm": "together"},
    ),
    Component(
        "what HRNet18 sees of an image in [0, 1]",
        "released code: the image itself",
        input_values,
        {"backbone.input": "unit"},
    ),
    Component(
        "SegNet, training and evaluation, in standard deviations",
        "code of Li et al., after MTAN",
        segnet_of_li,
        {"backbone.name": "segnet"},
    ),
    Component(
        "DiffusionMTL, Feature Diffusion, evaluation without noise, in standard deviations",
        "its authors' code",
        feature_diffusion,
        {"backbone.denoise": "feature"},
    ),
    Component(
        "a_theta of the contrast, in standard deviations",
        "released code, one map at a time",
        released_mapping,
        {"method.mapping.norm": "single", "method.mapping.padding": "zeros"},
        # The references sum statistics one number after another, as torch does, which is off by 1e-11.
        bound=1e-10,
    ),
    Component(
        "a_theta of Li et al., in standard deviations",
        "their code, one map at a time",
        mapping_of_li,
        {"method.mapping.norm": "single", "method.mapping.padding": "zeros"},
        bound=1e-10,
    ),
]
