"""`complete` where nothing in an answer shows an upstream: the scenario is refused, and told what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario import world
from tests.scenario.world import only_problem, problems

GATE = ("- errors < 1% during", "- complete > 99% during")
REAL = ("  gcp: {}", "  gcp: {}\n  pay: http://localhost:9400")
ROUTED = ("  gcp: {}", "  gcp: {}\n  cars: {routes: {GET /cars: {json: {cars: []}}}}")
COMMAND = ("  gcp: {}", "  gcp: {}\n  cache: {command: 'true {port}'}")
MARKED = ("  gcp: {}", '  gcp: {}\n  cars: {routes: {GET /cars: {json: {cars: ["{mark}"]}}}}')
BOTH = ("  gcp: {}", f"{ROUTED[1]}\n  pay: http://localhost:9400")
JMESPATH = "write `load.complete: {jmespath: …}`"


def changed(*changes: tuple[str, str]) -> str:
    """The good scenario with a service that is told of every upstream, and with these changes."""
    text = world.changed(("{rung: timeout}", "{command: 'true {port}', env: {ALL: 'TOLD'}}"), *changes)
    names = [name for name in ("azure", "gcp", "cars", "cache", "pay") if f"  {name}: " in text]
    return text.replace("TOLD", " ".join(f"{{{name}.url}}" for name in names))


@pytest.mark.parametrize(
    ("upstream", "lacks", "fix"),
    [
        (REAL, "lacks pay", JMESPATH),
        (COMMAND, "lacks cache", JMESPATH),
        (ROUTED, "lacks cars", "put {mark} into a text of its routes"),
        (BOTH, "lacks cars, pay", JMESPATH),
    ],
)
def test_a_gate_without_complete_names_who_has_no_mark(
    tmp_path: Path, upstream: tuple[str, str], lacks: str, fix: str
) -> None:
    found = only_problem(tmp_path, changed(GATE, upstream))
    assert found.path == "gates[1]"
    assert found.message.endswith(lacks)
    assert found.fix.startswith(fix)
    assert "none" not in found.message + found.fix


def test_a_gate_with_complete_none_is_told_so_whatever_the_upstreams_are(tmp_path: Path) -> None:
    for upstream in (REAL, MARKED):
        text = changed(GATE, upstream, ("rate: 40/s", "rate: 40/s\n  complete: none"))
        assert only_problem(tmp_path, text).fix == "remove `complete: none`"


def test_a_gate_stands_where_every_upstream_has_a_mark_or_an_expression_finds_it(tmp_path: Path) -> None:
    assert problems(tmp_path, changed(GATE, MARKED)) == ()
    found_by = ("rate: 40/s", 'rate: 40/s\n  complete: {jmespath: "offers[].backend"}')
    assert problems(tmp_path, changed(GATE, REAL, found_by)) == ()


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        (REAL, "what it answers is not written in the scenario"),
        (COMMAND, "what it answers is not written in the scenario"),
        (ROUTED, "none of its routes has a {mark}"),
    ],
)
def test_auto_says_why_an_upstream_is_not_found(tmp_path: Path, upstream: tuple[str, str], why: str) -> None:
    found = only_problem(tmp_path, changed(upstream, ("rate: 40/s", "rate: 40/s\n  complete: auto")))
    assert found.path == "load.complete"
    assert why in found.message
    assert ("put {mark}" in found.fix) == (upstream is ROUTED)
