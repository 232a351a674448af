"""Every kind of upstream, one per file. A new one needs its file, its line in UPSTREAMS, and its probe in `probes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.model.value_types import kind_of, refusal
from harness.upstreams.borrowed import BorrowedUpstream
from harness.upstreams.fake import CatalogFake
from harness.upstreams.real import RealUpstream
from harness.upstreams.routed_fake import RoutedFake
from harness.upstreams.started import CommandUpstream
from harness.upstreams.upstream import GENERIC, Upstream

__all__ = ["GENERIC", "UPSTREAMS", "Upstream", "parse_upstream"]

UPSTREAMS: Final[tuple[type[Upstream], ...]] = (
    RealUpstream,
    CommandUpstream,
    BorrowedUpstream,
    RoutedFake,
    CatalogFake,
)
"""A mapping belongs to the first kind that reads it. A fake with a catalog reads every mapping, so it comes last."""


def parse_upstream(raw: Any) -> Upstream:
    """The upstream that a mapping describes. Raises pydantic's errors with positions and fixes."""
    if isinstance(raw, Upstream):
        return raw
    if isinstance(raw, str):
        return RealUpstream.model_validate(raw)
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "{} is a fake with the default latency")
    kind = next(kind for kind in UPSTREAMS if kind.reads(raw))
    if errors := list(_other_origins(kind, raw)):
        raise ValidationError.from_exception_data(kind.__name__, errors)
    errors = list(_of_other_kinds(kind, raw))
    misplaced = {error["loc"][0] for error in errors if "loc" in error}
    try:
        upstream = kind.model_validate({key: value for key, value in raw.items() if key not in misplaced})
    except ValidationError as exc:
        errors += [
            InitErrorDetails(type=PydanticCustomError("problem", "{message}", each["ctx"]), loc=each["loc"], input=None)
            for each in exc.errors(include_url=False)
        ]
    else:
        if not errors:
            return upstream
    raise ValidationError.from_exception_data(kind.__name__, errors)


def _other_origins(kind: type[Upstream], raw: dict[str, Any]) -> Iterator[InitErrorDetails]:
    """An error for each key that names another origin than the first one of the mapping does."""
    first = next((key for key in raw if key in kind.ORIGINS and raw[key] is not None), None)
    others = [key for other in UPSTREAMS if other is not kind for key in other.ORIGINS]
    for key in (key for key in raw if first is not None and key in others and raw[key] is not None):
        message = f"`{key}` and `{first}` exclude each other"
        yield _error(key, message, "an upstream has one origin: keep one of them")


def _of_other_kinds(kind: type[Upstream], raw: dict[str, Any]) -> Iterator[InitErrorDetails]:
    """An error for each key that upstreams have, but not those of this kind."""
    own = kind.spelled_keys()
    for key in raw:
        places = [other.CALLED for other in UPSTREAMS if key in other.spelled_keys()] if key not in own else []
        if places:
            fix = f"remove it: `{key}` is for {', '.join(dict.fromkeys(places))}"
            yield _error(key, f"{kind.CALLED} has no `{key}`", fix)


def _error(key: str, message: str, fix: str) -> InitErrorDetails:
    return InitErrorDetails(type=refusal(message, fix, at_key=True), loc=(key,), input=None)
