"""What the fakes' process needs to terminate TLS: the certificate of its listeners, and the bundle for the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.http1 import ALPN_HTTP_1
from harness.rundir.plan import StackPlan
from harness.rundir.planned.ca_variables import CA_VARIABLES
from harness.secrets.expand import Expander

if TYPE_CHECKING:
    from fake_backends.tls.failed_handshakes import WatchedContext


def listener_contexts(plan: StackPlan, environ: Mapping[str, str]) -> dict[str, WatchedContext]:
    """The TLS of each listener that terminates TLS, by the name of its upstream.

    A listener that carries bytes offers no protocol of HTTP.

    It writes the bundle that the service is given, so call it before anything is served. `environ`: the caller's, which
    the service has too. Raises RigError.
    """
    if plan.ca_file is None:
        return {}
    from fake_backends.tls.run_ca import RunCertificates  # its imports cost a fifth of a second

    certificates = RunCertificates(_origin_names(plan))
    certificates.write_bundle(Path(plan.ca_file), dict(trusted_files(plan, environ)))
    return {
        upstream.name: certificates.server_context(() if upstream.stream else ALPN_HTTP_1)
        for upstream in plan.upstreams
        if upstream.terminates_tls
    }


def _origin_names(plan: StackPlan) -> Iterator[str]:
    """Hosts by which the service may know what is behind a listener, and the listener itself."""
    for upstream in plan.upstreams:
        real = upstream.forward or upstream.stream
        if real is not None:
            yield real.host
        if upstream.url_parts.host is not None:
            yield upstream.url_parts.host
        if upstream.terminates_tls:
            yield upstream.listener.host


def trusted_files(plan: StackPlan, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The files with certificates that the service would trust without us, by the variable that names each.

    A variable that the scenario sets takes precedence over the caller's. Paths are taken from the service's folder, as
    the service would. For a service that runs already nothing is known.
    """
    service = plan.service
    if service.kind == "url" or plan.ca_file is None:
        return
    expand = Expander(environ)
    for name in CA_VARIABLES:
        written = service.env.get(name)
        value = expand(written) if written is not None else environ.get(name, "")
        path = Path(service.cwd) / value
        if value and path != Path(plan.ca_file):
            yield name, path
