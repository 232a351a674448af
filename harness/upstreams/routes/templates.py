"""Templates in the answers of routes: `{code}` (a parameter of the path), `{query.dest}`, `{header.x-tenant}`,
`{body.items[0].id}`, `{seq}`, `{n}` and `{mark}`. `{{` and `}}` stand for braces. Pure.

In a JSON document a string that is a single `{seq}`, `{n}` or `{body.…}` becomes the value itself, so a number stays a
number; everywhere else a placeholder becomes text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Source = Literal["param", "query", "header", "body", "seq", "n", "mark"]

PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
"""A whole segment of a route's path that matches any segment."""
_TOKEN: Final = re.compile(r"(\{\{)|(\}\})|\{([^{}]*)\}|(\{)")
_PLAIN: Final[tuple[Source, ...]] = ("seq", "n", "mark")
_NAMED: Final[tuple[Source, ...]] = ("query", "header", "body")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`name`: of the parameter, the query's key or the header (in lower case); for `body` a JMESPath expression."""

    source: Source
    name: str = ""

    @property
    def keeps_type(self) -> bool:
        """Whether it is a JSON value, and not text, where it is all of a string."""
        return self.source in ("seq", "n", "body")


class BadTemplate(ValueError):
    """`offset`: where in the text, in characters."""

    def __init__(self, message: str, fix: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.offset = offset


def parse_template(text: str, params: Sequence[str] = ()) -> tuple[str | Placeholder, ...]:
    """Texts and placeholders in turn. `params`: the parameters of the route's path. Raises BadTemplate."""
    parts: list[str | Placeholder] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[1] or match[2]:
            parts.append(match[0][0])
        elif match[4]:
            raise BadTemplate("a brace is not closed", "write {{ for a brace", match.start())
        else:
            parts.append(_placeholder(match[3].strip(), params, match.start()))
    parts.append(text[end:])
    return tuple(_joined(parts))


def parse_tree(tree: Any, params: Sequence[str] = ()) -> Any:
    """A JSON document whose strings are templates: each with a placeholder becomes the tuple of its parts, every other
    string plain text. Raises BadTemplate."""
    if isinstance(tree, str):
        parts = parse_template(tree, params)
        return parts if any(isinstance(part, Placeholder) for part in parts) else "".join(map(str, parts))
    if isinstance(tree, dict):
        return {str(key): parse_tree(value, params) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [parse_tree(value, params) for value in tree]
    return tree


def escaped(text: str) -> str:
    """The template, or the literal in a route's path, that stands for `text` itself."""
    return text.replace("{", "{{").replace("}", "}}")


def escaped_tree(tree: Any) -> Any:
    """As `escaped`, of a JSON document with its strings."""
    if isinstance(tree, dict):
        return {key: escaped_tree(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [escaped_tree(value) for value in tree]
    return escaped(tree) if isinstance(tree, str) else tree


def params_of(path: str) -> tuple[str, ...]:
    """The names of a path's parameters, in order."""
    return tuple(match[1] for segment in path.split("/") if (match := PARAMETER.fullmatch(segment)))


def _placeholder(name: str, params: Sequence[str], offset: int) -> Placeholder:
    if name in params:
        return Placeholder("param", name)
    source, dot, rest = name.partition(".")
    if not dot:
        for plain in _PLAIN:
            if name == plain:
                return Placeholder(plain)
    for named in _NAMED:
        if source == named and rest:
            if named == "body":
                _check_expression(rest, offset)
            return Placeholder(named, rest.lower() if named == "header" else rest)
    known = ", ".join(f"{{{each}}}" for each in (*params, "query.NAME", "header.NAME", "body.EXPRESSION", *_PLAIN))
    raise BadTemplate(f"there is no placeholder `{{{name}}}`", f"known: {known}; write {{{{ for a brace", offset)


def _check_expression(expression: str, offset: int) -> None:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        jmespath.compile(expression)
    except (JMESPathError, ValueError, RecursionError):
        raise BadTemplate(
            f"`{expression[:60]}` is not a JMESPath expression", "such as {body.items[0].id}", offset
        ) from None


def _joined(parts: Sequence[str | Placeholder]) -> Iterator[str | Placeholder]:
    """Neighbouring texts as one; empty texts are left out."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text
