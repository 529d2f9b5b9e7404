"""Draws method.png: one step of the contrast, from an image to distances, in a trained run.

The run is `rdc-sweep run table3 one-region-gaussian --profile demo`, in ./runs.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from skimage.segmentation import mark_boundaries
from torch import Tensor

from rdc_sweeps.contrast import Gaussians, RegionIndex, index_regions, region_gaussians, wasserstein2_squared
from rdc_sweeps.contrast.moments import at_region_size
from rdc_sweeps.methods.pairs import map_pairs, task_pairs
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.methods.supervised import SupervisedMethod
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.colours import depth_colours, normal_colours, semantic_colours
from rdc_sweeps.training.probes import probe_batches
from rdc_sweeps.training.setup import build_learner, open_data

PREDICTED, LABELLED = "normal", "depth"
COLOURS = {"A": "tab:orange", "B": "tab:blue"}


def main() -> None:
    """Write the figure beside this file."""
    settings = load_settings()
    (run,) = Catalogue(experiments_folder(settings)).runs("table3", "demo", rows=["one-region-gaussian"])
    state = load_checkpoint(RunDirectory(settings.root, run.id).checkpoint, run.id)
    assert state is not None, "train the run first"
    learner = build_learner(run.spec, settings)
    learner.load_state_dict(state["learner"])
    assert isinstance(learner.method, SupervisedMethod)
    term = learner.method.terms["region_contrast"]
    assert isinstance(term, RegionContrastTerm)

    tasks = run.spec.dataset.tasks
    [batch, *_] = probe_batches(run.spec, open_data(run.spec, settings), settings, 8)
    pairs = task_pairs(batch.shown.granted)
    wanted = (pairs.predicted == tasks.index(PREDICTED)) & (pairs.labelled == tasks.index(LABELLED))
    item = int(wanted.nonzero()[0, 0])
    image = int(pairs.image[item])
    view = batch.shown.views[-1]
    learner.train()
    with torch.no_grad():
        predictions = learner.network(view.image)
        mapped = map_pairs(
            term.mapping,
            predictions,
            view.labels,
            pairs,
            pairs.noise(batch.shown.noise),
            tasks,
            len(run.spec.dataset.classes),
        )
        assert mapped is not None
        features = [side[item : item + 1] for side in mapped]
        index = index_regions(term.regions(view)[image : image + 1])
        contrast = term.spec.contrast
        gaussians = [
            region_gaussians(side, index, contrast.covariance, min_pixels=term.spec.min_pixels) for side in features
        ]
        distances = wasserstein2_squared(*gaussians, root=contrast.root)[0]
    valid = gaussians[0].valid[0]
    chosen = dict(
        zip(
            COLOURS,
            valid.nonzero()[:, 0][index.counts[0][valid].argsort(descending=True)[[0, 2]]].tolist(),
            strict=True,
        )
    )

    figure, axes = plt.subplots(1, 5, figsize=(20, 4), layout="constrained", width_ratios=(1, 1, 1, 1.1, 1.1))
    _draw_regions(axes[0], view.image[image], index, chosen)
    maps = {"semantic": semantic_colours, "depth": lambda one: depth_colours(one, 0.8, 5.0), "normal": normal_colours}
    label = view.labels[LABELLED][image].squeeze(0) if LABELLED != "normal" else view.labels[LABELLED][image]
    axes[1].imshow(maps[LABELLED](label.numpy()))
    axes[1].set_title(f"label: {LABELLED}")
    predicted = torch.nn.functional.normalize(predictions[PREDICTED][image], dim=0)
    axes[2].imshow(maps[PREDICTED](predicted.numpy()))
    axes[2].set_title(f"prediction: {PREDICTED}")
    for axis in axes[:3]:
        axis.axis("off")
    _draw_gaussians(axes[3], features, gaussians, index, chosen)
    _draw_distances(axes[4], distances[valid][:, valid], [valid[:slot].sum().item() for slot in chosen.values()])
    kept = distances[valid][:, valid]
    nearest = (kept.argmin(1) == torch.arange(len(kept))).sum()
    print(f"{nearest} of {len(kept)} predicted regions are nearest to their own label")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=72, pil_kwargs={"optimize": True})


def _draw_regions(axis: Axes, image: Tensor, index: RegionIndex, chosen: dict[str, int]) -> None:
    slots = index.slots[0].numpy()
    stride = image.shape[1] // slots.shape[0]
    ids = slots.repeat(stride, 0).repeat(stride, 1)
    axis.imshow(
        mark_boundaries(image.permute(1, 2, 0).numpy(), ids, color=(1, 1, 1), mode="inner", background_label=-1)
    )
    axis.set_title("image and its regions")
    for name, slot in chosen.items():
        y, x = (stride * np.argwhere(slots == slot).mean(0)).tolist()
        axis.text(x, y, name, color="white", weight="bold", ha="center", va="center", bbox={"color": COLOURS[name]})


def _draw_gaussians(
    axis: Axes, features: list[Tensor], gaussians: list[Gaussians], index: RegionIndex, chosen: dict[str, int]
) -> None:
    """Features of two regions and their Gaussians (two standard deviations), in the plane of most variance."""
    pixels = {
        (name, side): at_region_size(features[side], index)[0].flatten(1)[:, index.slots[0].flatten() == slot].T
        for name, slot in chosen.items()
        for side in (0, 1)
    }
    everything = torch.cat(list(pixels.values()))
    plane = torch.linalg.svd(everything - everything.mean(0), full_matrices=False)[2][:2].T
    for (name, side), values in pixels.items():
        colour, slot = COLOURS[name], chosen[name]
        x, y = (values @ plane).T
        axis.scatter(x, y, s=7, color=colour, marker="ox"[side], alpha=0.35, linewidths=0.7)
        mean = gaussians[side].mean[0, slot] @ plane
        variances, directions = torch.linalg.eigh(plane.T @ gaussians[side].covariance[0, slot] @ plane)
        angle = torch.rad2deg(torch.atan2(directions[1, 1], directions[0, 1])).item()
        height, width = (4 * variances.sqrt()).tolist()
        style = {"edgecolor": colour, "facecolor": "none", "linewidth": 2, "linestyle": ("-", "--")[side]}
        axis.add_patch(Ellipse(mean.tolist(), width, height, angle=angle, **style))
        axis.text(*mean.tolist(), name, color=colour, weight="bold", ha="center", va="center", fontsize=13)
    axis.set(title="features after a_theta; solid: prediction,\ndashed: label", xticks=[], yticks=[])


def _draw_distances(axis: Axes, distances: Tensor, marked: list[int]) -> None:
    drawn = axis.imshow(distances.numpy(), cmap="viridis_r")
    axis.figure.colorbar(drawn, ax=axis, shrink=0.85)
    axis.set(
        title="W2² of all regions; positives on the diagonal",
        xlabel="region of the label",
        ylabel="region of the prediction",
    )
    for place, name in zip(marked, COLOURS, strict=True):
        axis.plot(place, place, "s", color=COLOURS[name], markersize=9, markerfacecolor="none", markeredgewidth=2)


if __name__ == "__main__":
    main()
