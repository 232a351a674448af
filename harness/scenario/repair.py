"""What is left of a scenario that cannot be read whole, so that its other problems can be found as well.

Unknown keys are dropped; what is broken is set aside and stood in for. A repaired scenario is only
ever looked at for more problems, never run, and what is found in a stand-in is nobody's problem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pydantic import ValidationError

from harness.faults import FAULTS
from harness.fields import NAME_PATTERN, RESERVED
from harness.scenario.located import Mapping, plain
from harness.scenario.problems import Finding, Path
from harness.scenario.schema import Scenario

SECTIONS: Final = ("name", "service", "gateway", "load", "verdict", "toxiproxy")
# a locustfile has requests that nobody knows, so no gate can name a wrong one
ONE_OF: Final[dict[str, tuple[tuple[tuple[str, ...], str, Any], ...]]] = {
    "service": ((("command", "rung", "url"), "command", ("broken", "{port}")),),
    "load": (
        (("rate", "users", "stages", "replay"), "rate", "40/s"),
        (("request", "requests", "locustfile"), "locustfile", "broken.py"),
    ),
}
"""Per section: a group of keys, and the one to write where none of it is left."""
TIMELESS: Final = ("headers", "ok", "complete", "data", "request", "requests", "locustfile", "arrivals")
"""Keys of `load` that no window depends on."""
TIMES: Final = ("at", "for", "every")


@dataclass(slots=True)
class Repaired:
    """`times_hold`: windows can be reckoned. `unsure`: how the names of faults may begin that could not be told."""

    scenario: Scenario | None = None
    times_hold: bool = True
    unsure: set[str] = field(default_factory=set)
    aside: set[Path] = field(default_factory=set)

    def is_users(self, path: Path) -> bool:
        """Whether a finding at this path is about what the user wrote."""
        return not any(path[: len(prefix)] == prefix for prefix in self.aside)


def repair(tree: Mapping, findings: Sequence[Finding]) -> Repaired:
    raw = plain(tree)
    repaired = Repaired()
    for finding in findings:
        if finding.message.startswith("unknown key"):
            raw = _without(raw, finding.path)
    for finding in findings:
        # a part of a fault or an upstream may miss what its unknown key was meant to be
        in_part = finding.path[:1] in (("faults",), ("upstreams",)) and len(finding.path) > 3
        if finding.path and (in_part or not finding.message.startswith("unknown key")):
            raw = _set_aside(raw, finding.path, repaired)
    for section in SECTIONS:
        _stand_in(raw, section, repaired)
    try:
        repaired.scenario = Scenario.model_validate(raw)
    except ValidationError:
        repaired.scenario = None
    return repaired


def _set_aside(raw: dict[str, Any], path: Path, repaired: Repaired) -> dict[str, Any]:
    match path:
        case ("faults", int(index), *rest) if isinstance(raw.get("faults"), tuple):
            repaired.times_hold &= not (rest and rest[0] in TIMES)
            if path[:2] in repaired.aside:
                return raw
            repaired.aside.add(path[:2])
            stand_in = _fault_stand_in(raw["faults"][index], index, repaired)
            return {**raw, "faults": _replaced(raw["faults"], index, stand_in)}
        case ("upstreams", str(name), *_) if isinstance(raw.get("upstreams"), dict):
            good = re.fullmatch(NAME_PATTERN, name) and name not in RESERVED
            others = {key: value for key, value in raw["upstreams"].items() if key != name}
            repaired.aside.add(path[:2])
            return {**raw, "upstreams": {**others, name: {}} if good else others}
        case (str(section),) if section in SECTIONS and isinstance(raw.get(section), dict):
            return raw  # a key is missing in it
        case ("load", str(key), *_):
            repaired.times_hold &= key in TIMELESS
            path = path[:2]  # half a request is none
        case ("gateway" | "verdict", *_):
            repaired.times_hold = False
    repaired.aside.add(path)
    return cast("dict[str, Any]", _without(raw, path))


def _stand_in(raw: dict[str, Any], section: str, repaired: Repaired) -> None:
    """Writes what a section cannot do without."""
    if section == "name":
        raw.setdefault("name", "broken")
        return
    if not isinstance(raw.get(section), dict):
        repaired.times_hold &= section not in ("gateway", "load", "verdict") or section not in raw
        raw[section] = {}
    for group, key, value in ONE_OF.get(section, ()):
        if all(raw[section].get(each) is None for each in group):
            repaired.aside.add((section, key))
            repaired.times_hold &= key not in ("rate",)
            raw[section] = {**raw[section], key: value}


def _fault_stand_in(fault: Any, index: int, repaired: Repaired) -> dict[str, Any]:
    """As long and as late as what it stands for, and called the same."""
    name = _name_of(fault)
    if not name:
        upstream = fault.get("upstream") if isinstance(fault, dict) else None
        repaired.unsure.add(f"{upstream}-" if isinstance(upstream, str) else "")
    times = {key: fault[key] for key in TIMES if fault.get(key) is not None} if isinstance(fault, dict) else {}
    if "for" not in times:
        repaired.times_hold = False
    return {"for": "60s", **times, "name": name or f"broken-{index}", "upstream": "all", "latency": "1s"}


def _name_of(fault: Any) -> str:
    """What a fault that cannot be read would have been called; empty where that is unknown."""
    if not isinstance(fault, dict):
        return ""
    name = fault.get("name")
    if name is None:
        kind = next((each.KIND for each in FAULTS if each.KIND in fault), "")
        upstream = fault.get("upstream")
        names = upstream if isinstance(upstream, tuple) else (upstream,)
        name = f"{'-'.join(str(each) for each in names)}-{kind.replace('_', '-')}" if kind and upstream else ""
    return name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) and name not in RESERVED else ""


def _replaced(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _without(value: Any, path: Path) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step in value:
        if not rest:
            return {key: inner for key, inner in value.items() if key != step}
        return {**value, step: _without(value[step], rest)}
    if isinstance(value, tuple) and isinstance(step, int) and step < len(value):
        return _replaced(value, step, _without(value[step], rest))
    return value
