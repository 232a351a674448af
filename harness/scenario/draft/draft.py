"""Drafts a scenario from files that a team has already: compose files, OpenAPI, Toxiproxy's configuration, HAR.

Reads files, writes none. Several files of any kinds are joined: a recording or a description takes the place of a fake
whose answers are not known, where its name or its host is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.scenario.draft.compose.compose_draft import draft_of_compose
from harness.scenario.draft.compose.compose_file import read_compose
from harness.scenario.draft.har_hosts import upstreams_of_har
from harness.scenario.draft.openapi_requests import requests_of_openapi, upstream_of_openapi
from harness.scenario.draft.parts import UPSTREAMS_MOST, Draft, DraftService, DraftUpstream
from harness.scenario.draft.scenario_text import default_env
from harness.scenario.draft.source_kind import SourceKind, source_kind
from harness.scenario.draft.toxiproxy_proxies import DEFAULT_URL, upstreams_of_toxiproxy

SOURCES_MOST: Final = 64
_RUNS_AT: Final = "http://127.0.0.1:8000"
_ENV_COMMENT: Final = "CHECK: from which variables does the service take these addresses?"


@dataclass(frozen=True, slots=True)
class DraftSources:
    """`files`: as they were given, with their kinds. `service`: a service of the compose file, empty for the obvious
    one. `description`: an OpenAPI description of the service under test itself."""

    files: Sequence[tuple[Path, SourceKind]]
    service: str = ""
    description: Path | None = None


def draft_sources(files: Sequence[Path], service: Sequence[str]) -> DraftSources:
    """`service`: at most one name of a service and one OpenAPI description of it. Raises UsageError."""
    if len(files) > SOURCES_MOST:
        raise UsageError(f"a scenario is made from at most {SOURCES_MOST} files", "leave some out")
    descriptions = [Path(each) for each in service if Path(each).is_file()]
    names = [each for each in service if not Path(each).is_file()]
    if len(descriptions) > 1 or len(names) > 1:
        fix = "give --service once with a name of the compose file, and once with an OpenAPI description"
        raise UsageError(f"--service has {len(names)} names and {len(descriptions)} files", fix)
    description = descriptions[0] if descriptions else None
    if description is not None and source_kind(description) != "openapi":
        raise UsageError(f"{description} is no OpenAPI description of the service", "name one that has `openapi`")
    own = description.resolve() if description else None
    kinds = [(path, source_kind(path)) for path in dict.fromkeys(files) if path.resolve() != own]
    if names and not any(kind == "compose" for _, kind in kinds):
        fix = "name a file, or give the compose file by --from"
        raise UsageError(f"`{names[0]}` is no file, and there is no compose file that could have such a service", fix)
    return DraftSources(kinds, names[0] if names else "", description)


def drafted(sources: DraftSources, folder: Path, environ: Mapping[str, str]) -> Draft:
    """`folder`: of the scenario. Raises UsageError, and ScenarioError with positions in the files."""
    compose = [path for path, kind in sources.files if kind == "compose"]
    draft: Draft | None = None
    if compose:
        draft = draft_of_compose(read_compose(compose, environ), sources.service, folder, environ)
    partners = _Partners(folder, {upstream.name for upstream in draft.upstreams} if draft else set())
    for path, kind in sources.files:
        partners.read(path, kind)
    draft = _without_compose(partners) if draft is None else _joined(draft, partners)
    if len(draft.upstreams) > UPSTREAMS_MOST:
        found = f"the files have {len(draft.upstreams)} upstreams, and a scenario has at most {UPSTREAMS_MOST}"
        raise UsageError(found, "leave some of the files out")
    if sources.description is not None:
        requests, comments = requests_of_openapi(sources.description)
        draft = replace(draft, requests=requests, request_comments=comments)
    given = [path for path, _ in sources.files] + ([sources.description] if sources.description else [])
    return replace(draft, sources=tuple(path.name for path in given))


@dataclass(slots=True)
class _Partners:
    """What recordings, descriptions and configurations have. `taken`: names of upstreams that are there already."""

    folder: Path
    taken: set[str]
    upstreams: list[DraftUpstream] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_proxies: bool = False

    def read(self, path: Path, kind: SourceKind) -> None:
        taken = frozenset(upstream.name for upstream in self.upstreams)
        match kind:
            case "har":
                found, notes = upstreams_of_har(path, self.folder, taken)
                self.notes += notes
            case "openapi":
                found = [upstream_of_openapi(path, self.folder, taken)]
            case "toxiproxy":
                borrowed = frozenset(each.fields["proxy"] for each in self.upstreams if "proxy" in each.fields)
                found, notes = upstreams_of_toxiproxy(path, taken, borrowed)
                self.notes += notes
                self.has_proxies = True
            case _:
                return
        self.upstreams += found


def _without_compose(partners: _Partners) -> Draft:
    upstreams = tuple(partners.upstreams)
    if partners.has_proxies:
        comments = (
            "CHECK: where does the service run, with the addresses of the proxies? Or let tailgate start it:",
            "in place of `url`, write `command: uvicorn app:app --port {port}` and `env`",
        )
        service = DraftService(url=_RUNS_AT, comments=comments)
    else:
        env = {"PORT": "{port}", **default_env(upstreams)}
        notes = {"PORT": ("CHECK: how is the service told the port that it must listen on?",)}
        if upstreams:
            notes[next(iter(default_env(upstreams)))] = (_ENV_COMMENT,)
        service = DraftService(env=env, env_comments=notes)
    first = min(upstreams, key=lambda upstream: upstream.rank, default=None)
    name = f"slow {first.name}" if first else "without a fault"
    url = DEFAULT_URL if partners.has_proxies else ""
    return Draft(name, (), service, upstreams, toxiproxy_url=url, left_out=tuple(partners.notes))


def _joined(draft: Draft, partners: _Partners) -> Draft:
    """The draft of a compose file with what else is known of the partners. What the service is told where to find comes
    from the compose file; what remains of the others is added with a variable that has to be checked."""
    upstreams = list(draft.upstreams)
    env = dict(draft.service.env)
    env_comments = dict(draft.service.env_comments)
    for found in partners.upstreams:
        at = next((at for at, one in enumerate(upstreams) if one.is_blank and _is_same(one, found)), None)
        if at is not None:
            upstreams[at] = replace(found, name=upstreams[at].name)
            continue
        taken = {upstream.name for upstream in upstreams}
        name = found.name if found.name not in taken else _free(found.name, taken)
        upstreams.append(replace(found, name=name))
        if "proxy" not in found.fields:
            (variable, value), *_ = default_env((upstreams[-1],)).items()
            if variable not in env:
                env[variable] = value
                env_comments[variable] = (_ENV_COMMENT,)
    service = replace(draft.service, env=env, env_comments=env_comments)
    return replace(
        draft,
        service=service,
        upstreams=tuple(upstreams),
        toxiproxy_url=DEFAULT_URL if partners.has_proxies else "",
        left_out=(*draft.left_out, *partners.notes),
    )


def _is_same(blank: DraftUpstream, found: DraftUpstream) -> bool:
    return blank.name == found.name or bool(blank.hosts & found.hosts)


def _free(name: str, taken: set[str]) -> str:
    return next(f"{name}-{number}" for number in range(2, len(taken) + 3) if f"{name}-{number}" not in taken)
