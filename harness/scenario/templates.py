"""`{port}`, `{azure.url}`, `{gateway.timeout}` in commands, environments and headers; `${VAR}` left alone. Pure.

`{{` is a brace. A variable stays as it is written: its value belongs into no file, so whoever starts
the process or sends the header fills it in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from harness.environment import REFERENCE
from harness.fields import did_you_mean

FAULTS_MOST: Final = 10
VARIABLE = re.compile(REFERENCE)
_TOKEN = re.compile(
    rf"(?P<variable>{VARIABLE.pattern})|(?P<dollar>\$\{{)|(?P<brace>\{{\{{)|\{{(?P<name>[^{{}}]*)\}}|(?P<open>\{{)"
)


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """`offset` counts characters from 0 in the text."""

    message: str
    fix: str
    offset: int


def upstream_names(upstream: str) -> tuple[str, ...]:
    return tuple(f"{upstream}.{part}" for part in ("url", "host", "port", "address"))


def fill(text: str, values: Mapping[str, str], *, keep_unknown: bool = False) -> str:
    """The text with its templates filled in. `keep_unknown`: other names and `{{` stay (columns of a data file)."""

    def value(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return values.get(match["name"], match[0])
        return "{" if match["brace"] and not keep_unknown else match[0]

    return _TOKEN.sub(value, text)


def template_faults(text: str, known: Iterable[str], *, keep_unknown: bool = False) -> Iterator[TemplateFault]:
    """The first few: a text of nothing but braces would have a hundred thousand."""
    return islice(_template_faults(text, tuple(known), keep_unknown=keep_unknown), FAULTS_MOST)


def _template_faults(text: str, names: tuple[str, ...], *, keep_unknown: bool) -> Iterator[TemplateFault]:
    for match in _TOKEN.finditer(text):
        if match["dollar"]:
            yield TemplateFault("`${` begins no variable here", "write ${NAME} or ${NAME:-default}", match.start())
        elif keep_unknown or match["variable"] or match["brace"]:
            continue
        elif match["name"] is None:
            yield TemplateFault("a brace is not closed", "write {{ for a brace", match.start())
        elif match["name"] not in names:
            fix = f"{did_you_mean(match['name'], names)}; a brace is written {{{{"
            yield TemplateFault(f"nothing is called `{match[0]}`", fix, match.start())


def missing_variables(text: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Variables without a default that are not set, with their offsets."""
    for match in VARIABLE.finditer(text):
        if match[2] is None and match[1] not in environ:
            yield match[1], match.start()
