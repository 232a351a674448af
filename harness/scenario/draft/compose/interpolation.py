"""Variables in the values of a compose file: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?error}`, `${NAME:+text}`.

`$$` is a dollar sign. Pure; defaults may hold variables themselves, to a depth of eight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEPTH_MOST: Final = 8
LONGEST: Final = 20_000
"""Characters of a value that are searched for variables."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS: Final = (":-", ":?", ":+", "-", "?", "+")


@dataclass(frozen=True, slots=True)
class ComposeVariable:
    """`operator`: one of `:-`, `-`, `:?`, `?`, `:+`, `+`, or empty. `operand`: what follows it, not interpolated."""

    name: str
    operator: str = ""
    operand: str = ""

    @property
    def has_default(self) -> bool:
        return self.operator in (":-", "-")

    @property
    def is_replaced(self) -> bool:
        """Whether the text after the operator stands in place of the value of a variable that is set."""
        return self.operator in (":+", "+")


def pieces_of(text: str) -> tuple[str | ComposeVariable, ...]:
    """Literal texts, with `$$` as `$`, and variables in turn. A `$` that begins no variable is literal."""
    pieces: list[str | ComposeVariable] = []
    literal: list[str] = []
    at = 0
    while at < len(text):
        dollar = text.find("$", at, LONGEST)
        if dollar < 0:
            literal.append(text[at:])
            break
        literal.append(text[at:dollar])
        variable, end = _variable_at(text, dollar)
        if variable is None:
            literal.append("$")
        else:
            if any(literal):
                pieces.append("".join(literal))
            literal = []
            pieces.append(variable)
        at = end
    return (*pieces, "".join(literal)) if any(literal) else tuple(pieces)


def _variable_at(text: str, dollar: int) -> tuple[ComposeVariable | None, int]:
    """The variable that begins at the dollar sign, if one does, and where the text goes on."""
    if text.startswith("$$", dollar):
        return None, dollar + 2
    if found := _NAME.match(text, dollar + 1):
        return ComposeVariable(found[0]), found.end()
    found = _NAME.match(text, dollar + 2) if text.startswith("${", dollar) else None
    end = _closing_brace(text, dollar + 2) if found else -1
    if found is None or end < 0:
        return None, dollar + 1
    rest = text[found.end() : end]
    operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
    if rest and not operator:
        return None, dollar + 1
    return ComposeVariable(found[0], operator, rest[len(operator) :]), end + 1


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for at in range(start, min(len(text), LONGEST)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
    return -1


def evaluated(text: str, environ: Mapping[str, str], depth: int = 0) -> str:
    """The text as compose would see it. A variable that is not set and has no default is empty."""
    if depth > DEPTH_MOST:
        return ""
    return "".join(piece if isinstance(piece, str) else _value(piece, environ, depth) for piece in pieces_of(text))


def _value(variable: ComposeVariable, environ: Mapping[str, str], depth: int) -> str:
    value = environ.get(variable.name)
    is_given = bool(value) if variable.operator.startswith(":") else value is not None
    if variable.is_replaced:
        return evaluated(variable.operand, environ, depth + 1) if is_given else ""
    if is_given or not variable.has_default:
        return value or ""
    return evaluated(variable.operand, environ, depth + 1)
