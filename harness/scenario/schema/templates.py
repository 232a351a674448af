"""Templates in commands, environments and headers: `{port}`, `{azure.url}`, `{gateway.timeout}`. Pure.

`{{` stands for a brace. A `${VAR}` stays as written, since its value may be a secret and must not get into a file; it
is expanded when the process starts or the header is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from harness.model.value_types import closest, did_you_mean
from harness.secrets.syntax import REFERENCE

FAULTS_MOST: Final = 10
VARIABLE = re.compile(REFERENCE)
_TOKEN = re.compile(
    rf"(?P<variable>{VARIABLE.pattern})|(?P<dollar>\$\{{)|(?P<brace>\{{\{{)|\{{(?P<name>[^{{}}]*)\}}|(?P<open>\{{)"
)


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """A mistake in a template. `offset`: characters from the beginning of the text."""

    message: str
    fix: str
    offset: int


CA_TEMPLATE: Final = "ca"
"""The file with the certificate authority of the run, where an upstream terminates TLS."""
PARTS: Final = ("url", "host", "port", "address")
"""The templates of each upstream."""


def upstream_names(upstream: str) -> tuple[str, ...]:
    return tuple(f"{upstream}.{part}" for part in PARTS)


def names_in(text: str) -> frozenset[str]:
    """The names of its templates, known or not."""
    return frozenset(match["name"] for match in _TOKEN.finditer(text) if match["name"] is not None)


def fill(text: str, values: Mapping[str, str], *, keep_unknown: bool = False) -> str:
    """The text with its templates filled in. `keep_unknown`: unknown names and `{{` stay; a data file may fill them."""

    def value(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return values.get(match["name"], match[0])
        return "{" if match["brace"] and not keep_unknown else match[0]

    return _TOKEN.sub(value, text)


def template_faults(
    text: str, known: Iterable[str], upstreams: Iterable[str] = (), *, keep_unknown: bool = False
) -> Iterator[TemplateFault]:
    """The first few mistakes in its templates: a text of braces only would have a hundred thousand."""
    return islice(_template_faults(text, tuple(known), tuple(upstreams), keep_unknown=keep_unknown), FAULTS_MOST)


def _template_faults(
    text: str, names: tuple[str, ...], upstreams: tuple[str, ...], *, keep_unknown: bool
) -> Iterator[TemplateFault]:
    for match in _TOKEN.finditer(text):
        if match["dollar"]:
            yield TemplateFault(
                "`${` does not begin a variable here", "write ${NAME} or ${NAME:-default}", match.start()
            )
        elif keep_unknown or match["variable"] or match["brace"]:
            continue
        elif match["name"] is None:
            yield TemplateFault("a brace is not closed", "write {{ for a brace", match.start())
        elif match["name"] not in names:
            yield _unknown(match["name"], names, upstreams, match.start())


def _unknown(name: str, names: tuple[str, ...], upstreams: tuple[str, ...], offset: int) -> TemplateFault:
    if name == CA_TEMPLATE:
        message = "there is no `{ca}`: no upstream terminates TLS, so the run has no certificate authority"
        return TemplateFault(message, "add `tls: terminate` to an upstream; write {{ for a brace", offset)
    upstream, dot, part = name.rpartition(".")
    if dot and part in PARTS and upstream not in (*upstreams, "gateway", "service"):
        # the part is right, so look for a similar upstream; the most similar template could be another upstream's
        close = closest(upstream, upstreams)
        meant = f"did you mean `{close}.{part}`?" if close else did_you_mean("", upstreams, otherwise="add `upstreams`")
        message = f"there is no template `{{{name}}}`: there is no upstream `{upstream}`"
    else:
        meant, message = did_you_mean(name, names), f"there is no template `{{{name}}}`"
    return TemplateFault(message, f"{meant}; write {{{{ for a brace", offset)


def missing_variables(text: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Variables without a default that are not set, with their offsets in the text."""
    for match in VARIABLE.finditer(text):
        if match[2] is None and match[1] not in environ:
            yield match[1], match.start()
