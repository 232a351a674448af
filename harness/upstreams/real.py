"""An upstream that runs already, by its URL: a partner's API, a database, a cache, a broker.

HTTP and HTTPS go through the forwarder, so that their calls are recorded and every fault works on them. Everything else
stays a TCP connection through Toxiproxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.value_types import refusal
from harness.rundir.planned.forwarding import ForwardSpec, StreamSpec
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.upstreams.number_files import no_larger
from harness.upstreams.protocols import PROTOCOLS, TlsMode
from harness.upstreams.upstream import Upstream, past_the_listener
from harness.upstreams.upstream_files import NO_INPUTS, UnreadableFile, UpstreamInputs, UpstreamReader
from harness.upstreams.upstream_url import UpstreamUrl, parse_url

FORWARDED: Final = ("http", "https")
PLAIN: Final = {"rediss": "redis", "amqps": "amqp", "tls": "tcp"}
"""The scheme of the same protocol without TLS, where the fakes' process can add or remove it."""
CA_BYTES_MOST: Final = 16_000_000
SECURE: Final = {plain: secure for secure, plain in PLAIN.items()}


class RealUpstream(Upstream):
    SHORT_FOR: ClassVar = "url"
    KIND: ClassVar = "real"
    CALLED: ClassVar = "an upstream with `url`"

    url: Annotated[
        UpstreamUrl,
        BeforeValidator(parse_url),
        WithJsonSchema({"type": "string", "examples": ["https://sandbox.pay.example", "postgres://localhost/app"]}),
    ] = Field(description="Where it runs; outside this machine only with --allow-target")
    tls: TlsMode | None = Field(
        None,
        description="originate: the service speaks without TLS; terminate: with a certificate of the run's own "
        "authority; passthrough: end to end. Default: originate for https, else passthrough",
    )
    ca: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="File of the certificate authorities that are trusted for it; default: the system's"
    )
    observe: bool = Field(True, description="false: no call is recorded, and only connections are seen")
    protocol_named: ProtocolName | None = Field(
        None, alias="protocol", description="How it is asked whether it lives, if the scheme does not say it"
    )

    @property
    def is_forwarded(self) -> bool:
        """Whether its calls go through the forwarder."""
        return self.observe and self.url.scheme in FORWARDED and self.tls != "passthrough"

    @property
    def is_carried(self) -> bool:
        """Whether its bytes go through the fakes' process, which adds TLS or takes it away."""
        return not self.is_forwarded and self.tls in ("originate", "terminate")

    @property
    def records_calls(self) -> bool:
        return self.is_forwarded

    @property
    def protocol(self) -> ProtocolName:
        """What the canary speaks."""
        if self.protocol_named:
            return self.protocol_named
        if self.is_forwarded:
            return "http"
        if self.is_carried:
            return "tcp" if self.url.traits.protocol == "tls" else self.url.traits.protocol
        return self.url.traits.canary

    @property
    def has_password(self) -> bool:
        return self.url.has_password

    @property
    def terminates_tls(self) -> bool:
        return self.tls == "terminate"

    @property
    def needs_address(self) -> bool:
        return self.url.keeps_host

    @property
    def target(self) -> str:
        return f"{self.url.scheme}://{Endpoint(host=self.url.host, port=self.url.port).address}"

    def read_inputs(self, reader: UpstreamReader) -> UpstreamInputs:
        ca = reader.use(("ca",), self.ca, _authorities)
        return UpstreamInputs(ca=str(ca) if ca else None)

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        listener = Endpoint(port=self.port or ports())
        forward: ForwardSpec | None = None
        origin = Endpoint(host=self.url.host, port=self.url.port)
        if self.is_forwarded:
            scheme: Literal["http", "https"] = "https" if self.url.traits.is_tls else "http"
            forward = ForwardSpec(scheme=scheme, host=self.url.host, port=self.url.port, ca=inputs.ca)
            origin = Endpoint(port=ports())
        stream: StreamSpec | None = None
        if self.is_carried:
            url = self.url
            stream = StreamSpec(host=url.host, port=url.port, originates=url.traits.is_tls, ca=inputs.ca)
            origin = Endpoint(port=ports())
        return PlannedUpstream(
            name=name,
            known_as=self.known_as,
            index=index,
            kind=self.KIND,
            protocol=self.protocol,
            listener=listener,
            origin=origin,
            forward=forward,
            stream=stream,
            canary_bytes=0 if self.is_forwarded else self.canary.least,
            terminates_tls=self.terminates_tls,
            url_parts=self.url.parts(self._given_scheme()),
        )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        modes = self._tls_modes()
        if self.tls is not None and self.tls not in modes:
            traits = PROTOCOLS[self.url.traits.protocol]
            if traits.why_passthrough:
                found = f"`tls: {self.tls}` is not possible for {traits.title}: {traits.why_passthrough}"
                yield "tls", refusal(found, "remove `tls`: the service's own TLS passes through")
            else:
                fix = f"remove `tls`, or write the URL of what speaks TLS, as {self.url.scheme}s://"
                yield "tls", refusal(f"{self.url.scheme}:// is not TLS, so there is none to originate", fix)
        if self.ca is not None and not (self.is_forwarded or self.is_carried):
            found = "the service verifies the certificate itself, since its TLS passes through"
            yield "ca", refusal(found, "remove `ca`", at_key=True)
        elif self.ca is not None and not self.url.traits.is_tls:
            yield "ca", refusal(f"{self.url.scheme}:// has no certificate", "remove `ca`", at_key=True)
        if option := self.url.verifies_listener:
            found = f"by `{option}` a client of MySQL looks for the listener's address in the server's certificate"
            fix = (
                "write ssl-mode=VERIFY_CA, which verifies all but the name: only PostgreSQL can be told both addresses"
            )
            yield "url", refusal(found, fix)
        if not self.observe and self.url.scheme not in FORWARDED:
            found = f"the calls of {PROTOCOLS[self.url.traits.protocol].title} are not observed anyway"
            yield "observe", refusal(found, "remove `observe`", at_key=True)
        if not self.observe and self.tls in ("originate", "terminate"):
            yield "observe", refusal(f"`tls: {self.tls}` is done where calls are observed", "remove `observe`")
        if self.url.traits.protocol == "kafka" and self.port is None:
            yield "url", past_the_listener()

    def _tls_modes(self) -> tuple[TlsMode, ...]:
        possible = PROTOCOLS[self.url.traits.protocol].tls_modes
        return tuple(mode for mode in possible if mode != "originate" or self.url.traits.is_tls)

    def recorded_if(self) -> str:
        if self.url.scheme not in FORWARDED or self.is_forwarded:
            return ""
        keys = [*(() if self.observe else ("`observe: false`",))]
        keys += ["`tls: passthrough`"] if self.tls == "passthrough" else []
        return f"remove {' and '.join(keys)}"

    def _given_scheme(self) -> str:
        """Of the URL that the service is given."""
        if self.is_forwarded:
            return "https" if self.terminates_tls else "http"
        if self.tls == "originate":
            return PLAIN[self.url.scheme]
        return SECURE.get(self.url.scheme, self.url.scheme) if self.terminates_tls else self.url.scheme


def _authorities(found: Path) -> Path:
    """The path of a file with certificates. Raises UnreadableFile."""
    import ssl  # scenarios without such a file should not pay for it

    fix = "name a file with the certificates of the authorities, in PEM"
    no_larger(found, CA_BYTES_MOST, fix)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(found)
    except ssl.SSLError:
        raise UnreadableFile(f"{found} is no file of certificates in PEM", fix) from None
    if not context.cert_store_stats()["x509"]:
        raise UnreadableFile(f"{found} has no certificate", fix)
    return found
