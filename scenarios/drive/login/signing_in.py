"""Signs in the sessions of a worker before its load, and renews them in a greenlet beside it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

import gevent
from gevent.pool import Pool

from harness.correlation import run_hash
from harness.errors import RigError
from harness.rundir.handshake import Handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.login import AT_ONCE, LOGIN_WITHIN_S, PlannedLogin
from harness.rundir.sessions.login_record import LoginRecord
from harness.secrets.expand import is_redactable_token
from scenarios.drive.command import WorkerId
from scenarios.drive.login.login_answer import LoginFailed, credentials, saved_values
from scenarios.drive.login.login_client import LoginClient
from scenarios.drive.login.sessions import Sessions, numbers_of, renew_forever
from scenarios.drive.login.token_pipe import TokenPipe
from scenarios.drive.planned_requests import PlannedRequests


class SigningIn:
    """One worker's logins. `secrets`: the values that are never shown; what logins save is added to it."""

    def __init__(self, plan: Plan, place: WorkerId, requests: PlannedRequests, secrets: set[str]) -> None:
        """Raises ValueError for a plan without a login."""
        login = plan.load.login
        if login is None:
            raise ValueError("the plan has no login")
        self._plan = plan
        self._login: PlannedLogin = login
        self._place = place
        self._requests = requests
        self._secrets = secrets
        self._pipe = TokenPipe(os.environ)
        self._client: LoginClient | None = None
        numbers = numbers_of(login.users, plan.load.workers, place.index)
        self.sessions = Sessions(login, numbers, plan.load.workers, self._sign_in, self._record)

    def begin(self, environment: Any, handshake: Handshake, deadline_s: float) -> None:
        """Signs in every session, once the service answers. Raises RigError if one fails."""
        handshake.await_service()
        self._client = LoginClient(environment, run_hash(self._plan.run_id), deadline_s)
        try:
            self._sign_in_all()
        except LoginFailed as exc:
            handshake.failed(f"load.login: {self._login.method} {self._login.path} {exc.reason}", exc.fix)
            raise RigError(exc.reason, exc.fix) from exc
        self.sessions.opened(time.monotonic_ns())
        self._requests.sessions = self.sessions
        if self.sessions.next_renewal_ns() is not None:
            gevent.spawn(self._renew)

    def _sign_in_all(self) -> None:
        done = 0
        pool = Pool(AT_ONCE)
        try:
            with gevent.Timeout(LOGIN_WITHIN_S):
                for failed in pool.imap_unordered(self._open, range(len(self.sessions))):
                    if failed is not None:
                        raise failed
                    done += 1
        except gevent.Timeout:
            raise LoginFailed(
                f"took too long: {done} of {len(self.sessions)} sessions signed in within {LOGIN_WITHIN_S:g} s",
                "write fewer `users`, or let the service answer faster",
            ) from None
        finally:
            pool.kill(timeout=1)

    def _open(self, place: int) -> LoginFailed | None:
        """Why the session could not sign in. It is not raised, since gevent would print it with a traceback."""
        try:
            self.sessions.open(place)
        except LoginFailed as exc:
            return exc
        return None

    def _sign_in(self, session: int) -> dict[str, str]:
        assert self._client is not None
        request = self._requests.login(session)
        answer = self._client.send(request)
        hidden = {*self._secrets, *credentials(request.body, self._requests.row(session))}
        saved = saved_values(self._login, self._plan.load.ok, answer, hidden)
        tokens = {value for name, value in saved.items() if is_redactable_token(name, value)}
        try:
            self._pipe.report(tokens - self._secrets)
        except OSError as exc:  # a token that cannot be redacted is not used
            raise LoginFailed(f"saved a token that could not be kept secret: {exc.strerror}", "run again") from exc
        self._secrets |= tokens
        return saved

    def _renew(self) -> None:
        renew_forever(self.sessions, time.monotonic_ns, gevent.sleep)

    def _record(self, record: LoginRecord) -> None:
        with suppress(OSError):
            record.write(self._place.run_dir, self._place.index)
