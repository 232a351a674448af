"""Keeps the first answers that were ok and lacked an upstream, in the run directory during the load.

They are for people. No verdict depends on them, so an answer that cannot be written is left out and the run goes on.
Only a few are kept. Answers of the warm-up do not count, nor those that lack only upstreams that the plan breaks at
that time. Once all places are taken, an answer that lacks a set of upstreams that no kept one lacks replaces the last
kept answer whose set another one lacks too.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from harness.rundir.incomplete import BYTES_MOST, FOLDER, KEPT_MOST, IncompleteAnswer, answer_name, index_name
from harness.rundir.locustfile.request_names import clean_name
from harness.rundir.ndjson import replace_file
from harness.rundir.plan import Plan
from harness.secrets.redact import redact, redact_beginning
from harness.text import sanitize
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import PART_MOST, Exchange, RequestEnd
from scenarios.drive.command import WorkerId, own_share

log = logging.getLogger("tailgate.worker")

SLACK_NS: Final = NS_PER_S
"""How much earlier or later than planned a fault may be active."""


@dataclass(frozen=True, slots=True)
class _Kept:
    lacks: int
    """A bit for each upstream that is missing."""
    answer: IncompleteAnswer


class IncompleteAnswers:
    """The answers that one worker keeps: its share of KEPT_MOST. It keeps none before `start`."""

    def __init__(self, plan: Plan, place: WorkerId, secrets: Collection[str] = ()) -> None:
        load = plan.load
        bits = {upstream.name: 1 << upstream.index for upstream in plan.upstreams}
        looked_into = load.complete != "none"
        self._asked = tuple(sum(bits[name] for name in request.asks) if looked_into else 0 for request in load.requests)
        asks = load.locustfile_asks
        self._asked_by_name = (
            None
            if asks is None
            else {name: sum(bits[each] for each in asked) if looked_into else 0 for name, asked in asks.items()}
        )
        self._by_name = load.locustfile is not None
        self._run_dir = place.run_dir
        self._index = place.run_dir / index_name(place.index)
        self._names = {bit: name for name, bit in bits.items()}
        self._requests = load.requests
        self._secrets = secrets
        self._places = own_share(KEPT_MOST, load.workers, place.index)
        self._planned_ms = [
            (window.apply_ms, window.remove_ms, sum(bits.get(name, 0) for name in fault.upstreams))
            for fault in plan.faults
            for window in fault.windows
        ]
        self._broken: list[tuple[int, int, int]] = []
        self._t0_ns: int | None = None
        self._kept: list[_Kept] = []
        self._full = self._places == 0

    def asked_by(self, request: int, name: str) -> int:
        """The bits of the upstreams whose rows the answer to a request should contain; 0 if `complete` is none."""
        if not self._by_name:
            return self._asked[request]
        return self._asked[0] if self._asked_by_name is None else self._asked_by_name.get(name, 0)

    def start(self, t0_ns: int) -> None:
        """Sets the end of the warm-up. Nothing is kept before this call."""
        self._t0_ns = t0_ns
        self._broken = [
            (t0_ns + round(apply_ms * NS_PER_MS) - SLACK_NS, t0_ns + round(remove_ms * NS_PER_MS) + SLACK_NS, bits)
            for apply_ms, remove_ms, bits in self._planned_ms
        ]

    def see(self, exchange: Exchange, ending: RequestEnd, lacks: int, body: bytes, name: str = "") -> None:
        """Keeps an answer that was ok and lacks the upstreams of these bits, if it qualifies. `body`: decoded, at least
        its first BYTES_MOST bytes; `name`: that of a locustfile's request."""
        if self._full or self._t0_ns is None or exchange.since_ns < self._t0_ns:
            return
        done_ns = exchange.done_ns or exchange.sent_ns
        for begin_ns, end_ns, bits in self._broken:
            if begin_ns < done_ns and exchange.since_ns < end_ns:
                lacks &= ~bits
        if lacks and self._has_place(lacks):
            self._kept.append(_Kept(lacks, self._write(exchange, ending, lacks, body, name)))
            self._write_index()

    def _has_place(self, lacks: int) -> bool:
        """Whether a place is free; drops a kept answer for it if another one lacks the same upstreams."""
        if len(self._kept) < self._places:
            return True
        sets = [kept.lacks for kept in self._kept]
        alike = [index for index, each in enumerate(sets) if sets.count(each) > 1]
        self._full = not alike  # all kept answers lack different sets, so none will be replaced
        if lacks in sets or not alike:
            return False
        given_up = self._kept.pop(alike[-1]).answer
        if given_up.file:
            with suppress(OSError):
                (self._run_dir / given_up.file).unlink()
        return True

    def _write(
        self, exchange: Exchange, ending: RequestEnd, lacks: int, body: bytes, name_of_request: str
    ) -> IncompleteAnswer:
        part = min(exchange.part, PART_MOST)
        name = answer_name(exchange.arrival.seq, part)
        text = sanitize(redact_beginning(body, self._secrets, BYTES_MOST).decode("utf-8", "backslashreplace"))
        encoded = text.encode("utf-8")
        trouble = ""
        try:
            (self._run_dir / FOLDER).mkdir(exist_ok=True)
            (self._run_dir / name).write_bytes(encoded[:BYTES_MOST])
        except OSError as exc:
            trouble = exc.strerror or type(exc).__name__
            with suppress(OSError):
                (self._run_dir / name).unlink()
        return IncompleteAnswer(
            seq=exchange.arrival.seq,
            part=part,
            t_ns=exchange.since_ns,
            request=clean_name(redact(name_of_request, self._secrets))
            if self._by_name
            else self._requests[ending.request].name,
            status=ending.status,
            missing=tuple(name for bit, name in self._names.items() if lacks & bit),
            file=None if trouble else name,
            bytes=ending.size,
            cut=ending.size > BYTES_MOST or len(encoded) > BYTES_MOST,
            trouble=trouble,
        )

    def _write_index(self) -> None:
        """Rewrites the index, which has at most KEPT_MOST lines."""
        try:
            replace_file(self._index, "".join(f"{kept.answer.model_dump_json()}\n" for kept in self._kept))
        except OSError as exc:
            self._full = True
            log.warning("%s cannot be written, so incomplete answers are no longer kept: %s", self._index.name, exc)
