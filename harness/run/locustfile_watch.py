"""Tells during the load what the workers note of a user's locustfile, and which gates are about no request of it.

A gate on a name that never comes is inconclusive after minutes; its user should know within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.gates.parse import parse_gate
from harness.rundir.locustfile.notes import read_locustfile_notes
from harness.rundir.locustfile.request_names import all_names, read_names
from harness.rundir.plan import Plan
from harness.units import NS_PER_MS, NS_PER_S

NAMES_AFTER_NS: Final = 3 * NS_PER_S
"""So long after the load's start every request that is not rare has come once."""
NAMES_BY_NS: Final = 15 * NS_PER_S
"""By then it is told although no request has come at all."""
EVERY_NS: Final = NS_PER_S
"""The files are read this often."""


class LocustfileWatch:
    """Follows the locustfile of one run. `news` is called again and again; it says everything once."""

    def __init__(self, plan: Plan, run_dir: Path) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._wanted = tuple(
            dict.fromkeys((name, gate.text) for gate in plan.gates for name in parse_gate(gate.text).requests())
        )
        self._is_locustfile = plan.load.locustfile is not None
        self._named = not self._wanted
        self._told: set[str] = set()
        self._next_ns = 0

    def news(self, t0_ns: int | None, now_ns: int) -> tuple[str, ...]:
        """What is new since the last call, for people; `t0_ns`: None before the load has started."""
        if not self._is_locustfile or t0_ns is None or now_ns < self._next_ns:
            return ()
        self._next_ns = now_ns + EVERY_NS
        start_ns = t0_ns - round(self._plan.load.warmup_ms * NS_PER_MS)
        return (*self._notes(), *self._missing_names(now_ns - start_ns))

    def _notes(self) -> Iterator[str]:
        for worker in range(self._plan.load.workers):
            for note in read_locustfile_notes(self._run_dir, worker):
                said = note.said()
                if note.is_news and not note.is_fatal and said not in self._told:
                    self._told.add(said)
                    yield f"note: {said}"

    def _missing_names(self, for_ns: int) -> Iterator[str]:
        if self._named or for_ns < NAMES_AFTER_NS:
            return
        try:
            came = all_names(read_names(self._run_dir, self._plan.load.workers))
        except (ValueError, OSError):  # the judge says what is wrong with the file
            self._named = True
            return
        if not came and for_ns < NAMES_BY_NS:
            return
        self._named = True
        missing = [(name, text) for name, text in self._wanted if name not in came]
        if missing:
            from harness.verdict.gates import name_never_came, sent_in_on_start  # with numpy, not needed before a load

            notes = [
                note for one in range(self._plan.load.workers) for note in read_locustfile_notes(self._run_dir, one)
            ]
            for name, text in missing:
                why = sent_in_on_start(name, notes) or name_never_came(name, came)
                yield f"warning: so far `{text}` has nothing to judge: {why}"
