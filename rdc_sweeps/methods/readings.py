"""How the contrasts of an image's pairs of tasks make up L_RC: eq. 3 and 6 literally, or their sum or mean.

The negatives may also be those of other images, see `other_images`; then only the weights of the pairs differ.

The equations have one feature map for each of K tasks: every region of every task is an anchor, its positives are the
same region of the other K - 1 tasks, its negatives the other regions of all K tasks, and eq. 6 averages over tasks and
regions. But a_theta is conditioned on a pair of tasks, so a task has a map for each pair that it is in, and with
partial labels only some pairs exist. "equation" takes what exists:

- Two tasks are positives of each other if they are a pair. If the image has the pair in both orders, as with full
  supervision, their term is the mean over both.
- A pair's anchors have the other regions of the pair's own two maps as negatives, and those of every other task u. Of
  u's maps these are the ones in a pair with the same prediction or the same label; n of them weigh 1 / n each.
- The sum over a task's terms and the mean over the K tasks are those of eq. 3 and 6.

If each task has one map, whatever the pair, these are exactly K - 1 positives and K (M - 1) negatives for K M anchors.
"""

import torch
from torch import Tensor

from rdc_sweeps.contrast.earlier import EarlierMaps
from rdc_sweeps.contrast.elsewhere import OtherImages
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.methods.pairs import Pairs
from rdc_sweeps.models.mapping import pair_index
from rdc_sweeps.parallel.world import world
from rdc_sweeps.specs.method import PairReading


def pair_weights(pairs: Pairs, reading: PairReading, tasks: int) -> Tensor:
    """The factors (N,) float64 with which the losses of the N items add up to the L_RC of their images.

    The loss of an item is a mean over the anchors of two tasks, eq. 6 two times 1 / K of such a mean.

    Args:
        pairs: The items of a batch.
        reading: "sum" and "mean" are those over an image's pairs.
        tasks: K, the number of tasks.
    """
    same_image = pairs.image[:, None] == pairs.image
    match reading:
        case "sum":
            return torch.ones(len(pairs), dtype=torch.float64)
        case "mean":
            return 1 / same_image.sum(1).double()
        case "equation":
            either = torch.stack([pairs.predicted, pairs.labelled]).sort(0).values
            orders = same_image & (either[:, :, None] == either[:, None]).all(0)
            return 2 / (tasks * orders.sum(1).double())


def further_negatives(pairs: Pairs) -> FurtherNegatives | None:
    """The maps of other tasks that are negatives under "equation"; None if no item has any, as with two tasks."""
    same_image = pairs.image[:, None] == pairs.image
    same_prediction = same_image & (pairs.predicted[:, None] == pairs.predicted)
    same_label = same_image & (pairs.labelled[:, None] == pairs.labelled)
    # Of a pair with the same label, the prediction is of another task, and the other way round.
    shared = torch.cat([same_label & ~same_prediction, same_prediction & ~same_label], 1)
    most = int(shared.sum(1).max()) if len(pairs) else 0
    if not most:
        return None
    task = torch.cat([pairs.predicted, pairs.labelled])
    alike = (shared[:, :, None] & shared[:, None] & (task[:, None] == task)).sum(2)
    order, known = _true_places(shared, most)
    return FurtherNegatives(torch.where(known, order, -1), 1 / alike.gather(1, order).clamp_min(1).double())


def other_images(
    pairs: Pairs, predicted: Tensor, labelled: Tensor, tasks: int, earlier: EarlierMaps | None = None
) -> OtherImages:
    """The items of other images with the same pair of tasks, in all processes that share the batch.

    Args:
        pairs: The N items of this process.
        predicted: Features (N, d, h, w) of their predictions.
        labelled: Features (N, d, h, w) of their labels.
        tasks: K, the number of tasks.
        earlier: The bank of earlier steps, if there is one, which the items enter.
    """
    gather = world().gather_rows
    kinds = pair_index(pairs.predicted, pairs.labelled, tasks)
    everyones, own = gather(kinds)
    # An image has a pair once, so that another item of the kind is of another image.
    shared = kinds[:, None] == everyones
    shared[torch.arange(len(pairs)), torch.arange(len(everyones))[own]] = False
    most = int(shared.sum(1).max()) if len(pairs) else 0
    order, known = _true_places(shared, max(most, 1))
    sides = (gather(predicted.detach())[0], gather(labelled.detach())[0])
    others = OtherImages(sides, torch.where(known, order, -1))
    return others if earlier is None else earlier(others, kinds, everyones)


def _true_places(mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` columns of each row of a mask with True first, in order, and what stands there."""
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]
    return order, mask.gather(1, order)
