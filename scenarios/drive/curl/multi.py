"""libcurl's multi interface on gevent's event loop: many transfers at once, no greenlet for any of them.

libcurl reports which sockets and which timer it waits for, and is called when one of them is ready. A watcher stays on
a socket between transfers, since starting one costs a system call.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

import gevent
import pycurl

from scenarios.drive.recorder import die

KICKS_MOST: Final = 100
"""How often libcurl may ask to be called again at once, before other work of the event loop gets its turn."""
_AT_ONCE_S: Final = 0.0005

OnDone = Callable[[Any, int], None]
"""Called with the pycurl.Curl of a transfer that has ended, and libcurl's error code (0: none)."""


class _Watch:
    """A watcher on one socket; `wanted`: the events that libcurl waits for, as bits of pycurl.POLL_…"""

    __slots__ = ("events", "io", "wanted")

    def __init__(self, io: Any, events: int) -> None:
        self.io = io
        self.events = events
        self.wanted = events


class Multi:
    """Drives transfers. All calls and callbacks are in the thread of gevent's hub."""

    def __init__(self, on_done: OnDone) -> None:
        self._on_done = on_done
        self._loop = gevent.get_hub().loop
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._sockets: set[int] = set()
        self._watches: dict[int, _Watch] = {}
        self._timer: Any = None
        self._armed_s = 0.0
        self._due_s: float | None = None
        self._acting = False
        """libcurl is called, and will be called again before this returns if it asks for that."""
        self._kick = False
        self._running = 0

    def adopt(self, curl: Any) -> None:
        """Must be called once for each handle, before its first transfer. The handle must live as long as this."""
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._opened)
        curl.setopt(pycurl.CLOSESOCKETFUNCTION, self._closed)

    def start(self, curl: Any) -> None:
        """Starts a transfer; it sends at once where it has a connection."""
        self._acting = True
        self._multi.add_handle(curl)
        self._running += 1
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def abort(self, curl: Any) -> None:
        """Ends a transfer that has not ended; `on_done` is not called for it."""
        self._multi.remove_handle(curl)
        self._running -= 1

    def close(self) -> None:
        """Stops every watcher. Transfers must have ended or been aborted."""
        if self._timer is not None:
            self._timer.stop()
        for watch in self._watches.values():
            watch.io.stop()
        self._watches.clear()
        self._multi.close()

    # ------------------------------------------------------------ what libcurl asks for

    def _opened(self, fd: int, _purpose: int) -> int:
        self._sockets.add(fd)
        return int(pycurl.SOCKOPT_OK)

    def _closed(self, fd: int) -> int:
        self._sockets.discard(fd)
        self._forget(fd)
        os.close(fd)
        return 0

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        watch = self._watches.get(fd)
        if what == pycurl.POLL_REMOVE:
            if watch is not None:
                watch.wanted = 0
                if fd not in self._sockets:  # libcurl's own, whose end is not reported
                    self._forget(fd)
            return
        if watch is not None and watch.events == what:
            watch.wanted = what
            return
        if watch is not None:
            watch.io.stop()
        watch = self._watches[fd] = _Watch(self._loop.io(fd, what), what)  # gevent's bits are libcurl's
        watch.io.start(self._on_event, fd, watch, pass_events=True)

    def _forget(self, fd: int) -> None:
        watch = self._watches.pop(fd, None)
        if watch is not None:
            watch.io.stop()

    def _on_timer(self, after_ms: int) -> None:
        if after_ms < 0:
            self._due_s = None
        else:
            self._due_s = time.monotonic() + after_ms / 1000
            if after_ms == 0 and self._acting:
                self._kick = True
            else:
                self._arm()

    def _arm(self) -> None:
        """A timer that fires early is set again then, so that it need not be set for each transfer."""
        if self._due_s is None or (self._timer is not None and self._armed_s <= self._due_s):
            return
        if self._timer is not None:
            self._timer.stop()
        self._armed_s = self._due_s
        self._timer = self._loop.timer(max(self._due_s - time.monotonic(), _AT_ONCE_S))
        self._timer.start(self._on_time, update=True)

    # ------------------------------------------------------------ what the event loop reports

    def _on_event(self, events: int, fd: int, watch: _Watch) -> None:
        if watch.wanted:
            self._act(fd, events & 3)
        elif self._watches.get(fd) is watch:  # an idle connection that the server has closed
            self._forget(fd)

    def _on_time(self) -> None:
        self._timer = None
        if self._due_s is not None and self._due_s <= time.monotonic():
            self._due_s = None
            self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._arm()

    def _act(self, fd: int, events: int) -> None:
        """The top of what runs in the hub, which would print an exception and go on; rows would be missing then."""
        try:
            self._kick, self._acting = False, True
            running = self._multi.socket_action(fd, events)[1]
            kicks = 0
            while self._kick and kicks < KICKS_MOST:
                self._kick = False
                kicks += 1
                running = self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)[1]
            self._acting = False
            if self._kick:
                self._arm()
            if running != self._running:
                self._collect()
        except Exception as exc:
            traceback.print_exc()
            die(traceback.format_exception_only(exc)[-1].strip())

    def _collect(self) -> None:
        ended: list[tuple[Any, int]] = []
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            ended += [(curl, 0) for curl in good]
            ended += [(curl, code) for curl, code, _ in bad]
        for curl, _ in ended:
            self._multi.remove_handle(curl)
            self._running -= 1
        for curl, code in ended:
            self._on_done(curl, code)
