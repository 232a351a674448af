"""The files of stub mappings: `mappings/**/*.json`, one file, or a folder of them, and bodies below `__files/`.

Number, size, depth and total are bounded, and nothing outside the given folder is read.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

from harness.units import format_bytes
from harness.upstreams.routes.routes_read import ROUTES_MOST, UnreadableRoutes
from harness.upstreams.routes.wiremock.nodes import StubPlace, StubReading, quoted

FILE_BYTES_MOST: Final = 10_000_000
"""Of one file of mappings, and of one body."""
TOTAL_BYTES_MOST: Final = 100_000_000
ENTRIES_MOST: Final = 20_000
"""Files and folders below `mappings/`, of whatever kind."""
FOLDERS_MOST: Final = 16
"""How deep folders below `mappings/` may be nested."""
NESTING_MOST: Final = 64
"""How deep a JSON document may be nested."""
_MAPPINGS: Final = "mappings"
_FILES: Final = "__files"
_LINK: Final = "is a symbolic link that leads out of the folder"
_FIX: Final = "name the folder that holds `mappings/` and `__files/`, or one .json file"


@dataclass(slots=True)
class StubFolder:
    """`given` is resolved. `mappings` is where stubs are looked for; bodies are below `root`/`__files`."""

    given: Path
    root: Path
    mappings: Path
    reading: StubReading
    _entries: int = 0
    _bytes: int = 0
    _bodies: dict[Path, bytes] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, reading: StubReading) -> StubFolder:
        """Raises UnreadableRoutes if the path cannot be read."""
        try:
            given = path.resolve(strict=True)
            if (given / _MAPPINGS).is_dir():
                return cls(given, given, given / _MAPPINGS, reading)
            base = given if given.is_dir() else given.parent
            above = (folder.parent for folder in (given, *given.parents) if folder.name == _MAPPINGS)
            root = next((folder for folder in (base, *above) if (folder / _FILES).is_dir()), base)
            return cls(given, root, given, reading)
        except (OSError, ValueError, RuntimeError) as exc:  # RuntimeError: symbolic links in a circle
            raise UnreadableRoutes(f"{path} cannot be read: {_reason(exc)}", _FIX) from exc

    def documents(self) -> Iterator[tuple[StubPlace, Any]]:
        """Each file of mappings in the order of their names, folder by folder, with its place.

        Raises UnreadableRoutes where there are too many of them.
        """
        if self._leads_out(self.mappings):
            self._place(self.mappings).refuse(_LINK)
            return
        files = self._below(self.mappings, 0) if self.mappings.is_dir() else iter((self.mappings,))
        for number, file in enumerate(files):
            if number >= ROUTES_MOST:
                raise UnreadableRoutes(f"{self.given} has more than {ROUTES_MOST:,} files of stub mappings", _FIX)
            place = self._place(file)
            content = self._read(file, place)
            document = None if content is None else _parsed(content, place)
            if document is not None:
                yield place, document

    def body(self, name: str, place: StubPlace) -> bytes | None:
        """The file `name` below `__files/`, or None after a refusal."""
        below = PurePosixPath(name)
        if not below.parts or below.is_absolute() or ".." in below.parts or "\\" in name or "\0" in name:
            place.refuse(f"`{quoted(name)}` is not a path below `{_FILES}/`")
            return None
        file = self.root.joinpath(_FILES, below)
        if file not in self._bodies:
            if self._leads_out(file):
                place.refuse(f"`{quoted(name)}` {_LINK}")
                return None
            content = self._read(file, place, f"`{_FILES}/{quoted(name)}` ")
            if content is None:
                return None
            self._bodies[file] = content
        return self._bodies[file]

    def _below(self, folder: Path, depth: int) -> Iterator[Path]:
        place = self._place(folder)
        if depth > FOLDERS_MOST:
            place.refuse(f"folders are nested more than {FOLDERS_MOST} deep")
            return
        try:
            found = [(entry, entry.is_dir()) for entry in sorted(islice(folder.iterdir(), ENTRIES_MOST + 1))]
        except OSError as exc:
            place.refuse(f"cannot be read: {_reason(exc)}")
            return
        self._entries += len(found)
        if self._entries > ENTRIES_MOST:
            raise UnreadableRoutes(f"{self.given} has more than {ENTRIES_MOST:,} files and folders", _FIX)
        for entry, is_folder in found:
            if is_folder and entry == self.root / _FILES:
                continue  # bodies, also where stubs lie directly in the folder
            if not is_folder and entry.suffix.lower() != ".json":
                continue
            if self._leads_out(entry):
                self._place(entry).refuse(_LINK)
            elif is_folder:
                yield from self._below(entry, depth + 1)
            else:
                yield entry

    def _leads_out(self, entry: Path) -> bool:
        try:
            return not entry.resolve().is_relative_to(self.root)
        except (OSError, ValueError, RuntimeError):
            return False  # reading it says why it cannot be read

    def _read(self, file: Path, place: StubPlace, name: str = "") -> bytes | None:
        """The bytes of a file, or None after a refusal. Raises UnreadableRoutes above the total."""
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                place.refuse(f"{name}is not a file")
                return None
            with file.open("rb") as stream:
                content = stream.read(FILE_BYTES_MOST + 1)
        except (OSError, ValueError) as exc:
            place.refuse(f"{name}cannot be read: {_reason(exc)}")
            return None
        self._bytes += len(content)
        too_large = len(content) > FILE_BYTES_MOST
        if too_large:
            place.refuse(f"{name}is larger than {format_bytes(FILE_BYTES_MOST)}")
        if self._bytes > TOTAL_BYTES_MOST:  # also if the same one that is too large is asked for again and again
            raise UnreadableRoutes(f"the files of {self.given} are larger than {format_bytes(TOTAL_BYTES_MOST)}", _FIX)
        return None if too_large else content

    def _place(self, file: Path) -> StubPlace:
        return StubPlace(self.reading, file.relative_to(self.root).as_posix())


def _parsed(content: bytes, place: StubPlace) -> Any:
    """The JSON document, or None after a refusal."""
    try:
        document = json.loads(content.decode("utf-8-sig"), parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError as exc:
        place.refuse(f"is not UTF-8 (byte {exc.start:,})")
        return None
    except json.JSONDecodeError as exc:
        place.refuse(f"is not JSON: {exc.msg} (line {exc.lineno:,}, column {exc.colno:,})")
        return None
    except ValueError as exc:
        place.refuse(f"is not JSON: {exc}")
        return None
    except RecursionError:
        place.refuse(f"is nested more than {NESTING_MOST} deep")
        return None
    flaw = "expected an object, not null" if document is None else _flaw(document)
    if flaw:
        place.refuse(flaw)
        return None
    return document


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(text)} is not a finite number")
    return number


def _flaw(document: Any) -> str:
    """What would stop later steps, whose recursion and encoding rely on it; empty if nothing."""
    level: list[Any] = [document]
    for _ in range(NESTING_MOST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and not _encodable(value):
                return f"the string `{quoted(value)}` has half of a surrogate pair"
        if not below:
            return ""
        level = below
    return f"is nested more than {NESTING_MOST} deep"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(exc: Exception) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
