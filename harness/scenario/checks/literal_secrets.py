"""Refuses secrets that are written out in a scenario, because the files of every run would contain them. Pure.

Checked are the environments, commands, headers and URLs. The lines and bodies of requests are not: a load often logs in
with an invented password there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import texts_with_variables
from harness.scenario.source.diagnostics import Diagnostic, Path

if TYPE_CHECKING:
    from harness.secrets.literal import LiteralSecret

_NAMED: Final = ("env", "headers")
"""Mappings whose keys say what the values are."""


def literal_secret_findings(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """`raw`: the scenario's plain tree."""
    for path, text in texts_with_variables(raw):
        if found := _secret_at(path, text):
            yield _refused(path, found)
    for path, words in _commands(scenario):
        from harness.secrets.literal import literal_in_words  # a late import, since most scenarios have no command

        if found := literal_in_words(words):
            yield _refused(path, found)


def _secret_at(path: Path, text: str) -> LiteralSecret | None:
    is_named = path[-2] in _NAMED
    if not is_named and not (path[0] == "upstreams" and path[2:] in ((), ("url",))):
        return None
    from harness.secrets.literal import (
        literal_in,
        literal_secret,
    )  # a late import, since most scenarios have no such text

    return literal_secret(str(path[-1]), text) if is_named else literal_in(str(path[1]), text)


def _commands(scenario: Scenario) -> Iterator[tuple[Path, tuple[str, ...]]]:
    if scenario.service.command is not None:
        yield ("service", "command"), scenario.service.command
    for name, upstream in scenario.upstreams.items():
        if upstream.argv:
            yield ("upstreams", name, "command"), upstream.argv


def _refused(path: Path, found: LiteralSecret) -> Diagnostic:
    reference = f"${{{found.variable}}}"
    return Diagnostic(
        path,
        f"{found.where} stands in the scenario, which would put it into the files of every run",
        f"write {reference} in its place and export it; a test value that is no secret may be the default: "
        f"${{{found.variable}:-test}}",
        is_secret=True,
    )
