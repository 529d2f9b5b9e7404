"""All components, in the order of the table."""

from benchmarks.fidelity.component import Component
from benchmarks.fidelity.measures import contrast, data, losses, method, metrics, networks, training

COMPONENTS: tuple[Component, ...] = (
    *networks.COMPONENTS,
    *losses.COMPONENTS,
    *contrast.COMPONENTS,
    *method.COMPONENTS,
    *training.COMPONENTS,
    *data.COMPONENTS,
    *metrics.COMPONENTS,
)
