"""The sessions of one worker: signed in before the load, shared in turn by its requests, renewed one at a time.

Logins are outside of what is measured. There is a fixed number of sessions, because a pool that grew while a fault
holds requests would be a storm of sign-ins of our own. A renewal that fails leaves its session as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.rundir.planned.login import PlannedLogin
from harness.rundir.sessions.login_record import LoginRecord
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.login.login_answer import LoginFailed

log = logging.getLogger("tailgate.worker")

LOOK_EVERY_S = 0.2
SignIn = Callable[[int], Mapping[str, str]]
"""Signs in the session of this number; returns what it saved. Raises LoginFailed."""


@dataclass(slots=True)
class LoginSession:
    """`number` counts the sessions of all workers. `values`: what its login saved, by name."""

    number: int
    values: Mapping[str, str] = field(default_factory=dict)
    renew_ns: int | None = None
    """When it is to be renewed, monotonic; None: never."""


class Sessions:
    """`numbers`: its sessions, as `numbers_of` gives them. `changed` is called with the record after each change."""

    def __init__(
        self,
        login: PlannedLogin,
        numbers: Sequence[int],
        workers: int,
        sign_in: SignIn,
        changed: Callable[[LoginRecord], None] = lambda _record: None,
    ) -> None:
        self._every_ns = None if login.every_ms is None else round(login.every_ms * NS_PER_MS)
        self._workers = workers
        self._sign_in = sign_in
        self._changed = changed
        self._sessions = [LoginSession(number) for number in numbers]
        self.record = LoginRecord(sessions=len(numbers))

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, seq: int) -> LoginSession:
        """The session of arrival `seq`: the arrivals of a worker take its sessions in turn."""
        return self._sessions[seq // self._workers % len(self._sessions)]

    def open(self, place: int) -> None:
        """Signs in the session at `place`. Raises LoginFailed."""
        session = self._sessions[place]
        session.values = self._sign_in(session.number)

    def opened(self, now_ns: int) -> None:
        """Every session has signed in. Their renewals are spread evenly from now on, so they never come at once."""
        if self._every_ns is not None:
            for place, session in enumerate(self._sessions, 1):
                session.renew_ns = now_ns + self._every_ns * place // len(self._sessions)
        self._changed(self.record)

    def next_renewal_ns(self) -> int | None:
        """When the next session is to be renewed, monotonic; None: none ever is."""
        return min((each.renew_ns for each in self._sessions if each.renew_ns is not None), default=None)

    def renew_next(self) -> None:
        """Renews the session whose turn is next. If that fails, it keeps what it has, and its next turn comes as if it
        had not."""
        session = min(self._sessions, key=lambda each: each.renew_ns or 0)
        assert self._every_ns is not None and session.renew_ns is not None
        failed, reason = self.record.failed, self.record.reason
        try:
            session.values = self._sign_in(session.number)
        except LoginFailed as exc:
            failed, reason = failed + 1, reason or exc.reason
        session.renew_ns += self._every_ns
        self.record = LoginRecord(
            sessions=self.record.sessions, renewals=self.record.renewals + 1, failed=failed, reason=reason
        )
        self._changed(self.record)


def numbers_of(users: int, workers: int, index: int) -> tuple[int, ...]:
    """The sessions of worker `index`, of `users` in all: every `workers`-th, and at least one.

    With fewer sessions than workers some workers have one of the same number, signed in by itself.
    """
    return tuple(range(index, users, workers)) or (index % users,)


def renew_forever(sessions: Sessions, now_ns: Callable[[], int], sleep: Callable[[float], None]) -> None:
    """Renews each session at its turn, one at a time. Returns only if none is ever to be renewed."""
    while (due_ns := sessions.next_renewal_ns()) is not None:
        left_s = (due_ns - now_ns()) / NS_PER_S
        if left_s > 0:
            sleep(min(left_s, LOOK_EVERY_S))
            continue
        failed = sessions.record.failed
        sessions.renew_next()
        if sessions.record.failed and not failed:
            log.warning("a renewal of the login failed; its session keeps what it has: %s", sessions.record.reason)
