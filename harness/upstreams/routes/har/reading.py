"""Routes from a HAR recording, which browsers, mitmproxy, Playwright, Postman and Charles write.

Every answered exchange with one host becomes an answer of the route with its method and path. Only the answers of the
hosts that are asked for are kept in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.model.value_types import did_you_mean, shortened
from harness.text import listed
from harness.upstreams.routes.har.exchanges import RecordedExchange, exchanges_of
from harness.upstreams.routes.har.host_recording import HostRecording, exchanges
from harness.upstreams.routes.routes_read import ROUTES_MOST, RoutesRead, UnreadableRoutes

HOSTS_MOST: Final = 10_000
"""Hosts that are told apart in messages; the exchanges of further ones are passed over."""
_HOSTS_LISTED: Final = 5
_WITH_CONTENT: Final = (
    "save it with content: `Export HAR` in the browser's network panel, `content: 'embed'` in Playwright"
)


def read_hosts(path: Path, hosts: Iterable[str]) -> dict[str, RoutesRead | UnreadableRoutes]:
    """For each of these hosts, its routes or why it has none. The file is read once. Raises OSError.

    A host is with or without port, in any case, and empty if the recording has one host only.
    """
    readings = {host: _Reading(_wanted(host)) for host in hosts}
    try:
        for exchange in exchanges_of(path):
            for reading in readings.values():
                reading.add(exchange)
    except UnreadableRoutes as refused:
        return dict.fromkeys(readings, refused)
    found: dict[str, RoutesRead | UnreadableRoutes] = {}
    for host, reading in readings.items():
        try:
            found[host] = _routes_of(path, host, reading)
        except UnreadableRoutes as refused:
            found[host] = refused
    return found


def _routes_of(path: Path, host: str, reading: _Reading) -> RoutesRead:
    """Raises UnreadableRoutes."""
    chosen, recording = reading.choose(path.name, host)
    if recording.left_out["no_body"] and not recording.bodies:
        raise UnreadableRoutes(
            f"{path.name} was saved without content: no answer of {chosen} has a body", _WITH_CONTENT
        )
    if recording.has_too_many:
        raise UnreadableRoutes(
            f"{path.name} has more than {ROUTES_MOST:,} different routes of {chosen}",
            "record less: only the calls that the service makes",
        )
    routes = recording.routes()
    if not routes:
        why = "; ".join(recording.notes())
        raise UnreadableRoutes(f"{path.name} has no usable answer of {chosen}: {why}", "record its calls again")
    return RoutesRead(routes, (*reading.notes(), *recording.notes()))


@dataclass(slots=True)
class _Reading:
    """`wanted`: the host, perhaps without its port; empty for the only one. `answered`: exchanges by host."""

    wanted: str
    answered: Counter[str] = field(default_factory=Counter)
    no_exchanges: int = 0
    _unanswered: dict[str, Counter[str]] = field(default_factory=dict)
    _kept: dict[str, HostRecording] = field(default_factory=dict)
    """Of one host, perhaps on several ports; nothing once it is clear that the user has to choose."""

    def add(self, exchange: RecordedExchange | None) -> None:
        if exchange is None:
            self.no_exchanges += 1
            return
        host = exchange.host
        is_wanted = self.wanted in ("", host, _without_port(host))
        is_known = bool(self.wanted and is_wanted) or host in self.answered or host in self._unanswered
        if not is_known and len(self.answered) + len(self._unanswered) >= HOSTS_MOST:
            return
        if reason := _unanswerable(exchange):
            self._unanswered.setdefault(host, Counter())[reason] += 1
            return
        self.answered[host] += 1
        if not self.wanted and len(self.answered) > 1:
            self._kept.clear()
        elif is_wanted:
            self._kept.setdefault(host, HostRecording()).add(exchange)

    def choose(self, name: str, given: str) -> tuple[str, HostRecording]:
        """The host and its exchanges. `name`: of the file. Raises UnreadableRoutes unless it is certain."""
        hosts = [host for host, _ in sorted(self.answered.items(), key=lambda item: (-item[1], item[0]))]
        if not hosts:
            aborted = sum(sum(reasons.values()) for reasons in self._unanswered.values())
            also = f" ({exchanges(aborted)} without one)" if aborted else ""
            raise UnreadableRoutes(f"{name} has no answered exchange over HTTP{also}", "record the calls again")
        if self.wanted and not self._kept:
            raise UnreadableRoutes(f"{name} has no answer of `{shortened(given)}`", did_you_mean(self.wanted, hosts))
        if self.wanted in self._kept:
            chosen = self.wanted
        elif len(self._kept) == 1:
            (chosen,) = self._kept
        else:
            rivals = [host for host in hosts if not self.wanted or host in self._kept]
            raise UnreadableRoutes(f"{name} has answers of {self._counts(rivals)}", f"choose one: `host: {rivals[0]}`")
        recording = self._kept[chosen]
        recording.left_out += self._unanswered.get(chosen, Counter())
        return chosen, recording

    def notes(self) -> tuple[str, ...]:
        if not self.no_exchanges:
            return ()
        what = "no exchanges: they lack a method, a URL or a status"
        return (f"{self.no_exchanges:,} of the entries are left out because they are {what}",)

    def _counts(self, hosts: list[str]) -> str:
        counts = [f"`{shortened(host)}` ({self.answered[host]:,})" for host in hosts]
        return f"{len(hosts):,} hosts: {listed(counts, _HOSTS_LISTED)}"


def _unanswerable(exchange: RecordedExchange) -> str:
    """The reason in LEFT_OUT why no fake can answer this request; empty if one can."""
    if exchange.method == "CONNECT":
        return "connect"
    if exchange.status == 101:
        return "websocket"
    if exchange.status <= 0:
        return "aborted"
    return "" if 200 <= exchange.status <= 599 else "bad_status"


def _wanted(host: str) -> str:
    lower = host.strip().lower()
    name, _, port = lower.rpartition(":")
    return name if name and port in ("80", "443") else lower


def _without_port(host: str) -> str:
    return host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
