"""`harness.model.registry`: names are known without an import, and a kind is imported when it is looked up.

What `tailgate validate` then imports of all kinds is what its scenario uses.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.faults import FAULTS
from harness.gates import GATES
from harness.model.registry import Registry
from harness.upstreams.kinds import UPSTREAMS
from tests.scenario.world import GOOD

PLACES = {"ordered": "collections:OrderedDict", "sorted": "collections:OrderedDict", "missing": "no_such_module:Kind"}


def test_names_are_known_without_an_import() -> None:
    kinds: Registry[type] = Registry(PLACES)
    assert list(kinds) == ["ordered", "sorted", "missing"]
    assert len(kinds) == 3
    assert "missing" in kinds
    assert "other" not in kinds
    assert kinds.get("other") is None
    with pytest.raises(ModuleNotFoundError):
        kinds["missing"]


def test_a_kind_with_several_names_is_one_kind() -> None:
    from collections import OrderedDict

    assert Registry({name: PLACES[name] for name in ("ordered", "sorted")}).kinds() == (OrderedDict,)


@pytest.mark.parametrize("registry", [FAULTS, GATES, UPSTREAMS], ids=["faults", "gates", "upstreams"])
def test_every_kind_is_where_its_registry_says(registry: Registry[type]) -> None:
    assert [f"{kind.__module__}:{kind.__name__}" for kind in registry.values()] == list(registry.places.values())


def test_validate_imports_the_kinds_that_its_scenario_uses(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(GOOD, encoding="utf-8")
    program = f"""
import sys
from harness.faults import FAULTS
from harness.gates import GATES
from harness.cli import main
from harness.upstreams.kinds import UPSTREAMS
try:
    main(["validate", {str(tmp_path / "scenario.yaml")!r}])
except SystemExit as ended:
    assert ended.code == 0, ended.code
for registry in (FAULTS, GATES, UPSTREAMS):
    print(*sorted({{place for place in registry.places.values() if place.split(":")[0] in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "harness.faults.latency:LatencyFault",
        "harness.gates.latency:LatencyGate harness.gates.shares.share:ShareGate",
        "",
    ]
