"""Very many IDs: how fast, and whether others still get theirs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from load import Collected, Load, collect, pgbench
from measure import interleaved
from part_latency import middle
from report import TOO_MANY, Part
from run import Run
from servers import Instance


def waits(instance: Instance) -> dict[str, float]:
    """How often idgen itself let a caller wait since the start, and the longest, in ms:
    what of a latency is its own."""
    (row,) = instance.run("""
        SELECT calls + batches, waits_clock + waits_ceiling + waits_node,
            1e3 * extract(epoch FROM greatest(waits_clock_longest, waits_ceiling_longest, waits_node_longest))
        FROM snowflake_stats WHERE scope IS NULL""")
    return dict(zip(("calls", "waits", "longest_ms"), (float(value) for value in row)))


def say_waits(part: Part, name: str, instance: Instance) -> dict[str, float]:
    made = waits(instance)
    part.say(f"idgen's own waits, {name}: {made['waits']:.0f} in {made['calls']:.0f} calls, "
             f"the longest {made['longest_ms']:.2f} ms")
    return made


def volume(run: Run, part: Part) -> None:
    """IDs a second and latency of batches and reservations."""
    eight = run.instance(part, "volume8", 8)
    sixty_four = run.instance(part, "volume64", 64)
    seconds = run.seconds(5)
    rows = "SELECT snowflake_batch({})"
    one_row = "SELECT ARRAY(SELECT snowflake_batch({}))"
    # As many numbers to the client, as long as IDs.
    nothing = "SELECT generate_series(1234567890123456789, 1234567890123456788 + {})"
    reserve = "SELECT first, last, count FROM snowflake_reserve(1000000)"

    def even() -> Collected:
        # Of each run its ends, so that a repeat or an inversion shows.
        return collect(sixty_four, "--clients", "4", "--rate", "100", "--seconds", str(2 * seconds), "--ids", "1000000000",
                       "--batches", "1", "--statement",
                       "SELECT unnest(ARRAY[first::bigint, last::bigint]) FROM snowflake_reserve(1000000)")

    def full(sql: str) -> Callable[[], Load]:
        return lambda: pgbench(eight, sql.format(1000), clients=4, seconds=seconds)

    def offered(sql: str, batch: int) -> Callable[[], Collected]:
        return lambda: collect(eight, "--clients", "4", "--rate", "10000", "--seconds", str(2 * seconds),
                               "--ids", "1000000000", "--batches", str(batch),
                               *(("--statement", sql.format(100)) if batch == 1 else ()))

    rounds = interleaved(run.rounds(5), {
        "full": full(rows), "full, an array": full(one_row), "full, nothing of idgen": full(nothing),
        "offered": offered(rows, 100), "offered, nothing of idgen": offered(nothing, 1),
        "offered, poisson": lambda: pgbench(eight, rows.format(100), clients=4, seconds=seconds, rate=10_000),
        "even": even,
        "poisson": lambda: pgbench(sixty_four, reserve, clients=4, seconds=seconds, rate=100)})
    part.raw = {name: [vars(made) for made in made_ones] for name, made_ones in rounds.items()}
    part.say("4 clients, prepared, of the rounds the one whose p99 is the median; batches: 8 lanes, all IDs returned; "
             "reservations: 64 lanes")
    shown = {name: middle(made) for name, made in rounds.items()}
    text = {
        "full": ("snowflake_batch(1000), full load", 1_000),
        "full, an array": ("the same, as an array", 1_000),
        "full, nothing of idgen": ("generate_series() of 1000, full load", 1_000),
        "offered": ("snowflake_batch(100), 10,000/s evenly", 100),
        "offered, nothing of idgen": ("generate_series() of 100, 10,000/s evenly", 100),
        "offered, poisson": ("snowflake_batch(100), 10,000/s at random", 100),
        "even": ("snowflake_reserve(1000000), 100/s evenly", 1_000_000),
        "poisson": ("snowflake_reserve(1000000), 100/s at random", 1_000_000),
    }
    keys = ("p50", "p99", "p99.9", "max")
    # The collector counts calls; a round of it lasts twice as long.
    rate = {name: (made.calls_per_second if isinstance(made, Load) else made.calls / (2 * seconds)) * text[name][1]
            for name, made in shown.items()}
    part.table(["latency, ms", *keys, "IDs/s"],
               [[text[name][0], *(made.latency_ms[key] for key in keys), rate[name]] for name, made in shown.items()])
    p99 = {name: made.latency_ms["p99"] for name, made in shown.items()}
    part.raw["waits"] = {"8": say_waits(part, "8 lanes", eight), "64": say_waits(part, "64 lanes", sixty_four)}
    most = {name: statistics.median(made.calls_per_second for made in rounds[name]) * 1e3
            for name in ("full", "full, an array", "full, nothing of idgen")}
    part.compare("snowflake_batch(1000) as an array, full load", most["full, an array"], "wanted, at least", 8e6, "IDs/s",
                 1.0, at_least=True)
    part.bound("snowflake_batch(1000) as an array, full load, p99", p99["full, an array"], 2, "ms")
    part.compare("snowflake_batch(1000), a row an ID, full load", most["full"], "wanted, at least", 8e6, "IDs/s", 1.0,
                 at_least=True)
    part.compare("snowflake_batch(1000), a row an ID, full load", most["full"], "generate_series()",
                 most["full, nothing of idgen"], "IDs/s")
    part.compare("generate_series() of 1000, full load", most["full, nothing of idgen"], "wanted of idgen", 8e6, "IDs/s")
    part.bound("snowflake_batch(1000), a row an ID, full load, p99", p99["full"], 2, "ms")
    part.bound("snowflake_batch(100), 10,000/s evenly, p99", p99["offered"], 0.5, "ms")
    part.compare("snowflake_batch(100), 10,000/s evenly, p99", p99["offered"], "generate_series()",
                 p99["offered, nothing of idgen"], "ms")
    part.compare("snowflake_batch(100), 10,000/s at random, p99", p99["offered, poisson"], "wanted evenly, at most", 0.5, "ms")
    part.bound("snowflake_reserve(1000000), 100/s evenly, p99", p99["even"], 2, "ms")
    part.compare("snowflake_reserve(1000000), 100/s at random, p99", p99["poisson"], "wanted evenly, at most", 2, "ms")
    part.bound("repeats and inversions among those of the collector", sum(
        made.repeats + made.inversions for name in ("offered", "even") for made in rounds[name]), 0, "IDs", TOO_MANY)


def bulk(run: Run, part: Part) -> None:
    """Single calls by 4 clients while one session asks for 10 M IDs in one statement."""
    n = run.scaled(10_000_000)
    setting = "idgen.max_batch = 10000000"
    instances = {8: run.instance(part, "bulk8", 8, setting), 1: run.local(part, "bulk1", setting)}
    # What a session may ask, and whether the clients get the IDs, to be judged.
    statements = {
        "snowflake_batch, counted": f"SELECT count(*) FROM snowflake_batch({n})",
        "snowflake_batch, all returned": f"COPY (SELECT snowflake_batch({n})) TO STDOUT (FORMAT binary)",
        "snowflake_nextval of a series": f"SELECT count(snowflake_nextval()) FROM generate_series(1, {n})",
        "snowflake_nextval, all returned":
            f"COPY (SELECT snowflake_nextval() FROM generate_series(1, {n})) TO STDOUT (FORMAT binary)",
        "nothing of idgen": f"SELECT count(pg_backend_pid()) FROM generate_series(1, {n})",
    }

    def beside(instance: Instance, sql: str) -> Collected:
        made = collect(instance, "--clients", "4", "--ids", "1000000000", "--batches", "1", "--bulk", sql)
        if made.bulk_ids != (n if sql.startswith("COPY") else 0):
            raise RuntimeError(f"{made.bulk_ids} IDs came of {sql}")
        return made

    rounds = interleaved(run.rounds(3), {
        f"{name}|{lanes}": lambda instance=instance, sql=sql: beside(instance, sql)
        for lanes, instance in instances.items() for name, sql in statements.items()})
    part.raw = {name: [vars(made) for made in made_ones] for name, made_ones in rounds.items()}
    part.say(f"4 clients ask for single IDs without pause while a session asks for {n} in one statement; ms")
    rows = []
    p99 = {}
    wrong = 0
    for name, made_ones in rounds.items():
        statement, _, lanes = name.partition("|")
        made = sorted(made_ones, key=lambda one: one.latency_ms["p99"])[len(made_ones) // 2]
        wrong += sum(one.repeats + one.inversions for one in made_ones)
        p99[name] = made.latency_ms["p99"]
        rows.append([f"{statement}, {lanes} lane{'s' if lanes != '1' else ''}",
                     *(made.latency_ms[key] for key in ("p50", "p99", "p99.9", "max")), made.calls, made.bulk_seconds])
    part.table(["beside", "p50", "p99", "p99.9", "max", "calls", "took, s"], rows)
    part.raw["waits"] = {lanes: say_waits(part, f"{lanes} lane{'s' if lanes > 1 else ''}", instance)
                         for lanes, instance in instances.items()}
    for lanes in instances:
        for statement in statements:
            limit = None if statement == "nothing of idgen" else 1.0
            part.compare(f"p99 beside {statement}, {lanes} lane{'s' if lanes > 1 else ''}", p99[f"{statement}|{lanes}"],
                         "wanted, at most", 2, "ms", limit)
    part.bound("repeats and inversions among all that were returned", wrong, 0, "IDs", TOO_MANY)


def wal(run: Run, part: Part) -> None:
    """WAL written while 10 M IDs are taken by SELECT, bytes a second."""
    n = run.scaled(10_000_000)
    instance = run.instance(part, "wal", 8)
    instance.run("CREATE SEQUENCE plain", "CHECKPOINT")
    position = "SELECT pg_current_wal_insert_lsn() - '0/0'"
    raw = {}
    for name, expression in (("idgen", "snowflake_nextval()"), ("nextval", "nextval('plain')")):
        begin = time.perf_counter()
        before = int(instance.value(position))
        instance.run(f"SELECT count({expression}) FROM generate_series(1, {n})")
        written = int(instance.value(position)) - before
        raw[name] = {"bytes": written, "seconds": time.perf_counter() - begin}
    part.raw = raw
    part.say(f"{n} IDs: " + ", ".join(f"{name} {made['bytes']:,} B in {made['seconds']:.1f} s" for name, made in raw.items()))
    per_second = raw["idgen"]["bytes"] / raw["idgen"]["seconds"]
    part.bound("WAL of snowflake_nextval()", per_second, 1000, "B/s", TOO_MANY)
    part.compare("WAL of snowflake_nextval()", per_second, "nextval", raw["nextval"]["bytes"] / raw["nextval"]["seconds"], "B/s")
