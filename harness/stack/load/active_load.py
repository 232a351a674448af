"""The objects of one load: the records in its run directory, its faults, its canaries and its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.rundir import handshake
from harness.rundir.detections import FILE as DETECTIONS
from harness.rundir.journal import Entry, Journal
from harness.rundir.metrics.readings import FILE as METRICS
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander
from harness.stack.background import BackgroundTasks
from harness.stack.detection import alert_poll, log_tail
from harness.stack.detection.detection_book import DetectionBook
from harness.stack.events import Event, FaultChanged
from harness.stack.load.local_workers import LocalWorkers
from harness.stack.load.phase import LoadPhase
from harness.stack.load.remote_workers import RemoteTransport
from harness.stack.load.transport import WorkerTransport
from harness.stack.monitor import metrics, resources
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes.process import ChildProcess
from harness.stack.processes.restartable import Restartables
from harness.stack.run_state import RunState, disk_error

if TYPE_CHECKING:
    from harness.stack.injection.injector import Injector
    from harness.stack.injection.proxies import ListenerProxies
    from harness.stack.monitor.canary import Canaries
    from harness.stack.monitor.traffic import TrafficMonitor
    from harness.toxiproxy.client import ToxiproxyClient


class ActiveLoad:
    """One load on the stack, from `open` to `close`. `phase` starts and stops it; `state` records what happens."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        expand: Expander,
        environ: Mapping[str, str],
        *,
        emit: Callable[[Event], None],
        start_child: Callable[[ProcessSpec], ChildProcess],
        on_ready: Callable[[ChildProcess], None],
    ) -> None:
        self.plan = plan
        self.run_dir = run_dir
        self.expand = expand
        self.state = RunState(run_dir, plan, emit, expand.secrets)
        if plan.load.remote is not None:
            self.workers: WorkerTransport = RemoteTransport(
                plan, run_dir, environ, start_child=start_child, on_ready=on_ready, secrets=expand.secrets
            )
        else:
            self.workers = LocalWorkers(
                plan, run_dir, environ, start_child=start_child, on_ready=on_ready, secrets=expand.secrets
            )
        self.phase = LoadPhase(plan, self.state, self.workers)
        self.background = BackgroundTasks(self.phase.trouble)
        self.injector: Injector | None = None
        self.canaries: Canaries | None = None
        self.is_closed = False
        self.gateway_log_begin = 0
        """Size in bytes of the gateway's log when this load began. The lines before that belong to earlier loads."""
        self._journal: Journal | None = None
        self._detections: DetectionBook | None = None

    def open(self) -> None:
        """Create the files of the records. Raises RigError if they cannot be written."""
        try:
            handshake.prepare(self.run_dir)
            self._journal = Journal(self.run_dir / "faults.ndjson")
            self._detections = DetectionBook(self.run_dir, self.expand.secrets)
        except OSError as exc:
            raise disk_error(exc) from exc

    def watch(
        self,
        children: Callable[[], Iterable[ChildProcess]],
        on_stopped: Callable[[ChildProcess], None],
        service_log: Path | None,
    ) -> None:
        """Record from now on the resources that each child uses, and which upstreams the service's log names."""
        file = self.run_dir / "resources.ndjson"
        self.background.start(
            resources.sample_forever(file, children, on_stopped, self.phase.trouble), "resources.ndjson"
        )
        if service_log and self._detections:
            tail = log_tail.tail_forever(service_log, self.plan.upstreams, self._detections)
            self.background.start(tail, DETECTIONS)

    def watch_alerts(self, service_url: str, headers: Mapping[str, str]) -> None:
        """Record from now on the service's alert metric, if the plan names one."""
        poll = alert_poll.AlertPoll.of(self.plan, service_url, headers)
        if poll and self._detections:
            self.background.start(alert_poll.poll_forever(poll, self._detections), DETECTIONS)

    def watch_metrics(self, service_url: str, headers: Mapping[str, str]) -> None:
        """Record from now on the series of the service's metrics that gates name."""
        poll = metrics.MetricsPoll.of(self.plan, service_url, headers)
        if poll:
            self.background.start(metrics.poll_forever(poll, self.run_dir / METRICS), METRICS)

    def prepare_faults(
        self, client: ToxiproxyClient | None, proxies: ListenerProxies | None, processes: Restartables
    ) -> None:
        """Make the injector. Without upstreams there are neither client nor proxies, and only faults on the service."""
        from harness.stack.injection.injector import Injector

        assert self._journal is not None, "open() comes first"
        self.injector = Injector(
            client,
            self.plan,
            self._journal,
            self._observe,
            proxies.trouble if proxies else self.phase.trouble,
            proxies=proxies.names if proxies else (),
            processes=processes,
            borrowed=proxies.borrowed if proxies else None,
        )

    async def prove_listeners(self, client: ToxiproxyClient, toxiproxy_log: Path) -> None:
        """Send a canary through every listener. Raises RigError unless each gets its whole answer."""
        canaries_type, traffic_type = import_canaries()

        assert self._journal is not None, "open() comes first"
        try:
            file = self.run_dir / "canary.ndjson"
            traffic = None if self.plan.sees_every_connection else traffic_type(client, self._broken_proxies())
            self.canaries = canaries_type(self.plan, file, self._journal, self._observe, toxiproxy_log, traffic=traffic)
        except OSError as exc:
            raise disk_error(exc) from exc
        await self.canaries.first()

    def _broken_proxies(self) -> dict[str, str]:
        """The names of the proxies of all upstreams that a fault breaks, by upstream."""
        return {name: self.plan.proxy_name(name) for fault in self.plan.faults for name in fault.upstreams}

    async def go(self) -> None:
        """Start the load and return when every worker has exited. Raises OSError if the disk is full."""
        await self.phase.go(self.injector, self.canaries, self.background)

    def close(self) -> None:
        """Close the records. Idempotent."""
        self.is_closed = True
        for record in (self.canaries, self._journal, self._detections):
            if record:
                record.close()

    def _observe(self, entry: Entry) -> None:
        if self.canaries:
            self.canaries.note(entry)
        self.state.emit(FaultChanged(entry=entry))


def import_canaries() -> tuple[type[Canaries], type[TrafficMonitor]]:
    """What asks the upstreams; a run without upstreams does not need it."""
    from harness.stack.monitor.canary import Canaries
    from harness.stack.monitor.traffic import TrafficMonitor

    return Canaries, TrafficMonitor
