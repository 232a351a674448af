"""Sends logins, by a client of Locust's that is no part of the load: it is not measured, and makes no rows.

Each login carries LOGIN_SEQ in place of an arrival's number, so that the calls that it causes can be told from those of
the load. Redirects are not followed, since a token in a redirect's target would not be found.
"""

from __future__ import annotations

from typing import Any

from locust import FastHttpUser

from harness.correlation import SEQ_HEADER, TRACE_HEADER, traceparent
from harness.rundir.rows import LOGIN_SEQ
from harness.text import one_line
from scenarios.drive.deadline import set_deadline, widen_timeouts
from scenarios.drive.failures import is_past_deadline
from scenarios.drive.login.login_answer import LoginAnswer
from scenarios.drive.planned_requests import Outgoing


class LoginClient:
    """`run`: from `correlation.run_hash`. A login takes at most `deadline_s`."""

    def __init__(self, environment: Any, run: str, deadline_s: float) -> None:
        self._environment = environment
        self._deadline_s = deadline_s
        self._marks = {SEQ_HEADER: str(LOGIN_SEQ), TRACE_HEADER: traceparent(run, LOGIN_SEQ)}
        fields = {"abstract": True, "concurrency": 1, "host": environment.host}
        self._user_class: Any = type("LoginUser", (FastHttpUser,), fields)
        widen_timeouts(self._user_class, deadline_s)
        self._free: list[Any] = []

    def send(self, request: Outgoing) -> LoginAnswer:
        user = self._free.pop() if self._free else self._new()
        response = user.client.request(
            request.method,
            request.path,
            name=request.name,
            headers={**dict(request.headers), **self._marks},
            data=request.body,
            allow_redirects=False,
        )
        self._free.append(user)
        error = getattr(response, "error", None)
        status = int(response.status_code or 0)
        if is_past_deadline(error):
            return LoginAnswer(error=f"none within {self._deadline_s:g} s")
        if not status:
            return LoginAnswer(error=one_line(f"{type(error).__name__}: {error}", 120) if error else "no status")
        location = response.headers.get("location") if response.headers else None
        return LoginAnswer(status, response.content or b"", location if isinstance(location, str) else "")

    def _new(self) -> Any:
        user = self._user_class(self._environment)
        user.client.client.cookiejar = None  # sessions are independent of one another
        set_deadline(user, self._deadline_s)
        return user
