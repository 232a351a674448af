"""The catalog: scenarios that come with tailgate and are run by name, as in `tailgate run ladder`."""

from __future__ import annotations

from pathlib import Path


def catalog_dir() -> Path:
    import scenarios

    # a folder of data in a package of tailgate's, which may be a namespace package (without __init__)
    return Path(next(iter(scenarios.__path__))) / "catalog"


def catalog_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in catalog_dir().glob("*.yaml")))


def find_scenario(given: str | Path) -> Path:
    """The given path if that file exists, else the catalog's scenario of that name, else the path unchanged."""
    path = Path(given)
    name = str(given)
    if name in catalog_names() and not path.exists():
        return catalog_dir() / f"{name}.yaml"
    return path


def scenario_argument(path: Path) -> str:
    """The file as a command-line argument: its catalog name, else a path, relative to the current folder if below
    it."""
    if path.parent == catalog_dir():
        return path.stem
    try:
        found = str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        found = str(path)
    return found.encode("utf-8", "backslashreplace").decode()  # records are UTF-8
