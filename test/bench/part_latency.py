"""How long single calls take, client included: at a fixed rate, and at full load."""

from __future__ import annotations

from contestants import IDGEN, NEXTVAL, NOTHING, UUID, prepare
from load import Load, pgbench
from measure import interleaved
from report import Part
from run import Run

RATE = 5_000


def middle(loads: list[Load]) -> Load:
    """The run whose p99 is the median."""
    return sorted(loads, key=lambda load: load.latency_ms["p99"])[len(loads) // 2]


def latency(run: Run, part: Part) -> None:
    """p50, p99, p99.9 of single calls by 4 clients of pgbench, prepared, ms."""
    instance = run.instance(part, "latency", 8)
    contestants = prepare(instance, NOTHING, IDGEN, NEXTVAL, UUID)
    rates = {f"{RATE}/s": RATE, "full load": 0}
    rounds = interleaved(run.rounds(3), {
        f"{name}|{load}": lambda made=made, rate=rate: pgbench(
            instance, f"SELECT {made.expression}", clients=4, seconds=run.seconds(4), rate=rate)
        for load, rate in rates.items() for name, made in contestants.items()})
    shown = {name: middle(loads) for name, loads in rounds.items()}
    part.raw = {
        "rounds": {name: [vars(load) for load in loads] for name, loads in rounds.items()},
        "shown": {name: vars(load) for name, load in shown.items()},
        "names": list(contestants), "loads": list(rates)}
    for load in rates:
        part.say(f"{load}, 4 clients, 8 lanes, ms; of the rounds the one whose p99 is the median")
        part.table(["", "p50", "p99", "p99.9", "max", "calls/s"], [
            [name, *(shown[f"{name}|{load}"].latency_ms[key] for key in ("p50", "p99", "p99.9", "max")),
             shown[f"{name}|{load}"].calls_per_second] for name in contestants])
        for key in ("p50", "p99", "p99.9"):
            part.compare(f"snowflake_nextval(), {load}, {key}", shown[f"{IDGEN}|{load}"].latency_ms[key],
                         NEXTVAL, shown[f"{NEXTVAL}|{load}"].latency_ms[key], "ms")
