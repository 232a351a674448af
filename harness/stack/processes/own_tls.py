"""TLS towards the fakes that terminate it, for the harness's own requests: canaries, readiness and control."""

from __future__ import annotations

import ssl
from functools import cache

from harness.rundir.planned.upstream import PlannedUpstream


def client_context(upstream: PlannedUpstream) -> ssl.SSLContext | None:
    """The context for a connection to the upstream's listener or origin; None if that speaks no TLS of ours."""
    return _trusting() if upstream.terminates_tls else None


def scheme_of(upstream: PlannedUpstream) -> str:
    return "https" if upstream.terminates_tls else "http"


@cache
def _trusting() -> ssl.SSLContext:
    """It accepts any certificate.

    That is right here: both ends are ours and on this machine, so a certificate would prove nothing, and canaries show
    faults, not certificates. Whether the certificate can be verified is for the service to find out.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
