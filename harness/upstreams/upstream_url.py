"""The URL of a real upstream in a scenario: what of it the plan needs, and what the service is given. Pure.

Variables may stand in user, path and query, where secrets are; they are not expanded here. Scheme, host and port must
be known before anything starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from harness.model.value_types import did_you_mean, kind_of, refusal, shortened
from harness.rundir.planned.forwarding import UrlParts
from harness.secrets.syntax import REFERENCE
from harness.upstreams.protocols import SCHEMES, Scheme

LONGEST: Final = 2_000
_VARIABLE: Final = re.compile(REFERENCE)
_FIX: Final = "write it as SCHEME://HOST:PORT, such as postgres://app:${PG_PASS}@localhost:5432/app"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)")
_VERIFIES: Final = "verify-full"
_HTTP: Final = ("http", "https")
_MYSQL_VERIFIES: Final = {
    "sslmode": ("verify_identity", "verify-identity", "verify-full"),
    "sslverifyidentity": ("true", "1"),
}
"""By the names of options without `-` and `_`, in lower case: the server's own, JDBC's and those of Python drivers."""
_HOSTADDR_SCHEMES: Final = ("postgres", "postgresql")


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """`user` ends in `@` or is empty, `rest` begins with `/` or `?` or is empty. Both may have variables in them."""

    scheme: str
    traits: Scheme
    user: str
    host: str
    port: int
    rest: str

    @property
    def has_password(self) -> bool:
        return ":" in self.user

    def parts(self, scheme: str) -> UrlParts:
        """What stands around the listener's address in the URL that the service is given.

        A client of PostgreSQL that verifies the name in the certificate keeps the host for that, and is told by
        `hostaddr` where to connect (libpq, section "Parameter Key Words").
        """
        if self.keeps_host:
            return UrlParts(scheme=scheme, user=self.user, host=self.host, rest=self.rest, adds_hostaddr=True)
        return UrlParts(scheme=scheme, user=self.user, rest=self.rest)

    @property
    def keeps_host(self) -> bool:
        """Whether a client of PostgreSQL verifies that the host's name is in the certificate."""
        return self.scheme in _HOSTADDR_SCHEMES and self._options().get("sslmode") == [_VERIFIES]

    @property
    def verifies_listener(self) -> str:
        """The option, as written, by which a client of MySQL looks for the listener's address in the certificate of the
        server, which has it under another name; empty if there is none."""
        if self.traits.protocol != "mysql":
            return ""
        for name, values in self._options().items():
            if values[-1].lower() in _MYSQL_VERIFIES.get(re.sub("[-_]", "", name.lower()), ()):
                return f"{name}={values[-1]}"
        return ""

    def _options(self) -> dict[str, list[str]]:
        return parse_qs(self.rest.partition("?")[2].partition("#")[0])


def parse_url(value: Any) -> UpstreamUrl:
    """Raises pydantic's error with a fix."""
    if not isinstance(value, str):
        raise refusal(f"expected a URL, not {kind_of(value)}", _FIX)
    text = value.strip()
    if len(text) > LONGEST or any(char.isspace() or ord(char) < 32 for char in text):
        raise refusal(f"`{shortened(text)}` is not a URL", _FIX)
    hidden, variables = _hide_variables(text)
    match = _SCHEME.match(hidden)
    if not match:
        if variables and hidden.startswith(_MARK):
            fix = "write scheme, host and port out, or give the whole by --set; a password stays a variable"
            raise refusal("scheme and host must be known before anything starts", fix)
        raise refusal(f"`{shortened(text)}` is not a URL", _FIX)
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        raise refusal(f"`{scheme}` is no scheme of a protocol that is known", did_you_mean(scheme, SCHEMES))
    authority, rest = _split_authority(hidden[match.end() :])
    user, at, address = authority.rpartition("@")
    host, port = _address(address, SCHEMES[scheme], scheme)
    _refuse_password(user)
    if SCHEMES[scheme].protocol in _HTTP:
        _refuse_token(user)
    return UpstreamUrl(scheme, SCHEMES[scheme], _shown(user, variables) + at, host, port, _shown(rest, variables))


_MARK: Final = "\ue000"
_HIDDEN: Final = re.compile(f"{_MARK}(\\d+){_MARK}")


def _hide_variables(text: str) -> tuple[str, list[str]]:
    """The text with a mark in place of each variable, whose default may contain any character."""
    variables: list[str] = []

    def hide(match: re.Match[str]) -> str:
        variables.append(match[0])
        return f"{_MARK}{len(variables) - 1}{_MARK}"

    return _VARIABLE.sub(hide, text), variables


def _shown(hidden: str, variables: list[str]) -> str:
    return _HIDDEN.sub(lambda match: variables[int(match[1])], hidden)


def _split_authority(text: str) -> tuple[str, str]:
    end = next((at for at, char in enumerate(text) if char in "/?#"), len(text))
    return text[:end], text[end:]


def _address(address: str, traits: Scheme, scheme: str) -> tuple[str, int]:
    if _MARK in address:
        fix = "write host and port out, or give the whole by --set"
        raise refusal("host and port must be known before anything starts", fix)
    match = _HOST.match(address)
    after = address[match.end() :] if match else address
    if match is None or not re.fullmatch(r"(:\d{1,5})?", after):
        more = ", without a list of several" if "," in address else ""
        raise refusal(f"`{shortened(address)}` is not a host and a port{more}", _FIX)
    port = int(after[1:]) if after else traits.default_port
    if port is None:
        raise refusal(f"a {scheme}:// URL must name its port", "write HOST:PORT")
    if not 0 < port < 65_536:
        raise refusal(f"{port} is not a port", "a port is a number from 1 to 65535")
    return match[1] or match[2], port


def _refuse_password(user: str) -> None:
    """A scenario, and the plan of each run, are files that many can read."""
    _, colon, password = user.partition(":")
    if colon and password and not _HIDDEN.fullmatch(password):
        raise refusal(
            "a password stands in the scenario, which would put it into the files of every run",
            "write a variable, such as ${DB_PASSWORD}, and export it",
            is_secret=True,
        )


def _refuse_token(user: str) -> None:
    """Of a database a user alone is only a name. Servers of HTTP take tokens in its place, without a password."""
    name, _, password = user.partition(":")
    if name and not password and not _HIDDEN.search(name):
        raise refusal(
            "a user without a password stands in the URL, as tokens do; it would be in the files of every run",
            "write a variable, such as ${API_TOKEN}, and export it; a test value that is no secret may be the default: "
            "${API_TOKEN:-test}",
            is_secret=True,
        )
