"""Cross-task consistency in joint pairwise spaces (Li, Liu and Bilen, CVPR 2022, "MTPSL")."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.contrast.arithmetic import full_precision, promote
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.base import Losses, Method, ramped
from rdc_sweeps.methods.encoder import encoder_feature, encoder_maps
from rdc_sweeps.methods.losses import supervised_losses
from rdc_sweeps.methods.mapped import map_pairs
from rdc_sweeps.methods.pairs import batch_pairs
from rdc_sweeps.methods.supervised import supervision
from rdc_sweeps.methods.views import Predictions, predictions_of_views
from rdc_sweeps.models.mapping import build_mapping
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CrossTask


class CrossTaskMethod(Method):
    """Supervised losses on view 1, and cross-task consistency on view 2 (or view 1 if there is one view).

    For each ordered pair of tasks that `task_pairs` names, a_theta maps the prediction of s and the label of t to m_s
    and m_t. With f the encoder feature, which gets no gradient, the pair's loss is

        1 - cos(m_s, m_t) + regulariser [(1 - cos(m_s, f)) + (1 - cos(m_t, f))],

    the cosines taken over channels and averaged over places. An image's pairs are summed and the images of the batch
    averaged, as in the authors' code, whose weight of 2 belongs to that sum.

    With SegNet, f has the width and resolution of a_theta's output. What to do with other backbones is not published;
    `encoder_feature` says what is done here. A further difference: a_theta's BatchNorm sees all items of a batch at
    once, in the authors' code one map at a time.
    """

    def __init__(self, spec: CrossTask, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.classes = classes
        self.mapping = build_mapping(spec.mapping, tasks, classes)

    def film_parameters(self) -> list[nn.Parameter]:
        """FiLM scales and shifts of a_theta."""
        return self.mapping.film_parameters()

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`; `encoder_maps` says which part of the network is its encoder."""
        with encoder_maps(network) as maps:
            predictions, mapped = predictions_of_views(network, batch)
        supervised = supervision(supervised_losses(self.tasks, predictions, batch.views[0].labels, batch.granted))
        consistency = self.consistency(mapped, [scale[-len(batch) :] for scale in maps], batch)
        total = supervised.total + ramped(self.spec.weight, self.spec.ramp_epochs, epoch) * consistency
        return Losses(total, {**supervised.reported, "loss/consistency": consistency.detach()})

    def consistency(self, predictions: Predictions, maps: Sequence[Tensor], batch: Batch) -> Tensor:
        """The sum of the pairs' losses, per image of the batch.

        Args:
            predictions: Of the last view, per task (B, C, H, W).
            maps: What the encoder made of that view, Tensors (B, C_i, H_i, W_i).
            batch: Its last view has the labels.
        """
        view, pairs = batch.views[-1], batch_pairs(batch)
        if not len(pairs.of_all):
            return view.image.new_zeros(())
        predicted, labelled = map_pairs(self.mapping, predictions, view.labels, pairs, self.tasks, self.classes)
        with full_precision(predicted):
            feature = encoder_feature(maps, self.mapping.out_channels, (predicted.shape[2], predicted.shape[3]))
            feature = feature[pairs.image.to(feature.device)]
            losses = _distance(predicted, labelled)
            losses = losses + self.spec.regulariser * (_distance(predicted, feature) + _distance(labelled, feature))
        return losses.sum() / len(batch)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cosine over channels, averaged over places; Tensors (N, C, H, W) -> (N,)."""
    one, other = promote(one, other)
    return 1 - F.cosine_similarity(one, other, dim=1, eps=1e-12).mean((1, 2))
