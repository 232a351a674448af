"""The hosts of a HAR recording, each as an upstream that answers as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.scenario.draft.parts import DraftUpstream, upstream_name
from harness.scenario.draft.paths import relative_path
from harness.text import listed
from harness.upstreams.routes.har.answers import ExchangeLeftOut, Seen, answer_of, path_of
from harness.upstreams.routes.har.exchanges import exchanges_of
from harness.upstreams.routes.har.reading import HOSTS_MOST
from harness.upstreams.routes.routes_read import ROUTES_MOST, UnreadableRoutes

HOSTS_TAKEN: Final = 20
_LISTED: Final = 10
_NO_BODY: Final = "no_body"
BROWSERS_OWN: Final = (
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "use.typekit.net",
    "google-analytics.com",
    "analytics.google.com",
    "googletagmanager.com",
    "googleadservices.com",
    "googlesyndication.com",
    "doubleclick.net",
    "gvt1.com",
    "update.googleapis.com",
    "safebrowsing.googleapis.com",
    "clients1.google.com",
    "clients2.google.com",
    "accounts.google.com",
    "connect.facebook.net",
    "segment.io",
    "segment.com",
    "hotjar.com",
    "mixpanel.com",
    "amplitude.com",
    "plausible.io",
    "clarity.ms",
    "bat.bing.com",
    "newrelic.com",
    "nr-data.net",
    "mozilla.com",
    "mozilla.org",
    "firefox.com",
    "edge.microsoft.com",
)
"""Hosts that browsers and pages call for fonts, statistics and updates of their own, also by a name below these."""


@dataclass(slots=True)
class _HostCount:
    """`exchanges`: all of them. `answers`: those that a fake can give again. `left_out`: why others cannot be.

    `routes`: method and path, at most one more than a fake has.
    """

    exchanges: int = 0
    answers: int = 0
    bodies: int = 0
    left_out: set[str] = field(default_factory=set)
    routes: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_usable(self) -> bool:
        return 0 < len(self.routes) <= ROUTES_MOST and (self.bodies > 0 or _NO_BODY not in self.left_out)


def upstreams_of_har(path: Path, folder: Path, taken: frozenset[str]) -> tuple[list[DraftUpstream], list[str]]:
    """The hosts with most exchanges first, and sentences about those that were left out. Raises UsageError."""
    counts = _counted(path)
    ordered = sorted(counts, key=lambda host: (-counts[host].exchanges, host))
    own = [host for host in ordered if is_browsers_own(host)]
    rest = [host for host in ordered if host not in own]
    usable = [host for host in rest if counts[host].is_usable]
    if not usable:
        fix = "record the calls of the service to its partners again, with content"
        raise UsageError(f"{path} has no host with an answer that a fake can give again", fix)
    upstreams: list[DraftUpstream] = []
    for host in usable[:HOSTS_TAKEN]:
        name = upstream_name(host, {*taken, *(upstream.name for upstream in upstreams)})
        fields = {"har": relative_path(path, folder), "host": host}
        recorded = counts[host].answers
        comments = (f"{recorded} recorded answer{'' if recorded == 1 else 's'}",)
        upstreams.append(
            DraftUpstream(name, fields, comments, hosts=frozenset({host.rpartition(":")[0] or host, host}))
        )
    notes = []
    if own:
        notes.append(f"hosts in {path.name} that a browser calls for itself: {listed(own, _LISTED)}")
    if unusable := [host for host in rest if not counts[host].is_usable]:
        notes.append(f"hosts in {path.name} without an answer that a fake can give again: {listed(unusable, _LISTED)}")
    if more := usable[HOSTS_TAKEN:]:
        notes.append(f"hosts in {path.name} beyond the {HOSTS_TAKEN} with most exchanges: {listed(more, _LISTED)}")
    return upstreams, notes


def is_browsers_own(host: str) -> bool:
    name = host.rpartition(":")[0] or host
    return any(name == own or name.endswith(f".{own}") for own in BROWSERS_OWN)


def _counted(path: Path) -> dict[str, _HostCount]:
    counts: dict[str, _HostCount] = {}
    seen = Seen()
    try:
        for exchange in exchanges_of(path):
            if exchange is None or exchange.method == "CONNECT" or not 200 <= exchange.status <= 599:
                continue
            if exchange.host not in counts and len(counts) >= HOSTS_MOST:
                continue
            count = counts.setdefault(exchange.host, _HostCount())
            count.exchanges += 1
            count.bodies += bool(exchange.text)
            try:
                answer_of(exchange, seen)
            except ExchangeLeftOut as exc:
                count.left_out.add(exc.reason)
                continue
            count.answers += 1
            if len(count.routes) <= ROUTES_MOST:
                count.routes.add((exchange.method, path_of(exchange.path, seen)))
    except UnreadableRoutes as exc:
        raise UsageError(exc.message, exc.fix) from exc
    return counts
