"""Resolves the names of upstreams, faults and requests wherever a scenario uses them, on its tree. Pure.

The scenario need not be valid. A part that cannot be read may define any name, so a name is reported only if no unread
part could define it. Further mistakes within an unread part are reported by the next `validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from pydantic_core import PydanticCustomError

from harness.faults import ALL, BUT, FAULTS, Fault, default_name, hit_by, kinds_in, targets_of
from harness.model.value_types import NAME_PATTERN, closest, did_you_mean, name_meant
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.scenario.schema.listed import listed_names
from harness.scenario.schema.requests import Request
from harness.scenario.schema.scenario import Load, Scenario
from harness.scenario.schema.template_texts import (
    LOGIN_REQUEST,
    OWN_PORT,
    known_templates,
    request_parts,
    texts_with_templates,
    upstream_command_texts,
)
from harness.scenario.schema.templates import template_faults
from harness.scenario.source.diagnostics import Diagnostic

ANY: Final = "*"
_REQUEST_KEYS: Final = Request.spelled_keys()


@dataclass(frozen=True, slots=True)
class FaultName:
    """`pattern`: the fault's name, with `*` for an unreadable part of it. `targets`: empty if they cannot be read."""

    pattern: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a scenario defines. None: unknown, so any name may be defined."""

    upstreams: tuple[str, ...] | None
    faults: tuple[FaultName, ...]
    requests: tuple[str, ...] | None

    @property
    def known_faults(self) -> list[str]:
        return [fault.pattern for fault in self.faults if ANY not in fault.pattern]

    def has_upstream(self, name: str) -> bool:
        return self.upstreams is None or name in self.upstreams

    def has_fault(self, name: str) -> bool:
        return any(fnmatchcase(name, fault.pattern) for fault in self.faults)


def names_of(raw: Mapping[str, Any]) -> Names:
    """The names in a scenario's plain tree, which need not be valid."""
    # a section with an unknown key may be a misspelled `upstreams`, `faults` or `load`
    strays = any(key not in Scenario.spelled_keys() for key in raw)
    upstreams = _upstreams(raw["upstreams"]) if raw.get("upstreams") is not None else None if strays else ()
    faults = raw.get("faults")
    if isinstance(faults, tuple):
        named = tuple(_fault(fault, upstreams) for fault in faults)
    else:
        named = (FaultName(ANY),) if faults is not None or strays else ()
    return Names(upstreams, named, _requests(raw.get("load")))


def _upstreams(written: Any) -> tuple[str, ...] | None:
    if not isinstance(written, dict):
        return listed_names(written) or None
    if written and all(isinstance(each, str) and "://" not in each for each in written.values()):
        return None  # a mapping of something else, in which no value is an upstream
    # a name in capitals is reported where it is defined; elsewhere its lowercase form counts as defined
    return tuple(dict.fromkeys(each for name in written for each in (name, name_meant(name)) if each))


def _fault(written: Any, upstreams: tuple[str, ...] | None) -> FaultName:
    if not isinstance(written, dict):
        return FaultName(ANY)
    kinds = kinds_in(written)
    keys = FAULTS[kinds[0]].spelled_keys() if len(kinds) == 1 else Fault.spelled_keys()
    try:
        targets = targets_of(written["upstream"]) if written.get("upstream") else ()
    except PydanticCustomError:
        targets = ()
    name = written.get("name")
    if name is not None:
        return FaultName(name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) else ANY, targets)
    # an unknown key may be a misspelled `name`
    strays = [key for key in written if key not in keys and key not in FAULTS]
    if any(closest(key, keys) in ("", "name") for key in strays if kinds):
        return FaultName(ANY, targets)
    kind = kinds[0] if len(kinds) == 1 else ANY
    sound = targets and all(
        name in (ALL, SERVICE_TARGET) or upstreams is None or name.removeprefix(BUT) in upstreams for name in targets
    )
    return FaultName(default_name(targets if sound else (ANY,), kind), targets)


def _requests(load: Any) -> tuple[str, ...] | None:
    if not isinstance(load, dict) or any(key not in Load.spelled_keys() for key in load):
        return None
    parts = [part for _, part in request_parts(load)]
    if not parts or any(isinstance(part, dict) and set(part) - set(_REQUEST_KEYS) for part in parts):
        return None
    lines = [part.get("request") if isinstance(part, dict) else part for part in parts]
    # a text without a space is not a request line; gates may use the name that it should have
    if not all(isinstance(line, str) and " " in line for line in lines):
        return None
    given = [part.get("name") if isinstance(part, dict) else None for part in parts]
    names = [line if name is None else name for name, line in zip(given, lines, strict=True)]
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else None


# ---------------------------------------------------------------- where they are used


def unresolved(raw: Mapping[str, Any], names: Names) -> Iterator[Diagnostic]:
    """Unresolved names in faults, requests and templates; `gate_names` checks those in gates."""
    if names.upstreams is None:
        return
    for index, fault in enumerate(names.faults):
        for number, target in enumerate(fault.targets):
            name = target.removeprefix(BUT)
            if target not in (ALL, SERVICE_TARGET) and not names.has_upstream(name):
                path = ("faults", index, "upstream", *((number,) if name == target else ()))
                yield Diagnostic(path, f"there is no upstream `{name}`", _upstream_meant(name, names.upstreams))
    for at, request in request_parts(raw.get("load")):
        asks = request.get("asks") if isinstance(request, dict) else None
        for number, name in enumerate(asks if isinstance(asks, tuple) else ()):
            if isinstance(name, str) and not names.has_upstream(name):
                fix = known_upstream(name, names.upstreams)
                yield Diagnostic((*at, "asks", number), f"there is no upstream `{name}`", fix)
    load = raw.get("load")
    asks = load.get("asks") if isinstance(load, dict) else None
    for request, asked in asks.items() if isinstance(asks, dict) else ():
        for number, name in enumerate(asked if isinstance(asked, tuple) else ()):
            if isinstance(name, str) and not names.has_upstream(name):
                path = ("load", "asks", request, number)
                yield Diagnostic(path, f"there is no upstream `{name}`", known_upstream(name, names.upstreams))
    yield from _templates(raw, names.upstreams)


def _templates(raw: Mapping[str, Any], upstreams: tuple[str, ...]) -> Iterator[Diagnostic]:
    known = known_templates(raw, upstreams)
    written = raw.get("load")
    load: dict[str, Any] = written if isinstance(written, dict) else {}
    # a request's headers may contain columns of the data file; an unknown key may be a misspelled `data`
    with_data = load.get("data") is not None or any(key not in Load.spelled_keys() for key in load)
    for path, text in texts_with_templates(raw):
        is_login = path[:3] == LOGIN_REQUEST
        columns = path[0] == "load" and (with_data or (load.get("login") is not None and not is_login))
        for fault in template_faults(text, known, upstreams, keep_unknown=columns):
            yield Diagnostic(path, fault.message, fault.fix, offset=0 if path[1] == "command" else fault.offset)
    for path, text in upstream_command_texts(raw):
        for fault in template_faults(text, (OWN_PORT,), upstreams):
            yield Diagnostic(path, fault.message, fault.fix, offset=0 if path[2] == "command" else fault.offset)


def _upstream_meant(name: str, upstreams: Sequence[str]) -> str:
    several = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", name)
    return f"write a list: [{', '.join(several)}]" if len(several) > 1 else known_upstream(name, upstreams)


def known_upstream(name: str, upstreams: Sequence[str]) -> str:
    return did_you_mean(name, upstreams, otherwise=f"add `upstreams: {{{name}: {{}}}}`")


def sole_fault(names: Names) -> tuple[str, str]:
    """The name of the only fault and of the first upstream that it breaks; empty if there are several faults."""
    if len(names.faults) != 1:
        return "", ""
    (fault,) = names.faults
    hit = [name for name in hit_by(fault.targets, names.upstreams or ()) if name in (names.upstreams or ())]
    return "" if ANY in fault.pattern else fault.pattern, hit[0] if hit else ""
