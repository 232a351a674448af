"""Every kind of upstream, one per file. A new one needs its file, its line in UPSTREAMS, and its probe in `probes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.model.registry import Registry
from harness.model.value_types import kind_of, refusal
from harness.upstreams.fake import CatalogFake
from harness.upstreams.upstream import GENERIC, Upstream

__all__ = ["GENERIC", "UPSTREAMS", "Upstream", "parse_upstream", "upstream_kinds"]

UPSTREAMS: Final[Registry[type[Upstream]]] = Registry(
    {
        "url": "harness.upstreams.real:RealUpstream",
        "command": "harness.upstreams.started:CommandUpstream",
        "proxy": "harness.upstreams.borrowed:BorrowedUpstream",
        "routes": "harness.upstreams.routed_fake:RoutedFake",
        "har": "harness.upstreams.routed_fake:RoutedFake",
        "openapi": "harness.upstreams.routed_fake:RoutedFake",
        "wiremock": "harness.upstreams.routed_fake:RoutedFake",
    }
)
"""By the keys of which each says what answers. A mapping with none of them is a `CatalogFake`."""


def upstream_kinds() -> tuple[type[Upstream], ...]:
    """Every kind. Imports them all."""
    return (*UPSTREAMS.kinds(), CatalogFake)


def parse_upstream(raw: Any) -> Upstream:
    """The upstream that a mapping describes. Raises pydantic's errors with positions and fixes."""
    if isinstance(raw, Upstream):
        return raw
    if isinstance(raw, str):
        return UPSTREAMS["url"].model_validate(raw)
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "{} is a fake with the default latency")
    origin = next((key for key in UPSTREAMS if key in raw), None)
    kind = UPSTREAMS[origin] if origin else CatalogFake
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
    written = [key for key in raw if key in UPSTREAMS and raw[key] is not None]
    own = [key for key in written if UPSTREAMS[key] is kind]
    for key in (key for key in written if own and key not in own):
        message = f"`{key}` and `{own[0]}` exclude each other"
        yield _error(key, message, "an upstream has one origin: keep one of them")


def _of_other_kinds(kind: type[Upstream], raw: dict[str, Any]) -> Iterator[InitErrorDetails]:
    """An error for each key that upstreams have, but not those of this kind."""
    own = kind.spelled_keys()
    for key in raw:
        places = [other.CALLED for other in upstream_kinds() if key in other.spelled_keys()] if key not in own else []
        if places:
            fix = f"remove it: `{key}` is for {', '.join(dict.fromkeys(places))}"
            yield _error(key, f"{kind.CALLED} has no `{key}`", fix)


def _error(key: str, message: str, fix: str) -> InitErrorDetails:
    return InitErrorDetails(type=refusal(message, fix, at_key=True), loc=(key,), input=None)
