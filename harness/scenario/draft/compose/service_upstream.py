"""The upstream for a service of a compose file: the real one where it can be reached from outside, else a fake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticCustomError

from harness.scenario.draft.compose.addresses import NamedAddress
from harness.scenario.draft.compose.compose_service import ComposeService, PublishedPort
from harness.scenario.draft.compose.images import ImageTraits, mounted_mock, traits_of
from harness.scenario.draft.parts import DATABASE_RANK, HTTP_RANK, UNNAMED_RANK, DraftUpstream
from harness.scenario.draft.paths import relative_path
from harness.upstreams.protocols import SCHEMES
from harness.upstreams.routes.read import read_file
from harness.upstreams.upstream_files import UnreadableFile
from harness.upstreams.upstream_url import parse_url

BLANK_ROUTES: Final[dict[str, Any]] = {"*": {"json": {}}}
"""A fake that answers every call with an empty object."""
WEB: Final = ("http", "https")
_KAFKA_LISTENER: Final = 10_000
"""The listener of a broker has the port of the broker and this, since both are on this machine."""


def service_upstream(
    service: ComposeService, name: str, addresses: Sequence[NamedAddress], project_folder: Path, scenario_folder: Path
) -> DraftUpstream:
    """`addresses`: how the service under test names it, none if it only depends on it."""
    hosts = frozenset({service.name.lower(), *(alias.lower() for alias in service.aliases)})
    comments: list[str] = []
    if service.profiles:
        comments.append(f"started by `docker compose --profile {service.profiles[0]} up` only")
    if not addresses:
        named = f"no variable of the service names `{service.name}`"
        comments.append(f"CHECK: {named}: where does it take {{{name}.url}} or {{{name}.address}} from?")
    mock = mounted_mock(service)
    if mock is not None:
        kind, mounted = mock
        path = project_folder / mounted
        try:
            read_file(kind, path)
        except (UnreadableFile, OSError) as exc:
            reason = exc.message if isinstance(exc, UnreadableFile) else f"{path.name}: {exc.strerror}"
            comments.append(f"{mounted} cannot be used for a fake: {reason}")
        else:
            comments.append(f"a fake that answers by the files of `{service.name}`, in place of {service.image}")
            fields = {kind: relative_path(path, scenario_folder)}
            return DraftUpstream(name, fields, tuple(comments), _rank(addresses, HTTP_RANK), hosts)
    return _real_or_blank(service, name, addresses, comments, hosts)


def _real_or_blank(
    service: ComposeService,
    name: str,
    addresses: Sequence[NamedAddress],
    comments: list[str],
    hosts: frozenset[str],
) -> DraftUpstream:
    traits = traits_of(service.image)
    address = next((one for one in addresses if one.scheme), addresses[0] if addresses else None)
    target = _target(service, addresses, traits)
    published = _published(service, target)
    scheme = _scheme(address, traits)
    if (scheme in WEB and traits is None) or scheme == "":
        if published is None:
            comments.append(
                f"CHECK: compose publishes no port of `{service.name}`, so a fake stands in for it. What does it "
                'answer? Such as GET /v1/items/{id}: {json: {id: "{id}"}}; or `har`, `openapi` or `wiremock` in '
                "place of `routes`"
            )
            return DraftUpstream(
                name, {"routes": BLANK_ROUTES}, tuple(comments), _rank(addresses, HTTP_RANK), hosts, True
            )
        if not scheme:
            scheme = "tcp"
            comments.append("CHECK: which protocol does it speak? Write http://, grpc:// or another in place of tcp://")
    if published is None and target is not None:
        comments.append(
            f'CHECK: compose publishes no port of `{service.name}`: add `ports: ["{target}:{target}"]` to it, '
            "since its network cannot be reached from outside"
        )
    port = published.published if published else target
    if port is None:
        comments.append("CHECK: which port has it? A fake stands in for it")
        return DraftUpstream(name, {"routes": BLANK_ROUTES}, tuple(comments), UNNAMED_RANK, hosts, True)
    fields: dict[str, Any] = {"url": _url(scheme, published.host if published else "localhost", port, address)}
    if SCHEMES[scheme].protocol == "kafka":
        fields["port"] = listener = (
            port + _KAFKA_LISTENER if port + _KAFKA_LISTENER < 65_536 else port - _KAFKA_LISTENER
        )
        comments.append(
            f"CHECK: its clients follow the advertised address: let the broker advertise 127.0.0.1:{listener}"
        )
    rank = HTTP_RANK if scheme in WEB else DATABASE_RANK
    return DraftUpstream(name, fields, tuple(comments), _rank(addresses, rank), hosts)


def _rank(addresses: Sequence[NamedAddress], rank: int) -> int:
    return rank if addresses else UNNAMED_RANK


def _target(service: ComposeService, addresses: Sequence[NamedAddress], traits: ImageTraits | None) -> int | None:
    """The port in the container."""
    named = next((one.port for one in addresses if one.port), None)
    if named or traits:
        return named or (traits.port if traits else None)
    if any(one.scheme.lower() == "http" for one in addresses) and any(port.target == 80 for port in service.ports):
        return 80
    own = [port.target for port in service.ports] or list(service.exposed)
    return own[0] if own else None


def _published(service: ComposeService, target: int | None) -> PublishedPort | None:
    return next((port for port in service.ports if port.published and port.target == target), None)


def _scheme(address: NamedAddress | None, traits: ImageTraits | None) -> str:
    """Of the upstream's URL; empty if nothing says it. `postgresql+asyncpg` names a driver, and speaks PostgreSQL."""
    written = address.scheme.lower().partition("+")[0] if address else ""
    if written in SCHEMES and not (traits and written in WEB):
        return written
    return traits.scheme if traits else written if written in SCHEMES else ""


def _url(scheme: str, host: str, port: int, address: NamedAddress | None) -> str:
    """With the user, path and query that the service has in its own, so that `{NAME.url}` is the same but for the
    address."""
    short = f"{scheme}://{host}:{port}"
    if address is None or address.scheme != scheme or scheme in WEB:
        return short
    url = f"{scheme}://{address.user}{host}:{port}{address.rest}"
    try:
        parse_url(url)
    except PydanticCustomError:
        return short
    return url
