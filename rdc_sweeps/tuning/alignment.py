"""Alignment as an objective: the term that is measured, and the probes that trials need for it."""

from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.catalogue import unknown
from rdc_sweeps.specs.method import WithoutTerm, terms_of
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import AlignmentObjective, StudySpec
from rdc_sweeps.specs.training import ProbeSpec


def with_term(objective: AlignmentObjective, study: StudySpec, run: RunSpec) -> AlignmentObjective:
    """The objective with the name of its term.

    Args:
        objective: As written in the study's file.
        study: The study, for its space and for messages.
        run: The tuned row.

    Raises:
        UsageError: The row has no such term, or several and the objective names none, or the term may have no gradient.
    """
    row = f"{study.table}/{study.row}"
    terms = {
        type(term).model_fields["name"].default: (path, term)
        for path, term in terms_of(run.method).items()
        if not isinstance(term, WithoutTerm)
    }
    if not terms:
        raise UsageError(
            f"{row} has no cross-task term to measure (method.name is {run.method.name}); tune a row that has one, or "
            "choose another objective, such as {name: delta-m}"
        )
    if objective.term is None and len(terms) > 1:
        raise UsageError(f"{row} has several terms; add `term`, one of {', '.join(terms)}")
    name = objective.term or next(iter(terms))
    if name not in terms:
        raise UsageError(f"{row} has {unknown('term', name, terms)}")
    path, term = terms[name]
    if f"{path}.gradient" in study.space:
        raise UsageError(f"{path}.gradient cannot be tuned: without a gradient there is no alignment")
    if not getattr(term, "gradient", True):
        raise UsageError(
            f"{row} has {path}.gradient=false, and without a gradient there is no alignment; set it to true"
        )
    return objective.model_copy(update={"term": name})


def with_probes(objective: AlignmentObjective, run: RunSpec) -> RunSpec:
    """A run that is probed after every epoch; its id is that of the run without probes."""
    probe = ProbeSpec(every=1, images=objective.images)
    return run.model_copy(update={"training": run.training.model_copy(update={"probe": probe})})
