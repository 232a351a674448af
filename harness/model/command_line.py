"""A service's command line: a text that is split into words, or a list of words. Pure.

It runs without a shell, so a text with shell syntax is refused. Words with spaces are not checked, since they may be a
script for another program (`sh -c "…"`); neither is a list.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.value_types import kind_of, not_text, refusal, shortened

COMMAND_MOST: Final = 16_384
"""Characters; splitting into words is quadratic in the length."""
_SHELL_WORDS: Final = ("|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1")
_BY_A_SHELL: Final = 'write [sh, -c, "…"]'
_FIX: Final = "write a text, or a list of texts"
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_UNBRACED: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_HOME: Final = re.compile(r"~[A-Za-z0-9_.-]*(/.*)?", re.DOTALL)
_LITERAL: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|('[^']*'|\\.)", re.DOTALL)
"""A text in double quotes, or as group 1 a text that a shell would not expand."""


def _command(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        words = _split(value)
    elif isinstance(value, tuple):
        words = value
    else:
        raise refusal(f"expected a command, not {kind_of(value)}", _FIX)
    for word in words:
        if not isinstance(word, str):
            raise not_text(word)
        if "\0" in word:
            raise refusal("a command may not contain a NUL character", _FIX)
    if not words or not words[0]:
        raise refusal("the command is empty", _FIX)
    needed = _shell_needed(value, words) if isinstance(value, str) else _home_needed(words[0])
    if needed:
        raise needed
    return words


def _split(text: str) -> tuple[str, ...]:
    if len(text) > COMMAND_MOST:
        raise refusal(f"a command has at most {COMMAND_MOST:,} characters", "put it into a script")
    try:
        return tuple(shlex.split(text))
    except ValueError as exc:
        raise refusal(
            f"the command cannot be split into words: {str(exc).lower()}", "close the quote, or escape it"
        ) from None


def _shell_needed(text: str, words: tuple[str, ...]) -> PydanticCustomError | None:
    """The first syntax in it that only a shell would expand."""
    if shell := next((word for word in words if word in _SHELL_WORDS), None):
        return refusal(f"`{shell}` needs a shell, and the command runs without one", _BY_A_SHELL)
    if given := _ASSIGNMENT.fullmatch(words[0]):
        found = f"`{shortened(words[0])}` before a command needs a shell, and the command runs without one"
        return refusal(found, f'put it into `env`: {{{given[1]}: "{given[2]}"}}')
    bare = _LITERAL.sub(lambda match: "" if match[1] else match[0], text)
    for word in words:
        if any(map(str.isspace, word)):
            continue
        variable = _UNBRACED.search(word)
        if variable and variable[0] in bare:
            found = f"`{variable[0]}` needs a shell, and the command runs without one"
            return refusal(found, f"write ${{{variable[1]}}}, which tailgate fills in, or {_BY_A_SHELL[6:]}")
        if "$(" in word and "$(" in bare:
            return refusal("`$(…)` needs a shell, and the command runs without one", _BY_A_SHELL)
        if word in bare and (needed := _home_needed(word)):
            return needed
    return None


def _home_needed(word: str) -> PydanticCustomError | None:
    home = _HOME.fullmatch(word)
    if not home:
        return None
    found = f"the `~` of `{shortened(word)}` needs a shell, and the command runs without one"
    own = f", such as ${{HOME}}{home[1] or ''}" if word.partition("/")[0] == "~" else ""
    return refusal(found, f"write the path out{own}, or {_BY_A_SHELL[6:]}")


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_command),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]}
    ),
]
"""Words of a command line."""
