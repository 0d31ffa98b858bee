"""What one ID a call costs, in the server: by itself, and with many backends."""

from __future__ import annotations

import statistics
import time

from contestants import CACHED, IDGEN, NEXTVAL, NOTHING, prepare
from measure import Cost, cost, interleaved, medians, timed, together
from report import Part
from run import Run

WAITS = ("SELECT waits_clock + waits_ceiling + waits_node, extract(epoch FROM waits_clock_time + "
         "waits_ceiling_time + waits_node_time)::float FROM snowflake_stats WHERE scope IS NULL")


def calls(run: Run, part: Part) -> None:
    """ns a call, one backend: SELECT count(f()) FROM generate_series(1, n)."""
    n = run.scaled(3_000_000)
    instance = run.instance(part, "calls", 8)
    contestants = prepare(instance)
    connection = instance.connect()

    def ns_a_call(name: str) -> Cost:
        made = contestants[name]
        count = n // 10 if made.slow else n
        took = cost(connection, f"SELECT count({made.expression}) FROM generate_series(1, {count})")
        return Cost(took.wall * 1e6 / count, took.cpu * 1e6 / count)

    def rounds_of(count: int, names: list[str]) -> dict[str, list[Cost]]:
        return interleaved(run.rounds(count), {name: lambda name=name: ns_a_call(name) for name in names})

    # What is judged is near to its limits, and a machine's speed isn't steady: more rounds.
    judged = [NOTHING, IDGEN, CACHED, NEXTVAL]
    costs = rounds_of(41, judged) | rounds_of(5, [name for name in contestants if name not in judged])
    rounds = {name: [made.wall for made in made_ones] for name, made_ones in costs.items()}
    cpu_rounds = {name: [made.cpu for made in made_ones] for name, made_ones in costs.items()}
    ns, cpu = medians(rounds), medians(cpu_rounds)
    part.raw = {"calls": n, "ns_a_call": rounds, "median_ns": ns, "cpu_ns_a_call": cpu_rounds, "median_cpu_ns": cpu}
    part.say(f"SELECT count(f()) FROM generate_series(1, {n}), 8 lanes, ns a call, the series' own cost included")
    part.table(["", "elapsed", "above the no-op", "of nextval", "CPU", "above the no-op", "of nextval"], [
        [name, *(value for of in (ns, cpu) for value in (of[name], of[name] - of[NOTHING], of[name] / of[NEXTVAL]))]
        for name in sorted(ns, key=ns.get)])
    part.compare("snowflake_nextval(), 8 lanes", ns[IDGEN], NEXTVAL, ns[NEXTVAL], "ns", 0.45)
    part.compare("snowflake_nextval(), 8 lanes", ns[IDGEN], CACHED, ns[CACHED], "ns", 0.80)
    part.bound("snowflake_nextval() above a no-op", ns[IDGEN] - ns[NOTHING], 45, "ns")
    part.compare("CPU of snowflake_nextval(), 8 lanes", cpu[IDGEN], NEXTVAL, cpu[NEXTVAL], "ns")
    part.compare("CPU of snowflake_nextval(), 8 lanes", cpu[IDGEN], CACHED, cpu[CACHED], "ns")
    part.compare("CPU of snowflake_nextval() above a no-op", cpu[IDGEN] - cpu[NOTHING], "wanted of the time, at most", 45, "ns")


def clients(run: Run, part: Part) -> None:
    """Wall time of the same number of calls, shared by 1 to 16 backends at once."""
    n = run.scaled(2_000_000)
    instance = run.instance(part, "clients", 8)
    contestants = prepare(instance, NOTHING, IDGEN, CACHED, NEXTVAL)
    connections = [instance.connect() for _ in range(16)]
    counts = (1, 2, 4, 8, 16)

    def ms(name: str, backends: int) -> float:
        expression = contestants[name].expression
        return together(connections[:backends],
                        f"SELECT count({expression}) FROM generate_series(1, {n // backends})")

    rounds = interleaved(run.rounds(9), {
        f"{name}|{backends}": lambda name=name, backends=backends: ms(name, backends)
        for backends in counts for name in contestants})
    took = medians(rounds)
    part.raw = {"calls": n, "ms": rounds, "median_ms": took, "backends": counts, "names": list(contestants)}
    part.say(f"{n} calls in all, shared by so many backends at once, 8 lanes, ms")
    part.table(["backends", *map(str, counts)],
               [[name, *(took[f"{name}|{backends}"] for backends in counts)] for name in contestants])
    limits = {2: 0.55, 8: 0.60}
    for backends in counts:
        part.compare(f"snowflake_nextval(), {backends} backends", took[f"{IDGEN}|{backends}"],
                     NEXTVAL, took[f"{NEXTVAL}|{backends}"], "ms", limits.get(backends))


def capacity(run: Run, part: Part) -> None:
    """One lane of the default layout, asked without pause for 10 s: its own limit, at what CPU."""
    # A series that is read again and again: one of so many rows would go to disk.
    per_series = 40_960
    n = run.scaled(41_000_000) // per_series * per_series
    instance = run.local(part, "capacity")
    connection = instance.connect()
    series = f"generate_series(1, {n // per_series}) AS a, generate_series(1, {per_series}) AS b"

    def asked(expression: str) -> dict[str, float]:
        timed(connection, "SELECT count(snowflake_nextval()) FROM generate_series(1, 100000)")
        time.sleep(0.1)
        before = instance.run(WAITS)[0]
        took = cost(connection, f"SELECT count({expression}) FROM {series}")
        after = instance.run(WAITS)[0]
        return {"seconds": took.wall / 1e3, "cpu": took.cpu / took.wall, "ns_cpu": took.cpu * 1e6 / n,
                "waits": after[0] - before[0], "waited": after[1] - before[1]}

    rounds = interleaved(run.rounds(3), {name: lambda expression=expression: asked(expression) for name, expression in (
        ("idgen", "snowflake_nextval()"), ("nothing", "pg_backend_pid()"))})
    of = {name: {key: statistics.median(made[key] for made in made_ones) for key in made_ones[0]}
          for name, made_ones in rounds.items()}
    part.raw = {"ids": n, "rounds": rounds, "median": of}
    idgen = of["idgen"]
    part.say(f"{n} calls by one backend; {idgen['waits']:.0f} waits, {idgen['waited']:.2f} s in all; "
             f"CPU {idgen['ns_cpu']:.0f} ns a call, {of['nothing']['ns_cpu']:.0f} of them without the ID")
    part.compare("IDs a second of one lane, default layout", n / idgen["seconds"], "the layout's limit",
                 4_096_000, "IDs/s", 0.98, at_least=True)
    part.compare("CPU of that backend", idgen["cpu"], "a full core", 1, "cores", 0.75)
    # Who spins has no time left to sleep: what isn't CPU must be waits.
    part.compare("time asleep, of the time not spent on calls", idgen["waited"],
                 "elapsed less CPU", max(idgen["seconds"] * (1 - idgen["cpu"]), 1e-9), "s", 0.90, at_least=True)
    waiting(run, part)


def waiting(run: Run, part: Part) -> None:
    """Where a caller all but always waits, as 32 IDs a millisecond are all there are, what
    CPU it uses is for waiting: were it to spin before it sleeps, so much a wait."""
    n = run.scaled(100_000)
    instance = run.local(part, "waiting", "idgen.layout = 'time:42 shard:16 sequence:5'")
    connection = instance.connect()
    timed(connection, "SELECT count(snowflake_nextval()) FROM generate_series(1, 10000)")
    before = instance.run(WAITS)[0]
    took = cost(connection, f"SELECT count(snowflake_nextval()) FROM generate_series(1, {n})")
    waits = instance.run(WAITS)[0][0] - before[0]
    part.raw["waiting"] = {"ids": n, "waits": waits, "ms": took.wall, "cpu_ms": took.cpu}
    part.say(f"32 IDs a millisecond: {n} calls, {waits} waits, CPU {took.cpu:.0f} ms in {took.wall:.0f} ms")
    part.bound("CPU a wait, that of the calls included", took.cpu * 1e3 / waits, 50, "us")


def issue(run: Run, part: Part) -> None:
    """Against nextval, one backend, in a layout whose own limit doesn't count."""
    n = run.scaled(1_000_000)
    instance = run.local(part, "issue", "idgen.layout = 'time:41 shard:4 sequence:18'")
    contestants = prepare(instance, NOTHING, IDGEN, NEXTVAL)
    connection = instance.connect()
    rounds = interleaved(run.rounds(21), {
        name: lambda made=made: timed(connection, f"SELECT count({made.expression}) FROM generate_series(1, {n})")
        for name, made in contestants.items()})
    took = medians(rounds)
    part.raw = {"calls": n, "ms": rounds, "median_ms": took}
    part.say(f"SELECT count(f()) FROM generate_series(1, {n}), 18 bits of sequence, ms")
    part.compare("snowflake_nextval(), 18 bits of sequence", took[IDGEN], NEXTVAL, took[NEXTVAL], "ms", 0.55)
    part.compare("snowflake_nextval(), 18 bits of sequence", took[IDGEN], NOTHING, took[NOTHING], "ms")
