"""Many IDs a call, all of them returned to the client."""

from __future__ import annotations

import statistics

from contestants import NEXTVAL, UUID, prepare
from load import pgbench
from measure import interleaved
from report import Part
from run import Run

SIZES = (1, 10, 100, 1_000, 10_000)
BATCH = "snowflake_batch(n)"
RESERVE = "snowflake_reserve(n)"


def batches(run: Run, part: Part) -> None:
    """us a call and IDs a second for batches of 1 to 10,000; one client, prepared."""
    sizes = (1, 1_000) if run.quick else SIZES
    instance = run.instance(part, "batches", 8)
    prepare(instance, NEXTVAL)
    statements = {
        BATCH: "SELECT snowflake_batch({n})",
        RESERVE: "SELECT first, last, count FROM snowflake_reserve({n})",
        "nextval of a series": "SELECT nextval('plain') FROM generate_series(1, {n})",
        UUID + " of a series": "SELECT gen_random_uuid() FROM generate_series(1, {n})",
    }
    rounds = interleaved(run.rounds(5), {
        f"{name}|{n}": lambda sql=sql, n=n: pgbench(instance, sql.format(n=n), clients=1, seconds=1).calls_per_second
        for n in sizes for name, sql in statements.items()})
    rate = {name: statistics.median(values) for name, values in rounds.items()}
    part.raw = {"calls_per_second": rounds, "median": rate, "sizes": sizes, "names": list(statements)}
    part.say("IDs a second, one client, prepared, 8 lanes; what is returned: all IDs, of a reservation its runs")
    part.table(["IDs a call", *map(str, sizes)],
               [[name, *(f"{rate[f'{name}|{n}'] * n:,.0f}" for n in sizes)] for name in statements])
    part.table(["us a call", *map(str, sizes)],
               [[name, *(1e6 / rate[f"{name}|{n}"] for n in sizes)] for name in statements])
    peer = "nextval of a series"
    for n in sizes:
        part.compare(f"snowflake_batch({n})", 1e6 / rate[f"{BATCH}|{n}"], peer, 1e6 / rate[f"{peer}|{n}"], "us a call")
