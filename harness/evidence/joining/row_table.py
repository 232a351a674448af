"""The rows of one or several files in one order, read column by column.

Millions of rows of 64 bytes do not belong into memory, nor is a whole row read for the sake of one field. So the rows
stay in their files, which are mapped into memory; a column is copied from them, in order, when it is asked for. Narrow
columns, and those named when the table was made, are kept. A selection of rows is a list of their places until a column
of it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from harness.rundir.rows import RowLayout

BLOCK: Final = 2**18
"""Rows that are handled at once where an array over all rows would cost too much memory."""
_CACHED: Final = 2**13
"""Rows that the cache of a processor holds."""
_KEPT_BYTES_MOST: Final = 2
"""A column of fields of this size is always kept."""

Chosen = slice | NDArray[np.bool_] | NDArray[np.integer]
Places = NDArray[np.integer]


class RowTable:
    """`table["name"]` is a column, an array with one entry for each row; do not write to it. `table[which]` are some of
    the rows, by a slice, a mask or their places; `table.row(i)` is one of them."""

    __slots__ = ("_changed", "_chosen", "_stored")

    def __init__(self, stored: _Stored, chosen: slice | Places, changed: dict[str, NDArray[Any]]) -> None:
        self._stored = stored
        self._chosen = chosen
        self._changed = changed

    @classmethod
    def of(cls, parts: Sequence[NDArray[Any]], layout: RowLayout, *, keep: Sequence[str] = ()) -> RowTable:
        """All rows of `parts`, structured arrays of this layout, one after the other. `keep`: columns that are read
        once, though their fields are wide."""
        stored = _Stored([_plain(part) for part in parts if len(part)] or [np.empty(0, layout.dtype())], keep)
        return cls(stored, slice(0, stored.length), {})

    def ordered(self, order: Places) -> RowTable:
        """The rows of a whole table in another order: the i-th becomes the one at `order[i]`."""
        stored = _Stored(self._stored.parts, self._stored.keep, order)
        return RowTable(stored, slice(0, len(order)), {})

    def __len__(self) -> int:
        if isinstance(self._chosen, slice):
            return int(self._chosen.stop - self._chosen.start)
        return len(self._chosen)

    @overload
    def __getitem__(self, which: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, which: Chosen) -> RowTable: ...
    def __getitem__(self, which: str | Chosen) -> NDArray[Any] | RowTable:
        if isinstance(which, str):
            own = self._changed.get(which)
            return self._stored.column(which, self._chosen) if own is None else own
        changed = {name: column[which] for name, column in self._changed.items()}
        return RowTable(self._stored, _composed(self._chosen, which, len(self)), changed)

    def row(self, place: int) -> dict[str, int]:
        """The fields of one row."""
        one = self[place : place + 1]
        return {name: int(one[name][0]) for name in self._stored.names}

    def replaced(self, **columns: NDArray[Any]) -> RowTable:
        """The same rows with other values in these columns."""
        return RowTable(self._stored, self._chosen, {**self._changed, **columns})


AnyRows = TypeVar("AnyRows", NDArray[Any], RowTable)
"""Rows in memory, as of a run under way, or rows of a run that is over."""


def blocks(length: int, most: int = BLOCK) -> Iterator[slice]:
    """Slices that together are `length` rows, at most `most` each."""
    return (slice(first, min(first + most, length)) for first in range(0, length, most))


def place_type(length: int) -> type[np.signedinteger[Any]]:
    """The smallest type that holds the place of one of so many rows, and -1."""
    return np.int32 if length < 2**31 else np.int64


class _Stored:
    """The rows of all parts, in `order`."""

    def __init__(self, parts: Sequence[NDArray[Any]], keep: Sequence[str], order: Places | None = None) -> None:
        self.parts = parts
        self.keep = keep
        self.length = sum(map(len, parts)) if order is None else len(order)
        self.names: tuple[str, ...] = parts[0].dtype.names or ()
        self._order = order
        self._starts = np.cumsum([0, *map(len, parts)])
        self._kept: dict[str, NDArray[Any]] = {}

    def column(self, name: str, chosen: slice | Places) -> NDArray[Any]:
        if name not in self._kept and self._is_kept(name):
            self._keep_all()
        return self._kept[name][chosen] if name in self._kept else self._read(name, chosen)

    def _is_kept(self, name: str) -> bool:
        return name in self.keep or self.parts[0].dtype[name].itemsize <= _KEPT_BYTES_MOST

    def _keep_all(self) -> None:
        """Read every column that is kept. All of them in one pass: a row in the processor's cache is cheap to read
        from again, and reading it from memory is what takes the time."""
        kept = {name: np.empty(self.length, self.parts[0].dtype[name]) for name in self.names if self._is_kept(name)}
        for block in blocks(self.length, _CACHED):
            for name, column in kept.items():
                column[block] = self._read(name, block)
        self._kept = {name: _narrowed(column) for name, column in kept.items()}

    def _read(self, name: str, chosen: slice | Places) -> NDArray[Any]:
        places = chosen if self._order is None else self._order[chosen]
        if isinstance(places, slice):
            return self._run(name, places.start, places.stop)
        taken = np.empty(len(places), self.parts[0].dtype[name])
        for block in blocks(len(places)):  # numpy makes a copy of the places first, in 64 bits
            taken[block] = self._at(name, places[block])
        return taken

    def _run(self, name: str, begin: int, end: int) -> NDArray[Any]:
        """The column of rows that are one after the other in the files."""
        found = [
            part[name][max(0, begin - start) : max(0, end - start)]
            for part, start in zip(self.parts, self._starts[:-1].tolist(), strict=True)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _at(self, name: str, places: Places) -> NDArray[Any]:
        """The column of the rows at these places in the files."""
        if len(self.parts) == 1:
            one: NDArray[Any] = self.parts[0][name][places]
            return one
        found = np.empty(len(places), self.parts[0].dtype[name])
        file = np.searchsorted(self._starts, places, side="right") - 1
        for number, part in enumerate(self.parts):
            own = file == number
            found[own] = part[name][places[own] - self._starts[number]]
        return found


def _narrowed(column: NDArray[Any]) -> NDArray[Any]:
    """A column in which every value is the same, as is common, in the memory of one value."""
    if not len(column) or (column != column[0]).any():
        return column
    return np.broadcast_to(column[0].copy(), column.shape)


def _composed(chosen: slice | Places, which: Chosen, length: int) -> slice | Places:
    """The places of some of the chosen rows. `length`: how many are chosen."""
    if isinstance(which, slice):
        start, stop, step = which.indices(length)
        if isinstance(chosen, slice) and step == 1:
            return slice(chosen.start + start, chosen.start + max(start, stop))
        which = np.arange(start, stop, step, dtype=place_type(length)) if step != 1 else which
    if not isinstance(chosen, slice):
        within: Places = chosen[which]
        return within
    assert not isinstance(which, slice)
    if which.dtype == np.bool_ and which.all():  # as where all calls go to one upstream
        return chosen
    places = places_of(which)
    moved: Places = places + places.dtype.type(chosen.start)
    return moved


def places_of(which: NDArray[np.bool_] | NDArray[np.integer]) -> Places:
    """The places that a mask chooses, in the smallest type; places themselves as they are."""
    if which.dtype != np.bool_:
        return cast("Places", which)
    found = [np.flatnonzero(which[block]).astype(place_type(len(which))) + block.start for block in blocks(len(which))]
    return np.concatenate(found) if found else np.empty(0, np.int32)


def _plain(rows: NDArray[Any]) -> NDArray[Any]:
    """A mapped file as an ordinary array, whose columns and slices cost less to make."""
    return rows.view(np.ndarray)
