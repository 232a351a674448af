"""locustfile-<worker>.ndjson: what a worker noticed of the user's own locustfile.

Most notes only say what has no meaning in this run. Those of a kind in FATAL end the run as a rig failure: the file did
something before anything was sent, so the service is not to blame. A worker appends a note at once, so that it is there
when the worker has died.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import readable_lines
from harness.units import format_count, format_things

NOTES_MOST: Final = 50
"""So many notes one worker writes."""
TEXT_MOST: Final = 300
_READ_MOST: Final = 1_000_000

LocustfileNoteKind = Literal[
    "ignored", "exit_code", "stopped", "many_names", "no_request", "waited", "asks_unseen", "in_on_start", "bad_answer",
    "on_start", "raised", "without_with", "host", "endless", "stuck", "exit",
]  # fmt: skip
FATAL: Final = ("on_start", "raised", "without_with", "host", "endless", "stuck", "exit")
_FIX: Final[dict[str, str]] = {
    "on_start": "see whether the service should answer so; `on_start` can check an answer before it uses it",
    "raised": "correct it there; a task that needs the answer of an earlier request should check it first",
    "without_with": "write `with self.client.get(…, catch_response=True) as response:`",
    "endless": "end the task after its requests: each arrival runs a task once. With `load.users` a task may go on",
    "stuck": "a task that computes or waits without yielding stops all others; use gevent's or Locust's own waits",
    "exit": "leave the task with `return`, or stop one user with `raise StopUser()`",
}

_SAID: Final[dict[LocustfileNoteKind, str]] = {
    "ignored": "the locustfile's {text}",
    "exit_code": "the locustfile sets the exit code {text}; it is not used, the verdict is the gates'",
    "stopped": "the locustfile stops the test{at} ({text}), {times}",
    "many_names": "the locustfile's requests have more than {text} names; the others are counted together. Give "
    "requests with ids in their path a `name`",
    "no_request": "{share} arrivals sent no request: their tasks ended without one, so the service saw a lower rate "
    "than planned",
    "waited": "{share} arrivals waited before their first request, {text}; that is part of their latency",
    "asks_unseen": "`load.asks` names `{text}`, which is the name of no request that came",
    "in_on_start": "the locustfile sends `{text}` in on_start{at}, whose requests no gate counts",
    "bad_answer": "{share} × `bad_answer`{at}: {text}",
    "on_start": "the locustfile's on_start raised{at}: {text}",
    "raised": "the locustfile raised {text}{at}, before anything was sent, in {share} tasks",
    "without_with": "the locustfile asks with `catch_response` and without `with`{at}, so no answer is reported",
    "host": "the locustfile asks {text}{at}, which is not on this machine; nothing was sent there",
    "endless": "the locustfile's task{at} does not end: {text}",
    "stuck": "the locustfile stopped the worker{at}: {text}",
    "exit": "a task of the locustfile called sys.exit{at}",
}


class LocustfileNote(Frozen):
    """One thing that was noticed.

    `ignored`: `text` has no meaning in this run. `exit_code`: a listener set the exit code of Locust. `stopped`: the
    file's code stopped the test. `many_names`: there were more names than are counted apart. The judge adds
    `no_request` (`n` of `of` arrivals sent nothing) and `waited` (`n` of `of` arrivals waited before their first
    request; `text` says for how long), and `asks_unseen` (`load.asks` names a request, `text`, that never came).
    `in_on_start`: `on_start` sent a request called `text`, which is in no gate. It is not reported by itself, but
    explains a gate that names the request.

    `bad_answer`: why requests became one, as `text` and `where` say; `n` of them.

    Fatal: `on_start`: before the load it raised after a request; `text` says what, and how the service had answered.
    `raised`: `n` of `of` tasks raised before they sent anything. `without_with`: an answer with `catch_response`
    was never used in a `with` block, so Locust never reports it. `host`: a host was asked that `--allow-target` does
    not name. `endless`: tasks do not end. `stuck`: a task has stopped the worker. `exit`: a task called sys.exit.
    """

    kind: LocustfileNoteKind
    text: str = ""
    """A clause for people, sanitized, at most TEXT_MOST characters."""
    where: str = ""
    """`users.py:12`; empty: unknown."""
    n: int = 1
    of: int | None = None
    fix: str = ""

    @property
    def is_fatal(self) -> bool:
        return self.kind in FATAL

    @property
    def is_news(self) -> bool:
        """Whether people are told of it although no gate needs it as an explanation."""
        return self.kind != "in_on_start"

    @property
    def remedy(self) -> str:
        """What to do about it; empty: nothing needs to be done."""
        return self.fix or _FIX.get(self.kind, "")

    def said(self) -> str:
        """The note as a sentence, without its remedy."""
        at = f" at {self.where}" if self.where else ""
        share = format_count(self.n) if self.of is None else f"{format_count(self.n)} of {format_count(self.of)}"
        return _SAID[self.kind].format(text=self.text, at=at, share=share, times=format_things(self.n, "time"))

    def sentence(self) -> str:
        return f"{self.said()}; fix: {self.remedy}" if self.remedy else self.said()


def notes_file(run_dir: Path, worker: int) -> Path:
    return run_dir / f"locustfile-{worker}.ndjson"


def fatal_note(run_dir: Path, workers: Iterable[int]) -> LocustfileNote | None:
    """The first note for which one of these workers ended; None: none did. Raises nothing."""
    return next((note for one in workers for note in read_locustfile_notes(run_dir, one) if note.is_fatal), None)


def read_locustfile_notes(run_dir: Path, worker: int) -> tuple[LocustfileNote, ...]:
    """The notes of one worker, in order; empty where there is no such file. Raises nothing."""
    return readable_lines(notes_file(run_dir, worker), LocustfileNote.model_validate_json, bytes_most=_READ_MOST)
