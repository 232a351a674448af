"""Translates exceptions of HTTP clients into outcomes; no other module does.

FastHttpUser raises geventhttpclient's exceptions, HttpUser those of requests. Each wraps causes in its own way, and a
locustfile may add exceptions by `response.failure(…)`.
"""

from __future__ import annotations

import socket

import requests
from gevent import Timeout
from geventhttpclient.response import HTTPParseError
from geventhttpclient.useragent import ConnectionError as FastConnectionError
from locust.contrib.fasthttp import LocustBadStatusCode

from harness.rundir.rows import Outcome

WAITED_TOO_LONG = (Timeout, TimeoutError, socket.timeout, requests.Timeout)
STATUS_SAYS_IT = (LocustBadStatusCode, requests.HTTPError)
BROKEN_ON_THE_WAY = (OSError, HTTPParseError, FastConnectionError, requests.RequestException)


class Deadline(Timeout):  # type: ignore[misc]
    """The total deadline of a request, as FastHttpUser's client reports it."""


class DeadlineExpired(requests.Timeout):
    """The total deadline of HttpUser's client. A gevent Timeout would pass through requests, and Locust would not
    report it."""


def outcome_of(error: BaseException | None, status: int) -> Outcome | None:
    """How a request failed before a whole answer; None if an answer arrived, whose status and body then decide.

    BAD_ANSWER if a locustfile declared the answer a failure.
    """
    if error is None or isinstance(error, STATUS_SAYS_IT):
        return None
    if isinstance(error, WAITED_TOO_LONG) or isinstance(getattr(error, "original", None), WAITED_TOO_LONG):
        return Outcome.CLIENT_TIMEOUT
    if isinstance(error, BROKEN_ON_THE_WAY) or not status:
        return Outcome.CONNECTION_ERROR
    return Outcome.BAD_ANSWER


def is_past_deadline(error: BaseException | None) -> bool:
    """Whether tailgate's total deadline ended the request, not a timeout of the user's client."""
    return isinstance(error, DeadlineExpired | Deadline) or isinstance(getattr(error, "original", None), Deadline)
