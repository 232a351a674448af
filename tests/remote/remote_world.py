"""What tests of workers on other machines need: a server of known truth, machines in namespaces, a bad network."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from tests.run.real_runs import TAILGATE

SLOW_EVERY: Final = 40
"""Of the truth: each arrival whose number is divisible by this is slow."""
FAST_S: Final = 0.02
SLOW_S: Final = 0.4
_SEQ = re.compile(rb"(?i)x-tailgate-seq: *(\d+)")
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Loop:
    """An event loop in a thread; a context manager."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def listen(self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], host: str) -> int:
        """Returns the port."""
        self._server = self.call(asyncio.start_server(serve, host, 0))
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)
        self.loop.close()

    async def _cancel(self) -> None:
        if self._server:
            self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class TrueServer(_Loop):
    """Answers every request after a time that follows from its number alone. `seen`: the numbers, in their order."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__()
        self._host = host
        self.seen: list[int] = []
        self.port = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self.port = self.listen(self._serve, self._host)
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if found := _SEQ.search(head):
                    seq = int(found[1])
                    self.seen.append(seq)
                    await asyncio.sleep(SLOW_S if seq % SLOW_EVERY == 0 else FAST_S)
                writer.write(_ANSWER)
                await writer.drain()


class BadNetwork(_Loop):
    """A relay for one connection after the other to `target`. `delay_s`: each way. Cut, it carries nothing, and says
    nothing to either side."""

    def __init__(self, target: tuple[str, int], *, host: str = "127.0.0.1", delay_s: float = 0.0) -> None:
        super().__init__()
        self._target = target
        self._host = host
        self.delay_s = delay_s
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self.port = self.listen(self._carry, self._host)
        return self

    def cut(self) -> None:
        self.loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        self.loop.call_soon_threadsafe(self._open.set)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        with closing(writer), closing(there_writer):
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            with suppress(OSError):
                while True:
                    at_s, data = await due.get()
                    await asyncio.sleep(max(0.0, at_s - time.monotonic()))
                    await self._open.wait()
                    if not data:
                        break
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def read() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                await due.put((time.monotonic() + self.delay_s, data))

        await asyncio.gather(read(), write())


@dataclass
class WorkerRun:
    """One `tailgate worker`."""

    process: subprocess.Popen[str]
    name: str
    code: int | None = None
    stderr: str = ""

    def end(self, within_s: float = 30.0) -> int:
        try:
            _, self.stderr = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            kill_tree(self.process)
            _, self.stderr = self.process.communicate(timeout=5)
            raise AssertionError(f"{self.name} did not end by itself within {within_s:g} s: {self.stderr}") from None
        self.code = self.process.returncode
        return self.code


@dataclass
class Site:
    """A folder with a token, in which workers are started; `end` leaves none of them."""

    folder: Path
    workers: list[WorkerRun] = field(default_factory=list)

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def worker(
        self,
        address: str,
        *words: str,
        prefix: tuple[str, ...] = (),
        token: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> WorkerRun:
        name = f"worker-{len(self.workers)}"
        scratch = self.folder / name
        scratch.mkdir()
        process = subprocess.Popen(
            [*prefix, TAILGATE, "worker", address, "--token-file", str(token or self.token), *words],
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(scratch), **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.workers.append(WorkerRun(process, name))
        return self.workers[-1]

    def left(self) -> list[str]:
        """What the workers that have ended left in their temporary folders."""
        return [str(path) for worker in self.workers for path in (self.folder / worker.name).iterdir()]

    def end(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                kill_tree(worker.process)
            if worker.process.stderr:
                worker.process.stderr.close()
            worker.process.wait(timeout=5)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    make_token(site.token)
    try:
        yield site
    finally:
        site.end()


def make_token(path: Path, text: str = "") -> Path:
    path.write_text(text or os.urandom(24).hex(), encoding="ascii")
    path.chmod(0o600)
    return path


def kill_tree(process: subprocess.Popen[str]) -> None:
    """SIGKILL to it and to all that it started, in whatever sessions they are."""
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    for pid in (process.pid, *(each.pid for each in family)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def machines(count: int, name: str) -> Iterator[list[tuple[str, ...]]]:
    """Network namespaces, each with a link to this one: how a command is started in each. We are 10.77.<n>.1 there."""
    made: list[str] = []
    try:
        for number in range(1, count + 1):
            namespace = f"{name}{number}"
            _ip("netns", "add", namespace)
            made.append(namespace)
            _ip("link", "add", namespace, "type", "veth", "peer", "name", "there", "netns", namespace)
            _ip("addr", "add", f"10.77.{number}.1/24", "dev", namespace)
            _ip("link", "set", namespace, "up")
            inside = ("ip", "netns", "exec", namespace)
            for words in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"10.77.{number}.2/24", "dev", "there"),
                ("link", "set", "there", "up"),
            ):
                subprocess.run([*inside, "ip", *words], check=True, capture_output=True, timeout=10)
        yield [("ip", "netns", "exec", namespace) for namespace in made]
    finally:
        for namespace in made:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True, timeout=10)


def why_no_machines() -> str:
    """Why this machine cannot make namespaces; empty: it can."""
    probe = f"tgprobe{os.getpid() % 10_000}"
    for words in (
        ("unshare", "-T", "--fork", "--monotonic", "9", "true"),
        ("unshare", "-n", "ip", "link", "add", probe, "type", "veth", "peer", "name", "there"),
        ("ip", "netns", "add", probe),
        ("ip", "netns", "del", probe),
    ):
        try:
            tried = subprocess.run(words, check=False, capture_output=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired) as exc:
            return f"{words[0]} cannot be run: {exc}"
        if tried.returncode:
            return f"`{' '.join(words)}` needs root: {tried.stderr.decode(errors='replace').strip()}"
    return ""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
