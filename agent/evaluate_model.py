"""``fixbot eval`` with a model: what becomes of its fixes, by the hidden tests that neither fixbot nor the model has seen.

A live model is judged by its fixes. With a script it is fixbot that is judged: good replies must come through, bad ones must not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixbot.agent import pipeline
from fixbot.agent import workspace as ws
from fixbot.agent.bug_reports import with_reports
from fixbot.agent.config import Settings, load_settings
from fixbot.agent.errors import FixbotError
from fixbot.agent.evaluate import Hidden, copied, repositories
from fixbot.agent.events import Emit, Note
from fixbot.agent.manifest import REPORT, Manifest, owner
from fixbot.agent.model import take_key
from fixbot.agent.model_rows import ModelRun, measured
from fixbot.agent.result import RunResult
from fixbot.agent.scripted import Script, ScriptedModel, scripts
from fixbot.agent.store import Ledger
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, scan
from fixbot.patchers.model.keys import Key


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure: scripts on settings without a model, or the live model that the settings name, with its key."""

    settings: Settings
    scripts: tuple[Script, ...] = ()
    key: Key | None = None


def prepare(flags: Mapping[str, Any], wanted: list[Script], config: Path | None, environ: MutableMapping[str, str]) -> Job:
    """A job from the command line's flags. Scripts get built-in settings and no key. Raises UsageError."""
    if wanted:
        given = {name: flags.get(name) or default for name, default in (("python", None), ("sandbox", "auto"))}
        return Job(Settings.model_validate({**given, "model_floor": 0}), scripts(wanted))
    settings = load_settings(Path(), flags, config=config, isolated=True).model_copy(update={"record": None, "replay": None})
    return Job(settings, key=take_key(settings.base_url, environ))


def evaluate_model(folders: Sequence[Path], job: Job, emit: Emit) -> Iterator[ModelRun]:
    """Measure on evaluation repositories, each in a copy; limits of cost and tokens hold for all of them together.

    Raises UsageError, before anything runs, for a folder that is no evaluation repository; FixbotError, after the run in which that
    became clear, when the endpoint is of no more use.
    """
    settings = job.settings
    for folder, manifest in repositories(folders):
        report = folder / REPORT
        own = settings.model_copy(update={"bug_report": (report,) if report.is_file() else ()})
        with copied(folder, manifest) as target:
            hidden = Hidden(folder, target, own)
            before: dict[str, bool] | None = None
            for script in job.scripts or (None,):
                emit(Note(f"evaluating {manifest.name} with {f'scripted {script.value} replies' if script else settings.model}"))
                result, prompts = _run(folder, manifest, target, replace(job, settings=own), script, emit)
                before = before or hidden.outcomes(result.base)
                after = hidden.outcomes(result.tip) if result.tip else before
                figures = measured(folder, manifest, script, result, prompts, before, after)
                settings = _with_less(settings, figures)
                yield figures
                if figures.gone:
                    raise FixbotError(
                        f"the model could not be asked any more: {figures.gone}", "see that it answers: fixbot doctor --model"
                    )


def _run(
    folder: Path, manifest: Manifest, target: Path, job: Job, script: Script | None, emit: Emit
) -> tuple[RunResult, Mapping[str, int]]:
    """The run, and the tokens of each finding's first prompt."""
    state = target.parent / "state"
    if script is not None:
        model = ScriptedModel(folder, script, _bugs(manifest, target, job.settings, state))
        return pipeline.run(target, job.settings, emit, state=state, model=model), model.prompts
    result = pipeline.run(target, job.settings, emit, state=state, key=job.key)
    prompts: dict[str, int] = {}
    with closing(Ledger(state / "ledger.sqlite")) as ledger:
        for exchange in ledger.exchanges(result.run):
            if exchange.purpose == "fix":
                prompts.setdefault(exchange.finding, exchange.usage.prompt)
    return result, prompts


def _bugs(manifest: Manifest, target: Path, settings: Settings, state: Path) -> dict[str, str]:
    """The bug's id by the fingerprint of each of its findings."""
    project = discover(target, ws.list_files(target))
    options = Options(jobs=settings.jobs, cache=state / "scan.sqlite")
    found = with_reports(scan(project, options), project, settings.bug_report, options)
    owners = ((finding.fingerprint, owner(finding, manifest.bug)) for finding in found.findings)
    return {fingerprint: bug.id for fingerprint, bug in owners if bug is not None}


def _with_less(settings: Settings, spent: ModelRun) -> Settings:
    """Settings with what is left of the limits."""
    cost, tokens = settings.max_cost, settings.max_tokens
    return settings.model_copy(
        update={
            "max_cost": None if cost is None else max(0.0, cost - (spent.cost or 0)),
            "max_tokens": None if tokens is None else max(0, tokens - spent.tokens),
        }
    )
