"""The directory of a search: a new one, or that of a search which was interrupted and asked the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from harness.errors import UsageError
from harness.run.invocation import slug
from harness.run.run import make_folder
from harness.run.run_id import new_run_id
from harness.rundir.searches.asked import AskedSearch
from harness.rundir.searches.capacity import CurveKey, StepRecord

if TYPE_CHECKING:
    from harness.rundir.plan import Plan

Line = TypeVar("Line", bound=StepRecord)
RULES: Final = 2
"""To be raised where `harness.search.level_search` chooses other levels than before."""


def search_folder(out: Path, name: str, resume: Path | None, asked: AskedSearch) -> Path:
    """A new directory below `out` that says what was `asked`, or `resume`, whose loads go on.

    Raises UsageError if `resume` is no directory of a search, or was asked something else.
    """
    if resume is None:
        folder = out / slug(name) / new_run_id()
        make_folder(folder)
        asked.write(folder)
        return folder
    try:
        before = AskedSearch.read(resume)
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"{resume} does not say what was searched there, so its loads cannot be used",
            f"give the directory of a `tailgate {asked.command}` that was interrupted",
        ) from exc
    if differs := _differences(before, asked):
        raise UsageError(
            f"the loads in {resume} are those of another search: {', '.join(differs)}",
            "give the scenario and the options of that search, or start anew without --resume",
        )
    return resume


def recorded_by_curve(
    folder: Path, read: Callable[[Path], Sequence[Line]], curves: Sequence[CurveKey], fix: str
) -> dict[CurveKey, list[Line]]:
    """The recorded steps of every curve of a search; none of one that was interrupted before its first had ended.
    Raises UsageError if they cannot be read, or, with this `fix`, if the folder has those of other curves."""
    try:
        lines = read(folder)
    except (OSError, ValueError) as exc:
        raise UsageError(f"the steps in {folder} cannot be read: {exc}", "search anew") from exc
    for line in lines:
        if line.curve not in curves:
            name = ", ".join(part or "health" for part in line.curve)
            raise UsageError(f"{folder} has a curve for {name}, and this search has none", fix)
    return {curve: [line for line in lines if line.curve == curve] for curve in curves}


def asked_search(command: str, plan: Plan, seed: int, settings: Mapping[str, float | str | None]) -> AskedSearch:
    """What a search with this plan and these settings asks. Raises UsageError if a file of the load cannot be read."""
    same = plan.model_copy(update={"run_id": "", "seed": seed}).model_dump_json(exclude={"scenario_file", "overrides"})
    files = {"locustfile": plan.load.locustfile, "data": plan.load.data}
    return AskedSearch(
        rules=RULES,
        command=command,
        scenario=hashlib.sha256(same.encode()).hexdigest(),
        files={use: _digest(Path(path)) for use, path in files.items() if path is not None},
        settings=dict(settings),
    )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", "see `load` of the scenario") from exc


def _differences(before: AskedSearch, now: AskedSearch) -> list[str]:
    """What is not the same, for people: `the scenario differs`, `soak_ms was 15000 and is 20000`."""
    if before.command != now.command:
        return [f"it is of `tailgate {before.command}`"]
    if before.rules != now.rules:
        return ["another version of tailgate chose them, by other rules"]
    told = ["the scenario differs, or what --set and --seed make of it"] if before.scenario != now.scenario else []
    for use in sorted({*before.files, *now.files}):
        if before.files.get(use) != now.files.get(use):
            told.append(f"the file of load.{use} differs")
    for name in sorted({*before.settings, *now.settings}):
        was, now_is = before.settings.get(name), now.settings.get(name)
        if was != now_is:
            told.append(f"{name} was {_shown(was)} and is {_shown(now_is)}")
    return told


def _shown(value: float | str | None) -> str:
    return "none" if value is None else value if isinstance(value, str) else f"{value:g}"
