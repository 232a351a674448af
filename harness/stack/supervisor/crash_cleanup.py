"""What tailgate does when its supervisor was killed: end its children, remove its proxies, finish the manifest.

Toxics on the run's own Toxiproxy end with that process. On a shared Toxiproxy they are found by the run's prefix, which
is part of the name of every proxy and toxic of the run.
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
from harness.rundir.manifest import TAILGATE, HarnessFault, Manifest, RunEnd
from harness.rundir.origin_notes import FILE as ORIGIN_NOTES
from harness.rundir.plan import Plan
from harness.rundir.unmatched import FILE as UNMATCHED
from harness.secrets.expand import known_secrets
from harness.secrets.redact import redact, redact_files
from harness.stack.injection.borrowed_left import BorrowedLeft
from harness.stack.load.transport import PREFIX as WORKER
from harness.stack.processes import orphans, session
from harness.text import paragraph
from harness.toxiproxy.find import EngineChoice


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore SIGINT in the block. Outside the main thread there is nothing to do: SIGINT never arrives there.

    An installed handler stays: that of `harness.run.signals` only counts signals and raises nothing.
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
    """Leave nothing of the stack behind. The returned fault says what happened and whether the proxies are gone.

    `folders`: the run directories of the stack and of the latest load, which may be the same. `message`: why the
    supervisor was given up.
    """
    known = tuple(children)
    for child in known:
        if _is_known(child):
            session.resume(child.pid)  # Toxiproxy may wait for a process that a fault has stopped
    rollback, changed = _clear_server(plan, choice, folders)
    for child in known:
        _kill_group(child)
    orphans.kill_run(plan.stack_id)
    secrets = known_secrets(plan, os.environ)
    message = paragraph(redact(message, secrets))
    with suppress(OSError):
        redact_files([log for folder in folders for log in child_logs(folder)], secrets)
    for folder in folders:
        handshake.clear(folder)
    message += "".join(f"; {sentence}, and that stands as it is" for sentence in changed)
    if rollback:
        return HarnessFault(check="rollback", message=f"{message}; and {rollback.message}", fix=rollback.fix)
    return HarnessFault(
        check="workers",
        message=message,
        fix="everything it had started was ended; run again, and see who kills processes (the kernel, out of memory?)",
        part=TAILGATE,
    )


def child_logs(run_dir: Path) -> list[Path]:
    """The files of a run that contain what children wrote, and so perhaps a secret. No verdict reads them."""
    return [*_logs(run_dir, "*"), *_records_of_load(run_dir)]


def load_logs(run_dir: Path) -> list[Path]:
    """Those of `child_logs` to which no process of the stack writes after the end of the load."""
    return [*_logs(run_dir, f"{WORKER}*"), *_records_of_load(run_dir)]


def _logs(run_dir: Path, pattern: str) -> list[Path]:
    """Links are left out: they point to logs of the stack, which are redacted in the stack's own run directory."""
    return [log for log in sorted((run_dir / "logs").glob(pattern)) if not log.is_symlink()]


def _records_of_load(run_dir: Path) -> list[Path]:
    # tokens of a login are known to no process that writes these two, and a service may put one into a path
    of_fakes = (run_dir / UNMATCHED, run_dir / ORIGIN_NOTES)
    return [*sorted((run_dir / FOLDER).glob("*.txt")), run_dir / "gateway.ndjson", *of_fakes]


def redact_interrupted(run_dir: Path) -> None:
    """Redact the logs of a run that was killed with its supervisor. Works only for variables that still have the same
    value."""
    with suppress(OSError, ValueError):
        redact_files(child_logs(run_dir), known_secrets(Plan.read(run_dir), os.environ), within_s=30.0)


def finish_manifest(run_dir: Path, fault: HarnessFault) -> RunEnd:
    """Write the end of the manifest in place of the supervisor, and return it."""
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
        return ended  # a manifest that was never finished is a rig failure as well
    return ended


def _clear_server(
    plan: Plan, choice: EngineChoice, folders: Iterable[Path]
) -> tuple[TailgateError | None, tuple[str, ...]]:
    """Delete the run's proxies on a shared Toxiproxy, and put borrowed ones back.

    Returns the error that prevented it, with its fix; and what others did to borrowed proxies, a sentence each.
    """
    if choice.url is None:
        return None, ()
    from harness.toxiproxy.client import ToxiproxyClient

    changed: list[str] = []
    left = BorrowedLeft.of(folders)
    try:
        client = ToxiproxyClient(choice.url)
        for name in client.proxies():
            if name.startswith(plan.prefix):
                client.delete_proxy(name)
        for proxy in left:
            changed += proxy.put_back(client, plan.prefix)
    except TailgateError as exc:
        calls = [proxy.by_hand(choice.url, plan) for proxy in left]
        fixes = [f"run `tailgate toxiproxy sweep --url {choice.url}` when it answers again", *filter(None, calls)]
        exc.fix = "; or, ".join(fixes)
        return exc, tuple(changed)
    return None, tuple(changed)


def _kill_group(child: psutil.Process) -> None:
    """Send SIGKILL to the child's process group, unless its pid now belongs to another process."""
    if _is_known(child):
        with suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)


def _is_known(child: psutil.Process) -> bool:
    """Whether the child lives, leads its own group, and its pid does not belong to another process by now."""
    try:
        return child.is_running() and os.getpgid(child.pid) == child.pid
    except (psutil.Error, OSError):
        return False
