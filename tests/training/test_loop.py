import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.errors import DivergenceError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training import loop
from rdc_sweeps.training.checkpoints import kept_checkpoint, load_checkpoint
from rdc_sweeps.training.loop import Training, train
from rdc_sweeps.training.observers import EpochRecord, Panel
from rdc_sweeps.training.setup import Learner, build_learner, open_data
from rdc_sweeps.training.splits import open_splits
from tests.devices import CUDA
from tests.parallel.processes import in_group

from .small import small_run

STREETS: dict[str, Any] = {
    "name": "streets", "size": [32, 64], "train_images": 8, "validation_images": 4, "test_images": 4
}  # fmt: skip
DIFFUSION: dict[str, Any] = {
    "name": "diffusion",
    "encoder": {"name": "efficientnet_lite0", "pretrained": {"source": "none"}},
    "denoise": "prediction",
    "width": 8,
    "stride": 4,
}
SEGNET: dict[str, Any] = {"backbone": {"name": "segnet", "width": 2}}
"""The smallest network: what differs between the methods is not its size."""

STREETS_RUN: dict[str, Any] = {"dataset": STREETS, **SEGNET}

METHODS: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "vector on patches": {**SEGNET, "method": {"contrast": {"name": "vector"}, "extraction": {"name": "patch"}}},
    "sampled pixels": {**SEGNET, "method": {"contrast": {"name": "pixel", "pixels_per_region": 4}}},
    "earlier images": {
        **SEGNET,
        "method": {"contrast": {"name": "vector", "negatives": "images", "earlier_images": 3}},
    },
    "released contrast": {**SEGNET, "method": {"contrast": {"name": "released", "bank": 30}, "gradient": False}},
    "supervised": {"method": {"name": "supervised"}},
    "single task": {**STREETS_RUN, "method": {"name": "single_task"}},
    "cross-task": {**STREETS_RUN, "method": {"name": "cross_task", "mapping": {"channels": [8, 8]}}},
    "dejavu": {**STREETS_RUN, "method": {"name": "dejavu", "channels": 4, "cyclic_weight": 0.5}},
    "diffusion": {"dataset": STREETS, "backbone": DIFFUSION, "method": {"name": "supervised"}},
    "joint task": {**STREETS_RUN, "method": {"name": "joint_task", "width": 2}},
    "teacher": {**STREETS_RUN, "method": {"name": "teacher", "teacher_epochs": 1}},
    "combined": {
        **STREETS_RUN,
        "method": {
            "name": "combined",
            "cross_task": {"mapping": {"channels": [8, 8]}},
            "dejavu": {"channels": 4},
            "region_contrast": {"extraction": {"name": "patch", "size": 4}, "mapping": {"channels": [8, 8]}},
        },
    },
}


class Notes:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, TrainingLength]] = []
        self.steps: list[tuple[int, dict[str, float]]] = []
        self.panels: list[Panel] = []

    def started(self, step: int, length: TrainingLength) -> None:
        self.starts.append((step, length))

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        self.steps.append((step, dict(values)))

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        self.panels += panels


def run(
    spec: RunSpec, settings: Settings, folder: Path, stop_after: int | None = None, notes: Notes | None = None
) -> tuple[Training, dict[str, Any]]:
    build_missing_regions([spec], settings, lambda *_: None)
    notes = notes or Notes()
    begun = len(notes.steps)
    training = train(
        spec,
        settings,
        folder / "last.pt",
        [notes],
        lambda: stop_after is not None and len(notes.steps) - begun >= stop_after,
    )
    state = load_checkpoint(folder / "last.pt", run_id(spec))
    assert state is not None
    return training, state


def assert_same(a: Any, b: Any) -> None:
    """Bit for bit, through nested containers."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


SLOW = {"vector on patches", "single task", "joint task", "teacher", "combined", "diffusion"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, changes in METHODS.items()
    ],
)
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(
    changes: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    check_resume(changes, settings, tmp_path)


def check_resume(changes: dict[str, Any], settings: Settings, tmp_path: Path) -> None:
    """Stop a run twice, and compare it bit for bit with one that was not stopped."""
    spec = small_run(changes)
    notes = Notes()
    whole, state = run(spec, settings, tmp_path / "whole", notes=notes)
    resumed_notes = Notes()
    stopped, _ = run(spec, settings, tmp_path / "parts", stop_after=1, notes=resumed_notes)
    assert not stopped.finished
    stopped, _ = run(spec, settings, tmp_path / "parts", stop_after=2, notes=resumed_notes)
    assert not stopped.finished
    resumed, resumed_state = run(spec, settings, tmp_path / "parts", notes=resumed_notes)
    assert resumed.finished
    assert resumed.history == whole.history
    assert resumed_notes.steps == notes.steps
    assert [start[0] for start in resumed_notes.starts] == [0, 1, 3]
    for part in ("learner", "optimizer", "history"):
        assert_same(state[part], resumed_state[part])


def test_iterations_end_in_the_middle_of_an_epoch_and_are_resumed_there(settings: Settings, tmp_path: Path) -> None:
    """Four steps an epoch, the last of them with two images; the second epoch has two steps."""
    spec = small_run(
        {
            **SEGNET,
            "dataset": {"train_images": 14},
            "training": {
                "epochs": None,
                "iterations": 6,
                "last_batch": "kept",
                "network": {"schedule": {"name": "polynomial"}},
                "weight_decay": 0.01,
                "clip_norm": 1.0,
            },
        }
    )
    notes, resumed_notes = Notes(), Notes()
    whole, state = run(spec, settings, tmp_path / "whole", notes=notes)
    assert [step for step, _ in notes.steps] == list(range(6))
    assert [record.epoch for record in whole.history] == [0, 1]
    rates = [values["learning_rate/network"] for _, values in notes.steps]
    assert rates == pytest.approx([5e-4 * (left / 6) ** 0.9 for left in range(6, 0, -1)])
    mean = np.mean([values["loss"] for _, values in notes.steps[4:]])
    assert whole.history[1].losses["loss"] == pytest.approx(mean)
    stopped, _ = run(spec, settings, tmp_path / "parts", stop_after=5, notes=resumed_notes)
    assert not stopped.finished
    resumed, resumed_state = run(spec, settings, tmp_path / "parts", notes=resumed_notes)
    assert resumed.finished
    assert resumed.history == whole.history
    assert resumed_notes.steps == notes.steps
    assert_same(resumed_state | {"seconds": 0}, state | {"seconds": 0})
    again, _ = run(spec, settings, tmp_path / "parts", notes=resumed_notes)
    assert again.history == whole.history
    assert resumed_notes.starts == [(step, TrainingLength(6, 4)) for step in (0, 5, 6)]


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_is_that_of_the_forward_pass_alone(
    precision: str, dtype: torch.dtype, device: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"device": device})
    seen: set[tuple[bool, torch.dtype]] = set()

    def watched(spec: RunSpec, settings: Settings) -> Learner:
        learner = build_learner(spec, settings)
        convolution = next(one for one in learner.network.modules() if isinstance(one, torch.nn.Conv2d))
        convolution.register_forward_hook(lambda module, _, output: seen.add((module.training, output.dtype)))
        return learner

    monkeypatch.setattr(loop, "build_learner", watched)
    _, state = run(small_run({"training": {"precision": precision, "epochs": 1}}), settings, tmp_path)
    assert seen == {(True, dtype), (False, torch.float32)}
    weights = [value for value in state["learner"].values() if value.is_floating_point()]
    assert {value.dtype for value in weights} == {torch.float32}


def seeds_of_steps(spec: RunSpec, settings: Settings, checkpoint: Path, steps: int | None = None) -> list[int]:
    """The seeds of torch's global generator, which dropout draws from, at the steps of a training."""
    seeds: list[int] = []

    def watched(spec: RunSpec, settings: Settings) -> Learner:
        learner = build_learner(spec, settings)
        learner.register_forward_pre_hook(lambda *_: seeds.append(torch.initial_seed()))
        return learner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "build_learner", watched)
        train(spec, settings, checkpoint, [], lambda: len(seeds) == steps)
    return seeds


def test_dropout_masks_depend_on_the_step_and_the_process(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}})
    whole = seeds_of_steps(spec, settings, tmp_path / "whole.pt")
    parts = [seeds_of_steps(spec, settings, tmp_path / "parts.pt", steps) for steps in (3, None)]
    assert parts[0] + parts[1] == whole
    first, second = in_group(2, seeds_of_steps, spec, settings, tmp_path / "shared.pt")
    assert first == whole
    assert len({*first, *second}) == 2 * len(whole) == 8


def test_every_epoch_is_evaluated_on_test_and_validation(settings: Settings, tmp_path: Path) -> None:
    notes = Notes()
    training, _ = run(small_run(), settings, tmp_path, notes=notes)
    assert [record.epoch for record in training.history] == [0, 1]
    for record in training.history:
        assert record.validation is not None
        assert set(record.test) == set(record.validation) >= {"mIoU", "aErr", "aErr_released", "mErr", "mErr_released"}
        assert all(value is None or np.isfinite(value) for value in record.test.values())
    title, picture = notes.panels[0]
    assert title == "image 0"
    assert picture.dtype == np.uint8
    assert {name for _, values in notes.steps for name in values} >= {
        "loss", "loss/semantic", "loss/depth", "loss/normal", "loss/contrast", "contrast/accuracy", "gradient_norm",
        "learning_rate/network", "learning_rate/film",
    }  # fmt: skip


def test_the_contrast_changes_what_the_network_learns(settings: Settings, tmp_path: Path) -> None:
    def after_three_steps(weight: float) -> dict[str, torch.Tensor]:
        spec = small_run({"method": {"weight": weight}})
        learner: dict[str, torch.Tensor] = run(spec, settings, tmp_path / str(weight), stop_after=3)[1]["learner"]
        return learner

    without, small, large = (after_three_steps(weight) for weight in (0.0, 0.01, 0.5))
    trained = [name for name in without if name.endswith("weight") and "backbone" in name]
    assert trained
    for other in (small, large):
        differing = sum(not torch.equal(without[name], other[name]) for name in trained)
        assert differing > 0.9 * len(trained)
    mapping = [name for name in without if ".mapping." in name and name.endswith("conv.weight")]
    assert mapping
    assert all(not torch.equal(without[name], large[name]) for name in mapping)


@pytest.mark.parametrize("changes", [{"weight": 0.0}, {"gradient": False}], ids=["no weight", "no gradient"])
def test_a_contrast_without_effect_trains_what_supervision_alone_trains(
    changes: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    control, state = run(small_run({"method": changes}), settings, tmp_path / "control")
    alone, alone_state = run(small_run({"method": {"name": "supervised"}}), settings, tmp_path / "alone")
    assert [(record.test, record.validation) for record in control.history] == [
        (record.test, record.validation) for record in alone.history
    ]
    # Batch norms count their batches, also those that leave their statistics alone.
    of_network = [
        {name: value for name, value in one["learner"].items() if name.startswith("network.") and "num_" not in name}
        for one in (state, alone_state)
    ]
    assert of_network[0]
    assert_same(*of_network)


@pytest.mark.slow
def test_weights_are_kept_after_the_epochs_that_the_spec_names(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"training": {"keep_checkpoints": [0, 1, 5]}, "method": {"name": "supervised"}})
    _, last = run(spec, settings, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0.pt", "epoch-1.pt", "last.pt"]
    kept = [load_checkpoint(kept_checkpoint(tmp_path / "last.pt", epoch), run_id(spec)) for epoch in (0, 1)]
    assert [state["epoch"] for state in kept if state] == [0, 1]
    assert kept[0] is not None
    assert kept[1] is not None
    assert_same(kept[1]["learner"], last["learner"])
    _, first = run(spec, settings, tmp_path / "shorter", stop_after=2)
    assert_same(kept[0]["learner"], first["learner"])


@pytest.mark.parametrize("setting", ["onelabel", "randomlabels"])
def test_withheld_labels_have_no_influence_whatever_they_hold(setting: str, settings: Settings, tmp_path: Path) -> None:
    source = small_run({"labels": {"setting": setting}})
    clean = tmp_path / "clean"
    mask = write_as_nyuv2(source, settings, clean)
    assert 0 < mask.sum() < mask.size
    garbage = tmp_path / "garbage"
    shutil.copytree(clean, garbage)
    generator = np.random.default_rng(0)
    for row, column in np.argwhere(~mask):
        path = garbage / "train" / ("label", "depth", "normal")[column] / f"{row}.npy"
        array = np.load(path)
        np.save(path, generator.uniform(-1e9, 1e9, array.shape).astype(array.dtype))
    spec = small_run(
        {
            "labels": {"setting": setting},
            "dataset": {"name": "nyuv2", "size": [64, 96], "validation_images": 4, "test_images": 4},
        }
    )
    results = {}
    for name, root in (("clean", clean), ("garbage", garbage)):
        results[name] = run(spec, settings.model_copy(update={"nyuv2_root": root}), tmp_path / f"run {name}")
    assert results["clean"][0].history == results["garbage"][0].history
    for part in ("learner", "optimizer"):
        assert_same(results["clean"][1][part], results["garbage"][1][part])


def write_as_nyuv2(spec: RunSpec, settings: Settings, root: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Write the rooms of a run in the layout of NYU-V2; returns which labels the setting grants to each row."""
    splits = open_splits(spec.dataset, root=None, cache=settings.cache_root)
    data = open_data(spec, settings)
    mask = np.concatenate([data.train_mask, data.validation_mask])
    for split, parts in (("train", [splits.train, splits.validation]), ("val", [splits.test])):
        scenes = [part.scene(index, part.tasks) for part in parts for index in range(len(part))]
        for folder in ("image", "label", "depth", "normal"):
            (root / split / folder).mkdir(parents=True)
        for row, scene in enumerate(scenes):
            assert scene.semantic is not None
            assert scene.depth is not None
            assert scene.normal is not None
            np.save(root / split / "image" / f"{row}.npy", scene.image)
            np.save(root / split / "label" / f"{row}.npy", scene.semantic)
            np.save(root / split / "depth" / f"{row}.npy", scene.depth[..., None])
            np.save(root / split / "normal" / f"{row}.npy", scene.normal)
    return mask


def test_divergence_stops_the_run_with_a_diagnosis_and_keeps_the_checkpoint(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"training": {"network": {"learning_rate": 1e18}, "epochs": 4}})
    with pytest.raises(DivergenceError, match=r"epoch \d, step \d, these values are not finite: .*learning_rate"):
        run(spec, settings, tmp_path)
    state = load_checkpoint(tmp_path / "last.pt", run_id(spec))
    if state is not None:  # from an epoch before
        assert all(torch.isfinite(value).all() for value in state["learner"].values() if value.is_floating_point())


def test_the_ramp_begins_at_nothing(settings: Settings, tmp_path: Path) -> None:
    ramped = run(small_run({"method": {"ramp_epochs": 2}}), settings, tmp_path / "a", stop_after=1)[1]
    without = run(small_run({"method": {"weight": 0.0}}), settings, tmp_path / "b", stop_after=1)[1]
    network = [name for name in without["learner"] if name.startswith("network")]
    assert all(torch.equal(ramped["learner"][name], without["learner"][name]) for name in network)


def test_steps_are_those_of_adam_with_an_l2_penalty_and_a_clipped_gradient(settings: Settings, tmp_path: Path) -> None:
    """Each of three steps against Adam's update rule (Kingma & Ba 2015), from where the step before it ended."""
    options = {"weight_decay": 0.01, "clip_norm": 0.5, "network": {"schedule": {"name": "constant"}}}
    spec = small_run({"method": {"name": "supervised"}, "training": options})
    notes = Notes()
    states = [run(spec, settings, tmp_path / f"{n} steps", stop_after=n)[1]["learner"] for n in (1, 2)]
    states.append(run(spec, settings, tmp_path / "run", stop_after=3, notes=notes)[1]["learner"])

    torch.manual_seed(0)
    learner = build_learner(spec, settings)
    data = open_data(spec, settings)
    batches = TrainingBatches(data.splits.train, data.train_mask, None, spec.training, seed=spec.seed)
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in learner.named_parameters()}
    learner.train()
    steps = [batch for epoch in (0, 1) for batch in batches.epoch(epoch)][:3]
    for step, (batch, state) in enumerate(zip(steps, states, strict=True)):
        learner.zero_grad()
        learner(batch, step / spec.length.steps_per_epoch).total.backward()
        gradients = {name: value.grad for name, value in learner.named_parameters() if value.grad is not None}
        norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        assert notes.steps[step][1]["gradient_norm"] == pytest.approx(norm.item(), rel=1e-4)
        assert norm > 0.5
        moved, off = [], []
        for name, value in learner.named_parameters():
            gradient = gradients[name] * (0.5 / norm) + 0.01 * value.detach()
            first, second = moments[name]
            first.lerp_(gradient, 0.1)
            second.lerp_(gradient.square(), 0.001)
            corrected = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
            change = -5e-4 * corrected[0] / (corrected[1].sqrt() + 1e-8)
            moved.append(change.flatten().abs())
            off.append((value.detach() + change - state[name]).flatten().abs())
        assert torch.cat(off).mean() < 1e-3 * torch.cat(moved).mean()
        learner.load_state_dict(state)
