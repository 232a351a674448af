"""What tailgate does when its supervisor was killed: end what it left, take faults back, close the books.

Toxics on a server of ours die with it. On a server of others they are found by the run's prefix, which
every proxy and toxic of ours carries.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from harness.errors import TailgateError
from harness.rundir import handshake
from harness.rundir.incomplete import FOLDER
from harness.rundir.journal import read_journal
from harness.rundir.manifest import HarnessFault, Manifest, RunEnd
from harness.rundir.plan import Plan
from harness.secrets.expand import known_secrets
from harness.secrets.redact import redact, redact_files
from harness.stack.load.local_workers import PREFIX as WORKER
from harness.stack.processes import orphans
from harness.text import paragraph
from harness.toxiproxy.find import EngineChoice


@contextmanager
def ignore_signals() -> Iterator[None]:
    """SIGINT is ignored meanwhile; elsewhere than in the main thread it does not arrive anyway.

    A handler that somebody installed (`harness.run.signals` only counts) stays: it raises nothing.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def clean_up(
    plan: Plan, folders: Collection[Path], choice: EngineChoice, children: Iterable[psutil.Process], message: str
) -> HarnessFault:
    """Leave nothing of the stack behind; the fault says what happened and whether the faults are gone.

    `folders`: the stack's and the latest load's, which may be one.
    """
    rollback = _remove_proxies(plan, choice)
    for child in children:
        _kill_group(child)
    orphans.kill_run(plan.stack_id)
    secrets = known_secrets(plan, os.environ)
    message = paragraph(redact(message, secrets))
    with suppress(OSError):
        redact_files([log for folder in folders for log in child_logs(folder)], secrets)
    for folder in folders:
        handshake.clear(folder)
    if rollback:
        return HarnessFault(check="rollback", message=f"{message}; and {rollback.message}", fix=rollback.fix)
    return HarnessFault(
        check="workers",
        message=message,
        fix="everything it had started was ended; run again, and see who kills processes (the kernel, out of memory?)",
    )


def child_logs(run_dir: Path) -> list[Path]:
    """Files of a run that hold what children wrote, a secret perhaps among it. No verdict reads them."""
    return [*_logs(run_dir, "*"), *_of_load(run_dir)]


def load_logs(run_dir: Path) -> list[Path]:
    """Those of `child_logs` that no process of the stack writes to once the load is over."""
    return [*_logs(run_dir, f"{WORKER}*"), *_of_load(run_dir)]


def _logs(run_dir: Path, pattern: str) -> list[Path]:
    """Links lead to logs of the stack, which are redacted where they are."""
    return [log for log in sorted((run_dir / "logs").glob(pattern)) if not log.is_symlink()]


def _of_load(run_dir: Path) -> list[Path]:
    return [*sorted((run_dir / FOLDER).glob("*.txt")), run_dir / "gateway.ndjson"]


def redact_interrupted(run_dir: Path) -> None:
    """What nobody was left to do for a run that was killed whole, if the variables still hold what they held then."""
    with suppress(OSError, ValueError):
        redact_files(child_logs(run_dir), known_secrets(Plan.read(run_dir), os.environ), within_s=30.0)


def finish_manifest(run_dir: Path, fault: HarnessFault) -> RunEnd:
    """The last word that the supervisor could not write."""
    try:
        applied = any(entry.event == "requested" for entry in read_journal(run_dir / "faults.ndjson"))
    except ValueError:
        applied = True
    ended = RunEnd(reason="rig", rig=(fault,), rollback_verified=(fault.check != "rollback") if applied else None)
    try:
        manifest = Manifest.read(run_dir)
        if manifest.ended is None:
            manifest.model_copy(update={"ended": ended}).write(run_dir)
    except (OSError, ValueError):
        return ended  # a run whose manifest was never finished is a rig failure all the same
    return ended


def _remove_proxies(plan: Plan, choice: EngineChoice) -> TailgateError | None:
    """Take ours off a server of others. Returns what stood in the way."""
    if choice.url is None:
        return None
    from harness.toxiproxy.client import ToxiproxyClient

    try:
        client = ToxiproxyClient(choice.url)
        for name in client.proxies():
            if name.startswith(plan.prefix):
                client.delete_proxy(name)
    except TailgateError as exc:
        exc.fix = f"run `tailgate toxiproxy sweep --url {choice.url}` when it answers again"
        return exc
    return None


def _kill_group(child: psutil.Process) -> None:
    """SIGKILL to the group of a child that is still the one we knew."""
    try:
        if child.is_running() and os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, signal.SIGKILL)
    except (psutil.Error, OSError):
        return
