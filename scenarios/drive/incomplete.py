"""The first answers that were ok and lacked an upstream, kept in the run directory while the load is on.

Kept for people: no verdict needs them, so what cannot be written is left out and the run goes on. The places are few.
They are not for answers of the warm-up, nor for those that lack only whom the plan breaks at that time. When all are
taken, an answer that lacks others than any kept one takes the place of the last kept one that another resembles.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from harness.rundir.incomplete import BYTES_MOST, FOLDER, KEPT_MOST, IncompleteAnswer, answer_name, index_name
from harness.rundir.plan import Plan
from harness.secrets.redact import redact_beginning
from harness.text import sanitize
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import PART_MOST, Exchange, RequestEnd
from scenarios.drive.command import WorkerId, own_share

log = logging.getLogger("tailgate.worker")

SLACK_NS: Final = NS_PER_S
"""How far off the plan a fault may act: it is requested earlier, and its removal acknowledged later."""


@dataclass(frozen=True, slots=True)
class _Kept:
    lacks: int
    """A bit for each upstream that is missing."""
    answer: IncompleteAnswer


class IncompleteAnswers:
    """One worker's places: its part of KEPT_MOST, dealt out as arrivals are. `start` opens them."""

    def __init__(self, plan: Plan, place: WorkerId, secrets: Collection[str] = ()) -> None:
        load = plan.load
        bits = {upstream.name: 1 << upstream.index for upstream in plan.upstreams}
        looked_into = load.complete != "none"
        self.asked: Final = tuple(
            sum(bits[name] for name in request.asks) if looked_into else 0 for request in load.requests
        )
        """By request, whose rows its answer should hold; nobody's where answers are not looked into."""
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

    def start(self, t0_ns: int) -> None:
        """The warm-up ends then; nothing is kept before this is known."""
        self._t0_ns = t0_ns
        self._broken = [
            (t0_ns + round(apply_ms * NS_PER_MS) - SLACK_NS, t0_ns + round(remove_ms * NS_PER_MS) + SLACK_NS, bits)
            for apply_ms, remove_ms, bits in self._planned_ms
        ]

    def see(self, exchange: Exchange, ending: RequestEnd, lacks: int, body: bytes) -> None:
        """An answer that was ok and lacks the upstreams of these bits. `body`: decoded, whole."""
        if self._full or self._t0_ns is None or exchange.since_ns < self._t0_ns:
            return
        done_ns = exchange.done_ns or exchange.sent_ns
        for begin_ns, end_ns, bits in self._broken:
            if begin_ns < done_ns and exchange.since_ns < end_ns:
                lacks &= ~bits
        if lacks and self._has_place(lacks):
            self._kept.append(_Kept(lacks, self._write(exchange, ending, lacks, body)))
            self._write_index()

    def _has_place(self, lacks: int) -> bool:
        """Whether there is one, or one can be made."""
        if len(self._kept) < self._places:
            return True
        sets = [kept.lacks for kept in self._kept]
        alike = [index for index, each in enumerate(sets) if sets.count(each) > 1]
        self._full = not alike  # each lacks others than the rest: nothing better can come
        if lacks in sets or not alike:
            return False
        given_up = self._kept.pop(alike[-1]).answer
        if given_up.file:
            with suppress(OSError):
                (self._run_dir / given_up.file).unlink()
        return True

    def _write(self, exchange: Exchange, ending: RequestEnd, lacks: int, body: bytes) -> IncompleteAnswer:
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
            request=self._requests[ending.request].name,
            status=ending.status,
            missing=tuple(name for bit, name in self._names.items() if lacks & bit),
            file=None if trouble else name,
            bytes=len(body),
            cut=len(body) > BYTES_MOST or len(encoded) > BYTES_MOST,
            trouble=trouble,
        )

    def _write_index(self) -> None:
        """Anew and whole: at most KEPT_MOST lines."""
        draft = self._index.with_name(f".{self._index.name}")
        lines = "".join(f"{kept.answer.model_dump_json()}\n" for kept in self._kept)
        try:
            draft.write_text(lines, encoding="utf-8")
            draft.replace(self._index)
        except OSError as exc:
            self._full = True
            log.warning("%s cannot be written, so incomplete answers are no longer kept: %s", self._index.name, exc)
