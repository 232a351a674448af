"""Does `tailgate validate` bear anything? Thousands of mutated scenarios, each ends valid or in located problems.

    python bench/fuzz_scenarios.py [--count 10000] [--seed 1] [--case N] [--jobs 1]

Each case goes through the whole command, once for people and once with `--json`, in a process that may use twenty
seconds of processor and half a gigabyte beyond its start. A traceback, a hang, a raw control character, a forged
line, JSON that does not parse, a place that is not in the file: each is a failure, printed with its seed, its number
and the least text that still shows it. `--case N` replays one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.hostile_scenarios import SOUND
from bench.scenario_mutations import Case, make_case
from bench.tree_mutations import grow
from bench.validate_case import bound_memory, examine, laid_out

CATALOG: Final = Path(__file__).parent.parent / "scenarios" / "catalog"
WALL_S: Final = 120.0
"""Without a word from a worker it hangs where no signal reaches it."""
SHRINK_TRIES: Final = 300
CHUNK: Final = 25
MOST_TOLD: Final = 5
"""Of one kind of failure with all that is known of it; the rest in one line each."""


@dataclass(frozen=True, slots=True)
class Failure:
    number: int
    reason: str
    case: Case


@dataclass(frozen=True, slots=True)
class Seeds:
    """What mutation starts from, by file name. Catalog files lie beside every case, since some extend another."""

    texts: Mapping[str, bytes]
    trees: Mapping[str, Any]

    @classmethod
    def read(cls) -> Seeds:
        from ruamel.yaml import YAML

        texts = {path.name: path.read_bytes() for path in sorted(CATALOG.glob("*.yaml"))}
        texts |= {name: text.encode() for name, text in SOUND.items()}
        trees = {name: grow(YAML(typ="safe", pure=True).load(text)) for name, text in texts.items()}
        return cls(texts, trees)


def run_cases(seeds: Seeds, seed: int, numbers: range) -> Iterator[tuple[int, str, str]]:
    """Number, kind of end (`valid`, `refused`) and what is wrong with it (empty: nothing), as they come."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in seeds.texts.items():
            (Path(folder) / name).write_bytes(text)
        for number in numbers:
            with laid_out(make_case(seeds.texts, seeds.trees, seed, number), Path(folder)) as words:
                end, reason = examine(words)
            yield number, end, reason


def shrunk(seeds: Seeds, failure: Failure) -> Case:
    """The case with every line and then every character gone that it does not need, as far as tries last."""
    kind = failure.reason.split(":")[0]
    case, tries = failure.case, SHRINK_TRIES
    with tempfile.TemporaryDirectory() as folder:
        for name, text in seeds.texts.items():
            (Path(folder) / name).write_bytes(text)

        def fails(candidate: Case) -> bool:
            with laid_out(candidate, Path(folder)) as words:
                return examine(words)[1].split(":")[0] == kind

        size = len(case.text or b"") // 2
        while case.text and size and tries:
            at = 0
            while at < len(case.text) and tries:
                tries -= 1
                candidate = replace(case, text=case.text[:at] + case.text[at + size :])
                if fails(candidate):
                    case = candidate
                else:
                    at += size
            size //= 2
    return case


def _work(pipe: Connection, seeds: Seeds, seed: int, numbers: range) -> None:
    bound_memory()
    for result in run_cases(seeds, seed, numbers):
        pipe.send(result)
    pipe.send(None)


def _shrink_apart(pipe: Connection, seeds: Seeds, failure: Failure) -> None:
    bound_memory()
    pipe.send(shrunk(seeds, failure))


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    numbers: range
    heard_s: float


def sweep(seeds: Seeds, seed: int, count: int, jobs: int, ends: Counter[str]) -> Iterator[tuple[int, str]]:
    """The failures among the first `count` cases. A worker that dies or hangs is one, and is replaced."""
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)][::-1]
    workers: list[_Worker] = []
    while chunks or workers:
        while chunks and len(workers) < jobs:
            workers.append(_started(seeds, seed, chunks.pop()))
        ready = wait([worker.pipe for worker in workers], timeout=1.0)
        for worker in list(workers):
            silent_s = time.monotonic() - worker.heard_s
            if worker.pipe not in ready and silent_s < WALL_S:
                continue
            try:
                said = worker.pipe.recv() if worker.pipe in ready else "hangs: no word for too long"
            except EOFError:
                said = "dies: the process ended"
            worker.heard_s = time.monotonic()
            if isinstance(said, tuple):
                number, end, reason = said
                ends[end] += 1
                worker.numbers = range(number + 1, worker.numbers.stop)
                if reason:
                    yield number, reason
                continue
            workers.remove(worker)
            worker.process.kill()
            worker.process.join()
            if said is not None:
                ends["lost"] += 1
                yield worker.numbers.start, said
                if len(worker.numbers) > 1:
                    chunks.append(worker.numbers[1:])


def _started(seeds: Seeds, seed: int, numbers: range) -> _Worker:
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(there, seeds, seed, numbers), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, numbers, time.monotonic())


def _shown(seeds: Seeds, seed: int, failure: Failure) -> str:
    """For people: the failure, how to see it again, and the least of it, found in a process of its own."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_shrink_apart, args=(there, seeds, failure), daemon=True
    )
    process.start()
    there.close()
    try:
        least: Case = here.recv() if here.poll(WALL_S * 4) else failure.case
    except EOFError:
        least = failure.case
    process.kill()
    process.join()
    text = least.text if least.text is None or len(least.text) < 2_000 else least.text[:2_000] + b"..."
    return (
        f"case {failure.number}: {failure.reason}\n  made by {', '.join(failure.case.made_by)}\n"
        f"  replay: python bench/fuzz_scenarios.py --seed {seed} --case {failure.number}\n"
        f"  name {least.name!r} beside {least.beside!r} sets {least.sets!r}\n  text {text!r}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutated scenarios through `tailgate validate`.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    seeds = Seeds.read()
    if given.case is not None:
        case = make_case(seeds.texts, seeds.trees, given.seed, given.case)
        _, end, reason = next(run_cases(seeds, given.seed, range(given.case, given.case + 1)))
        print(f"{end}: {_shown(seeds, given.seed, Failure(given.case, reason, case)) if reason else case}")
        return 1 if reason else 0
    begin_s, ends, told, failures = time.monotonic(), Counter[str](), Counter[str](), 0
    for number, reason in sweep(seeds, given.seed, given.count, given.jobs, ends):
        failures += 1
        kind = reason.split(":")[0]
        told[kind] += 1
        if told[kind] > MOST_TOLD:
            print(f"case {number}: {reason.splitlines()[0][:200]}", flush=True)
            continue
        case = make_case(seeds.texts, seeds.trees, given.seed, number)
        print(_shown(seeds, given.seed, Failure(number, reason, case)), flush=True)
    took_s = time.monotonic() - begin_s
    print("| cases | seed | valid | refused | failures | seconds |\n|---|---|---|---|---|---|")
    print(f"| {given.count:,} | {given.seed} | {ends['valid']:,} | {ends['refused']:,} | {failures} | {took_s:.0f} |")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
