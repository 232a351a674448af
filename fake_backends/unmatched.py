"""Calls for something that a fake does not have: their method and path, counted, for unmatched.ndjson.

Bounded: KINDS_MOST kinds for each upstream; all others are one number. A path is kept without its query string and
without known secrets. Nothing here may cost a run its verdict: what cannot be written is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.rundir.ndjson import replace_file
from harness.rundir.unmatched import FILE, KINDS_MOST, METHOD_MOST, PATH_MOST, Unmatched
from harness.secrets.redact import redact
from harness.text import one_line

if TYPE_CHECKING:
    from fake_backends.backend import Backend

_LOOKED_AT: Final = 2_000
"""Characters of a path by which kinds of calls are distinguished."""
_Kind = tuple[str, str, int]


class UnmatchedCalls:
    """The counts of one process of fakes. `upstreams`: each fake by its name."""

    def __init__(self, run_dir: Path, upstreams: Mapping[str, Backend], secrets: Collection[str] = ()) -> None:
        self._path = run_dir / FILE
        self._upstreams = upstreams
        self._secrets = secrets
        self._calls: dict[str, dict[_Kind, int]] = {}
        self._more: dict[str, int] = {}
        self._texts: dict[tuple[str, _Kind], tuple[str, str, str]] = {}
        self._changed = False

    def note(self, upstream: str, method: str, path: str, status: int) -> None:
        """Count one call. This is cheap, because a service may make no other calls than these."""
        kinds = self._calls.setdefault(upstream, {})
        kind = method[:METHOD_MOST], path[:_LOOKED_AT], status
        self._changed = True
        if kind in kinds:
            kinds[kind] += 1
        elif len(kinds) < KINDS_MOST:
            kinds[kind] = 1
        else:
            self._more[upstream] = self._more.get(upstream, 0) + 1

    def write(self) -> None:
        """Write the whole file anew if a call came since the last time. The old file stays until the new one is
        there."""
        if not self._changed:
            return
        self._changed = False
        with suppress(OSError):
            replace_file(self._path, "".join(f"{line.model_dump_json()}\n" for line in self.lines()))

    def lines(self) -> list[Unmatched]:
        """The kinds in the order in which they first came; for each upstream, the number of all other calls comes
        last."""
        found = []
        for upstream, kinds in self._calls.items():
            speaks = self._upstreams[upstream].speaks() if upstream in self._upstreams else ""
            for kind, calls in kinds.items():
                method, path, nearest = self._shown(upstream, kind)
                line = Unmatched(
                    upstream=upstream,
                    method=method,
                    path=path,
                    status=kind[2],
                    calls=calls,
                    speaks=speaks,
                    nearest=nearest,
                )
                found.append(line)
            if more := self._more.get(upstream):
                found.append(Unmatched(upstream=upstream, method=None, path=None, status=None, calls=more))
        return found

    def _shown(self, upstream: str, kind: _Kind) -> tuple[str, str, str]:
        """Method, path and nearest route as they are written. Each kind of call is looked at only once."""
        key = upstream, kind
        if key not in self._texts:
            method, path, _ = kind
            fake = self._upstreams.get(upstream)
            self._texts[key] = (
                one_line(method, METHOD_MOST),
                one_line(redact(path, self._secrets), PATH_MOST),
                one_line(fake.nearest(method, path), PATH_MOST) if fake else "",
            )
        return self._texts[key]
