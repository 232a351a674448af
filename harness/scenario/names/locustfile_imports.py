"""Reads a user's locustfile without running it: is it Python, and is what it imports there?

Imports are followed through the modules beside the file. One within `try` that expects it to fail, or under
`if TYPE_CHECKING`, may be missing; so may any where the code changes `sys.path`.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.upstreams.number_files import existing_file
from harness.upstreams.upstream_files import UnreadableFile

HIDDEN_BY_OURS: Final = ("harness", "scenarios")
"""Our packages that a worker has imported before the locustfile, which would therefore get ours."""
BYTES_MAX: Final = 5_000_000
FILES_MOST: Final = 200
"""So many modules beside the locustfile are read."""
_EXPECTED: Final = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")


@dataclass(frozen=True, slots=True)
class _Import:
    """An import of a top-level module, and where it stands."""

    module: str
    place: str


def check_locustfile(found: Path) -> str:
    """The path of a locustfile that can be loaded, as far as that can be known. Raises UnreadableFile and OSError."""
    existing_file(found)
    folder = found.parent
    trees = _parsed(found)
    changes_path = any(_changes_path(tree) for _, tree in trees)
    for path, tree in trees:
        for each in _imports(tree, path.relative_to(folder).as_posix()):
            beside = _beside(folder, each.module)
            if beside is not None and each.module in HIDDEN_BY_OURS:
                raise UnreadableFile(
                    f"{each.place} imports `{each.module}`, which is also a package of tailgate and hides it",
                    "rename it, or import it from within another package",
                )
            if beside is None and not changes_path and not _is_installed(each.module):
                raise UnreadableFile(
                    f"{each.place} imports `{each.module}`, which is not installed where tailgate runs",
                    f"install it there: {Path(sys.executable).name} -m pip install {each.module}; or check the name",
                )
    return str(found)


def _parsed(first: Path) -> list[tuple[Path, ast.Module]]:
    """The file and every module beside it that it imports, directly or not."""
    trees: list[tuple[Path, ast.Module]] = []
    waiting, seen = [first], {first}
    while waiting and len(trees) < FILES_MOST:
        path = waiting.pop(0)
        tree = _parse(path)
        if tree is None:
            continue
        trees.append((path, tree))
        for each in _imports(tree, path.name):
            beside = _beside(first.parent, each.module)
            if beside is not None and beside.suffix == ".py" and beside not in seen:
                seen.add(beside)
                waiting.append(beside)
    return trees


def _parse(path: Path) -> ast.Module | None:
    if path.stat().st_size > BYTES_MAX:
        return None
    code = path.read_bytes()
    try:
        return ast.parse(code, filename=path.name)
    except SyntaxError as exc:
        if exc.lineno is None:
            raise UnreadableFile(f"{path.name} is not Python: {exc.msg}", "name a file of Python code") from None
        raise UnreadableFile(f"{path.name}:{exc.lineno}: {exc.msg}", "correct it there") from None
    except (ValueError, RecursionError) as exc:
        raise UnreadableFile(f"{path.name} is not Python: {exc}", "name a file of Python code") from None


def _imports(tree: ast.Module, name: str) -> Iterator[_Import]:
    """Every import that must succeed, wherever it stands: those in functions run later."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name.partition(".")[0], f"{name}:{node.lineno}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield _Import(node.module.partition(".")[0], f"{name}:{node.lineno}")
        elif isinstance(node, ast.Try) and any(_expects(handler) for handler in node.handlers):
            waiting += [each for part in (node.orelse, node.finalbody) for each in part]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _expects(handler: ast.ExceptHandler) -> bool:
    """Whether the handler catches an import that fails."""
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _EXPECTED for node in ast.walk(handler.type))


def _changes_path(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "path" and getattr(node.value, "id", "") == "sys"
        for node in ast.walk(tree)
    )


def _beside(folder: Path, module: str) -> Path | None:
    """The module or package of that name in the locustfile's folder; a package without code is its folder."""
    for path in (folder / module / "__init__.py", folder / f"{module}.py"):
        if path.is_file():
            return path
    return folder / module if (folder / module).is_dir() else None


def _is_installed(module: str) -> bool:
    if module in sys.stdlib_module_names or module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False
