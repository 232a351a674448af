"""Gives a user's client a total deadline for each request, and limits its resends.

The timeouts of HTTP clients are for single socket operations, so an answer that drips would never time out. Only the
clients of FastHttpUser and HttpUser are supported; other clients keep their own timeouts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geventhttpclient.client import HTTPClient, HTTPClientPool
from geventhttpclient.url import URL
from locust import FastHttpUser, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, insecure_ssl_context_factory

from scenarios.drive.failures import Deadline, DeadlineExpired
from scenarios.drive.first_byte import time_bodies

BLOCK_BYTES = 64 * 1024
"""geventhttpclient's default is 4 kB, so an answer of 400 kB would take a hundred reads."""

Call = Callable[..., Any]


class ConnectionPool(HTTPClientPool):
    """A pool whose clients resend a request only once, for a keep-alive connection that the server has just closed.

    geventhttpclient resends a GET up to `concurrency` + 1 times when connections are closed without an answer. So a
    service that drops connections would get a dozen requests for one arrival.
    """

    def get_client(self, url: str | URL) -> HTTPClient:
        client = super().get_client(url)
        client._connection_pool.size = 0  # only the number of resends depends on it after the pool is created
        time_bodies(client)
        return client


def widen_timeouts(user_class: type[User], deadline_s: float) -> None:
    """Raises default timeouts of single operations above the deadline; timeouts that the user has chosen stay."""
    if issubclass(user_class, FastHttpUser):
        for name in ("network_timeout", "connection_timeout"):
            default = getattr(FastHttpUser, name)
            if getattr(user_class, name) == default:
                setattr(user_class, name, max(default, deadline_s + 1))


def set_deadline(user: Any, deadline_s: float) -> bool:
    """Ends every request of this instance's client after `deadline_s`. Returns False for an unknown client."""
    client: Any = getattr(user, "client", None)
    if issubclass(type(client), FastHttpSession):
        renew = _pool_maker(user)
        renew()
        client.request = _bounded_fast(client.request, deadline_s, renew)
        return True
    if issubclass(type(client), HttpSession):
        client.send = _bounded(client.send, deadline_s)
        return True
    return False


def _bounded_fast(request: Call, deadline_s: float, renew: Callable[[], None]) -> Call:
    def bounded(*args: Any, **kwargs: Any) -> Any:
        deadline = Deadline.start_new(deadline_s)
        try:
            return request(*args, **kwargs)  # it catches the deadline and reports it
        finally:
            if not deadline.pending:
                renew()  # a connection that is interrupted while sending is never returned to the pool
            deadline.close()

    return bounded


def _bounded(send: Call, deadline_s: float) -> Call:
    def bounded(request: Any, **kwargs: Any) -> Any:
        deadline = Deadline.start_new(deadline_s)
        try:
            return send(request, **kwargs)
        except Deadline as expired:
            if expired is not deadline:
                raise
            raise DeadlineExpired(f"no answer within {deadline_s:g} s", request=request) from None
        finally:
            deadline.close()

    return bounded


def _pool_maker(user: FastHttpUser) -> Callable[[], None]:
    """A function that gives the client a new connection pool, unless users share one."""
    agent = user.client.client
    # as FastHttpSession chooses it; without one, geventhttpclient verifies certificates even of an insecure user
    context_factory = user.ssl_context_factory or (insecure_ssl_context_factory if user.insecure else None)

    def renew() -> None:
        if user.client_pool is None:
            agent.clientpool.close()
            agent.clientpool = ConnectionPool(
                concurrency=user.concurrency,
                block_size=BLOCK_BYTES,
                network_timeout=user.network_timeout,
                connection_timeout=user.connection_timeout,
                insecure=user.insecure,
                ssl_context_factory=context_factory,
                proxy_host=user.proxy_host,
                proxy_port=user.proxy_port,
            )

    return renew
