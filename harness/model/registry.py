"""`Registry`: the kinds of one thing by name, each of which is imported when it is first used.

Most scenarios use few of the many kinds. Their names are known without an import, so that a message can list them all
and propose the closest one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final, TypeVar

Kind_co = TypeVar("Kind_co", covariant=True)


class Registry(Mapping[str, Kind_co]):
    """A read-only mapping from names to kinds. Looking a kind up imports its module; asking for names imports nothing.

    `places`: where each kind is, as `module:name`. Several names may have the same place.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self.places: Final = dict(places)

    def __getitem__(self, name: str) -> Kind_co:
        module, attribute = self.places[name].split(":")
        kind: Kind_co = getattr(import_module(module), attribute)
        return kind

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def kinds(self) -> tuple[Kind_co, ...]:
        """Each kind once, in the order of the names. Imports them all."""
        return tuple(dict.fromkeys(self.values()))
