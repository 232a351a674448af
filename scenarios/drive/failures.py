"""The one seam where exceptions of HTTP clients become outcomes.

FastHttpUser brings geventhttpclient's exceptions, HttpUser those of requests; both wrap the causes
in their own ways, and a locustfile adds its own by `response.failure(…)`.
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
    """The same of HttpUser's client: requests lets a Timeout through, and Locust would not report it."""


def outcome_of(error: BaseException | None, status: int) -> Outcome | None:
    """How a request failed on its way; None where an answer came and its status and body decide.

    BAD_ANSWER where a locustfile called the answer a failure though its status is fine.
    """
    if error is None or isinstance(error, STATUS_SAYS_IT):
        return None
    if isinstance(error, WAITED_TOO_LONG) or isinstance(getattr(error, "original", None), WAITED_TOO_LONG):
        return Outcome.CLIENT_TIMEOUT
    if isinstance(error, BROKEN_ON_THE_WAY) or not status:
        return Outcome.CONNECTION_ERROR
    return Outcome.BAD_ANSWER


def is_past_deadline(error: BaseException | None) -> bool:
    """Whether it was our total deadline that ended the request, not a timeout of a user's own."""
    return isinstance(error, DeadlineExpired | Deadline) or isinstance(getattr(error, "original", None), Deadline)
