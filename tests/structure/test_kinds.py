"""Nothing decides by the wording of a reason, a message or a detail: those are for people, and kinds are for programs.

The product code is read as a syntax tree. Comparing such a text, looking for words in it, splitting it or matching it
is a finding. Putting it into another sentence is not.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("harness", "scenarios", "fake_backends", "reports")
TEXTS = {"reason", "message", "detail", "why", "fix", "msg"}
"""Attributes that hold a sentence for people."""
METHODS = {
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit", "find",
    "rfind", "index", "count",
}  # fmt: skip
MATCHERS = {"match", "search", "fullmatch", "findall", "finditer"}
KINDS = ("ended.reason", "decision.reason")
"""Attributes of that name which are a kind: how a run ended, and why a share is undecided, each a Literal."""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in TEXTS and not ast.unparse(node).endswith(KINDS)


def _is_prose(node: ast.expr) -> bool:
    """A sentence's beginning, such as `did you mean`: three words of letters or more."""
    words = node.value.split() if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
    return len(words) >= 3 and all(word.isalpha() for word in words)


def matches_on_texts(source: str) -> list[str]:
    """`LINE: code` of each place that decides by the wording of such a text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                hit = any(
                    (isinstance(op, ast.In | ast.NotIn) and _is_text(other))
                    or (isinstance(op, ast.Eq | ast.NotEq) and any(map(_is_text, sides)))
                    for op, other in zip(ops, others, strict=True)
                )
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args):
                hit = (name in METHODS and _is_text(value)) or (name in MATCHERS and any(map(_is_text, args)))
                hit = hit or (name in METHODS and any(map(_is_prose, args)))
            case ast.Match(subject=subject):
                hit = _is_text(subject)
            case _:
                hit = False
        if hit:
            assert isinstance(node, ast.expr | ast.stmt)
            found.append(f"{node.lineno}: {ast.unparse(node).splitlines()[0]}")
    return found


def _places() -> dict[str, list[str]]:
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if hits := matches_on_texts(path.read_text(encoding="utf-8")):
                found[str(path.relative_to(ROOT))] = hits
    return found


def test_nothing_decides_by_the_wording_of_a_sentence() -> None:
    assert _places() == {}


def test_each_way_to_match_on_a_text_is_seen() -> None:
    for line in (
        'x = "guard_too_short" in result.reason',
        "x = MUTE not in gate.reason",
        'x = finding.message.startswith("did you mean")',
        'x = gate.reason.partition(";")[0]',
        'x = hint.startswith("did you mean")',
        "x = STATE.findall(gate.reason)",
        'x = re.search("late", check.detail)',
        'x = results.reason == "interrupted"',
        "match error.message:\n    case 'late': pass",
    ):
        assert matches_on_texts(line), line
    for line in (
        'x = f"{gate.text}: {gate.reason}"',
        "x = gate.kind == FindingKind.STOPPED",
        "x = gate.reason or other",
        'x = ended.reason == "done"',
        'x = text.startswith("a")',
    ):
        assert not matches_on_texts(line), line
