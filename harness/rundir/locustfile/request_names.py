"""names-<worker>.ndjson: the names that the requests of a user's locustfile have, in the order in which they came.

Nothing but the locustfile knows them before the load, so each worker numbers the names that it meets. The number of the
first name is 1; `request` 0 in a row means that its arrival had sent nothing by which it could be named. A line is
written before any row that has its number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.rundir.ndjson import read_ndjson
from harness.text import one_line

UNNAMED: Final = 0
"""The number of an arrival that sent nothing by which it could be named."""
NAMES_MOST: Final = 1_000
"""A locustfile whose names contain ids has no end of them. Further ones are counted together, under OTHERS."""
NAME_LENGTH_MOST: Final = 200
OTHERS: Final = "(other names)"
_BYTES_MOST: Final = 2 * NAMES_MOST * NAME_LENGTH_MOST * 4


def names_file(run_dir: Path, worker: int) -> Path:
    return run_dir / f"names-{worker}.ndjson"


class RequestNameBook:
    """Numbers the names of one worker and appends each new one to its file. Raises OSError for a full disk."""

    def __init__(self, run_dir: Path, worker: int, clean: Callable[[str], str] | None = None) -> None:
        """`clean`: takes secrets out of a name."""
        self._path = names_file(run_dir, worker)
        self._clean = clean or (lambda name: name)
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []

    def number(self, name: str) -> int:
        """The number of a name, from 1."""
        found = self._numbers.get(name)
        if found is not None:
            return found
        shown = clean_name(self._clean(str(name)))
        if shown not in self._numbers:
            if len(self._names) >= NAMES_MOST:
                return self._numbers.get(OTHERS) or self._add(OTHERS)
            self._add(shown)
        number = self._numbers[shown]
        if len(self._numbers) < 2 * NAMES_MOST:
            self._numbers[name] = number
        return number

    def name(self, number: int) -> str:
        """The name that has this number."""
        return self._names[number - 1]

    @property
    def is_full(self) -> bool:
        """Whether names are counted together."""
        return len(self._names) > NAMES_MOST

    def _add(self, name: str) -> int:
        self._names.append(name)
        self._numbers[name] = len(self._names)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(name) + "\n")
        return len(self._names)


def clean_name(name: str) -> str:
    """A name as gates and reports write it: one line without quotes, at most NAME_LENGTH_MOST characters."""
    return one_line(name).replace('"', "'")[:NAME_LENGTH_MOST] or "(no name)"


def read_names(run_dir: Path, workers: int) -> tuple[tuple[str, ...], ...]:
    """The names of each worker in the order of their numbers; empty for one without a file.

    Raises ValueError for a damaged line and OSError for a file that cannot be read, since rows rest on them.
    """
    return tuple(
        tuple(read_ndjson(names_file(run_dir, worker), _parse, "a name", bytes_most=_BYTES_MOST))
        for worker in range(workers)
    )


def all_names(of_workers: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Every name once, in the order of the workers and of their numbers."""
    return tuple(dict.fromkeys(name for names in of_workers for name in names))


def _parse(line: bytes) -> str:
    name = json.loads(line)
    if not isinstance(name, str):
        raise ValueError("not a text")
    return name
