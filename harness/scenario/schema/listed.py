"""`upstreams: [azure, gcp]`, a list where a mapping is needed, is refused with the mapping as the fix. Pure."""

from __future__ import annotations

import re
from typing import Any

from harness.model.value_types import NAME_PATTERN, refusal


def by_name(value: Any) -> Any:
    """The value unchanged. Raises PydanticCustomError if it is a list of names."""
    names = listed_names(value)
    if names:
        fix = f"write `upstreams: {{{', '.join(f'{name}: {{}}' for name in names)}}}`"
        raise refusal("expected a mapping of names, not a list", fix)
    return value


def listed_names(value: Any) -> tuple[str, ...]:
    """The names in a list of names, or of mappings with one name each; empty for anything else."""
    entries = value if isinstance(value, tuple) else ()
    names = tuple(next(iter(entry)) if isinstance(entry, dict) and len(entry) == 1 else entry for entry in entries)
    return names if all(isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) for name in names) else ()
