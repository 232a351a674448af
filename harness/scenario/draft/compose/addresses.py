"""Where a value of an environment names other services, and the same value in the scenario's syntax. Pure.

`postgres://app:pw@db:5432/app` becomes `{db.url}`, `cache:6379` becomes `{cache.address}`. Passwords become variables,
other variables stay as references, and braces are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.scenario.draft.compose.interpolation import DEPTH_MOST, ComposeVariable, pieces_of
from harness.secrets.literal import literal_secret
from harness.secrets.names import is_named_like_a_secret

VALUE_MOST: Final = 10_000
"""Characters of a value in which addresses are looked for."""
HOST_KEY: Final = re.compile(
    r"(?i)(^|_)(HOST|HOSTNAME|HOSTS|SERVER|SERVERS|ADDR|ADDRESS|ENDPOINT|BROKER|BROKERS|NODE|NODES)$"
)
"""Variables that hold a host's name."""
_OPEN: Final = "\ue000"
_CLOSE: Final = "\ue001"
_MARK: Final = re.compile(f"{_OPEN}(\\d{{1,6}}){_CLOSE}")
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,40})://(?:(?P<user>[^\s/,;?#]{0,500})@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>\d{1,5}))?(?P<rest>[/?#][^\s\"'<>]{0,2000})?"
)
_PAIR: Final = re.compile(
    r"(?P<before>(?:^|[\s;?&])(?P<key>[A-Za-z_][A-Za-z0-9_ -]{0,40}?)\s{0,3}=\s{0,3})(?P<value>[^\s;&#\"']{1,500})"
)
_HOST_PAIRS: Final = ("host", "hostname", "server", "data source", "addr", "address")
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]", "::1", "host.docker.internal")


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """One address in a value. `host`: a service, or a host that is none if `is_external`. `scheme`: empty without a
    URL. `user` and `rest`: in the scenario's syntax, as in `UpstreamUrl`. `port`: None where the value has none."""

    host: str
    variable: str
    scheme: str = ""
    user: str = ""
    port: int | None = None
    rest: str = ""
    is_external: bool = False


@dataclass(slots=True)
class EnvironmentTranslator:
    """`services`: the service by each of its names. `defaults`: what variables stand for, by name, where that is no
    secret. After the values are translated, `addresses` and `exports` say what was met in them: each address once, and
    the variables that have to be exported."""

    services: Mapping[str, str]
    upstreams: Mapping[str, str]
    """The upstream's name by service, or by an external host in lower case."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    addresses: list[NamedAddress] = field(default_factory=list)
    exports: dict[str, str] = field(default_factory=dict)
    """The literal secret by variable, to tell secrets apart; empty where there was none. It is never written."""
    _marks: list[str] = field(default_factory=list)

    def translate(self, variable: str, raw: str) -> str | None:
        """The value in the scenario's syntax; None if it cannot be written there. A value in which a secret would be
        left becomes a variable as a whole, since a scenario that has one is refused."""
        value = self._translated(variable, raw)
        return self._exported(variable, raw) if value and literal_secret(variable, value) else value

    def _translated(self, variable: str, raw: str) -> str | None:
        self._marks = []
        text = self._without_variables(variable, raw[:VALUE_MOST])
        is_secret = is_named_like_a_secret(variable) and not variable.upper().endswith("_FILE")
        if is_secret and text and not self._names_an_address(text):
            return self._exported(variable, text) if not _MARK.fullmatch(text) else self._shown(text, variable)
        text = self._whole_host(variable, text)
        text = _URL.sub(lambda match: self._url(match, variable), text)
        text = self._bare(variable, text)
        text = _PAIR.sub(lambda match: self._pair(match, variable), text)
        return self._shown(text, variable)

    def translate_words(self, words: Sequence[str]) -> tuple[str, ...] | None:
        """The words of a command in the scenario's syntax, `--db-password pw` and `--db-password=pw` with a variable.
        None if one cannot be written there."""
        found: list[str | None] = []
        flag = ""
        for word in words:
            name, equals, value = word.partition("=")
            is_flag = name.startswith("-") and len(name) > 1
            if is_flag and equals:
                translated = self.translate(_variable_of(name), value)
                found.append(None if translated is None else f"{name.replace('{', '{{')}={translated}")
            else:
                found.append(self.translate(_variable_of(flag) or "ARGUMENT", word))
            flag = name if is_flag and not equals else ""
        known = tuple(word for word in found if word is not None)
        return known if len(known) == len(found) else None

    # ------------------------------------------------------------ variables

    def _without_variables(self, variable: str, raw: str, depth: int = 0) -> str:
        """The text with a mark for each variable. A default that says which service is meant, or its port, stands in
        place of its variable: the run chooses the address."""
        text = ""
        for piece in pieces_of(raw):
            if isinstance(piece, str):
                text += piece.replace(_OPEN, "").replace(_CLOSE, "")
                continue
            exports = dict(self.exports)
            default = self._without_variables(variable, self._operand(piece), depth + 1) if depth < DEPTH_MOST else ""
            is_port = default.isdigit() and text.endswith(":")
            if default and (default in self.services or is_port or self._must_be_seen(default)):
                text += default
            else:
                self.exports = exports  # of a default that is not used
                text += self._marked(self._reference(variable, piece, default))
        return text

    def _operand(self, piece: ComposeVariable) -> str:
        """What stands in place of a variable that is not set: its default, or what the `.env` file says."""
        if piece.name in self.defaults and not piece.is_replaced:
            return self.defaults[piece.name].replace("$", "$$")
        return piece.operand if piece.has_default else ""

    def _must_be_seen(self, default: str) -> bool:
        """Whether the default has an address, or a password, in it."""
        pairs = (match["key"] for match in _PAIR.finditer(default))
        return self._names_an_address(default) or any(is_named_like_a_secret(key.replace(" ", "_")) for key in pairs)

    def _reference(self, variable: str, piece: ComposeVariable, default: str) -> str:
        is_secret = is_named_like_a_secret(piece.name) or is_named_like_a_secret(variable)
        plain = default if "{" not in default and "}" not in default and not _MARK.search(default) else ""
        if piece.has_default and not is_secret and (plain or not default):
            return f"${{{piece.name}:-{plain}}}"
        if not is_secret and plain:
            return f"${{{piece.name}:-{plain}}}"
        return self._exported(piece.name)

    def _exported(self, name: str, literal: str = "") -> str:
        """A variable, exported by the user. `literal`: the secret that stood there; two secrets get two variables."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", name)
        stem = f"_{name}" if name[:1].isdigit() else name
        name, number = stem, 2
        while literal and self.exports.get(name, literal) not in ("", literal):
            name, number = f"{stem}_{number}", number + 1
        self.exports[name] = self.exports.get(name) or literal
        return f"${{{name}}}"

    def _marked(self, text: str) -> str:
        self._marks.append(text)
        return f"{_OPEN}{len(self._marks) - 1}{_CLOSE}"

    def _shown(self, text: str, variable: str) -> str | None:
        """The text with what its marks stand for. None if a literal `${` would be left, which a scenario cannot say."""
        literal = _MARK.sub(lambda match: f"{_OPEN}{match[1]}{_CLOSE}", text)
        if "${" in literal or "\0" in literal:
            return None
        escaped = literal.replace("{", "{{")
        return _MARK.sub(lambda match: self._marks[int(match[1])], escaped)

    # ------------------------------------------------------------ addresses

    def _names_an_address(self, text: str) -> bool:
        return "://" in text or any(
            match[1] in self.services for match in re.finditer(r"([A-Za-z0-9._-]{1,253}):\d{1,5}", text)
        )

    def _template(self, host: str, part: str) -> str:
        return self._marked(f"{{{self.upstreams[host]}.{part}}}")

    def _note(self, address: NamedAddress) -> None:
        if address not in self.addresses:
            self.addresses.append(address)

    def _whole_host(self, variable: str, text: str) -> str:
        """A value that is nothing but the name of a service."""
        service = self.services.get(text.strip())
        if service is None or service not in self.upstreams or not HOST_KEY.search(variable):
            return text
        self._note(NamedAddress(service, variable))
        return self._template(service, "host")

    def _url(self, match: re.Match[str], variable: str) -> str:
        host = match["host"]
        scheme, user, rest = match["scheme"], match["user"], match["rest"] or ""
        service = self.services.get(host) or self.services.get(host.lower())
        own = self.upstreams.get(service) if service else None
        user = self._user(user, scheme, variable, own or host) if user else ""
        rest = self._marked_pairs(rest)
        at = f"{user}@" if user else ""
        is_web = scheme.lower() in ("http", "https")
        if service is not None and own is not None:
            port = int(match["port"]) if match["port"] else None
            self._note(NamedAddress(service, variable, scheme, self._plain(at), port, self._plain(rest)))
            if is_web:
                return self._template(service, "url") + rest if not at else self._authority(scheme, at, service) + rest
            return self._authority(scheme, at, service) + rest
        key = host.lower()
        if is_web and key in self.upstreams and key not in LOCAL_HOSTS and not at:
            port = int(match["port"]) if match["port"] else None
            self._note(NamedAddress(key, variable, scheme, "", port, "", is_external=True))
            return self._template(key, "url") + rest
        colon = f":{match['port']}" if match["port"] else ""
        return f"{scheme}://{at}{host}{colon}{rest}"

    def _authority(self, scheme: str, at: str, service: str) -> str:
        return f"{scheme}://{at}{self._template(service, 'address')}"

    def _user(self, user: str, scheme: str, variable: str, upstream: str) -> str:
        """The user of a URL with its password as a variable. A user alone is a key where the URL is of the web."""
        name, colon, password = user.partition(":")
        wanted = f"{re.sub(r'[^A-Z0-9]+', '_', upstream.upper()).strip('_')}_PASSWORD"
        if not colon:
            is_key = scheme.lower() in ("http", "https") and not _MARK.fullmatch(user)
            return self._marked(self._exported(f"{variable}_USER", user)) if is_key else user
        if not password or _MARK.fullmatch(password):
            return f"{name}:{self._secret_mark(password)}" if password else user
        return f"{name}:{self._marked(self._exported(wanted, password))}"

    def _secret_mark(self, mark: str) -> str:
        """The variable of a password, without a default that would be a password itself."""
        found = _MARK.fullmatch(mark)
        assert found
        reference = self._marks[int(found[1])]
        name = reference[2:-1].partition(":-")[0]
        return self._marked(self._exported(name))

    def _bare(self, variable: str, text: str) -> str:
        """`host:port` outside URLs, also several in a list."""

        def replaced(match: re.Match[str]) -> str:
            service = self.services.get(match[1])
            if service is None or service not in self.upstreams:
                return match[0]
            self._note(NamedAddress(service, variable, "", "", int(match[2])))
            return self._template(service, "address")

        return re.sub(r"(?<![\w./-])([A-Za-z0-9][A-Za-z0-9._-]{0,252}):(\d{1,5})(?![\w.:])", replaced, text)

    def _pair(self, match: re.Match[str], variable: str) -> str:
        """`host=db`, `port=5432` and `password=…` of a connection string."""
        key, value = match["key"].strip().lower(), match["value"]
        service = self.services.get(value.removeprefix("tcp:"))
        if key in _HOST_PAIRS and service is not None and service in self.upstreams:
            self._note(NamedAddress(service, variable))
            return match["before"] + self._template(service, "host")
        if key == "port" and value.isdigit() and self.addresses and self.addresses[-1].variable == variable:
            return match["before"] + self._template(self.addresses[-1].host, "port")
        return match["before"] + self._secret_value(match["key"], value)

    def _marked_pairs(self, rest: str) -> str:
        """The path and query of a URL, in which the values of secret names become variables."""
        return re.sub(
            r"([?&;])([A-Za-z0-9_.-]{1,60})=([^&;#\s]{1,500})",
            lambda match: f"{match[1]}{match[2]}={self._secret_value(match[2], match[3])}",
            rest,
        )

    def _secret_value(self, key: str, value: str) -> str:
        if not is_named_like_a_secret(key.replace(" ", "_")):
            return value
        if _MARK.fullmatch(value):
            return self._secret_mark(value) if self._marks[int(value[1:-1])].startswith("${") else value
        return self._marked(self._exported(re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_"), value))

    def _plain(self, text: str) -> str:
        """The text as it stands in the URL of an upstream, in which braces are not escaped."""
        return _MARK.sub(lambda match: self._marks[int(match[1])], text)


def _variable_of(flag: str) -> str:
    """`DB_PASSWORD` for `--db-password`."""
    return re.sub(r"[^A-Z0-9]+", "_", flag.upper()).strip("_")
