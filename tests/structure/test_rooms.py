"""The shape of the house: how many modules a room holds, how long these and their functions are, that each has its
layer, and that no name is taken twice."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("harness", "scenarios", "fake_backends", "aggregator", "reports")
TESTER = ("harness", "scenarios", "fake_backends", "reports")
LOOSE_MOST = 10
"""Modules of the harness that lie in no room."""
ROOM_MOST = 16
FUNCTION_LINES_MOST = 50
MODULE_LINES_MOST = 400
UNBOUNDED = ("harness/faults",)
"""A list of kinds, one a file: it grows with every kind."""


def modules(*packages: str) -> Iterator[Path]:
    """Every module, as a path below ROOT; `__init__.py` stands for its package and is left out."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__init__.py":
                yield path.relative_to(ROOT)


def contracts() -> list[dict[str, object]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = document["tool"]["importlinter"]["contracts"]
    return found


def layers_of(container: str) -> set[str]:
    """The modules that the layers contract of `container` names; of the whole tree where it is empty."""
    for contract in contracts():
        if contract["type"] == "layers" and contract.get("containers", [""]) == [container]:
            layers = contract["layers"]
            assert isinstance(layers, list)
            return {name.strip() for layer in layers for name in layer.split("|")}
    raise AssertionError(f"no layers are laid down for {container!r}")


def test_few_modules_lie_outside_every_room() -> None:
    loose = [path for path in modules("harness") if path.parent == Path("harness")]
    assert len(loose) <= LOOSE_MOST, loose


def test_no_room_is_a_hall() -> None:
    rooms: dict[str, list[str]] = defaultdict(list)
    for path in modules(*PACKAGES):
        rooms[str(path.parent)].append(path.name)
    halls = {room: names for room, names in rooms.items() if len(names) > ROOM_MOST and room not in UNBOUNDED}
    assert halls == {}


def test_no_function_is_longer_than_can_be_read_at_once() -> None:
    long = [
        f"{path}: {node.name} has {length} lines"
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MOST
    ]
    assert long == []


def test_no_module_is_a_book() -> None:
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in modules(*PACKAGES)}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES_MOST} == {}


def test_every_module_stands_in_the_import_contract() -> None:
    named = layers_of("")
    for path in modules(*TESTER):
        dotted = ".".join(path.with_suffix("").parts)
        assert any(dotted == layer or dotted.startswith(f"{layer}.") for layer in named), dotted


def test_the_rooms_of_stack_scenario_and_run_are_layers_to_the_last_module() -> None:
    for container in ("harness", "harness.stack", "harness.scenario", "harness.run"):
        folder = ROOT / Path(*container.split("."))
        there = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        assert there - {"__init__"} == layers_of(container), container
        (contract,) = [one for one in contracts() if one.get("containers") == [container]]
        assert contract["exhaustive"] is True


def test_no_public_class_name_is_used_twice_in_the_tester() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules(*TESTER):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
