"""Who had the cores, from the lines of resources.ndjson alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.evidence.cores import CoreSeconds
from harness.evidence.resources import parse_reading

T0_NS = 7_000_000_000_000
Line = dict[str, Any]


def lines(at_s: list[float], **per_s: float) -> list[Line]:
    """Readings of a service and the machine at these times, of figures that grow evenly."""
    found: list[Line] = []
    for second in at_s:
        t_ns, since = T0_NS + round(second * 1e9), second - at_s[0]
        used, waited, others = (
            per_s.get(name, usual) * since for name, usual in (("used", 0.3), ("waited", 0.2), ("others", 1.0))
        )
        found.append({"t_ns": t_ns, "child": "sut", "cpu_s": used, "run_delay_s": waited})
        found.append({"t_ns": t_ns + 5_000_000, "child": "machine", "cores": 2, "others_cpu_s": others})
    return found


def cores(of: list[Line]) -> CoreSeconds:
    found = CoreSeconds.of(of, T0_NS)
    assert found is not None
    return found


def test_readings_between_seconds_are_shared_out_over_whole_ones() -> None:
    found = cores(lines([-1.5, -0.4, 0.7, 1.7, 2.6, 3.8], used=0.3, waited=0.2, others=1.0))
    assert (found.first, len(found), found.cores) == (-1, 4, 2)
    assert found.used_s == pytest.approx([0.3] * 4)
    assert found.waited_s == pytest.approx([0.2] * 4)
    assert found.others_s == pytest.approx([1.0] * 4)
    assert found.at(np.array([True, False, False, True])) == {-1, 2}


def test_a_late_reading_loses_nothing() -> None:
    found = cores(lines([0, 1, 6, 7], others=1.6))
    assert found.others_s == pytest.approx([1.6] * (7 - found.first))


def test_a_service_that_was_started_again_counts_from_zero_again() -> None:
    made = [
        {"t_ns": T0_NS + t * 10**9, "child": "sut", "cpu_s": used, "run_delay_s": 0.1 * t}
        for t, used in enumerate([5.0, 5.5, 0.0, 0.4])
    ]
    made += [{"t_ns": T0_NS + t * 10**9, "child": "machine", "cores": 2, "others_cpu_s": 0.0} for t in range(4)]
    assert cores(made).used_s == pytest.approx([0.5, 0.0, 0.4])


def test_all_children_wait_together() -> None:
    made = lines([0, 1, 2, 3], waited=0.2)
    for name, per_s in (("locust-0", 0.3), ("backends", 0.5)):
        made += [
            {"t_ns": T0_NS + t * 10**9, "child": name, "cpu_s": 0.1 * t, "run_delay_s": per_s * t} for t in range(4)
        ]
    found = cores(made)
    assert found.rig_waited_s == pytest.approx([0.8] * len(found), rel=1e-6)
    assert found.rig_used_s == pytest.approx([0.2] * len(found), rel=1e-6)


def test_a_service_whose_threads_end_waits_as_the_run_does() -> None:
    """It used three quarters of what the run used, and its own threads show nearly nothing."""
    made = lines([0, 1, 2, 3], waited=0.01, used=0.3)
    made += [
        {"t_ns": T0_NS + t * 10**9, "child": "backends", "cpu_s": 0.1 * t, "run_delay_s": 0.79 * t} for t in range(4)
    ]
    assert cores(made).waited_s == pytest.approx([0.6] * (3 - cores(made).first))


def test_load_processes_elsewhere_have_nothing_to_do_with_these_cores() -> None:
    made = lines([0, 1, 2, 3])
    far = [
        {"t_ns": T0_NS + t * 10**9, "child": "locust-0", "host": "far", "cpu_s": 0.9 * t, "run_delay_s": 2.0 * t}
        for t in range(4)
    ]
    assert cores(made + far).rig_used_s == pytest.approx([0.0, 0.0], abs=1e-9)
    assert cores(made + far).rig_waited_s == pytest.approx([0.0, 0.0], abs=1e-9)


def test_nothing_held_the_run_up_for_longer_than_others_used() -> None:
    assert cores(lines([-1, 0, 1, 2], waited=1.5, others=1.0)).held_s == pytest.approx([1.0, 1.0])
    assert cores(lines([-1, 0, 1, 2], waited=0.5, others=1.0)).held_s == pytest.approx([0.5, 0.5])


def test_what_a_hypervisor_took_held_the_run_up_as_well() -> None:
    made = lines([-1, 0, 1, 2], waited=0.1, others=1.0)
    for line in made:
        if line["child"] == "machine":
            line["stolen_cpu_s"] = line["others_cpu_s"] * 0.8
    found = cores(made)
    assert found.stolen_s == pytest.approx([0.8, 0.8])
    assert found.held_s == pytest.approx([0.9, 0.9])


def test_the_run_is_idle_while_nothing_of_it_runs_or_waits() -> None:
    assert cores(lines([-1, 0, 1, 2], used=0.3, waited=0.2)).idle_s == pytest.approx([0.5, 0.5])
    assert cores(lines([-1, 0, 1, 2], used=0.7, waited=0.6)).idle_s == pytest.approx([0.0, 0.0])


def test_who_used_most_is_known_by_the_second() -> None:
    made = lines([0, 1, 2])
    made[3]["others_most"] = {"dd": 0.5, "odd": "much"}
    made[5]["others_most"] = None
    assert cores(made).used_most == ((1, "dd", 0.5),)


@pytest.mark.parametrize("missing", ["run_delay_s", "cpu_s", "others_cpu_s", "cores"])
def test_what_is_not_recorded_is_unknown(missing: str) -> None:
    nulls = [{key: None if key == missing else value for key, value in line.items()} for line in lines([0, 1, 2, 3])]
    absent = [{key: value for key, value in line.items() if key != missing} for line in lines([0, 1, 2, 3])]
    assert CoreSeconds.of(nulls, T0_NS) is None
    assert CoreSeconds.of(absent, T0_NS) is None


def test_too_few_readings_are_unknown() -> None:
    assert CoreSeconds.of([], T0_NS) is None
    assert CoreSeconds.of(lines([0.0]), T0_NS) is None
    assert CoreSeconds.of(lines([0.2, 0.7]), T0_NS) is None, "no whole second lies between"


@pytest.mark.parametrize("figure", ['"run_delay_s": -1', '"others_cpu_s": "many"', '"cores": true', '"pressure_s": []'])
def test_a_damaged_figure_makes_a_damaged_line(figure: str) -> None:
    good = b'{"t_ns": 1, "child": "machine", "cores": 2, "others_cpu_s": 0.5, "pressure_s": null}'
    assert parse_reading(good)["cores"] == 2
    with pytest.raises(ValueError, match="not a reading"):
        parse_reading(b'{"t_ns": 1, "child": "machine", ' + figure.encode() + b"}")
