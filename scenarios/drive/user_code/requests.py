"""The requests of a user's own locustfile: their names, the scenario's headers in them, and which go elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.plan import Plan
from scenarios.drive.instrumentation import REQUESTS_MOST
from scenarios.drive.user_code.target_guard import TargetGuard
from scenarios.drive.user_code.watcher import LocustfileWatcher

_DEFAULT_HEADERS: Final = ("user-agent", "accept-encoding", "accept", "connection")
"""What every session has, so that its locustfile did not choose it."""
_PORTS: Final = {"http": 80, "https": 443}


class LocustfileRequests:
    """What measuring needs to know of a user's own locustfile. `headers`: those of the scenario, with every `${VAR}`
    expanded."""

    def __init__(self, plan: Plan, headers: Mapping[str, str], watcher: LocustfileWatcher, guard: TargetGuard) -> None:
        self.watcher: Final = watcher
        self._guard = guard
        self._headers = dict(headers)
        self._service = {_address(plan.gateway.target), _address(plan.service.url)}

    def number(self, name: str) -> int:
        """The number of a request's name, for its row."""
        return self.watcher.number(name)

    def is_elsewhere(self, url: Any) -> bool:
        """Whether a request goes to another server than the service, so that it does not count. Ends the process for
        a host that must not be asked."""
        text = url.decode("latin-1") if isinstance(url, bytes) else str(url)
        if not text.lower().startswith(("http://", "https://")):
            return False
        if host := urlsplit(text).hostname:
            self._guard.check(host)
        return _address(text) not in self._service

    def headers_for(self, client: Any, given: Mapping[str, str] | None) -> dict[str, str]:
        """The headers of a request: the scenario's, under those that the locustfile gives to it or to its session."""
        headers = dict(given or {})
        taken = {name.lower() for name in headers}
        session = (name.lower() for name in getattr(client, "headers", None) or ())
        taken.update(name for name in session if name not in _DEFAULT_HEADERS)
        return {**{name: value for name, value in self._headers.items() if name.lower() not in taken}, **headers}

    def name_of(self, client: Any, url: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The name that Locust will give to a request, as far as it is known before its answer."""
        given = kwargs.get("name") or (args[0] if args else None) or getattr(client, "request_name", None)
        return str(given or url)

    def position(self) -> str:
        """The line of the locustfile that is running."""
        return self.watcher.positions.of_caller()

    def never_entered(self, where: str) -> NoReturn:
        """Ends the process: an answer with `catch_response` was not used in a `with` block."""
        self.watcher.never_entered(where)

    def failed_check(self, name: str, error: BaseException) -> None:
        self.watcher.note("bad_answer", f'`{name}`: the locustfile said "{error}"', self.position())

    def sent_in_on_start(self, name: str) -> None:
        self.watcher.sent_in_on_start(name)

    def sends_without_end(self) -> NoReturn:
        """Ends the process: a task has sent more than REQUESTS_MOST requests."""
        text = f"it sent more than {REQUESTS_MOST:,} requests for one arrival"
        self.watcher.fail(LocustfileNote(kind="endless", text=text, where=self.position()))


def refuse_host(watcher: LocustfileWatcher, host: str) -> NoReturn:
    """Ends the process: the locustfile asks a host that is neither on this machine nor allowed."""
    fix = f"if you own that host, add --allow-target {host}; to test the service, write paths without a host"
    watcher.fail(LocustfileNote(kind="host", text=host, where=watcher.positions.of_caller(), fix=fix))


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return ("127.0.0.1" if host == "localhost" else host), parts.port or _PORTS.get(parts.scheme.lower(), 0)
