"""Hints for a misplaced key: an unknown key `asks` in `load` belongs to a request. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from harness.faults import FAULTS
from harness.model.strict_model import StrictModel
from harness.scenario.schema.login import Login
from harness.scenario.schema.matrix import Matrix
from harness.scenario.schema.requests import Expect, Request, StagePart
from harness.scenario.schema.scenario import Gateway, Load, Scenario, Service, Verdict
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.kinds import upstream_kinds

NEAR: Final = 0.8
"""How alike a misspelling and the key that it was meant to be must be to outdo a key that is right elsewhere."""
PLACES_MOST: Final = 3
"""A key of more places than these says nothing about where it was meant to stand."""


def key_hint(finding: Diagnostic) -> Diagnostic:
    """The diagnostic of an unknown key, with the part it belongs to as the fix, unless a key of its mapping is
    similar."""
    if finding.meant_key is None:
        return finding
    key = str(finding.path[-1])
    import difflib  # a late import, since most scenarios have no unknown key

    if finding.meant_key and difflib.SequenceMatcher(None, key, finding.meant_key).ratio() >= NEAR:
        return finding
    if key == "duration" and ("stages" in finding.path or finding.path[0] == "faults"):
        return replace(finding, fix="write `for`")
    places = [place for place, parts in _places() if any(key in part.spelled_keys() for part in parts)]
    if not places or len(places) > PLACES_MOST:
        return finding
    listed = f"{', '.join(places[:-1])} or {places[-1]}" if places[1:] else places[0]
    return replace(finding, fix=f"`{key}` belongs to {listed}")


def _places() -> tuple[tuple[str, tuple[type[StrictModel], ...]], ...]:
    """The parts of a scenario, in words, with the models of each."""
    return (
        ("the scenario itself", (Scenario,)),
        ("`service`", (Service,)),
        ("an upstream", upstream_kinds()),
        ("`gateway`", (Gateway,)),
        ("`load`", (Load,)),
        ("a stage of `stages`", (StagePart,)),
        ("a request", (Request,)),
        ("the `expect` of a request", (Expect,)),
        ("`load.login`", (Login,)),
        ("a fault", FAULTS.kinds()),
        ("`verdict`", (Verdict,)),
        ("`matrix`", (Matrix,)),
    )
