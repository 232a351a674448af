"""The admin API of a Toxiproxy, typed and bounded: every refusal is raised, every write read back.

The one importer of toxiproxy-python (and of requests). That package has no timeouts, takes a 500 for
success and keeps host and port in class globals; here its transport is a session that has a deadline
and raises, and its consumer is subclassed for each client. Its objects hide what the server answered,
so all calls go through the consumer.

A server that answers 200 and does nothing is caught by the read-back as far as its API goes; what it
does to traffic only a canary can tell (`harness.stack.monitor.canary`).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import requests
import toxiproxy.api
import urllib3
from pydantic import TypeAdapter, ValidationError

from harness.errors import RigError, UsageError
from harness.rundir.planned.fault import PlannedToxic
from harness.secrets.redact import redact
from harness.text import one_line
from harness.toxiproxy.metrics import received_by_proxy
from harness.toxiproxy.restore import Step
from harness.toxiproxy.state import Proxy, Toxic

TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024

_RELAXING_S: Final = 0.1
_PIECE_S: Final = 0.4
"""A bandwidth toxic passes a piece on every 100 ms."""
_CHUNK_BYTES: Final = 64 * 1024
_EXCERPT_CHARS: Final = 300
_VERSION_CHARS: Final = 40
_FIXES: Final = {
    401: "set TOXIPROXY_AUTH_TOKEN to the token that this server wants",
    403: "set TOXIPROXY_AUTH_TOKEN to the token that this server wants",
    409: "run `tailgate toxiproxy sweep` if an earlier run left it",
    503: "the server is overloaded or wedged; whoever runs it can see why in its log",
}

T = TypeVar("T")


class ToxiproxyError(RigError):
    """What was asked and what came back. `status` is None where nothing (or nothing readable) came back."""

    def __init__(self, message: str, fix: str = "", *, status: int | None = None) -> None:
        super().__init__(message, fix)
        self.status = status


_PROXIES: Final = TypeAdapter(dict[str, Proxy])
_PROXY: Final = TypeAdapter(Proxy)
_TOXICS: Final = TypeAdapter(tuple[Toxic, ...])


class ToxiproxyClient:
    """Blocking; may be called from several threads. Methods raise ToxiproxyError.

    `timeout_s` bounds connecting, each read, and the body as a whole. Raises UsageError for a URL that
    is not plain http, since the package underneath speaks nothing else.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, env: Mapping[str, str] = os.environ) -> None:
        host, port = _host_and_port(url)
        self.url = f"http://{host}:{port}"
        self._consumer: Any = type("Consumer", (toxiproxy.api.APIConsumer,), {"host": host, "port": port})
        # one connection a call: a kept one that the server has closed meanwhile would fail a write at random
        # and /metrics, the one answer that the server would compress, is read as it comes
        headers = {"Connection": "close", "Accept-Encoding": "identity"}
        if token := env.get("TOXIPROXY_AUTH_TOKEN"):
            _SESSION.secrets.add(token)
            headers["Authorization"] = f"Bearer {token}"
        self._options: Mapping[str, Any] = {"timeout": timeout_s, "headers": headers}
        toxiproxy.api.requests = _SESSION

    def version(self) -> str:
        response = self._consumer.get("/version", **self._options)
        try:
            return one_line(str(response.json()["version"]), _VERSION_CHARS)
        except (ValueError, KeyError, TypeError, RecursionError):
            # servers before 2.2 answer with the bare number
            text = _beginning(response)
            if 0 < len(text) < 32 and text[0].isdigit():
                return text
            raise ToxiproxyError(
                f"GET {self.url}/version answered {_excerpt(response)}: this is not a Toxiproxy",
                "let the URL name Toxiproxy's admin port, 8474 by default",
                status=response.status_code,
            ) from None

    def proxies(self) -> dict[str, Proxy]:
        return self._get(_PROXIES, "/proxies")

    def proxy(self, name: str) -> Proxy | None:
        """None: there is no such proxy."""
        try:
            return self._get(_PROXY, _proxy_path(name))
        except ToxiproxyError as exc:
            if exc.status == 404:
                return None
            raise

    def create_proxy(self, name: str, listen: str, upstream: str, *, enabled: bool = True) -> Proxy:
        """`listen` and `upstream` are host:port. A proxy that is enabled listens when this returns."""
        asked = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        _proxy_path(name)  # refuses a name that could never be addressed again
        self._consumer.post("/proxies", json=asked, **self._options)
        made = self.proxy(name)
        if made is None or made.enabled != enabled or made.upstream != upstream or not made.listens_at(listen):
            raise self._lie(f"create proxy {name} ({listen} → {upstream})", made)
        return made

    def delete_proxy(self, name: str) -> None:
        self._consumer.delete(_proxy_path(name), **self._options)
        if (left := self.proxy(name)) is not None:
            raise self._lie(f"delete proxy {name}", left)

    def set_enabled(self, name: str, enabled: bool) -> None:
        self._consumer.post(_proxy_path(name), json={"enabled": enabled}, **self._options)
        now = self.proxy(name)
        if now is None or now.enabled != enabled:
            raise self._lie(f"{'enable' if enabled else 'disable'} proxy {name}", now)

    def toxics(self, proxy: str) -> tuple[Toxic, ...]:
        """In the order they act, those of the upstream direction first."""
        return self._get(_TOXICS, f"{_proxy_path(proxy)}/toxics")

    def add_toxic(self, proxy: str, name: str, toxic: PlannedToxic) -> None:
        """Acts on live connections too. A disabled proxy takes a toxic and does nothing: see `Proxy.enabled`."""
        asked = {"name": name, **toxic.model_dump()}
        _toxic_path(proxy, name)
        self._consumer.post(f"{_proxy_path(proxy)}/toxics", json=asked, **self._options)
        added = self._toxic(proxy, name)
        if added is None or not added.is_as(toxic):
            raise self._lie(f"add toxic {name} ({toxic.type} {json.dumps(toxic.attributes)}) to {proxy}", added)

    def remove_toxic(self, proxy: str, name: str) -> None:
        self._consumer.delete(_toxic_path(proxy, name), **self._options)
        if (left := self._toxic(proxy, name)) is not None:
            raise self._lie(f"remove toxic {name} from {proxy}", left)

    def received_bytes(self) -> dict[str, int] | None:
        """Bytes received from clients, by proxy, those without a connection so far left out. None: the server has no
        metrics."""
        try:
            response = self._consumer.get("/metrics", **self._options)
        except ToxiproxyError as exc:
            if exc.status == 404:
                return None
            raise
        return received_by_proxy(response.content.decode("utf-8", "replace"))

    def take(self, proxy: str, steps: Iterable[Step]) -> None:
        """Do the steps one after the other. Raises at the first that fails; a proxy that they disabled for a moment
        is enabled again then, if the server still does that."""
        disabled = False
        try:
            for step in steps:
                if step.do == "wait":
                    time.sleep(_PIECE_S)
                elif step.do == "relax":
                    self._relax(proxy, step)
                elif step.do == "remove":
                    self._remove_if_there(proxy, step.toxic)
                else:
                    disabled = step.do == "disable"
                    self.set_enabled(proxy, not disabled)
        except ToxiproxyError:
            if disabled:
                with contextlib.suppress(ToxiproxyError):  # the first error counts
                    self.set_enabled(proxy, True)
            raise

    def _relax(self, proxy: str, step: Step) -> None:
        """Returns when what the toxic held back has had time to pass."""
        asked = {"attributes": dict(step.attributes)}
        try:
            self._consumer.post(_toxic_path(proxy, step.toxic), json=asked, **self._options)
        except ToxiproxyError as exc:
            if exc.status != 404:
                raise
        time.sleep(_RELAXING_S)

    def _remove_if_there(self, proxy: str, toxic: str) -> None:
        """Others may remove it at the same moment, or the proxy with it."""
        try:
            self.remove_toxic(proxy, toxic)
        except ToxiproxyError as exc:
            if exc.status != 404:
                raise

    def _toxic(self, proxy: str, name: str) -> Toxic | None:
        return next((toxic for toxic in self.toxics(proxy) if toxic.name == name), None)

    def _get(self, shape: TypeAdapter[T], path: str) -> T:
        response = self._consumer.get(path, **self._options)
        try:
            return shape.validate_json(response.content)
        except ValidationError as exc:
            raise ToxiproxyError(
                f"GET {self.url}{path} answered {_excerpt(response)}, which no Toxiproxy would",
                "let the URL name Toxiproxy's admin port, 8474 by default",
                status=response.status_code,
            ) from exc

    def _lie(self, asked: str, found: Proxy | Toxic | None) -> ToxiproxyError:
        shown = found.model_dump_json() if found else "nothing of that name"
        return ToxiproxyError(
            f"Toxiproxy at {self.url} was asked to {asked} and answered that it had, but its state shows {shown}",
            "use another server, or see who else changes this one at the same time",
        )


class _Session(requests.Session):
    """Stands where toxiproxy-python expects the module `requests`. Only 2xx comes back from it."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()
        """Tokens that were sent: a server may say them back."""
        self.trust_env = False  # neither http_proxy nor .netrc is meant for an admin port

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        asked = f"{method} {url}"
        timeout_s = kwargs.setdefault("timeout", TIMEOUT_S)
        end = time.monotonic() + timeout_s
        kwargs |= {"allow_redirects": False, "stream": True}
        try:
            with super().request(method, url, *args, **kwargs) as response:
                body = _body_by(end, response)
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as exc:
            raise ToxiproxyError(f"{asked} was not answered within {timeout_s:g} s", _ALIVE) from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise ToxiproxyError(f"{asked} failed: {_root(exc)}", _ALIVE) from exc
        response._content, response._content_consumed = body, True  # type: ignore[attr-defined]
        if not 200 <= response.status_code < 300:
            fix = _FIXES.get(response.status_code, "")
            raise ToxiproxyError(f"{asked} answered {_excerpt(response)}", fix, status=response.status_code)
        return response


_ALIVE: Final = "see whether Toxiproxy runs and its admin port answers; `tailgate doctor` says what is found"
_SESSION: Final = _Session()


def _body_by(end: float, response: requests.Response) -> bytes:
    """The whole body. Raises TimeoutError past `end`: requests bounds each read, not their sum.

    `read1` gives what has come; `iter_content` would wait in the middle of a chunk that drips.
    """
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES):
        body += chunk
        if time.monotonic() > end:
            raise TimeoutError("the answer drips")
        if len(body) > ANSWER_BYTES_MAX:
            raise requests.RequestException(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _root(exc: BaseException) -> str:
    """The system's own words (`Connection refused`) under urllib3's layers."""
    while (inner := exc.__cause__ or exc.__context__) is not None:
        exc = inner
    return (
        exc.strerror
        if isinstance(exc, OSError) and exc.strerror
        else one_line(redact(str(exc), _SESSION.secrets), _EXCERPT_CHARS)
    )


def _beginning(response: requests.Response) -> str:
    """Of the body, as one line; guessing the encoding of megabytes, as `response.text` does, takes minutes."""
    text = response.content[: 4 * _EXCERPT_CHARS].decode("utf-8", "replace").strip()
    return one_line(redact(text, _SESSION.secrets), _EXCERPT_CHARS)


def _excerpt(response: requests.Response) -> str:
    text = _beginning(response)
    return f"{response.status_code} {text}" if text else f"{response.status_code} and nothing else"


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or 8474
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port or parts.path not in ("", "/") or parts.username:
        raise UsageError(f"`{url}` is not the address of a Toxiproxy", "write it as http://HOST:8474")
    return (f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname), port


def _proxy_path(name: str) -> str:
    return f"/proxies/{_quoted(name)}"


def _toxic_path(proxy: str, name: str) -> str:
    return f"{_proxy_path(proxy)}/toxics/{_quoted(name)}"


def _quoted(name: str) -> str:
    # the server's router decodes before it splits: what has a slash (or is a dot) could not be removed again
    if not name or "/" in name or name in (".", ".."):
        raise ToxiproxyError(f"`{name}` cannot be a name on Toxiproxy", "name it without slashes")
    return quote(name, safe="")
