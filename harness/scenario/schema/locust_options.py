"""`load.locust_options`: options of Locust's command line that a locustfile reads: `{region: eu, tags: [a]}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainValidator

from harness.model.value_types import kind_of, refusal

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_OURS: Final = re.compile(
    r"(web|csv|master|worker|expect|tailgate|tls|html|json|autostart|autoquit|process|print|show|stop|exit|reset|skip)"
    r"([_-].*|es)?|host|users|spawn[_-]rate|run[_-]time|headless|headful|locustfile|config|version|help|list|"
    r"class[_-]picker|equal[_-]weights|only[_-]summary|loglevel|logfile|profile|iterations|otel|slack|f|H|u|r|t|i|L|T|E"
)
"""Locust's own options, which the scenario sets or which have no meaning here. `tags` and `exclude-tags` have one."""

_ABBREVIATED: Final = (
    *("web", "csv", "master", "worker", "expect", "enable", "tailgate", "tls", "html", "json", "auto", "process"),
    *("print", "show", "stop", "exit-code", "reset", "skip", "host", "user", "spawn-rate", "run-time", "headless"),
    *("locustfile", "config", "version", "help", "list", "class-picker", "equal-weights", "only-summary", "log"),
    *("profile", "iterations", "otel", "slack"),
)
"""How they begin. Locust takes a beginning for the whole option if the locustfile adds none of that name."""


def _name(value: Any) -> str:
    text = str(value)
    if not isinstance(value, str) or not _NAME.fullmatch(text):
        raise refusal(f"an option's name has no dashes before it: {text!r}", f"write `{text.lstrip('-')}`")
    if _OURS.fullmatch(text):
        raise refusal(
            f"`{text}` is an option of Locust's that the scenario sets or that has no meaning here", "remove it"
        )
    return text


def _value(value: Any) -> str | bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple) and value and all(isinstance(each, str | int | float) for each in value):
        return tuple(str(each) for each in value)
    raise refusal(f"expected a text, a number, true or a list of texts, not {kind_of(value)}")


OptionValue = Annotated[
    str | bool | tuple[str, ...],
    PlainValidator(_value, json_schema_input_type=str | int | float | bool | list[str | int | float]),
]
LocustOptions = dict[Annotated[str, BeforeValidator(_name)], OptionValue]


def option_words(options: Mapping[str, str | bool | tuple[str, ...]]) -> tuple[str, ...]:
    """The words of the command line: `--region=eu`, `--fast` for true, nothing for false, `--tags a b` for a list."""
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, tuple):
            words += [f"--{name}", *value]
        elif value is not False:
            words.append(f"--{name}={value}")
    return tuple(words)


def refused_word(words: Sequence[str]) -> str:
    """The first of the words of a command line that Locust would take for an option which `load.locust_options` may not
    have; empty: there is none."""
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        is_ours = _OURS.fullmatch(name) or any(own.startswith(name) for own in _ABBREVIATED)
        if word.startswith("-") and (not word.startswith("--") or not _NAME.fullmatch(name) or is_ours):
            return word
    return ""


def option_texts(options: Any) -> list[tuple[str, str]]:
    """The name and each text of options as written, in which variables are filled in. They need not be valid."""
    if not isinstance(options, dict):
        return []
    return [
        (str(name), each)
        for name, value in options.items()
        for each in (value if isinstance(value, tuple | list) else (value,))
        if isinstance(each, str)
    ]
