"""The texts of a scenario in which templates and variables are filled in, and the templates that exist. Pure.

It reads the plain tree, so the scenario need not be valid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.scenario.schema.locust_options import option_texts
from harness.scenario.schema.templates import CA_TEMPLATE, upstream_names
from harness.scenario.source.diagnostics import Path

OWN_PORT: Final = "port"
"""The template for the port on which a started process must listen."""
LOGIN_REQUEST: Final[Path] = ("load", "login", "request")


def request_parts(load: Any) -> Iterator[tuple[Path, Any]]:
    """Each request of a `load`, as written, with its path."""
    if not isinstance(load, dict):
        return
    if load.get("request") is not None:
        yield ("load", "request"), load["request"]
    several = load.get("requests")
    for index, each in enumerate(several if isinstance(several, tuple) else ()):
        yield ("load", "requests", index), each


def sent_parts(load: Any) -> Iterator[tuple[Path, Any]]:
    """Each request that is sent, that of the login included."""
    yield from request_parts(load)
    login = load.get("login") if isinstance(load, dict) else None
    if isinstance(login, dict) and login.get("request") is not None:
        yield LOGIN_REQUEST, login["request"]


def saved_names(load: Any) -> tuple[str, ...]:
    """The names under which requests use what a login saved."""
    login = load.get("login") if isinstance(load, dict) else None
    saved = login.get("save") if isinstance(login, dict) else None
    return tuple(name for name in saved if isinstance(name, str)) if isinstance(saved, dict) else ()


def texts_with_templates(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every text in which templates and variables are filled in, with its path."""
    service, load = raw.get("service"), raw.get("load")
    if isinstance(service, dict):
        yield from _command(service, ("service",))
        yield from _values(service, ("service",), "headers")
    if isinstance(load, dict):
        yield from _values(load, ("load",), "headers")
    for path, request in sent_parts(load):
        if isinstance(request, dict):
            yield from _values(request, path, "headers")


def upstream_command_texts(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The words and the environment of each upstream that tailgate starts. Of templates they may contain OWN_PORT
    only."""
    upstreams = raw.get("upstreams")
    for name, upstream in upstreams.items() if isinstance(upstreams, dict) else ():
        if isinstance(upstream, dict) and upstream.get("command") is not None:
            yield from _command(upstream, ("upstreams", name))


def _command(part: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    """The words of a command and the values of its environment."""
    command = part.get("command")
    words = command if isinstance(command, tuple) else (command,)
    yield from (((*path, "command", n), word) for n, word in enumerate(words) if isinstance(word, str))
    yield from _values(part, path, "env")


def texts_with_variables(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every text in which variables are filled in: those with templates, and request lines and bodies."""
    yield from texts_with_templates(raw)
    yield from request_texts(raw)
    yield from _upstream_urls(raw)
    yield from upstream_command_texts(raw)
    load = raw.get("load")
    for name, text in option_texts(load.get("locust_options") if isinstance(load, dict) else None):
        yield ("load", "locust_options", name), text


def _upstream_urls(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    upstreams = raw.get("upstreams")
    for name, upstream in upstreams.items() if isinstance(upstreams, dict) else ():
        if isinstance(upstream, str):
            yield ("upstreams", name), upstream
        elif isinstance(upstream, dict) and isinstance(upstream.get("url"), str):
            yield ("upstreams", name, "url"), upstream["url"]


def request_texts(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Request lines and bodies."""
    for path, request in sent_parts(raw.get("load")):
        if isinstance(request, str):
            yield path, request
        elif isinstance(request, dict):
            for key in ("request", "body"):
                if isinstance(request.get(key), str):
                    yield (*path, key), request[key]
            if request.get("json") is not None:
                yield (*path, "json"), json.dumps(request["json"], ensure_ascii=False)


def known_templates(raw: Mapping[str, Any], upstreams: Sequence[str]) -> tuple[str, ...]:
    service, gateway = raw.get("service"), raw.get("gateway")
    by_url = isinstance(service, dict) and service.get("url") is not None
    without = isinstance(gateway, dict) and gateway.get("kind") == "none"
    names = (part for upstream in upstreams for part in upstream_names(upstream))
    own = (*(() if by_url else ("port",)), *((CA_TEMPLATE,) if _has_ca(raw) else ()))
    return (*own, *names, "gateway.url", *(() if without else ("gateway.timeout",)))


def _has_ca(raw: Mapping[str, Any]) -> bool:
    written = raw.get("upstreams")
    upstreams = written.values() if isinstance(written, dict) else ()
    return any(isinstance(each, dict) and each.get("tls") == "terminate" for each in upstreams)


def _values(part: Mapping[str, Any], path: Path, key: str) -> Iterator[tuple[Path, str]]:
    held = part.get(key)
    for name, value in held.items() if isinstance(held, dict) else ():
        if isinstance(value, str):
            yield (*path, key, name), value
