"""Proxies and toxics as Toxiproxy's admin API returns them; fields that are not listed here are ignored."""

from __future__ import annotations

import ipaddress
from typing import Final

from pydantic import BaseModel, ConfigDict

from harness.rundir.planned.fault import PlannedToxic

_TOXICITY_SLACK: Final = 1e-6
"""The server keeps toxicity as a 32 bit float."""


class _FromServer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Toxic(_FromServer):
    """`attributes` are in Toxiproxy's own units."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, float] = {}

    def is_as(self, planned: PlannedToxic) -> bool:
        return (
            (self.type, self.stream) == (planned.type, planned.stream)
            and abs(self.toxicity - planned.toxicity) <= _TOXICITY_SLACK
            and all(self.attributes.get(key) == value for key, value in planned.attributes.items())
        )

    def as_planned(self) -> PlannedToxic:
        return PlannedToxic.model_validate(self.model_dump(exclude={"name"}))


class Proxy(_FromServer):
    """`listen` is the resolved address, host:port."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[Toxic, ...] = ()

    def listens_at(self, asked: str) -> bool:
        """Whether `asked` may have resolved to `listen`: port 0 is any, a host name or 0.0.0.0 comes back otherwise."""
        (host, _, port), (asked_host, _, asked_port) = self.listen.rpartition(":"), asked.rpartition(":")
        if asked_port not in ("0", port):
            return False
        try:
            address = ipaddress.ip_address(asked_host.strip("[]"))
            return address.is_unspecified or address == ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return True
