"""Credentials in a recording: which names they have, and how they are taken out of queries, headers and JSON. Pure.

Only names are judged, never values. Every function adds the names whose values it took out to `found`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

from harness.secrets.names import is_named_like_a_secret

REMOVED: Final = "removed"
"""What stands in place of a secret text, so that whoever reads the document still finds a text there."""
URL_PASSWORD: Final = "user:password@"
"""The name under which a password within a URL is counted."""
ODD_NAME: Final = "an unusual name"
_NAME_MOST: Final = 200
_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_ALSO_SECRET: Final = re.compile(
    r"(^|_)(jwt|sig|signature|hmac|bearer|otp|csrf|xsrf|assertion|saml_?response|apikey)(_|$)"
    r"|(^|_)(j|php)?sess(ion)?(_?(id|key|data|hash))?$"
)
_PAGING: Final = re.compile(r"(next|prev|previous|page|continuation|sync|scroll)(_?page)?_?token")
"""Such a token says which page comes next. Without it no recorded page could be told from another."""
_COUNT: Final = re.compile(r"(^|_)tokens(_|$)")
"""`total_tokens` counts something if it is a number."""
_NUMBER: Final = re.compile(r"\d{1,12}")
_CORS: Final = "access_control_"
"""These headers hold names of headers, and `true`, but no credential."""
_SHOWN: Final = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,40}")
_URL_PAIR: Final = re.compile(r"([?&#;])([^?&#;=\s\"'<>]{1,100})=([^&#;\s\"'<>]+)")
_URL_LOGIN: Final = re.compile(r"//[^/\s@?#\"'<>]{1,300}@")


class UnreadableJson(Exception):
    """The document is JSON, but too deeply nested or with too long a number to be searched for secrets."""


@lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether a header, a part of a query or a member of a JSON object with this name holds a credential."""
    words = _words(name)
    if _PAGING.fullmatch(words) or words.startswith(_CORS):
        return False
    return is_named_like_a_secret(words) or _ALSO_SECRET.search(words) is not None


def pairs_without_secrets(pairs: Iterable[tuple[str, str]], found: set[str]) -> tuple[tuple[str, str], ...]:
    """The headers or parts of a query whose names are no secret's, in order."""
    kept = []
    for name, value in pairs:
        if names_a_secret(name) and not _is_count(name, value):
            found.add(_shown(name))
        else:
            kept.append((name, value))
    return tuple(kept)


def urls_without_secrets(text: str, found: set[str]) -> str:
    """A text in which the URLs have no password, and `removed` for the values of secrets in their queries."""

    def pair(match: re.Match[str]) -> str:
        name = unquote_plus(match[2])
        if not names_a_secret(name) or match[3] == REMOVED:
            return match[0]
        found.add(_shown(name))
        return f"{match[1]}{match[2]}={REMOVED}"

    if "=" in text:
        text = _URL_PAIR.sub(pair, text)
    if "@" in text:
        text, times = _URL_LOGIN.subn("//", text)
        if times:
            found.add(URL_PASSWORD)
    return text


def json_without_secrets(text: str, found: set[str]) -> str:
    """A body in which a secret's text is `removed` and a secret's number is 0, at any depth; URLs as above.

    A body that holds none, or that is not JSON, is returned as it is. Raises UnreadableJson.
    """
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return text
    here: set[str] = set()

    # members are seen as pairs, so that a name that stands twice in an object hides nothing
    def members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        return {name: _member(name, value, here) for name, value in pairs}

    try:
        document = _cleaned(json.loads(text.removeprefix("\ufeff"), object_pairs_hook=members), here)
    except json.JSONDecodeError:
        return text
    except (ValueError, RecursionError):
        raise UnreadableJson from None
    found |= here
    return json.dumps(document, ensure_ascii=False) if here else text


def _words(name: str) -> str:
    """`accessToken` and `X-Access-Token` as `access_token` and `x_access_token`."""
    return _WORD_BORDER.sub("_", name[:_NAME_MOST]).lower()


def _is_count(name: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)
    return is_number and _COUNT.search(_words(name)) is not None


def _shown(name: str) -> str:
    """The name for a note, unless it is so odd that a secret may stand in it."""
    return name if _SHOWN.fullmatch(name) else ODD_NAME


def _member(name: str, value: Any, found: set[str]) -> Any:
    if not names_a_secret(name) or _is_count(name, value):
        return _cleaned(value, found)
    blank = _blank(value)
    if blank != value:
        found.add(_shown(name))
    return blank


def _cleaned(value: Any, found: set[str]) -> Any:
    """Texts without the secrets of URLs. Objects within have been cleaned already."""
    if isinstance(value, str):
        return urls_without_secrets(value, found)
    if isinstance(value, list):
        return [_cleaned(each, found) for each in value]
    return value


def _blank(value: Any) -> Any:
    """The same shape and types, without a text or number. What is empty, null, true or false tells nothing."""
    if isinstance(value, str):
        return REMOVED if value else value
    if isinstance(value, list):
        return [_blank(each) for each in value]
    if isinstance(value, dict):
        return {name: _blank(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool) else 0
