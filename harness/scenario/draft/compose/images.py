"""What a service of a compose file is, by its image: its protocol, and the mocks whose files a fake can read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from harness.scenario.draft.compose.compose_service import ComposeService

WIREMOCK_FOLDER: Final = "/home/wiremock"


@dataclass(frozen=True, slots=True)
class ImageTraits:
    """`word`: in the image's name. `scheme`: of the upstream's URL. `port`: where it listens by itself."""

    word: str
    scheme: str
    port: int


IMAGES: Final = (
    ImageTraits("postgres", "postgres", 5432),
    ImageTraits("postgresql", "postgres", 5432),
    ImageTraits("postgis", "postgres", 5432),
    ImageTraits("pgvector", "postgres", 5432),
    ImageTraits("timescaledb", "postgres", 5432),
    ImageTraits("mysql", "mysql", 3306),
    ImageTraits("mariadb", "mysql", 3306),
    ImageTraits("percona", "mysql", 3306),
    ImageTraits("redis", "redis", 6379),
    ImageTraits("valkey", "redis", 6379),
    ImageTraits("keydb", "redis", 6379),
    ImageTraits("dragonfly", "redis", 6379),
    ImageTraits("kafka", "kafka", 9092),
    ImageTraits("redpanda", "kafka", 9092),
    ImageTraits("rabbitmq", "amqp", 5672),
    ImageTraits("mongo", "tcp", 27017),
    ImageTraits("mongodb", "tcp", 27017),
    ImageTraits("memcached", "tcp", 11211),
    ImageTraits("nats", "tcp", 4222),
    ImageTraits("cassandra", "tcp", 9042),
    ImageTraits("elasticsearch", "http", 9200),
    ImageTraits("opensearch", "http", 9200),
    ImageTraits("clickhouse", "http", 8123),
    ImageTraits("minio", "http", 9000),
    ImageTraits("localstack", "http", 4566),
    ImageTraits("keycloak", "http", 8080),
    ImageTraits("wiremock", "http", 8080),
    ImageTraits("prism", "http", 4010),
)


def traits_of(image: str) -> ImageTraits | None:
    """By the words of the image's name, without registry, tag and digest; None if it is not known."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    words = re.split(r"[^a-z0-9]+", name)
    return next((traits for word in words for traits in IMAGES if traits.word == word), None)


def mounted_mock(service: ComposeService) -> tuple[str, str] | None:
    """`wiremock` or `openapi`, and the path on this machine of the stubs or the description that it serves."""
    traits = traits_of(service.image)
    if traits is None:
        return None
    if traits.word == "wiremock":
        return _wiremock(service)
    if traits.word == "prism":
        words = (word for word in (*service.entrypoint, *service.command) if word.startswith("/"))
        found = next(filter(None, (_on_this_machine(service, word) for word in words)), None)
        return ("openapi", found) if found else None
    return None


def _wiremock(service: ComposeService) -> tuple[str, str] | None:
    words = service.command
    given = next((words[at + 1] for at, word in enumerate(words[:-1]) if word == "--root-dir"), WIREMOCK_FOLDER)
    if (folder := _on_this_machine(service, given)) is not None:
        return "wiremock", folder
    mappings = _on_this_machine(service, f"{given}/mappings")
    return ("wiremock", mappings) if mappings is not None else None


def _on_this_machine(service: ComposeService, path: str) -> str | None:
    """What is mounted at a path of the container, or above it."""
    for target, source in sorted(service.mounts.items(), key=lambda item: -len(item[0])):
        if path == target:
            return source
        if path.startswith(f"{target.rstrip('/')}/"):
            return f"{source.rstrip('/')}/{path[len(target.rstrip('/')) + 1 :]}"
    return None
