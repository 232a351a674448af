"""The parts of a scenario that is drafted from other files: its service, its upstreams, its requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.model.value_types import NAME_PATTERN, RESERVED, name_meant

NAME_MOST: Final = 60
"""Characters of an upstream's name."""
UPSTREAMS_MOST: Final = 64
"""A scenario has no more."""
HTTP_RANK: Final = 0
DATABASE_RANK: Final = 1
UNNAMED_RANK: Final = 2
"""The first fault breaks the upstream with the lowest rank: a partner over HTTP, then databases and brokers, then what
no variable of the service names."""


@dataclass(frozen=True, slots=True)
class DraftUpstream:
    """One entry of `upstreams`.

    `fields`: its mapping. `comments`: sentences that stand above it. `hosts`: names of hosts whose calls it answers, in
    lower case. `is_blank`: a fake whose answers nobody knows yet, so that a recording or description of the same name
    or host takes its place.
    """

    name: str
    fields: Mapping[str, Any]
    comments: tuple[str, ...] = ()
    rank: int = HTTP_RANK
    hosts: frozenset[str] = frozenset()
    is_blank: bool = False


@dataclass(frozen=True, slots=True)
class DraftService:
    """`command`: None if it is not known. `url`: where it runs already. `env`: in the scenario's syntax.

    `env_comments`: sentences by the name of the variable that they stand above.
    """

    command: tuple[str, ...] | None = None
    url: str = ""
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    env_comments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ready: str = ""
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """`line`: METHOD PATH. `headers`: that the description of the service requires."""

    line: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole scenario. `sources`: the files it was made from, as they were given. `exports`: variables that must be
    set before it can run. `left_out`: sentences about what of the files is not in it."""

    name: str
    sources: tuple[str, ...]
    service: DraftService
    upstreams: tuple[DraftUpstream, ...]
    requests: tuple[DraftRequest, ...] = ()
    request_comments: tuple[str, ...] = ()
    toxiproxy_url: str = ""
    exports: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def upstream_name(text: str, taken: Collection[str] = ()) -> str:
    """A valid name of an upstream that is like `text` and none of `taken`."""
    name = name_meant(text)[:NAME_MOST].strip("-")
    if not name:
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:NAME_MOST].strip("-")
        name = f"{stem}-upstream" if stem in RESERVED else f"upstream-{stem}".rstrip("-")
    assert re.fullmatch(NAME_PATTERN, name)
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique


def variable_name(text: str) -> str:
    """`USER_DB` for `user-db`: the name of an environment variable."""
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_") or "UPSTREAM"
    return name if not name[0].isdigit() else f"_{name}"
