"""A study as Markdown: its trials, the best of them, and its confirmation."""

from typing import TYPE_CHECKING

from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.texts import markdown, visible
from rdc_sweeps.tuning.texts import caveat, objective_text, objective_title, short_titles, value_text

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study_report import StudyReport


def render_study_markdown(report: "StudyReport") -> str:
    """What was tuned, a table of the compared and of all trials, and the confirmation on the test images."""
    summary, spec = report.summary, report.tuned.spec
    lines = [
        f"## study {markdown(summary.name)}: {markdown(spec.title)}",
        "",
        f"- **tuned** {markdown(f'{summary.table}/{summary.row}')} under profile {markdown(summary.profile)}",
        f"- **objective** {markdown(objective_title(summary.objective))}",
        f"- **trials** {summary.finished} of {summary.asked} finished: {summary.count('complete')} complete, "
        f"{summary.count('pruned')} pruned, {summary.count('failed')} failed",
    ]
    names = {trial.number: name for name, trial in report.compared}
    titles = short_titles(list(spec.space))
    head = ["trial", "state", markdown(summary.objective), *(markdown(titles[path]) for path in spec.space)]
    lines += ["", f"| {' | '.join(head)} |", f"|{' --: | :-- |' + ' --: |' * (1 + len(spec.space))}"]
    for trial in summary.trials:
        state = f"{trial.phase}, {names[trial.number]}" if trial.number in names else trial.phase
        cells = [str(trial.number), state, objective_text(trial.value, summary.objective)]
        cells += [markdown(value_text(trial.values[path])) if path in trial.values else "" for path in spec.space]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"- {caveat(summary.objective)}"]
    if summary.command is not None:
        lines.append(f"- To train the best configuration: `{visible(summary.command)}`")
    text = "\n".join(lines) + "\n"
    return text if report.confirmation is None else f"{text}\n{render_markdown(report.confirmation)}"
