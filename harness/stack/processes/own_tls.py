"""TLS towards the fakes that terminate it, for the harness's own requests: canaries, readiness and control."""

from __future__ import annotations

import ssl

from harness.rundir.planned.upstream import PlannedUpstream
from harness.tls_channel import unverified_context


def client_context(upstream: PlannedUpstream) -> ssl.SSLContext | None:
    """The context for a connection to the upstream's listener or origin; None if that speaks no TLS of ours.

    It accepts any certificate. That is right here: both ends are ours and on this machine, so a certificate would prove
    nothing, and canaries show faults, not certificates. Whether the certificate can be verified is for the service to
    find out.
    """
    return unverified_context() if upstream.terminates_tls else None


def scheme_of(upstream: PlannedUpstream) -> str:
    return "https" if upstream.terminates_tls else "http"
