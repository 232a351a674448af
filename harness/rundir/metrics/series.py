"""Which series of the service's metrics a gate is about: `pool_in_use{backend=azure}`. Pure.

A series is written as Prometheus shows it, with its labels' values unquoted. It selects every sample of that name that
has these labels with these values; other labels may have any value, and the samples are added up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

SERIES: Final = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(\{[^{}]*\})?")
_LABEL: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(\"[^\"]*\"|[^\s\",{}][^\",{}]*)\s*")
_TOTAL: Final = "_total"


class SeriesError(ValueError):
    """A text that is no series. `fix`: what to write instead; empty if that is unknown."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SeriesError."""
        match = SERIES.fullmatch(text)
        if match is None:
            raise SeriesError(f"`{text}` is not a metric's name with its labels", "pool_in_use{backend=azure}")
        inside = (match[2] or "{}")[1:-1]
        labels = []
        for part in inside.split(",") if inside.strip() else ():
            label = _LABEL.fullmatch(part)
            if label is None:
                raise SeriesError(f"`{part.strip()}` is not a label with its value", f"{match[1]}{{backend=azure}}")
            labels.append((label[1], label[2].strip()))
        if any(value.startswith('"') for _, value in labels):
            plain = cls(match[1], tuple((name, value.strip('"')) for name, value in labels))
            raise SeriesError("values of labels are written without quotes", plain.text)
        return cls(match[1], tuple(labels))

    @property
    def text(self) -> str:
        labels = ",".join(f"{name}={value}" for name, value in self.labels)
        return f"{self.name}{{{labels}}}" if labels else self.name

    def selects(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a sample of this name with these labels belongs to the series. A counter's sample may be called
        `NAME_total` by the parser."""
        if name not in (self.name, f"{self.name}{_TOTAL}"):
            return False
        return all(labels.get(label) == value for label, value in self.labels)
