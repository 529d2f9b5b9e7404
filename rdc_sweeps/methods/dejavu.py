"""DejaVu: conditional regeneration of the image as a second supervision (Borse et al., CVPR 2023, arXiv 2303.01573)."""

import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.methods.base import Losses, Method, ramped
from rdc_sweeps.methods.losses import supervised_losses
from rdc_sweeps.methods.redaction import redact
from rdc_sweeps.methods.regeneration import RegenerationModule
from rdc_sweeps.methods.supervised import supervision
from rdc_sweeps.methods.views import Predictions
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import DejaVu


class DejaVuMethod(Method):
    """Supervised losses, and the error of an image regenerated from its redacted self and the dense predictions.

    From the paper, as its abstract has it: the image is redacted, by sparse sampling in space (checkerboard) or by the
    removal of frequencies (spectral), which breaks its boundaries and leaves its context; a conditional regeneration
    module gets the redacted image and the base network's dense predictions and restores the image; the reconstruction
    loss is added to the supervised one and reaches the base network through its predictions; all of this in training
    only, so that a trained network costs what it did.

    The authors' code is not public, and none of their settings is reproduced. Chosen here:

    - one module for all tasks, fed with the predictions of all of them, whether the image has their labels or not (no
      label is looked at), in the form that `condition` gives them;
    - the module itself (`RegenerationModule`): four convolutions, 32 channels;
    - one fixed redaction per run, zeros in place of what is removed, blocks of 8 pixels, or all frequencies from 0.1
      on;
    - the mean squared error over all pixels, kept and removed, as the only reconstruction loss: no perceptual,
      language or cyclic terms, and no attention module in the network itself;
    - weight 1, on view 1, the supervised one.
    """

    def __init__(self, spec: DejaVu, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.regeneration = RegenerationModule(tasks, classes, spec.channels)

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`; later views are not looked at."""
        view = batch.views[0]
        predictions = network(view.image)
        supervised = supervision(supervised_losses(self.tasks, predictions, view.labels, batch.granted))
        reconstruction = self.reconstruction(view, predictions)
        total = supervised.total + ramped(self.spec.weight, self.spec.ramp_epochs, epoch) * reconstruction
        return Losses(total, {**supervised.reported, "loss/reconstruction": reconstruction.detach()})

    def reconstruction(self, view: View, predictions: Predictions) -> Tensor:
        """Mean squared error of the regenerated images of a view."""
        regenerated = self.regeneration(redact(view.image, self.spec.redaction), predictions)
        return F.mse_loss(regenerated.to(view.image.dtype), view.image)
