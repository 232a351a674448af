"""Notes what a user's locustfile does that has no meaning in this run, and ends the worker for what it does wrong.

An exception of a task that had sent nothing is the file's fault and not the service's. The worker counts such
exceptions for a moment, so that the message can say how many tasks raise, and then exits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import gevent

from harness.rundir.locustfile.notes import NOTES_MOST, TEXT_MOST, LocustfileNote, LocustfileNoteKind, notes_file
from harness.rundir.locustfile.request_names import NAMES_MOST, RequestNameBook, clean_name
from harness.text import one_line
from scenarios.drive.recorder import die
from scenarios.drive.user_code.position import Positions, missing_file_hint

log = logging.getLogger("tailgate.worker")

COUNT_RAISED_S: Final = 2.0
"""How long the exceptions of tasks are counted before the worker exits."""


class LocustfileWatcher:
    """The notes of one worker, and the names of the locustfile's requests. `clean` takes secrets out of a text."""

    def __init__(self, run_dir: Path, worker: int, locustfile: Path, clean: Callable[[str], str]) -> None:
        self.positions: Final = Positions(locustfile)
        self.names: Final = RequestNameBook(run_dir, worker, clean)
        self.before_exit: Callable[[], object] = lambda: None
        """Called before a fatal note ends the process, so that its row file is whole."""
        self.tasks = 0
        """How many tasks have begun."""
        self._path = notes_file(run_dir, worker)
        self._clean = clean
        self._counts: dict[tuple[str, str, str], int] = {}
        self._raised = 0
        self._first_raised: tuple[str, str, str] | None = None

    def number(self, name: str) -> int:
        """The number of a request's name, for its row."""
        try:
            number = self.names.number(name)
        except OSError as exc:
            die(f"the name of a request cannot be written: {exc}")
        if self.names.is_full and ("many_names", str(NAMES_MOST), "") not in self._counts:
            self.note("many_names", str(NAMES_MOST))
        return number

    def note(self, kind: LocustfileNoteKind, text: str = "", where: str = "") -> None:
        """Notes something that does not end the run. Repetitions are counted and written by `close`."""
        key = kind, text, where
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] == 1 and len(self._counts) <= NOTES_MOST:
            self._write(LocustfileNote(kind=kind, text=self._text(text), where=where))

    def fail(self, note: LocustfileNote) -> NoReturn:
        """Writes a fatal note and ends the process."""
        note = note.model_copy(update={"text": self._text(note.text)})
        self._write(note)
        self.before_exit()
        die(note.said())

    def raised(self, error: BaseException, fix: str = "") -> None:
        """A task, or `on_start`, raised before it had sent anything."""
        self._raised += 1
        if self._first_raised is None:
            self._first_raised = _described(error), self.positions.of_error(error), fix
            log.error("a task of the locustfile raised before it sent anything", exc_info=error)
            gevent.spawn_later(COUNT_RAISED_S, self._fail_raised)

    def sent_in_on_start(self, name: str) -> None:
        """`on_start` has sent a request of that name, which is in no gate."""
        self.note("in_on_start", clean_name(self._clean(name)), self.positions.of_caller())

    def start_failed(self, error: BaseException, answered: str) -> NoReturn:
        """`on_start` raised before the load, after requests of which the latest was `answered` so. Ends the process."""
        log.error("on_start of the locustfile raised", exc_info=error)
        after = f", after {answered}" if answered else ""
        where = self.positions.of_error(error)
        self.fail(LocustfileNote(kind="on_start", text=f"{_described(error)}{after}", where=where))

    def never_entered(self, where: str) -> NoReturn:
        """An answer with `catch_response` was not used in a `with` block."""
        self.fail(LocustfileNote(kind="without_with", where=where))

    def exited(self, error: BaseException) -> NoReturn:
        """A task called sys.exit."""
        self.fail(LocustfileNote(kind="exit", where=self.positions.of_error(error)))

    def close(self) -> None:
        """The load is over: writes the counts of repeated notes, and ends the process if tasks raised."""
        for (kind, text, where), count in self._counts.items():
            if count > 1 and kind in ("stopped", "bad_answer"):
                self._write(LocustfileNote(kind=kind, text=self._text(text), where=where, n=count - 1))
        self._counts.clear()
        self._fail_raised()

    def _fail_raised(self) -> None:
        if self._first_raised is not None:
            text, where, fix = self._first_raised
            of = max(self.tasks, self._raised)
            self.fail(LocustfileNote(kind="raised", text=text, where=where, n=self._raised, of=of, fix=fix))

    def _text(self, text: Any) -> str:
        return one_line(self._clean(str(text)), TEXT_MOST)

    def _write(self, note: LocustfileNote) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(note.model_dump_json() + "\n")
        except OSError as exc:
            log.warning("%s cannot be written: %s", self._path.name, exc)


def _described(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return text + missing_file_hint(error)
