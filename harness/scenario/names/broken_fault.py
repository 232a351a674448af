"""What stands in for a fault that cannot be read whole, so that the rest of it can be looked at. Pure.

It is called the same, breaks the same and lasts as long where that much can be read. What it does is kept where
nothing of that is wrong; else it is a latency, which says nothing about anybody.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from harness.faults import FAULTS, Fault
from harness.model.value_types import NAME_PATTERN, RESERVED, closest

TIMES: Final = ("at", "for", "every")
LONG: Final = "23h"
"""In place of a `for` that cannot be read: no limit of a gate is longer, so nothing is called too long for it."""
_SHARED: Final = Fault.spelled_keys()
_WORDS: Final = ("all", "but", "and")
_NEEDED: Final = ("upstream", "for")


@dataclass(frozen=True, slots=True)
class StandIn:
    """`kept`: keys that are the user's, or that the user left out. `prefix`: how its name begins, `ending`: how it
    ends; None where that is not the way to know it.
    """

    fault: dict[str, Any]
    kept: frozenset[str]
    prefix: str | None
    ending: str | None
    times_hold: bool


def stand_in(
    fault: Any, index: int, broken: Collection[str], meant: Collection[str], upstreams: Collection[str]
) -> StandIn:
    """`broken`: its keys that cannot be read; `meant`: what its unknown ones were meant to be, or empty. `upstreams`:
    those that there are.
    """
    written = fault if isinstance(fault, dict) else {}
    kind = _kind(written, broken)
    of_kind = kind.spelled_keys() if kind else ()
    strays = [key for key in written if key not in (*_SHARED, *of_kind, *(each.KIND for each in FAULTS))]
    guesses = (*meant, *(closest(key, _SHARED) for key in strays))
    lost = {*broken, *(key for key in guesses if key not in written)}
    if "" in meant and "name" not in written:
        lost.add("name")
    kept = {key: value for key, value in written.items() if key in (*_SHARED, *of_kind) and key not in lost}
    if "for" in lost:
        kept.pop("every", None)
    name = _name_of(written, lost)
    made = {"name": name or f"broken-{index}", **({} if kind else {"latency": "1s"}), **kept}
    if name:
        made["name"] = name
    for key, value in (("upstream", "all"), ("for", LONG)):
        if key in lost or not written:
            made[key] = value
    mine = frozenset(kept) | {key for key in _NEEDED if key not in made}
    holds = "for" in kept and not lost & set(TIMES)
    prefix, ending = _told_by(written, lost, upstreams, name)
    return StandIn(made, mine, prefix, ending, holds)


def _kind(written: dict[str, Any], broken: Collection[str]) -> type[Fault] | None:
    """The one kind that it is, where nothing of that is broken."""
    kinds = [kind for kind in FAULTS if kind.KIND in written]
    if len(kinds) != 1 or any(key not in _SHARED for key in broken):
        return None
    return kinds[0]


def _name_of(written: dict[str, Any], lost: Collection[str]) -> str:
    """What a fault that cannot be read would have been called; empty where that is unknown."""
    name = written.get("name")
    if "name" in lost or (name is None and "upstream" in lost):
        return ""
    if name is None:
        kind = next((each.KIND for each in FAULTS if each.KIND in written), "")
        upstream = written.get("upstream")
        name = f"{_joined(upstream)}-{kind.replace('_', '-')}" if kind and upstream else ""
    return name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) and name not in RESERVED else ""


def _told_by(
    written: dict[str, Any], lost: Collection[str], upstreams: Collection[str], name: str
) -> tuple[str | None, str | None]:
    """How its name begins, or how it ends."""
    upstream, named = written.get("upstream"), written.get("name") is not None
    if named or not upstream or {"name", "upstream"} & set(lost):
        return (None if name else ""), None
    if _names_in(upstream) <= {*upstreams, *_WORDS}:
        return (None if name else f"{_joined(upstream)}-"), None
    # called after an upstream that is none, which was meant to be another
    kind = next((each.KIND for each in FAULTS if each.KIND in written), "")
    return (None, f"-{kind.replace('_', '-')}") if kind else ("", None)


def _names_in(upstream: Any) -> set[str]:
    texts = upstream if isinstance(upstream, tuple) else (upstream,)
    return {name for text in texts if isinstance(text, str) for name in re.split(r"[\s,]+", text)}


def _joined(upstream: Any) -> str:
    """The names of a fault's upstreams as they begin its own."""
    names = upstream if isinstance(upstream, tuple) else (upstream,)
    return "-".join(re.sub(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s+", "-", str(name)) for name in names)
