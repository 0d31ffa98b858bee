"""How things are measured: interleaved rounds, medians, percentiles, CPU time."""

from __future__ import annotations

import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def timed(connection: Any, sql: str) -> float:
    """Runs the statement; milliseconds, with the way to the server and back."""
    with connection.cursor() as cursor:
        begin = time.perf_counter()
        cursor.execute(sql)
        return (time.perf_counter() - begin) * 1e3


@dataclass(frozen=True)
class Cost:
    """Of a statement, in ms: elapsed, and the CPU time of its backend. On a machine
    that others use, too, the second says more."""

    wall: float
    cpu: float


def cost(connection: Any, sql: str) -> Cost:
    return cost_of(connection, lambda: timed(connection, sql))


def cost_of(connection: Any, work: Callable[[], Any]) -> Cost:
    """Of whatever it has the connection's backend do."""
    pid = connection.info.backend_pid
    before = _cpu_ms(pid)
    begin = time.perf_counter()
    work()
    wall = (time.perf_counter() - begin) * 1e3
    time.sleep(0.002)  # until it is asleep again, and its time is accounted for
    return Cost(wall, _cpu_ms(pid) - before)


def _cpu_ms(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def interleaved(rounds: int, contestants: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Each contestant once a round, so that noise hits all alike; who begins changes
    from round to round. What each returned, by name and round."""
    names = list(contestants)
    results: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(contestants[name]())
    return results


def medians(results: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in results.items()}


def together(connections: Sequence[Any], sql: str) -> float:
    """All connections run the statement at once; milliseconds until the last is done."""
    barrier = threading.Barrier(len(connections) + 1)
    errors: list[BaseException] = []

    def one(connection: Any) -> None:
        barrier.wait()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        except BaseException as error:  # noqa: B902 - reported by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=one, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    barrier.wait()
    for thread in threads:
        thread.join()
    took = (time.perf_counter() - begin) * 1e3
    if errors:
        raise errors[0]
    return took


def percentile(ascending: Sequence[float], p: float) -> float:
    """By nearest rank; p from 0 to 100."""
    return ascending[max(math.ceil(p / 100 * len(ascending)), 1) - 1]


def summary(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the greatest, in the values' own unit."""
    ascending = sorted(values)
    return {
        "p50": percentile(ascending, 50),
        "p99": percentile(ascending, 99),
        "p99.9": percentile(ascending, 99.9),
        "max": ascending[-1],
        "count": len(ascending),
    }


def busy_cores(seconds: float = 0.5) -> float:
    """How many cores are busy just now, with whatever: while nothing is measured, the
    noise that others make."""
    def busy() -> int:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4]  # less idle, and waiting for disks

    before = busy()
    time.sleep(seconds)
    return (busy() - before) / os.sysconf("SC_CLK_TCK") / seconds
