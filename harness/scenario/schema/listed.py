"""`upstreams: [azure, gcp]`: names in a list where a mapping is wanted. Refused, and it is told what is meant. Pure."""

from __future__ import annotations

import re
from typing import Any

from harness.model.value_types import NAME_PATTERN, refusal


def by_name(value: Any) -> Any:
    """The value as it is, unless it is such a list."""
    names = listed_names(value)
    if names:
        fix = f"write `upstreams: {{{', '.join(f'{name}: {{}}' for name in names)}}}`"
        raise refusal("expected a mapping of names, not a list", fix)
    return value


def listed_names(value: Any) -> tuple[str, ...]:
    """Of a list whose entries are names, or mappings of a name each; empty where it is anything else."""
    entries = value if isinstance(value, tuple) else ()
    names = tuple(next(iter(entry)) if isinstance(entry, dict) and len(entry) == 1 else entry for entry in entries)
    return names if all(isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) for name in names) else ()
