"""Instruments the clients of Locust users: times requests, adds correlation headers, and writes rows.

Only Locust's public interfaces are used: `client.request` is wrapped on the instance, the request's context carries the
exchange, and a listener on the `request` event gets its end. So the latency of a plain `self.client.get()` in a task
counts from its arrival's intended time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust import User

from harness.correlation import run_hash
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from scenarios.drive.answer import Checks, how_answered
from scenarios.drive.arrival import Arrival, Exchange, RequestEnd, headers
from scenarios.drive.deadline import set_deadline, widen_timeouts
from scenarios.drive.failures import is_past_deadline, outcome_of
from scenarios.drive.first_byte import CURRENT
from scenarios.drive.incomplete import IncompleteAnswers
from scenarios.drive.recorder import Recorder
from scenarios.load import request_index

if TYPE_CHECKING:
    from scenarios.drive.user_code.requests import LocustfileRequests

CONTEXT_KEY = "tailgate"
REQUESTS_MOST: Final = 1_000
"""A task that has sent so many requests for one arrival does not end."""
ELSEWHERE: Final = object()
"""In place of an exchange: a request to another host than the service, which is not counted."""


@dataclass(slots=True)
class RequestContext:
    """The arrival that one user instance works on. `stray` creates an arrival for a request outside of any."""

    arrival: Arrival | None = None
    stray: Callable[[], Arrival] | None = None
    sent: int = 0
    """How many requests the user has sent, those outside of arrivals included."""
    is_healthy: bool = True
    """Every request of its latest arrival that sent any was ok."""
    answered: str = ""
    """How its latest request in `on_start` ended, as a clause: `POST login was answered 401: no such user`."""
    caught: list[tuple[Any, str]] = field(default_factory=list)
    """The answers with `catch_response` of the running task, each with the line that asked for it."""

    def remember(self, arrival: Arrival) -> None:
        """The arrival has ended: notes whether the service answered the user well."""
        if arrival.exchanges:
            endings = (exchange.ending for exchange in arrival.exchanges)
            self.is_healthy = all(ending is not None and ending.outcome is Outcome.OK for ending in endings)

    def take(self) -> Arrival | None:
        if self.arrival is not None or self.stray is None:
            return self.arrival
        return self.stray()


def context_of(user: Any) -> RequestContext:
    """The context of an instance that `Instrumentation.attach` was called with."""
    user_context: RequestContext = user.tailgate_desk
    return user_context


class Instrumentation:
    """Turns what clients report into rows. One per worker."""

    def __init__(
        self, plan: Plan, recorder: Recorder, incomplete: IncompleteAnswers, user_code: LocustfileRequests | None = None
    ) -> None:
        load = plan.load
        self._recorder = recorder
        self._incomplete = incomplete
        self._checks = Checks(load, plan.upstreams)
        self._requests = load.requests
        self.user_code: Final = user_code
        """What to do about the user's own locustfile; None: the tasks are those of the scenario."""
        self._seed = plan.seed
        self._weights = tuple(request.weight for request in load.requests)
        self._run = run_hash(plan.run_id)
        self._first_seq = plan.load.first_seq
        self._by_greenlet: dict[object, RequestContext] = {}
        self._open: dict[int, Arrival] = {}
        self.deadline_s = load.client_cap_ms / 1000
        """The total time that a request may take."""
        self.late = Outcome.CLIENT_TIMEOUT
        """The outcome of one that takes longer."""
        gateway = plan.gateway
        if gateway.kind == "client" and gateway.timeout_ms is not None and gateway.timeout_ms <= load.client_cap_ms:
            self.deadline_s = gateway.timeout_ms / 1000
            self.late = Outcome.GATEWAY_TIMEOUT

    def start(self, t0_ns: int) -> None:
        """The load begins; its warm-up ends at `t0_ns`."""
        self._incomplete.start(t0_ns)

    def prepare(self, user_class: type[User]) -> None:
        """Must be called once for each class, before it has instances."""
        widen_timeouts(user_class, self.deadline_s)

    def attach(self, user: Any, user_context: RequestContext) -> None:
        """Measures this instance's client from now on. Unknown clients are measured by their `request` events."""
        user.tailgate_desk = user_context
        if set_deadline(user, self.deadline_s):
            user.client.request = self._measured(user.client, user_context)

    def at_work(self, user_context: RequestContext) -> None:
        """The running greenlet works on this context, so `request` events of unknown clients in it belong to it."""
        self._by_greenlet[gevent.getcurrent()] = user_context

    def off_work(self) -> None:
        self._by_greenlet.pop(gevent.getcurrent(), None)

    def on_request(
        self,
        *,
        name: str = "",
        response_time: float = 0.0,
        response_length: int = 0,
        response: Any = None,
        exception: BaseException | None = None,
        context: dict[str, Any] | None = None,
        request_type: str = "",
        **_rest: object,
    ) -> None:
        """Listener of Locust's `request` event: one request has ended."""
        now_ns = time.monotonic_ns()
        exchange = (context or {}).get(CONTEXT_KEY)
        if exchange is ELSEWHERE:
            return
        if exchange is None:
            user_context = self._by_greenlet.get(gevent.getcurrent())
            if user_context is not None:
                user_context.sent += 1
            arrival = user_context.take() if user_context is not None else None
            if arrival is None and user_context is not None and self.user_code is not None:
                user_context.answered = how_answered(f"{request_type} {name}".strip(), response, exception)
                self.user_code.sent_in_on_start(name)
            if arrival is None or arrival.closed:
                return
            exchange = arrival.begin(now_ns - int((response_time or 0.0) * NS_PER_MS))
        if exchange.ending is not None or exchange.arrival.closed:
            return
        if exchange.done_ns is None:
            exchange.done_ns = now_ns
        exchange.ending = self._ending(exchange, name, response, exception, response_length or 0)
        if exchange.arrival.alone:
            self.finish(exchange.arrival, exchange.ending.outcome, now_ns)

    def user_arrival(self, seq: int) -> Arrival:
        """A new arrival of the closed model; its request is drawn from seed and `seq`."""
        return Arrival(seq, None, request_index(self._seed, seq, self._weights), seq)

    def open(self, arrival: Arrival) -> None:
        """The arrival is in flight from now on, and must get a row."""
        self._open[arrival.seq] = arrival

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Every string that checks look for in a body."""
        return self._checks.needles

    @property
    def in_flight(self) -> int:
        return len(self._open)

    def finish(self, arrival: Arrival, otherwise: Outcome, now_ns: int) -> None:
        """Writes an arrival's rows, once. `otherwise`: the outcome of requests that did not report theirs."""
        self._open.pop(arrival.seq, None)
        if not arrival.closed:
            for exchange in arrival.exchanges:
                if exchange.ending is None and self.user_code is not None:
                    exchange.ending = RequestEnd(otherwise, request=self.user_code.number(exchange.name))
                    exchange.done_ns = exchange.done_ns or now_ns
            for row in arrival.rows(now_ns, RequestEnd(otherwise, request=arrival.request)):
                self._recorder.add(row)

    def forget(self, arrival: Arrival) -> None:
        """The arrival sent no request and gets no row."""
        self._open.pop(arrival.seq, None)

    def abandon(self) -> None:
        """Writes the rows of all open arrivals, as unfinished."""
        now_ns = time.monotonic_ns()
        for arrival in tuple(self._open.values()):
            silent = arrival.sent_nothing and self.user_code is not None
            self.finish(arrival, Outcome.NO_REQUEST if silent else Outcome.UNFINISHED, now_ns)

    def end_task(self, user_context: RequestContext) -> None:
        """A task of a locustfile has ended: each of its answers with `catch_response` must have been used by now."""
        caught, user_context.caught = user_context.caught, []
        for response, where in caught:
            if self.user_code is not None and not getattr(response, "_entered", True):
                self.user_code.never_entered(where)

    def _measured(self, client: Any, user_context: RequestContext) -> Callable[..., Any]:
        send, code = client.request, self.user_code

        def request(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            if code is None:
                return measured(method, url, *args, **kwargs)
            if code.is_elsewhere(url):
                kwargs["context"] = {**kwargs.get("context", {}), CONTEXT_KEY: ELSEWHERE}
                return send(method, url, *args, **kwargs)
            kwargs["headers"] = code.headers_for(client, kwargs.get("headers"))
            where = code.position() if kwargs.get("catch_response") else ""
            response = measured(method, url, *args, **kwargs)
            if kwargs.get("catch_response"):
                user_context.caught.append((response, where))
            return response

        def measured(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            if user_context.arrival is None and user_context.stray is not None:
                self.end_task(user_context)  # in a TaskSet of the closed model each request is by itself
            arrival = user_context.take()
            user_context.sent += 1
            if arrival is None:  # a request in on_start or on_stop belongs to no arrival
                return send(method, url, *args, **kwargs)
            exchange = arrival.begin(time.monotonic_ns())
            if code is not None:
                exchange.name = code.name_of(client, url, args, kwargs)
                if arrival.began_ns is not None and len(arrival.exchanges) > REQUESTS_MOST:
                    code.sends_without_end()
            exchange.streamed = bool(kwargs.get("stream"))
            kwargs["headers"] = {**(kwargs.get("headers") or {}), **headers(self._run, self._first_seq + arrival.seq)}
            kwargs["context"] = {**kwargs.get("context", {}), CONTEXT_KEY: exchange}
            CURRENT.set(exchange)
            try:
                response = send(method, url, *args, **kwargs)
            except BaseException as exc:
                if arrival.alone:  # no task closes it
                    killed = isinstance(exc, gevent.GreenletExit)
                    outcome = Outcome.UNFINISHED if killed else Outcome.BAD_ANSWER
                    self.finish(arrival, outcome, time.monotonic_ns())
                raise
            finally:
                CURRENT.set(None)
            if exchange.done_ns is None:  # with `catch_response` the task checks the answer before it is reported
                exchange.done_ns = time.monotonic_ns()
            return response

        return request

    def _ending(
        self, exchange: Exchange, name: str, response: Any, error: BaseException | None, length: int
    ) -> RequestEnd:
        status = int(getattr(response, "status_code", 0) or 0)
        index = exchange.arrival.request if self.user_code is None else self.user_code.number(name)
        if is_past_deadline(error):
            return RequestEnd(self.late, status, 0, length, index)
        failure = outcome_of(error, status)
        if failure is not None and failure is not Outcome.BAD_ANSWER:
            return RequestEnd(failure, status, 0, length, index)
        if failure is Outcome.BAD_ANSWER and error is not None and self.user_code is not None:
            self.user_code.failed_check(name, error)
        if not status:  # a client without HTTP reported no error
            return RequestEnd(failure or Outcome.OK, 0, 0, length, index)
        body = b"" if exchange.streamed else (response.content or b"")
        accepted = error is None and status >= 400
        size = length or len(body)
        return self.judge(exchange, index, status, body, size, name=name, failure=failure, accepted=accepted)

    def judge(
        self,
        exchange: Exchange,
        index: int,
        status: int,
        body: bytes,
        size: int,
        *,
        name: str = "",
        failure: Outcome | None = None,
        accepted: bool = False,
    ) -> RequestEnd:
        """How an exchange ended whose answer arrived whole: by its status and what its body contains.

        `index`: of plan.load.requests, or the number of the `name` of a locustfile's request. `size`: bytes of the
        body, of which `body` may contain only what checks look for. `failure`: the outcome of an answer that is ok
        otherwise. `accepted`: see Checks.judge.
        """
        request = self._requests[index] if self.user_code is None else None
        outcome, answered = self._checks.judge(status, body, request, accepted=accepted)
        if failure is not None and outcome is Outcome.OK:
            outcome, answered = failure, 0
        ending = RequestEnd(outcome, status, answered, size, index)
        lacks = self._incomplete.asked_by(index, name) & ~answered
        if lacks and outcome is Outcome.OK and not exchange.streamed:
            self._incomplete.see(exchange, ending, lacks, body, name)
        return ending
