"""What the fakes' process needs to terminate TLS: the certificate of its listeners, and the bundle for the service."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.rundir.plan import StackPlan
from harness.rundir.planned.ca_variables import CA_VARIABLES
from harness.secrets.expand import Expander


@dataclass(frozen=True, slots=True)
class ListenerContexts:
    """The TLS of listeners. `stream`: of those that carry bytes, which offer no protocol of HTTP."""

    http: ssl.SSLContext
    stream: ssl.SSLContext


def listener_contexts(plan: StackPlan, environ: Mapping[str, str]) -> ListenerContexts | None:
    """The TLS of the plan's listeners; None if none terminates TLS.

    It writes the bundle that the service is given, so call it before anything is served. `environ`: the caller's, which
    the service has too. Raises RigError.
    """
    if plan.ca_file is None:
        return None
    from fake_backends.tls.run_ca import RunCertificates  # its imports cost a fifth of a second

    certificates = RunCertificates(_origin_names(plan))
    certificates.write_bundle(Path(plan.ca_file), dict(trusted_files(plan, environ)))
    return ListenerContexts(certificates.server_context(), certificates.server_context(alpn=()))


def _origin_names(plan: StackPlan) -> Iterator[str]:
    """Hosts by which the service may know what is behind a listener."""
    for upstream in plan.upstreams:
        real = upstream.forward or upstream.stream
        if real is not None:
            yield real.host
        if upstream.url_parts.host is not None:
            yield upstream.url_parts.host


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
