"""What is left of a scenario that cannot be read whole, so that its other problems can be found as well.

Unknown keys are dropped; what is broken is set aside and stood in for, in a few rounds, since what is wrong between
fields of a part shows only when each of them can be read. A repaired scenario is only ever looked at for more
problems, never run, and neither what is found in a stand-in nor what follows from one is anybody's problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from harness.model.value_types import NAME_PATTERN, RESERVED
from harness.scenario.names.broken_fault import stand_in
from harness.scenario.names.broken_service import repaired_service
from harness.scenario.names.broken_upstream import SIZES, lost_with
from harness.scenario.names.repaired import Repaired
from harness.scenario.schema.listed import listed_names
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic, Path, findings_of
from harness.scenario.source.tree import MappingNode, plain

ROUNDS: Final = 4
TIMELESS: Final = ("headers", "ok", "complete", "data", "request", "requests", "locustfile", "arrivals")
"""Keys of `load` that no window depends on."""
GROUPS: Final = (
    (("rate", "users", "stages", "replay"), "rate", "40/s"),
    # a locustfile has requests that nobody knows, so no gate can name a wrong one
    (("request", "requests", "locustfile"), "locustfile", "broken.py"),
)
"""Of `load`: keys of which one is needed, and the one to write where none of it is left."""
SECTIONS_OF: Final[dict[type, tuple[str, ...]]] = {
    dict: ("upstreams", "gateway", "verdict"),
    tuple: ("faults", "gates"),
}
"""What a section of an unheard-of name may have been meant to be, by what it is."""


def repair(tree: MappingNode, findings: Sequence[Diagnostic]) -> Repaired:
    raw = plain(tree)
    repaired = Repaired()
    for _ in range(ROUNDS):
        raw = _mended(raw, findings, repaired)
        try:
            repaired.scenario = Scenario.model_validate(raw)
            break
        except ValidationError as exc:
            findings = list(findings_of(exc))
            repaired.more += [finding for finding in findings if repaired.is_users(finding.path)]
    # what a fault is called or does says less of it than whom it breaks
    repaired.kept = {path for path in repaired.kept if path[0] != "faults" or path[2] == "upstream"}
    return repaired


def _mended(raw: dict[str, Any], findings: Sequence[Diagnostic], repaired: Repaired) -> dict[str, Any]:
    broken = [_broken(finding) for finding in findings]
    for path in broken:
        if path and path[0] not in ("faults", "service"):
            raw = _set_aside(raw, path, repaired)
    raw = _with_faults(raw, [path for path in broken if path[:1] == ("faults",)], repaired)
    raw.setdefault("name", "broken")
    _with_service(raw, [path[1:] for path in broken if path[:1] == ("service",)], repaired)
    for section in ("gateway", "load", "verdict", "toxiproxy"):
        if not isinstance(raw.get(section), dict):
            raw[section] = {}
    for group, key, value in GROUPS:
        if all(raw["load"].get(each) is None for each in group):
            repaired.aside.add(("load", key))
            repaired.times_hold &= key in TIMELESS
            raw["load"] = {**raw["load"], key: value}
    return raw


def _broken(finding: Diagnostic) -> Path:
    """The path of what cannot be read. Of an unknown key it is that of the key which was meant, too: see `_meant`."""
    return (*finding.path, _meant(finding)) if finding.message.startswith("unknown key") else finding.path


class _Meant(str):
    """As the last step of a path: the step before is an unknown key, and was meant to be this one (or nothing)."""


def _meant(finding: Diagnostic) -> _Meant:
    match = re.match(r"did you mean `(.+)`\?", finding.fix)
    return _Meant(match[1] if match else "")


def _set_aside(raw: dict[str, Any], path: Path, repaired: Repaired) -> dict[str, Any]:
    unknown = isinstance(path[-1], _Meant)
    match path:
        case (str(key), _Meant() as meant):
            for section in [meant] if meant else SECTIONS_OF.get(type(raw.get(key)), ()):
                _missing_section(raw, section, repaired)
            return _less(raw, key)
        case ("upstreams", *rest):
            return _with_upstream(raw, rest, repaired)
        case ("load", str(key), _Meant() as meant):
            repaired.times_hold &= meant in TIMELESS
            meant_data = meant == "data" or (not meant and not raw["load"].get("data"))
            return _without(raw, "load", (key, *(("data",) if meant_data else ())), repaired)
        case ("load", str(key), *_):
            repaired.times_hold &= key in TIMELESS
            repaired.aside.add(path[:2])  # half a request is none
            return _without(raw, "load", (key,), repaired)
        case ("load" | "gateway" | "verdict" | "toxiproxy" as section,) if isinstance(raw.get(section), dict):
            return raw  # a key is missing in it
        case ("gateway" | "verdict" | "toxiproxy" as section, str(key), *_):
            repaired.times_hold &= section == "toxiproxy"
            if not unknown:
                repaired.aside.add(path[:2])
            return _without(raw, section, (key,), repaired)
        case ("gates", *_):
            repaired.gates_hold = False
    repaired.times_hold &= path[0] not in ("gateway", "load", "verdict")
    repaired.aside.add(path)
    return _less(raw, str(path[0]))


def _missing_section(raw: dict[str, Any], section: str, repaired: Repaired) -> None:
    """It has a wrong name; its own may stand there besides."""
    if section in raw:
        return
    repaired.times_hold &= section not in ("gateway", "verdict", "load", "faults")
    repaired.gates_hold &= section != "gates"
    if section == "faults":
        repaired.unsure.fault_prefixes.add("")
    if section == "upstreams":
        raw["upstreams"] = _any_upstream(repaired)


def _without(raw: dict[str, Any], section: str, keys: Iterable[str], repaired: Repaired) -> dict[str, Any]:
    held = raw.get(section)
    if not isinstance(held, dict):
        return raw
    left = _less(held, *keys)
    if section == "load" and "data" in keys:
        left["data"] = "broken.csv"  # without one, columns in headers would be taken for templates
        repaired.aside.add(("load", "data"))
    return {**raw, section: left}


# ---------------------------------------------------------------- upstreams, faults, service


def _any_upstream(repaired: Repaired) -> dict[str, Any]:
    repaired.unsure.any_upstream = True
    repaired.sizes_hold = False
    return {"broken": {}}


def _with_upstream(raw: dict[str, Any], rest: Sequence[str | int], repaired: Repaired) -> dict[str, Any]:
    upstreams = raw.get("upstreams")
    if not rest or not isinstance(upstreams, dict):
        repaired.aside.add(("upstreams",))
        repaired.sizes_hold = False
        names = listed_names(upstreams)
        return {**raw, "upstreams": {name: {} for name in names} if names else _any_upstream(repaired)}
    name, *keys = (str(step) for step in rest)
    repaired.aside.add(("upstreams", name))
    if not re.fullmatch(NAME_PATTERN, name) or name in RESERVED:
        repaired.unsure.upstreams |= {name, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")}
        others = _less(upstreams, name)
        return {**raw, "upstreams": others or _any_upstream(repaired)}
    held = upstreams.get(name)
    if not keys or not isinstance(held, dict):
        repaired.sizes_hold = False
        return {**raw, "upstreams": {**upstreams, name: {}}}
    lost = lost_with(held, keys[0], keys[1] if len(keys) == 2 and isinstance(rest[-1], _Meant) else None)
    repaired.sizes_hold &= not lost & set(SIZES)
    repaired.kept = {path for path in repaired.kept if path[:2] != ("upstreams", name)}
    repaired.kept |= {("upstreams", name, key) for key in held if key not in lost}
    return {**raw, "upstreams": {**upstreams, name: _less(held, *lost)}}


def _with_faults(raw: dict[str, Any], broken: Sequence[Path], repaired: Repaired) -> dict[str, Any]:
    faults = raw.get("faults")
    if any(len(path) == 1 for path in broken) or (broken and not isinstance(faults, tuple)):
        repaired.aside.add(("faults",))
        repaired.unsure.fault_prefixes.add("")
        repaired.times_hold = False
        return _less(raw, "faults")
    rests: dict[int, list[Path]] = {}
    for path in broken:
        if isinstance(path[1], int):
            rests.setdefault(path[1], []).append(path[2:])
    left = list(faults or ())
    upstreams = raw.get("upstreams")
    known = upstreams if isinstance(upstreams, dict) else ()
    for index, mine in rests.items():
        meant = {str(path[1]) for path in mine if len(path) == 2 and isinstance(path[1], _Meant)}
        lost = {str(path[0]) for path in mine if path and (len(path) != 2 or not isinstance(path[1], _Meant))}
        made = stand_in(left[index], index, lost, meant, known)
        if made.prefix is not None:
            repaired.unsure.fault_prefixes.add(made.prefix)
        if made.ending is not None:
            repaired.unsure.fault_endings.add(made.ending)
        repaired.times_hold &= made.times_hold
        repaired.doubtful_faults.add(str(made.fault["name"]))
        kept: set[Path] = {("faults", index, key) for key in made.kept}
        if ("faults", index) in repaired.aside:  # what was stood in for before is not the user's now
            kept &= repaired.kept
            repaired.kept -= {("faults", index, key) for key in (*made.fault, *lost)} - kept
        repaired.kept |= kept
        repaired.aside.add(("faults", index))
        left[index] = made.fault
    return {**raw, "faults": tuple(left)} if broken else raw


def _with_service(raw: dict[str, Any], broken: Sequence[Path], repaired: Repaired) -> None:
    written = raw.get("service")
    if not broken and isinstance(written, dict):
        return
    for path in broken:
        match path:  # of an environment and of headers the other entries are still right
            case ("env" | "headers" as key, str(name), *_) if isinstance(written, dict) and _holds(written, key, name):
                written = {**written, key: _less(written[key], name)}
                repaired.aside.add(("service", key, name))
                repaired.unsure.port |= key == "env"
    broken = [path for path in broken if ("service", *path[:2]) not in repaired.aside]
    gateway = raw.get("gateway")
    external = isinstance(gateway, dict) and gateway.get("kind") == "external"
    lost = {str(path[0]) for path in broken if path}
    meant = {str(path[-1]) for path in broken if len(path) == 2 and isinstance(path[-1], _Meant)}
    made = repaired_service(written, lost, meant, external=external)
    repaired.aside |= {("service", key) for key in made.aside}
    repaired.aside |= {("gateway", "kind")} if made.unsure_which else set()
    repaired.unsure.port |= made.unsure_port
    raw["service"] = made.service


def _holds(written: dict[str, Any], key: str, name: str) -> bool:
    held = written.get(key)
    return isinstance(held, dict) and name in held


def _less(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
