"""YAML as a located tree: YAML 1.2, places, and every structural mistake with its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import Problem
from harness.model.tree import MappingNode, Node, ScalarNode, SequenceNode, Source, plain
from harness.model.yaml_parser import parse


def read(text: str) -> tuple[Node | None, tuple[Problem, ...]]:
    return parse(text, Source("x.yaml", Path(), tuple(text.split("\n"))))


def value(text: str) -> object:
    node, problems = read(text)
    assert node is not None
    assert problems == ()
    return plain(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: on", {"a": "on"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: true", {"a": True}),
        ("a: 'true'", {"a": "true"}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 0o17", {"a": 15}),
        ("a: 017", {"a": 17}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 1.5", {"a": 1.5}),
        ("a: 1e999", {"a": "1e999"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ('a: "1"', {"a": "1"}),
        ("a: |\n  1", {"a": "1"}),
        ("a: [1, x, {b: c}]", {"a": (1, "x", {"b": "c"})}),
        ("a: &x 5\nb: *x", {"a": 5, "b": 5}),
        ("a: " + "9" * 5000, {"a": "9" * 5000}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    assert value(text) == expected


def test_every_node_knows_its_place() -> None:
    node, _ = read("a:\n  - b: [x, yy]\n")
    assert isinstance(node, MappingNode)
    listing = node.entries["a"]
    assert isinstance(listing, SequenceNode)
    inner = listing.items[0]
    assert isinstance(inner, MappingNode)
    assert (inner.keys["b"].line, inner.keys["b"].col) == (2, 5)
    leaves = inner.entries["b"]
    assert isinstance(leaves, SequenceNode)
    assert leaves.flow
    assert isinstance(leaves.items[1], ScalarNode)
    assert (leaves.items[1].place.line, leaves.items[1].place.col) == (2, 12)


@pytest.mark.parametrize(
    ("text", "line", "col", "message", "fix"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "`a` is written twice", "the first is on line 1; keep one"),
        ("b: {<<: {a: 1}}", 1, 5, "merge keys (`<<`) are not part of YAML 1.2", "use `extends`"),
        ("a: !secret x", 1, 4, "the tag `!secret` means nothing here", "remove it"),
        ("? [a]\n: 3", 1, 3, "a key must be text", "quote a key"),
        ("a: &a [*a]", 1, 8, "`*a` is within the value that it stands for", "write the value out"),
        ("a: 1\n---\nb: 2", 2, 1, "a file contains one scenario", "a file of its own"),
        ("a:\n\tb: 1", 2, 1, "YAML is indented with spaces, and this is a tab", "indent with spaces"),
        ("a: {b: http://x:{port}/}", 1, 17, "the unquoted {port}", 'like "http://x:{port}"'),
        ("a: b: c", 1, 5, "mapping values are not allowed", "quote a text that contains `: `"),
        ("a: [1, 2", 1, 9, "not YAML", "a bracket or a comma is missing"),
        ("a: *b", 1, 4, "there is no anchor `&b` before this", "begins with `*` needs quotes"),
        ("a: x\x01", 1, 5, "YAML allows no character 0x01", "remove it"),
    ],
)
def test_structure_that_is_refused(text: str, line: int, col: int, message: str, fix: str) -> None:
    _, problems = read(text)
    assert len(problems) == 1, problems
    assert (problems[0].line, problems[0].col) == (line, col)
    assert message in problems[0].message
    assert fix in problems[0].fix


def test_two_structural_problems_come_together() -> None:
    _, problems = read("a: 1\na: 2\nb: !x 3\n")
    assert len(problems) == 2


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    node, problems = read("\n".join(lines))
    assert node is None
    assert [problem.message for problem in problems] == [
        "a scenario has at most 20,000 keys and values, with aliases written out"
    ]


def test_deep_nesting_is_a_problem_not_a_crash() -> None:
    _, problems = read("[" * 3000)
    assert "more than 64 levels are too deep" in problems[0].message


def test_an_empty_text_is_no_document() -> None:
    assert read("# only a comment\n") == (None, ())
