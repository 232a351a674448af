"""Sends arrivals by libcurl: gives each a handle, follows its redirects, and hands on how it ended."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Final

import pycurl

from harness import __version__
from harness.correlation import SEQ_HEADER, TRACE_HEADER, run_hash, traceparent
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from scenarios.drive.arrival import Arrival, Exchange, RequestEnd
from scenarios.drive.curl.answer_buffer import HELD_MOST, HELD_MOST_PARSED, AnswerBuffer
from scenarios.drive.curl.failures import outcome_of
from scenarios.drive.curl.multi import Multi
from scenarios.drive.curl.transfer import Transfer
from scenarios.drive.curl.wire import HOPS_MOST, REDIRECTS, Target, Wire, host_of, redirected, wire_of
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.error_log import ErrorLog
from scenarios.drive.planned_requests import Outgoing, PlannedRequests

WIRES_KEPT: Final = 1024
"""Requests of different data whose header lines are kept, and so need not be built again."""


class CurlSender:
    """A Sender of the open model. Last in, first out: the handle used last most likely has an open connection."""

    def __init__(self, plan: Plan, planned: PlannedRequests, instrumentation: Instrumentation) -> None:
        self._planned = planned
        self._instrumentation = instrumentation
        self._first_seq = plan.load.first_seq
        self._run = run_hash(plan.run_id)
        self._target = Target.of(plan.gateway.target)
        self._wire_of = lru_cache(maxsize=WIRES_KEPT)(self._new_wire)
        self._needles = instrumentation.needles
        self._held_most = HELD_MOST_PARSED if plan.load.complete == "jmespath" else HELD_MOST
        self._deadline_ms = round(instrumentation.deadline_s * 1000)
        self._error_log = ErrorLog()
        self._free: list[Transfer] = []
        self._all: list[Transfer] = []  # libcurl calls handles back when it closes their connections: they must live
        self._multi = Multi(self._done)

    def warm(self, count: int) -> None:
        """Creates `count` handles in advance; they connect when they send."""
        self._free.extend(self._new() for _ in range(count))

    def send(self, arrival: Arrival) -> None:
        """Sends the request of an arrival; returns at once."""
        transfer = self._free.pop() if self._free else self._new()
        exchange = transfer.exchange = arrival.begin(time.monotonic_ns())
        try:
            wire = transfer.first = self._wire_of(self._planned.of(arrival))
            transfer.aim(wire, self._marks(arrival))
        except (ValueError, pycurl.error) as exc:
            self._error_log.note(exc)
            self._finish(transfer, exchange, Outcome.BAD_ANSWER, 0)
            return
        self._multi.start(transfer.curl)

    def all_taken(self, slots: int) -> None:
        """Nothing: every open arrival waits for the service."""

    def stop(self) -> None:
        """Ends what is under way, without a row, and closes every connection."""
        for transfer in self._all:
            if transfer.exchange is not None:
                self._multi.abort(transfer.curl)
        self._multi.close()
        self._error_log.tell()

    def _new(self) -> Transfer:
        transfer = Transfer(
            AnswerBuffer(self._needles, self._held_most),
            deadline_ms=self._deadline_ms,
            target=host_of(self._target.base),
            user_agent=f"tailgate/{__version__}",
        )
        self._multi.adopt(transfer.curl)
        self._all.append(transfer)
        return transfer

    def _new_wire(self, request: Outgoing) -> Wire:
        return wire_of(request, self._target)

    def _marks(self, arrival: Arrival) -> tuple[bytes, bytes]:
        seq = self._first_seq + arrival.seq
        return f"{SEQ_HEADER}: {seq}".encode(), f"{TRACE_HEADER}: {traceparent(self._run, seq)}".encode()

    def _done(self, curl: Any, code: int) -> None:
        """A transfer has ended, by itself or by its deadline."""
        now_ns = time.monotonic_ns()
        transfer: Transfer = curl.transfer
        exchange = transfer.exchange
        assert exchange is not None
        status: int = curl.getinfo(pycurl.RESPONSE_CODE)
        if not code and status in REDIRECTS:
            url = curl.getinfo(pycurl.REDIRECT_URL)
            if url:
                self._follow(transfer, exchange, status, url, now_ns)
                return
        exchange.done_ns = now_ns
        self._finish(transfer, exchange, outcome_of(code, transfer.answer, self._instrumentation.late), status)

    def _follow(self, transfer: Transfer, exchange: Exchange, status: int, url: str, now_ns: int) -> None:
        transfer.hops += 1
        left_ms = self._deadline_ms - (now_ns - exchange.sent_ns) // NS_PER_MS
        assert transfer.wire is not None and transfer.first is not None
        exchange.done_ns = now_ns
        if transfer.hops > HOPS_MOST:
            self._finish(transfer, exchange, Outcome.CONNECTION_ERROR, 0)
            return
        if left_ms <= 0:
            self._finish(transfer, exchange, self._instrumentation.late, 0)
            return
        try:
            transfer.aim(redirected(transfer.wire, status, url, transfer.first), self._marks(exchange.arrival))
        except (ValueError, pycurl.error):
            self._finish(transfer, exchange, Outcome.CONNECTION_ERROR, 0)
            return
        exchange.done_ns = None
        transfer.answer.clear()
        transfer.limit_ms(left_ms)
        self._multi.start(transfer.curl)

    def _finish(self, transfer: Transfer, exchange: Exchange, failure: Outcome | None, status: int) -> None:
        arrival, answer = exchange.arrival, transfer.answer
        if not arrival.closed:
            exchange.first_ns = answer.first_ns
            if failure is None:
                exchange.first_ns = exchange.first_ns or exchange.done_ns or 0  # an empty body: the end of the headers
                exchange.ending = self._instrumentation.judge(
                    exchange, arrival.request, status, answer.content(), answer.size
                )
            else:
                exchange.ending = RequestEnd(failure, status, request=arrival.request)
            self._instrumentation.finish(arrival, exchange.ending.outcome, exchange.done_ns or exchange.sent_ns)
            arrival.exchanges.clear()  # a cycle would wait for the garbage collector
        transfer.release()
        self._free.append(transfer)
