"""A scenario's matrix: its model, the tree of each cell, and mistakes in the matrix itself. Pure.

`harness.scenario.load` checks whether each cell is a valid scenario.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.model.strict_model import StrictModel
from harness.model.tree import MappingNode, Node, SequenceNode, plain
from harness.model.value_types import did_you_mean, kind_of, refusal
from harness.scenario.schema.value_syntax import VERDICTS
from harness.scenario.source.diagnostics import Diagnostic, node_at
from harness.scenario.source.overrides import OverrideError, apply_override, parse_path
from harness.text import folder_name

CELLS_MAX: Final = 100


def _expected(value: Any) -> tuple[str, ...]:
    fix = "write a list, such as [fail]"
    if not isinstance(value, tuple) or not value:
        raise refusal(f"expected a list of verdicts, not {kind_of(value)}", fix)
    for word in value:
        if word not in VERDICTS:
            raise refusal(f"{kind_of(word)} is not a verdict", did_you_mean(str(word), VERDICTS))
    return value


def _varied(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or not value:
        raise refusal(f"expected a list of values, not {kind_of(value)}", "write [value, value]")
    for one in value:
        if isinstance(one, dict | tuple) or one is None:
            raise refusal(f"a value of a matrix is a text, a number, true or false, not {kind_of(one)}")
    if len({spell_value(one) for one in value}) < len(value):
        raise refusal("a value is listed twice", "list each value once")
    return value


def spell_value(value: Any) -> str:
    """A matrix value as it appears in a cell's name."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_SCALARS: Final = {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}
_VERDICTS: Final = {"type": "array", "minItems": 1, "items": {"enum": list(VERDICTS)}}


class Matrix(StrictModel):
    vary: Annotated[
        dict[str, Annotated[tuple[Any, ...], BeforeValidator(_varied), WithJsonSchema(_SCALARS)]], Field(min_length=1)
    ] = Field(description="Values by dotted path, such as service.rung; every combination is a cell")
    expect: dict[str, Annotated[tuple[str, ...], BeforeValidator(_expected), WithJsonSchema(_VERDICTS)]] = Field(
        {}, description="Verdicts by cell (values joined by /); a cell that is not listed must pass"
    )


@dataclass(frozen=True, slots=True)
class CellTree:
    """`tree` is the scenario without its matrix, with the cell's values set; `values` maps dotted paths to them."""

    name: str
    values: dict[str, Node]
    tree: MappingNode


def cell_trees(tree: MappingNode) -> tuple[list[CellTree], list[Diagnostic]]:
    """The cells in order, the last path varying fastest; none if the matrix itself is wrong."""
    vary = node_at(tree, ("matrix", "vary"))
    if not isinstance(vary, MappingNode):
        return [], []
    values = {key: node.items for key, node in vary.entries.items() if isinstance(node, SequenceNode)}
    count = math.prod(len(items) for items in values.values())
    if count > CELLS_MAX:  # before any is made
        return [], [Diagnostic(("matrix", "vary"), f"{count:,} cells are more than {CELLS_MAX}", "vary fewer values")]
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    names = ["/".join(spell_value(plain(node)) for node in chosen.values()) for chosen in combinations]
    findings = [*_shared_folders(names), *_unknown_cells(tree, names)]
    if findings:
        return [], findings
    cells = []
    for name, chosen in zip(names, combinations, strict=True):
        cell = tree.without("matrix")
        try:
            for key, node in chosen.items():
                cell = apply_override(cell, parse_path(key), node, vary.keys[key])
        except OverrideError as exc:
            return [], [Diagnostic(("matrix", "vary", key), str(exc), at_key=True)]
        cells.append(CellTree(name, chosen, cell))
    return cells, []


def _shared_folders(names: Sequence[str]) -> Iterator[Diagnostic]:
    """Cells whose names become the same folder name on disk."""
    folders: dict[str, str] = {}
    for name in names:
        other = folders.setdefault(folder_name(name).lower(), name)
        if other != name:
            found = f"the cells `{other}` and `{name}` would share a folder"
            yield Diagnostic(("matrix", "vary"), found, "vary by values that differ in letters or digits")


def _unknown_cells(tree: MappingNode, names: Sequence[str]) -> Iterator[Diagnostic]:
    expect = node_at(tree, ("matrix", "expect"))
    for name in expect.entries if isinstance(expect, MappingNode) else ():
        if name not in names:
            path = ("matrix", "expect", name)
            yield Diagnostic(path, f"there is no cell `{name}`", did_you_mean(name, names), at_key=True)
