"""Warns if the service cannot know the certificate authority of upstreams that terminate TLS. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.template_texts import texts_with_templates
from harness.scenario.source.diagnostics import Diagnostic

JAVA_PROGRAMS: Final = frozenset(
    {"java", "mvn", "mvnw", "gradle", "gradlew", "sbt", "lein", "clojure", "kotlin", "scala", "jbang"}
)
TRUST_STORE: Final = "javax.net.ssl.trustStore"


def tls_warnings(scenario: Scenario, raw: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """`raw`: the scenario's plain tree."""
    names = [name for name, upstream in scenario.upstreams.items() if upstream.terminates_tls]
    if not names:
        return
    if scenario.service.url is not None:
        yield Diagnostic(
            ("upstreams", names[0], "tls"),
            "the service runs already, and the certificate authority exists for one run only, so the service cannot "
            "verify this upstream",
            "start the service by `command`, or remove `tls`",
        )
    programs = {PurePath(word).name for word in scenario.service.command or ()}
    told = any(TRUST_STORE in text for _, text in texts_with_templates(raw))
    if not told and not programs.isdisjoint(JAVA_PROGRAMS):
        yield Diagnostic(
            ("service", "command"),
            "a JVM reads none of the variables that name the certificate authority of the run; it needs a key store",
            # texts in backticks are quotes, which are cut where they are long
            "before the start, in the command: keytool -importcert -noprompt -alias tailgate -file {ca} -keystore "
            f"FILE -storepass changeit; then java -D{TRUST_STORE}=FILE -D{TRUST_STORE}Password=changeit …",
        )
