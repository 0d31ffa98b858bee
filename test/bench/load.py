"""Clients: pgbench for latency and throughput, the collector (test/load) where every
ID is judged for repeats and order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import summary
from servers import PG_BIN, Server

COLLECTOR = os.environ["IDGEN_BENCH_COLLECTOR"]


@dataclass
class Load:
    """What a run of pgbench showed. Latencies in ms; those of calls at a rate count
    from when a call was due."""

    calls_per_second: float
    latency_ms: dict[str, float]


def pgbench(server: Server, sql: str, *, clients: int, seconds: float, rate: float = 0) -> Load:
    """Prepared calls; `rate` in calls a second of all clients (Poisson), 0: full load.

    The first half second is left out: sessions start, and plans are made, in it."""
    folder = Path(tempfile.mkdtemp(prefix="idgen-bench-"))
    try:
        (folder / "script").write_text(sql + ";\n")
        command = [str(PG_BIN / "pgbench"), "-n", "-M", "prepared", "-h", server.socket, "-U", "postgres",
                   "-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1)),
                   "-T", str(max(1, round(seconds))), "-f", "script", "-l", "--log-prefix", "log"]
        if rate:
            command += ["-R", str(rate)]
        subprocess.run([*command, "postgres"], cwd=folder, check=True, capture_output=True, text=True)
        ended: list[float] = []
        took: list[float] = []
        for log in folder.glob("log.*"):
            for line in log.read_text().splitlines():
                fields = line.split()
                ended.append(int(fields[4]) + int(fields[5]) / 1e6)
                took.append(int(fields[2]) / 1e3)
    finally:
        shutil.rmtree(folder)
    begin = min(ended) + 0.5
    kept = [ms for at, ms in zip(ended, took) if at >= begin]
    return Load(len(kept) / (max(ended) - begin), summary(kept))


@dataclass
class Collected:
    """What a run of the collector showed. Latencies in ms."""

    ids: int
    calls: int
    repeats: int
    inversions: int
    failed: int
    latency_ms: dict[str, float]
    bulk_seconds: float = 0
    bulk_ids: int = 0  # returned by the statement beside them


class Collector:
    """A run that goes on until finish(), or until its options end it."""

    def __init__(self, server: Server, *options: str) -> None:
        self._process = subprocess.Popen(
            [COLLECTOR, "run", "--conninfo", server.conninfo(), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> Collected:
        out, errors = self._process.communicate()
        if self._process.returncode == 2:
            raise RuntimeError(f"the collector failed: {errors.strip()}")
        line = dict(re.findall(r"([a-z]+) (-?[\d.]+)", out.splitlines()[-1]))
        latency = re.search(r"latency us p50 (\S+) p99 (\S+) p99.9 (\S+) max (\S+) failed (\d+)", out)
        bulk = re.search(r"bulk seconds (\S+) ids (\d+)", out)
        us = [float(latency.group(n)) for n in range(1, 5)] if latency else [0.0] * 4
        return Collected(
            int(line["ids"]), int(line["calls"]), int(line["repeats"]), int(line["inversions"]),
            int(latency.group(5)) if latency else 0,
            dict(zip(("p50", "p99", "p99.9", "max"), (value / 1e3 for value in us))),
            *((float(bulk.group(1)), int(bulk.group(2))) if bulk else ()))


def collect(server: Server, *options: str) -> Collected:
    return Collector(server, *options).finish()
