"""Values of a stub mapping, taken with a check: whatever is not understood is refused with its file and its place.

Nothing here raises on a bad value. It is put on the list of refusals, so that a user sees all of them at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.text import cut
from harness.upstreams.routes.routes_read import UnreadableRoutes

SHOWN: Final = 3
"""Refusals that a message names."""
_QUOTED_MOST: Final = 60
_KINDS: Final = (
    (bool, "true or false"),
    (int | float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
)
"""`true` and `false` come first, because they are numbers in Python."""
_FIX: Final = "take these stubs out, or write their routes under `routes` in the scenario"


@dataclass(slots=True)
class StubReading:
    """What is found while stubs are read: refusals, and how many stubs have something that a user should know of."""

    refused: int = 0
    shown: list[str] = field(default_factory=list)
    """The first refusals, each as FILE: PLACE: what."""
    seen: Counter[str] = field(default_factory=Counter)
    """How many stubs have what is worth a note, under the name that `stubs` has for it."""

    def refuse(self, file: str, path: str, what: str) -> None:
        self.refused += 1
        if len(self.shown) < SHOWN:
            self.shown.append(": ".join(part for part in (file, path, what) if part))

    def check(self) -> None:
        """Raises UnreadableRoutes if anything was refused."""
        if self.refused:
            count = "one thing" if self.refused == 1 else f"{self.refused:,} things"
            more = [f"and {self.refused - len(self.shown):,} more"] if self.refused > len(self.shown) else []
            listed = "; ".join([*self.shown, *more])
            raise UnreadableRoutes(f"{count} in the stub mappings cannot be used: {listed}", _FIX)


@dataclass(frozen=True, slots=True)
class StubPlace:
    """A place in a file of stub mappings: `mappings/search.json` and `request.headers.Accept`."""

    reading: StubReading
    file: str
    path: str = ""

    def at(self, key: str | int) -> StubPlace:
        step = f"[{key}]" if isinstance(key, int) else quoted(key)
        dot = "." if self.path and isinstance(key, str) else ""
        return StubPlace(self.reading, self.file, f"{self.path}{dot}{step}")

    def refuse(self, what: str) -> None:
        self.reading.refuse(self.file, self.path, what)


def quoted(text: str) -> str:
    return cut(text, _QUOTED_MOST)


def kind_of_json(value: Any) -> str:
    """`a list`, `a string` …, for messages."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "null")


def members(
    value: Any, place: StubPlace, known: Collection[str], refused: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The known members of an object. The others are refused: those in `refused` by what they are, the rest as unknown.

    A member that is null counts as absent, as WireMock reads it, and so does an empty one of `refused`.
    """
    if not isinstance(value, dict):
        place.refuse(f"expected an object, not {kind_of_json(value)}")
        return {}
    for key, item in value.items():
        if key in known:
            continue
        if refused is None or key not in refused:
            place.at(key).refuse("is not a known key")
        elif item is not None and item not in ([], {}):
            place.at(key).refuse(f"{refused[key]} not supported")
    return {key: item for key, item in value.items() if key in known and item is not None}


def text_of(value: Any, place: StubPlace, most: int) -> str | None:
    """A string of at most `most` characters, or None after a refusal."""
    if not isinstance(value, str):
        place.refuse(f"expected a string, not {kind_of_json(value)}")
        return None
    if len(value) > most:
        place.refuse(f"has {len(value):,} characters, and at most {most:,} are read")
        return None
    return value


def number_of(value: Any, place: StubPlace, low: float, high: float, *, whole: bool = False) -> float | None:
    """A number from `low` to `high`, or None after a refusal."""
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind):
        place.refuse(f"expected a {'whole ' if whole else ''}number, not {kind_of_json(value)}")
        return None
    if not low <= value <= high:
        place.refuse(f"is not from {low:,.15g} to {high:,.15g}")
        return None
    return value


def whole_number_of(value: Any, place: StubPlace, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, or None after a refusal."""
    number = number_of(value, place, low, high, whole=True)
    return None if number is None else int(number)
