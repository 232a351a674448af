"""Whether the answers of routes carry the mark by which `complete: auto` finds an upstream in an answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.rundir.planned.routes import PlannedAnswer, PlannedRoute
from harness.upstreams.routes.templates import BadTemplate, Placeholder, parse_template


def has_mark(routes: Sequence[PlannedRoute]) -> bool:
    """Whether the body of any answer below 400 has a `{mark}`. Files are not looked into."""
    answers = (answer for route in routes for answer in route.answers if answer.status < 400)
    return any(_is_marked(text) for answer in answers for text in _templates(answer))


def _templates(answer: PlannedAnswer) -> Iterator[str]:
    if answer.has_json:
        yield from _strings(answer.json_tree)
    elif answer.text is not None and answer.template:
        yield answer.text


def _strings(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ():
        yield from _strings(inner)


def _is_marked(text: str) -> bool:
    if "{mark}" not in text:
        return False
    try:
        parts = parse_template(text, ("mark",))
    except BadTemplate:  # another placeholder of the route's path, whose names are not known here
        return True
    return any(isinstance(part, Placeholder) for part in parts)
