"""The answer of an operation: the response that is taken, its example or a sample of its schema, its headers. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from harness.http1 import is_header_name
from harness.rundir.planned.routes import BODILESS, PlannedAnswer
from harness.upstreams.routes.openapi.document import Document, shortened
from harness.upstreams.routes.openapi.samples import Sampler
from harness.upstreams.routes.routes_read import UnreadableRoutes
from harness.upstreams.routes.templates import escaped, escaped_tree

BODY_MOST: Final = 1_000_000
"""Characters of one body as JSON."""
BODIES_MOST: Final = 20_000_000
"""Characters of all bodies together."""
_OWN_HEADERS: Final = (
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "trailer",
)


class AnswerMaker:
    """Makes answers; `counts` has how often each thing happened that a user should know of."""

    def __init__(self, document: Document, seed: int) -> None:
        self._document = document
        self._seed = seed
        self._characters = 0
        self.counts: Counter[str] = Counter()

    def answer(self, operation: Mapping[str, Any], name: str) -> PlannedAnswer:
        """`name`: METHOD PATH, which with the seed decides the sample. Raises UnreadableRoutes."""
        responses = self._document.followed(operation.get("responses"))
        key = _taken(responses if isinstance(responses, dict) else {})
        if key is None:
            self.counts["no_response"] += 1
            return PlannedAnswer()
        response = self._document.followed(responses[key])
        response = response if isinstance(response, dict) else {}
        status = _status(key)
        sampler = Sampler(self._document.target, Random(f"{self._seed} {name}"))
        headers = self._headers(response.get("headers"), sampler)
        content = self._document.followed(response.get("content"))
        if not isinstance(content, dict) or not content or status in BODILESS or name.startswith("HEAD "):
            return PlannedAnswer(status=status, headers=headers)
        media = _preferred(content)
        written = self._document.followed(content[media])
        body = self._body(written if isinstance(written, dict) else {}, sampler, name)
        self.counts["broken_rules"] += bool(sampler.broken_rules)
        self.counts["cut"] += sampler.cut
        if _is_json(media):
            self._weigh(body, name)
            kept = headers if _bare(media) == "application/json" or "*" in media else _typed(media, headers)
            return PlannedAnswer(status=status, headers=kept, has_json=True, json_tree=escaped_tree(body))
        if isinstance(body, str):
            self._weigh(body, name)
            return PlannedAnswer(status=status, headers=_typed(media, headers), text=body)
        self.counts["no_text"] += 1
        return PlannedAnswer(status=status, headers=_typed(media, headers))

    def _body(self, media: Mapping[str, Any], sampler: Sampler, name: str) -> Any:
        if "example" in media:
            return _unwrapped(media["example"])
        examples = self._document.followed(media.get("examples"))
        for each in sorted(examples) if isinstance(examples, dict) else ():
            example = self._document.followed(examples[each])
            if isinstance(example, dict) and "value" in example:
                return _unwrapped(example["value"])
            self.counts["external"] += isinstance(example, dict) and "externalValue" in example
        return sampler.sample(media.get("schema", {}))

    def _headers(self, headers: Any, sampler: Sampler) -> tuple[tuple[str, str], ...]:
        found = []
        headers = self._document.followed(headers)
        for name, written in headers.items() if isinstance(headers, dict) else ():
            header = self._document.followed(written)
            if not isinstance(header, dict) or not is_header_name(name) or name.lower() in _OWN_HEADERS:
                continue
            if not header.keys() & {"example", "examples", "schema"}:
                continue
            value = self._body(header, sampler, name)
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            if text.isascii() and text.isprintable() and len(text) <= 4_000:
                found.append((name, escaped(text)))
        return tuple(found)

    def _weigh(self, body: Any, name: str) -> None:
        try:
            size = len(json.dumps(body))
        except OverflowError:
            size = BODY_MOST + 1
        self._characters += size
        if size > BODY_MOST:
            raise UnreadableRoutes(f"the example of `{shortened(name)}` has more than 1 MB", "shorten it")
        if self._characters > BODIES_MOST:
            raise UnreadableRoutes("the answers have more than 20 MB together", "shorten their examples")


def _taken(responses: Mapping[str, Any]) -> str | None:
    """The key of the response that is given: the lowest 2xx, else 2XX, else default, else the lowest of all."""
    codes = sorted(key for key in responses if re.fullmatch("[2-5][0-9][0-9]", key))
    ranges = sorted(key for key in responses if re.fullmatch("[2-5]XX", key))
    success = [key for key in (*codes, *ranges) if key.startswith("2")]
    if success:
        return success[0]
    if "default" in responses:
        return "default"
    return min((*codes, *ranges), key=lambda key: (_status(key), key), default=None)


def _status(key: str) -> int:
    return 200 if key == "default" else int(key.replace("X", "0"))


def _bare(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _is_json(media: str) -> bool:
    return _bare(media) in ("application/json", "text/json", "*/*", "application/*") or _bare(media).endswith("+json")


def _preferred(content: Mapping[str, Any]) -> str:
    exact = [media for media in content if _bare(media) == "application/json"]
    return (exact or [media for media in content if _is_json(media)] or list(content))[0]


def _typed(media: str, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    usable = media.isascii() and media.isprintable() and "/" in media and "*" not in media
    return (("Content-Type", escaped(media)), *headers) if usable else headers


def _unwrapped(example: Any) -> Any:
    """A JSON document that is written as a text is meant as a document."""
    if isinstance(example, str) and example.lstrip()[:1] in ("{", "[") and len(example) <= BODY_MOST:
        try:
            return json.loads(example)
        except (ValueError, RecursionError):
            return example
    return example
