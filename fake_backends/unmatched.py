"""What was asked for and is not there: method and path of such calls, counted, for unmatched.ndjson.

Bounded: KINDS_MOST kinds for each upstream, the rest is one number. A path is kept without its query string and without
known secrets. Nothing here may cost a run its verdict: what cannot be written is left out.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.rundir.unmatched import FILE, KINDS_MOST, METHOD_MOST, PATH_MOST, Unmatched
from harness.secrets.redact import redact
from harness.text import one_line

_LOOKED_AT: Final = 2_000
"""Characters of a path by which calls are told apart."""
_Kind = tuple[str, str, int]


class UnmatchedCalls:
    """The counts of one process of fakes. `speaks` tells, by upstream, what there is to ask for."""

    def __init__(self, run_dir: Path, speaks: dict[str, str], secrets: Collection[str] = ()) -> None:
        self._path = run_dir / FILE
        self._speaks = speaks
        self._secrets = secrets
        self._calls: dict[str, dict[_Kind, int]] = {}
        self._more: dict[str, int] = {}
        self._told: dict[_Kind, tuple[str, str]] = {}
        self._changed = False

    def note(self, upstream: str, method: str, path: str, status: int) -> None:
        """One call. Cheap, as a service that asks for nothing else makes every call one of these."""
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
        """The file anew, whole, if anything came since; the one before stays until then."""
        if not self._changed:
            return
        self._changed = False
        draft = self._path.with_name(f".{FILE}")
        lines = "".join(f"{line.model_dump_json()}\n" for line in self.lines())
        with suppress(OSError):
            draft.write_text(lines, encoding="utf-8")
            draft.replace(self._path)

    def lines(self) -> list[Unmatched]:
        """In the order in which they were first seen; what was not told apart comes last of each upstream."""
        found = []
        for upstream, kinds in self._calls.items():
            speaks = self._speaks.get(upstream, "")
            for kind, calls in kinds.items():
                method, path = self._shown(kind)
                line = Unmatched(
                    upstream=upstream, method=method, path=path, status=kind[2], calls=calls, speaks=speaks
                )
                found.append(line)
            if more := self._more.get(upstream):
                found.append(Unmatched(upstream=upstream, method=None, path=None, status=None, calls=more))
        return found

    def _shown(self, kind: _Kind) -> tuple[str, str]:
        """Method and path fit to be kept; each is looked through for secrets once."""
        if kind not in self._told:
            method, path, _ = kind
            self._told[kind] = one_line(method, METHOD_MOST), one_line(redact(path, self._secrets), PATH_MOST)
        return self._told[kind]
