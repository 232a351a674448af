"""From the services of a compose file to a draft: which one is under test, what it calls, and how it is told where."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.model.value_types import did_you_mean
from harness.scenario.draft.compose.addresses import LOCAL_HOSTS, EnvironmentTranslator
from harness.scenario.draft.compose.compose_file import ComposeProject
from harness.scenario.draft.compose.compose_service import ComposeService
from harness.scenario.draft.compose.dockerfile import start_of
from harness.scenario.draft.compose.images import traits_of
from harness.scenario.draft.compose.interpolation import evaluated
from harness.scenario.draft.compose.listen_address import LOOPBACK, on_loopback, value_on_loopback
from harness.scenario.draft.compose.service_upstream import BLANK_ROUTES, service_upstream
from harness.scenario.draft.parts import (
    UNNAMED_RANK,
    UPSTREAMS_MOST,
    Draft,
    DraftService,
    DraftUpstream,
    upstream_name,
)
from harness.scenario.draft.paths import relative_path
from harness.text import listed

_LISTED: Final = 20
_ADDRESS_VARIABLE: Final = re.compile(r"(?i)^(.*?)_?(?:BASE_?)?(?:API_?)?(?:URL|URI|ENDPOINT|API|BASE)$")
_EXTERNAL: Final = re.compile(r"https?://([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,10})(?=[:/?#]|$)", re.I)
_PORT_VARIABLE: Final = re.compile(r"(?i)^(.*?)_?PORT$")
_NOW_LOCAL: Final = (
    f"CHECK: the file lets it listen on all addresses; {LOOPBACK} is enough here, and nobody else reaches it"
)
_READY_PATH: Final = re.compile(r"/[!-~]{0,500}")


def draft_of_compose(project: ComposeProject, wanted: str, folder: Path, environ: Mapping[str, str]) -> Draft:
    """`wanted`: the service under test, empty for the one that the file builds and publishes. `folder`: of the
    scenario. Raises UsageError if it is not clear which service is meant."""
    service = chosen_service(project, wanted)
    others = {name: other for name, other in project.services.items() if name != service.name}
    names: dict[str, str] = {}
    for name in others:
        names[name] = upstream_name(name, names.values())
    external = _external_hosts(service, others, names, {**project.dotenv, **environ})
    hosts = {alias: name for name, other in others.items() for alias in (*other.aliases, name)}
    translator = EnvironmentTranslator(hosts, {**names, **external}, project.dotenv)
    env, notes = _environment(service, translator)
    words = translator.translate_words(_start_of(project, service))
    upstreams = _upstreams(project, service, names, external, translator, folder=folder)
    dropped = [upstream.name for upstream in upstreams[UPSTREAMS_MOST:]]
    if dropped:
        raise UsageError(
            f"`{service.name}` calls {len(upstreams)} others, and a scenario has at most {UPSTREAMS_MOST} upstreams",
            "remove variables of those that are never broken from a copy of the file",
        )
    unused = [name for name in others if names[name] not in {upstream.name for upstream in upstreams}]
    if unused:
        notes.append(f"services that `{service.name}` neither names nor depends on: {_quoted(unused)}")
    env = _with_whole_urls(_with_ports(env, translator), upstreams)
    return Draft(
        name=f"{service.name} with a slow upstream",
        sources=(),
        service=_service(project, service, env, folder, _Command(words or (), environ.get("PATH", ""))),
        upstreams=tuple(upstreams),
        exports=tuple(translator.exports),
        left_out=(*project.notes, *notes),
    )


def chosen_service(project: ComposeProject, wanted: str) -> ComposeService:
    """Raises UsageError unless exactly one is meant."""
    services = project.services
    if wanted:
        if wanted not in services:
            raise UsageError(f"there is no service `{wanted}`", did_you_mean(wanted, services))
        return services[wanted]
    fitting = [one for one in services.values() if one.build is not None and one.is_published and not one.profiles]
    if len(fitting) == 1:
        return fitting[0]
    which = "several services are" if fitting else "no service is"
    names = [one.name for one in fitting] if fitting else list(services)
    raise UsageError(
        f"it is not clear which service is under test: {which} both built and published",
        f"add --service NAME, one of {_quoted(names)}",
    )


def _quoted(names: list[str]) -> str:
    return listed([f"`{name}`" for name in names], _LISTED)


# ---------------------------------------------------------------- the environment


def _external_hosts(
    service: ComposeService, others: Mapping[str, ComposeService], names: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """The upstream's name by each host outside the file that a variable with an address names, in lower case."""
    found: dict[str, str] = {}
    for variable, raw in service.environment.items():
        named = _ADDRESS_VARIABLE.match(variable[:200])
        match = _EXTERNAL.match(evaluated(raw or "", environ).strip()[:2_000]) if named else None
        if named is None or match is None or match[1].lower() in (*LOCAL_HOSTS, *found) or match[1] in others:
            continue
        found[match[1].lower()] = upstream_name(named[1] or match[1], (*names.values(), *found.values()))
    return found


def _environment(service: ComposeService, translator: EnvironmentTranslator) -> tuple[dict[str, str], list[str]]:
    env: dict[str, str] = {}
    notes: list[str] = []
    for variable, raw in service.environment.items():
        value = translator.translate(variable, f"${{{variable}}}" if raw is None else raw)
        if value is None:
            notes.append(f"the variable {variable}: a scenario reads its `${{` as a variable")
        elif variable:
            env[variable] = value
    return env, notes


def _with_ports(env: Mapping[str, str], translator: EnvironmentTranslator) -> dict[str, str]:
    """`DB_PORT: 5432` beside `DB_HOST: db` becomes the listener's port."""
    found = dict(env)
    by_variable = {address.variable: address.host for address in translator.addresses if not address.scheme}
    for variable, value in env.items():
        named = _PORT_VARIABLE.match(variable[:200])
        if named is None or not re.fullmatch(r"\d{1,5}|\$\{[^{}]*\}", value):
            continue
        stem = f"{named[1]}_" if named[1] else ""
        for ending in ("HOST", "HOSTNAME", "SERVER", "ADDR", "ADDRESS"):
            host = by_variable.get(f"{stem}{ending}")
            if host is not None:
                found[variable] = f"{{{translator.upstreams[host]}.port}}"
    return found


def _with_whole_urls(env: Mapping[str, str], upstreams: list[DraftUpstream]) -> dict[str, str]:
    """`{db.url}` where a value is the URL of the upstream but for the address."""
    found = dict(env)
    for upstream in upstreams:
        scheme, _, rest = str(upstream.fields.get("url", "")).partition("://")
        user, at, address = rest.rpartition("@")
        path = re.sub(r"^[^/?#]*", "", address)
        spelled = f"{scheme}://{user}{at}{{{upstream.name}.address}}{path}"
        for variable, value in found.items():
            if scheme and value == spelled:
                found[variable] = f"{{{upstream.name}.url}}"
    return found


# ---------------------------------------------------------------- upstreams


def _upstreams(
    project: ComposeProject,
    service: ComposeService,
    names: Mapping[str, str],
    external: Mapping[str, str],
    translator: EnvironmentTranslator,
    *,
    folder: Path,
) -> list[DraftUpstream]:
    found: list[DraftUpstream] = []
    for name, other in project.services.items():
        addresses = [one for one in translator.addresses if one.host == name and not one.is_external]
        is_needed = name in service.depends_on and (other.is_published or traits_of(other.image) is not None)
        if name in names and (addresses or is_needed):
            found.append(service_upstream(other, names[name], addresses, project.folder, folder))
    for host, name in external.items():
        comments = (
            f"CHECK: {host} is outside this machine, so a fake stands in for it. What does it answer? Or write `har`, "
            f"`openapi` or `wiremock` in place of `routes`; for the real one `url: https://{host}`, and run with "
            "--allow-target",
        )
        if any(address.host == host and address.is_external for address in translator.addresses):
            found.append(
                DraftUpstream(name, {"routes": BLANK_ROUTES}, comments, hosts=frozenset({host}), is_blank=True)
            )
    return sorted(found, key=lambda upstream: upstream.rank == UNNAMED_RANK)


# ---------------------------------------------------------------- the service


def _start_of(project: ComposeProject, service: ComposeService) -> list[str]:
    """The words that start the service, of the compose file or else of the Dockerfile; as written."""
    entrypoint, command = service.entrypoint, service.command
    if service.build is not None and service.dockerfile:
        built = start_of(project.folder / service.build / service.dockerfile)
        # an entry point of the compose file clears the command of the image
        command = command or (() if entrypoint else built[1])
        entrypoint = entrypoint or built[0]
    return [word for word in (*entrypoint, *command) if word]


@dataclass(frozen=True, slots=True)
class _Command:
    """How the service is started: `words` in the scenario's syntax, none if the file does not say. `search_path`: where
    programs are."""

    words: tuple[str, ...]
    search_path: str

    def with_port(self, targets: list[int]) -> tuple[str, ...] | None:
        """The words, listening on `{port}` in place of a port of the container; None if they are not known."""
        if not self.words or any("\0" in word for word in self.words):
            return None
        numbers = "|".join(map(str, targets)) or "(?!)"
        local = map(on_loopback, self.words)
        found = tuple(re.sub(rf"(^|[:=])(?:{numbers})$", r"\1{port}", word) for word in local)
        if shutil.which(found[0], path=self.search_path) is not None and "/" not in found[0]:
            return found
        # a shell looks for the program when the service starts, so that an environment can be activated before
        return "sh", "-c", f"exec {' '.join(word if word == '{port}' else shlex.quote(word) for word in found)}"


def _service(
    project: ComposeProject, service: ComposeService, env: Mapping[str, str], folder: Path, start: _Command
) -> DraftService:
    targets = [port.target for port in service.ports] or list(service.exposed)
    comments: list[str] = []
    env_comments: dict[str, tuple[str, ...]] = {}
    filled = dict(env)
    for variable, value in env.items():
        if (local := value_on_loopback(value)) != value:
            filled[variable] = local
            env_comments[variable] = (_NOW_LOCAL,)
        if _PORT_VARIABLE.match(variable[:200]) and value.isdigit() and int(value) in targets:
            filled[variable] = "{port}"
    command = start.with_port(targets)
    if command is not None:
        comments.append(f"as compose starts `{service.name}`, but on this machine: its program must be installed here")
        if any(on_loopback(word) != word for word in start.words):
            comments.append(_NOW_LOCAL)
    if not any("{port}" in word for word in (*(command or ()), *filled.values())):
        filled["PORT"] = "{port}"
        env_comments["PORT"] = ("CHECK: how is the service told the port that it must listen on?",)
    cwd = ""
    if service.build is not None and (project.folder / service.build).is_dir():
        cwd = relative_path(project.folder / service.build, folder)
    ready = f"GET {service.health_path} within 30s" if _READY_PATH.fullmatch(service.health_path) else ""
    return DraftService(
        command=command,
        cwd="" if cwd == "." else cwd,
        env=filled,
        env_comments=env_comments,
        ready=ready,
        comments=tuple(comments),
    )
