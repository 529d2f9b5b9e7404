"""The meters that the published numbers were measured with: those of MTPSL and of the released code."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class ReleasedMeters:
    """mIoU in percent, mean absolute depth error and mean angle, over all pixels of all images.

    Args:
        classes: Number of semantic classes.
        absent: What a class counts that neither predictions nor labels have. The released code has 0, and MTPSL nan,
            which makes the mean nan; None leaves the class out.
    """

    def __init__(self, classes: int, absent: float | None = 0.0) -> None:
        self.confusion = np.zeros((classes, classes), dtype=np.int64)
        self.absent = absent
        self.depth_error = self.depth_pixels = 0.0
        self.angle = self.angle_pixels = 0.0

    def update(self, predictions: dict[str, Tensor], labels: dict[str, Tensor]) -> None:
        """Adds a batch: predictions (B, C, H, W), labels (B, H, W) or (B, C, H, W)."""
        chosen, truth = predictions["semantic"].argmax(1).flatten().numpy(), labels["semantic"].flatten().numpy()
        known = (truth >= 0) & (truth < len(self.confusion))
        np.add.at(self.confusion, (truth[known], chosen[known]), 1)

        depth = predictions["depth"].clamp(min=1e-9)
        valid = labels["depth"] != 0
        self.depth_error += (labels["depth"] - depth)[valid].abs().sum().item()
        self.depth_pixels += valid.sum().item()

        if "normal" in predictions:
            valid = labels["normal"].sum(dim=1) != 0
            # The prediction has the length that the network gave it.
            cosine = (predictions["normal"] * labels["normal"]).sum(dim=1)[valid].clamp(-1, 1)
            self.angle += (torch.acos(cosine) * 180 / math.pi).sum().item()
            self.angle_pixels += valid.sum().item()

    def metrics(self) -> dict[str, float]:
        """mIoU, aErr and mErr as they are printed and published."""
        ratios = []
        for index in range(len(self.confusion)):
            hits = self.confusion[index, index]
            union = self.confusion[index].sum() + self.confusion[:, index].sum() - hits
            if union:
                ratios.append(hits / union)
            elif self.absent is not None:
                ratios.append(self.absent)
        found = {"mIoU": 100 * float(np.mean(ratios)), "aErr": self.depth_error / self.depth_pixels}
        return found | ({"mErr": self.angle / self.angle_pixels} if self.angle_pixels else {})


def angle(prediction: Sequence[float], label: Sequence[float]) -> float:
    """The angle in degrees between two vectors of any length, from their directions."""
    one, other = np.asarray(prediction, np.float64), np.asarray(label, np.float64)
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    # Accurate at every angle, unlike the arc cosine (Kahan 2006).
    return math.degrees(2 * math.atan2(float(np.linalg.norm(one - other)), float(np.linalg.norm(one + other))))


def mean_gain(metrics: Sequence[float], baseline: Sequence[float], higher_is_better: Sequence[bool]) -> float:
    """delta-m in percent (Maninis et al., CVPR 2019)."""
    total = 0.0
    for value, reference, higher in zip(metrics, baseline, higher_is_better, strict=True):
        total += (1 if higher else -1) * (value - reference) / reference
    return 100 * total / len(metrics)
