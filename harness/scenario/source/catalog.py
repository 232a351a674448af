"""The scenarios that come with tailgate, by their names: `tailgate run ladder`."""

from __future__ import annotations

from pathlib import Path


def catalog_dir() -> Path:
    import scenarios

    # a folder of data inside our own package, which may have no __init__ (a namespace package)
    return Path(next(iter(scenarios.__path__))) / "catalog"


def catalog_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in catalog_dir().glob("*.yaml")))


def find_scenario(given: str | Path) -> Path:
    """The file itself where there is one, else the catalog's scenario of that name, else the path as given."""
    path = Path(given)
    name = str(given)
    if name in catalog_names() and not path.exists():
        return catalog_dir() / f"{name}.yaml"
    return path


def scenario_argument(path: Path) -> str:
    """How to name the file on the command line again: a catalog name, else relative where it can be."""
    if path.parent == catalog_dir():
        return path.stem
    try:
        found = str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        found = str(path)
    return found.encode("utf-8", "backslashreplace").decode()  # no record can hold a name that is not UTF-8
