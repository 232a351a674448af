"""A fake that answers as the scenario says: by routes, a HAR recording, an OpenAPI description or WireMock stubs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.model.value_types import refusal
from harness.rundir.planned.routes import PlannedRoute, RouteKind, RouteSource
from harness.rundir.planned.upstream import FakeSpec
from harness.upstreams.fake import Fake
from harness.upstreams.routes.answer_sizes import canary_bytes, most_bytes
from harness.upstreams.routes.files import files_of
from harness.upstreams.routes.mark import has_mark
from harness.upstreams.routes.read import digest_of, read_file
from harness.upstreams.routes.templates import escaped, params_of
from harness.upstreams.routes.written import Routes, planned_routes, route_findings
from harness.upstreams.upstream_files import NO_INPUTS, UnreadableFile, UpstreamInputs, UpstreamReader

SHAPE: Final = "routes"
"""What a plan has in place of a provider's name."""
SOURCES: Final[tuple[RouteKind, ...]] = ("routes", "har", "openapi", "wiremock")
FileName = Annotated[str, Field(min_length=1)]


class RoutedFake(Fake):
    AT_MOST_ONE: ClassVar = (SOURCES,)
    CALLED: ClassVar = "a fake with routes"

    routes: Routes | None = Field(None, description="METHOD PATH: what it answers; * for whatever has no other route")
    har: FileName | None = Field(None, description="A recording: answers and latencies as they were recorded")
    host: FileName | None = Field(None, description="The host of the recording that it plays, if it has several")
    openapi: FileName | None = Field(None, description="A description of the API: answers by its examples and schemas")
    wiremock: FileName | None = Field(None, description="Stub mappings: the folder that has `mappings`, or one file")

    @property
    def recording(self) -> tuple[str, str] | None:
        return (self.har, self.host or "") if self.har is not None else None

    @property
    def has_written_answers(self) -> bool:
        return self.routes is not None

    @property
    def wire_shape(self) -> str:
        return SHAPE

    def read_inputs(self, reader: UpstreamReader) -> UpstreamInputs:
        recorded = super().read_inputs(reader).recorded
        if self.routes is not None:
            routes = self._written_routes(reader)
            source = RouteSource(kind="routes", routes=routes, names=tuple(route.name for route in routes))
            return UpstreamInputs(recorded, source, routes)
        kind, written = next((kind, file) for kind in SOURCES if (file := getattr(self, kind)) is not None)
        path = reader.use((kind,), written, lambda found: found)
        host = self.host or ""
        hosts = tuple(reader.recorded_hosts.get(path, ())) if kind == "har" and path is not None else ()
        hosts = hosts if len(hosts) > 1 else ()
        read = reader.use((kind,), written, partial(read_file, kind, host=host, hosts=hosts, seed=reader.seed))
        if path is None or read is None:
            return UpstreamInputs(recorded)
        for note in read.notes:
            reader.note((kind,), note)
        own_latency = bool(self.model_fields_set & {"p50_ms", "p99_ms", "profile"})
        source = RouteSource(
            kind=kind,
            path=str(path),
            host=host,
            hosts=hosts,
            sha256=digest_of(read.routes),
            names=tuple(route.name for route in read.routes),
            ignores_recorded_latencies=own_latency,
        )
        return UpstreamInputs(recorded, source, source.with_latencies(read.routes), base_path=read.base_path)

    def _written_routes(self, reader: UpstreamReader) -> tuple[PlannedRoute, ...]:
        written = self.routes or {}
        mistakes = list(route_findings(written))
        for where, message, fix, offset in mistakes:
            reader.refuse(("routes", *where), message, fix, offset)
        if mistakes:
            return ()
        for pattern, route in written.items():
            for number, answer in enumerate(route.every_answer):
                if answer.file is not None:
                    where = ("routes", pattern, *(("answers", number) if route.answers is not None else ()), "file")
                    reader.use(where, ".", partial(_check_files, answer.file, pattern))
        return planned_routes(written, reader.folder(("routes",)))

    def carries_mark(self, inputs: UpstreamInputs) -> bool:
        return has_mark(inputs.routes)

    def spec(self, inputs: UpstreamInputs) -> FakeSpec:
        return FakeSpec(rows=0, page=0, provider=SHAPE, routes=inputs.source, **self.latency(inputs))

    def answer_bytes(self, inputs: UpstreamInputs = NO_INPUTS) -> tuple[int, int]:
        size = canary_bytes(inputs.routes)
        return size, max(size, most_bytes(inputs.routes))

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.host is not None and self.har is None:
            yield "host", refusal("only a recording has hosts to choose from", "remove `host`", at_key=True)


def _check_files(pattern: str, route: str, folder: Path) -> None:
    """Raises UnreadableFile if the files of an answer cannot be used, or lie outside the scenario's folder."""
    inside = "put the file into the folder of the scenario or below it, and write its path from there"
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UnreadableFile(f"`{pattern}` leads out of the folder of the scenario", inside)
    try:
        found = files_of(f"{escaped(str(folder))}/{pattern}", params_of(route))
    except OSError as exc:
        raise UnreadableFile(f"`{pattern}` cannot be used: {exc.strerror}", inside) from exc
    except ValueError as exc:
        raise UnreadableFile(f"`{pattern}` cannot be used: {exc}", inside) from exc
    for path in found.paths.values():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UnreadableFile(f"{path} leads out of the folder of the scenario", inside)
