"""The open model: sends each arrival of the plan at its time, whether or not earlier ones have ended.

A single Locust user runs the dispatcher. A Sender serves the arrivals: libcurl those of a scenario's own requests, user
instances those of a locustfile. If `max_in_flight` arrivals are open already, one is recorded as dropped. The
dispatcher never waits for an answer.
"""

from __future__ import annotations

import gc
import math
import time
from typing import Protocol

import gevent

from harness.rundir.handshake import Handshake
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import Arrival
from scenarios.drive.command import WorkerId, own_share
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.precise_timer import PreciseTimer
from scenarios.drive.recorder import Recorder
from scenarios.drive.watch import LOOK_EVERY_S, StopWatch
from scenarios.load import PlannedArrivals, planned_peak_per_s

SEATS_LEAST = 8
SEATS_MOST = 500
LOOK_EVERY_NS = int(LOOK_EVERY_S * NS_PER_S)


class Sender(Protocol):
    """Serves arrivals: each ends with `Instrumentation.finish`."""

    def warm(self, count: int) -> None:
        """Prepares for so many arrivals at once. What it raises ends the run before t = 0."""

    def send(self, arrival: Arrival) -> None:
        """Starts to serve an arrival that is open; returns at once and raises nothing."""

    def all_taken(self, slots: int) -> None:
        """Called before an arrival is dropped, since as many as there are slots are open; returns at once. Ends the
        process if the service is not to blame for that."""

    def stop(self) -> None:
        """Ends what is still under way. Its rows have been written."""


class OpenModel:
    """One worker's part of the plan, from start to the closed row file."""

    def __init__(
        self,
        plan: Plan,
        place: WorkerId,
        sender: Sender,
        *,
        instrumentation: Instrumentation,
        recorder: Recorder,
        watch: StopWatch,
    ) -> None:
        load = plan.load
        self._plan = plan
        self._place = place
        self._sender = sender
        self._instrumentation = instrumentation
        self._recorder = recorder
        self._watch = watch
        self._peak_per_s = planned_peak_per_s(load) / load.workers
        self._slots = max(1, own_share(load.max_in_flight, load.workers, place.index))

    def run(self, handshake: Handshake) -> None:
        """Raises RigError if the supervisor does not answer; exceptions of a user's `on_start` are passed on."""
        planned = PlannedArrivals.of(self._plan.load, self._plan.seed)
        self._sender.warm(min(max(SEATS_LEAST, math.ceil(self._peak_per_s)), self._slots, SEATS_MOST))
        gc.collect()
        gc.freeze()  # garbage collections then skip everything that exists by now
        handshake.ready()
        t0_ns = handshake.t0_ns()
        self._instrumentation.start(t0_ns)
        with PreciseTimer() as timer:
            self._send(planned, t0_ns, timer)
        self._drain(t0_ns + round(self._plan.load.duration_ms * NS_PER_MS))
        self._recorder.close()
        self._sender.stop()

    def _send(self, planned: PlannedArrivals, t0_ns: int, timer: PreciseTimer) -> None:
        for seq in range(self._place.index, len(planned), self._plan.load.workers):
            due_ns = t0_ns + planned.at_ns[seq]
            if not self._wait_until(due_ns, timer):
                return
            arrival = Arrival(seq, due_ns, planned.request_of(seq), planned.turn_of(seq))
            if self._instrumentation.in_flight >= self._slots:
                self._sender.all_taken(self._slots)
                self._instrumentation.finish(arrival, Outcome.DROPPED, time.monotonic_ns())
                continue
            self._instrumentation.open(arrival)
            self._sender.send(arrival)

    def _wait_until(self, due_ns: int, timer: PreciseTimer) -> bool:
        """Waits until `due_ns`. False if the load is stopped before."""
        while True:
            stop_at_ns = self._watch.stop_at_ns
            if stop_at_ns is not None and due_ns >= stop_at_ns:
                return False
            now_ns = time.monotonic_ns()
            if due_ns <= now_ns:
                gevent.sleep(0)  # late: let what has arrived be read before more is sent
                return True
            timer.wait_until(min(due_ns, now_ns + LOOK_EVERY_NS))
            if due_ns - time.monotonic_ns() <= 0:
                return True

    def _drain(self, planned_ns: int) -> None:
        """Waits for the end of the load, then at most the drain for open arrivals; the rest is unfinished."""
        drain_ns = round(self._plan.load.drain_ms * NS_PER_MS)
        while True:
            over_ns = time.monotonic_ns() - self._watch.ends_ns(planned_ns)
            if over_ns >= drain_ns or (over_ns >= 0 and not self._instrumentation.in_flight):
                break
            gevent.sleep(0.01)
        self._instrumentation.abandon()
