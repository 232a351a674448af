"""The names of the protocols that an upstream may speak, as a plan has them."""

from __future__ import annotations

from typing import Literal

ProtocolName = Literal["http", "https", "grpc", "postgres", "mysql", "redis", "kafka", "amqp", "tls", "tcp"]
