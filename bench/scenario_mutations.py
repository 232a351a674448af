"""Scenarios made wrong: one hostile case from a seed and a number, the same one every time.

Three ways, often mixed: on the tree (delete, duplicate, move, swap, replace by something nasty), on the text
(flipped bits, cut, lines swapped, other encodings) and on the files around it (loops, FIFOs, missing, odd names).
Nothing here reads or writes a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, Literal

from bench.nasty import KEYS, NASTY, PATHS, SNIPPETS
from bench.tree_mutations import copied, emitted, mutate_tree

Kind = Literal["file", "fifo", "link", "folder"]


@dataclass(frozen=True, slots=True)
class Beside:
    """Something that lies beside the scenario. `content` is a link's target."""

    name: str
    kind: Kind
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Case:
    """`text` None: nothing is written at `name`, which may be one of `beside`, or missing."""

    name: str = "scenario.yaml"
    text: bytes | None = b""
    beside: tuple[Beside, ...] = ()
    sets: tuple[str, ...] = ()
    made_by: tuple[str, ...] = field(default=(), compare=False)


# ---------------------------------------------------------------- texts


def _flip(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    return text[:at] + bytes([text[at] ^ (1 << random.randrange(8))]) + text[at + 1 :]


def _cut(text: bytes, random: Random) -> bytes:
    return text[: random.randrange(len(text))]


def _hole(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    return text[:at] + text[at + random.randrange(40) :]


def _insert(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(SNIPPETS) * random.choice((1, 1, 1, 3, 200)) + text[at:]


def _lines(text: bytes, random: Random) -> bytes:
    lines = text.split(b"\n")
    one, two = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            lines[one], lines[two] = lines[two], lines[one]
        case 1:
            lines.insert(one, lines[two])
        case 2:
            lines[one] = random.choice((b" ", b"  ", b"\t")) + lines[one]
        case _:
            lines[one] = lines[one].lstrip()
    return b"\n".join(lines)


def _again(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    piece = text[at : at + random.randrange(1, 60)]
    return text[:at] + piece * random.choice((2, 50, 4_000)) + text[at:]


def _encoded(text: bytes, random: Random) -> bytes:
    as_text = text.decode("utf-8", "replace")
    name = random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "crlf", "cr", "nel"))
    if name in ("crlf", "cr", "nel"):
        return text.replace(b"\n", {"crlf": b"\r\n", "cr": b"\r", "nel": b"\xc2\x85"}[name])
    return as_text.encode(name, "replace")


TEXT_WAYS: Final[tuple[Callable[[bytes, Random], bytes], ...]] = (_flip, _cut, _hole, _insert, _lines, _again, _encoded)


def mutate_text(text: bytes, random: Random) -> tuple[bytes, str]:
    way = random.choice(TEXT_WAYS)
    return (way(text, random) if text else random.choice(SNIPPETS)), way.__name__.lstrip("_")


# ---------------------------------------------------------------- files


def mutate_files(case: Case, random: Random) -> Case:
    """The scenario or what it extends becomes something that is no plain file, or goes round in a circle."""
    head = b"extends: base.yaml\nname: above\n"
    match random.randrange(9):
        case 0:
            return replace(case, text=head, beside=(Beside("base.yaml", "file", b"extends: scenario.yaml\n"),))
        case 1:
            chain = [Beside(f"b{n}.yaml", "file", b"extends: b%d.yaml\n" % (n + 1)) for n in range(8)]
            return replace(case, text=b"extends: b0.yaml\n", beside=tuple(chain))
        case 2:
            return replace(case, text=head, beside=(Beside("base.yaml", random.choice(("fifo", "folder"))),))
        case 3:
            return replace(case, text=head, beside=(Beside("base.yaml", "link", b"base.yaml"),))
        case 4:
            return replace(case, text=head, beside=(Beside("base.yaml", "file", case.text or b""),))
        case 5:
            return replace(case, text=None, beside=(Beside(case.name, random.choice(("fifo", "folder"))),))
        case 6:
            return replace(case, text=None, beside=(Beside(case.name, "link", case.name.encode()),))
        case 7:
            odd = (
                "a\nb.yaml",
                "\x1b[31m.yaml",
                "\udcff\udcfe.yaml",
                "\u202elmay.x",
                "-x.yaml",
                " ",
                "a" * 250,
                "a" * 300,
                "[red]",
            )
            return replace(case, name=random.choice(odd))
        case _:
            return replace(
                case, text=None, name=random.choice(("/dev/zero", "/dev/null", "", "no/such.yaml", ".", "\0"))
            )


# ---------------------------------------------------------------- a case


def _settings(random: Random) -> tuple[str, ...]:
    def one() -> str:
        nasty = random.choice(NASTY)
        value = nasty if isinstance(nasty, str) else json.dumps(nasty)
        equals = "=" if random.random() < 0.95 else ""
        return f"{random.choice((*PATHS, *KEYS))}{equals}{value}".replace(
            "\0", ""
        )  # no argument of a process holds a NUL

    return tuple(one() for _ in range(random.randint(1, 3)))


def make_case(texts: Mapping[str, bytes], trees: Mapping[str, Any], seed: int, number: int) -> Case:
    """The case of that number: of `texts` (sound scenarios by file name) and their `trees` (from `grow`)."""
    random = Random(f"{seed}/{number}")
    name = random.choice(sorted(texts))
    made_by = [name]
    text = texts[name]
    if random.random() < 0.75:
        tree = copied(trees[name])
        for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
            made_by.append(mutate_tree(tree, list(trees.values()), random))
        text = emitted(tree, random).encode("utf-8", "surrogatepass")
    if random.random() < 0.25 or len(made_by) == 1:
        for _ in range(random.choice((1, 1, 2, 5))):
            text, way = mutate_text(text, random)
            made_by.append(way)
    case = Case(text=text)
    if random.random() < 0.06:
        case = mutate_files(case, random)
        made_by.append("files")
    if random.random() < 0.12:
        case = replace(case, sets=_settings(random))
        made_by.append("sets")
    return replace(case, made_by=tuple(made_by))
