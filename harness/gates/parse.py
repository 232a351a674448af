"""Parses a gate's text into a gate. It knows the grammar of gates, and nothing of the scenario around them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from harness.gates import GATES, Gate, GateKind, GateSyntaxError
from harness.gates.syntax.tokenizer import SubjectError, Tokens
from harness.model.value_types import closest, refusal

__all__ = ["GateSyntaxError", "parse_gate"]

_PERCENTILE: Final = re.compile(r"p\d")
_FOR_BEHIND: Final = re.compile(r'([^<>="]+)([<>=][^"]*?) (for (?:"[^"]*"|\S+))(.*)')
"""A gate whose `for REQUEST` follows the limit: its subject, comparison with limit, request, and the rest."""
_KEPT_MOST: Final = 1_000
"""As many parsed gates are kept: more than a scenario and its matrix have."""
_ABOVE: Final = ("complete", "throughput")
_COSTS: Final = (
    "memory",
    "mem",
    "ram",
    "vms",
    "uss",
    "pss",
    "fds",
    "files",
    "handles",
    "connections",
    "processes",
)
"""Words that people write for resources of the service which no gate measures, or by another name."""


def gate_text(value: Any) -> Any:
    """The value unchanged. Raises a refusal if it is a mapping such as `{p99: 2s}`, with the gate that it means."""
    if isinstance(value, dict) and len(value) == 1:
        ((metric, limit),) = value.items()
        if isinstance(limit, str | int | float) and not isinstance(limit, bool):
            above = str(metric).partition(" ")[0] in _ABOVE
            spelled = f"{limit}" if str(limit)[:1] in "<>" else f"{'>' if above else '<'} {limit}"
            raise refusal("expected text, not a mapping", _fix_of(f"{metric} {spelled}"))
    return value


@lru_cache(maxsize=_KEPT_MOST)
def parse_gate(text: str) -> Gate:
    """The gate that `text` describes, parsed once for loading, early stopping, judging and reporting. Raises
    GateSyntaxError with the position, the reason and a fix."""
    words = Tokens(text)
    first = words.peek()
    if kind := _kind_of(first):
        try:
            gate = kind.parse(words)
        except SubjectError as exc:
            fix = _write(_meant(text)) or exc.fix
            raise GateSyntaxError(exc.message, fix, exc.offset) from None
        try:
            words.end()
        except GateSyntaxError as exc:
            raise GateSyntaxError(exc.message, _for_in_front(text) or exc.fix, exc.offset) from None
        return gate
    offset = words.offset
    if not first:
        raise GateSyntaxError("the gate is empty", "p99 < 2s", offset)
    if first.lower() in _COSTS:
        raise GateSyntaxError(
            f"`{first}` is not something a gate can measure",
            "of the service's resources it can measure rss (its memory), threads, sockets, cpu and log, such as "
            "rss < 300MB or cpu < 5ms",
            offset,
        )
    if fix := _write(_meant(text)):
        raise GateSyntaxError(f"`{first}` is not something a gate can measure", fix, offset)
    close = closest(first.lower(), GATES)
    fix = f"did you mean `{close}`?" if close else "a gate begins with p99, errors, timeouts, complete, calls …"
    raise GateSyntaxError(f"`{first}` is not something a gate can measure", fix, offset)


def _for_in_front(text: str) -> str:
    """The fix for `for REQUEST` behind the limit: the gate with it before the comparison, where it belongs, or without
    it where a kind of gate has none. Empty if the text has none there, or is no gate in either way."""
    match = _FOR_BEHIND.fullmatch(text)
    if match is None:
        return ""
    subject, limit, request, rest = (each.strip() for each in match.groups())
    if fix := _write(_valid((f"{subject} {request} {limit} {rest}".strip(),))):
        return fix
    alone = _write(_valid((f"{subject} {limit} {rest}".strip(),)))
    return f"`{subject.partition(' ')[0]}` is of the whole service and has no `for`: {alone}" if alone else ""


def _fix_of(text: str) -> str:
    """A fix for a gate that was written as a mapping, whose text would be `text`."""
    texts = _valid((text,)) or _meant(text)
    if texts:
        return _write(texts)
    try:
        parse_gate(text)
    except GateSyntaxError as exc:
        return f"write a gate as text, `{text}`; in it, {exc.message}: {exc.fix}"
    return ""


def _meant(text: str) -> tuple[str, ...]:
    """The gates that a text which is none may mean."""
    from harness.gates.syntax.synonyms import meant_gate  # a late import, since most scenarios have no such text

    return _valid(meant_gate(text).texts)


def _write(texts: tuple[str, ...]) -> str:
    """`write `a` or `b``; empty without texts."""
    return f"write {' or '.join(f'`{text}`' for text in texts)}" if texts else ""


def _valid(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in texts if _is_gate(text))


def _is_gate(text: str) -> bool:
    words = Tokens(text)
    kind = _kind_of(words.peek())
    if kind is None:
        return False
    try:
        kind.parse(words)
        words.end()
    except GateSyntaxError:
        return False
    return True


def _kind_of(word: str) -> GateKind | None:
    """The kind of a gate that begins with this word; None if no gate does."""
    name = "p99" if _PERCENTILE.match(word) else word
    return GATES.get(name)
