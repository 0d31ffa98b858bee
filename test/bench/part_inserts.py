"""Rows that get their IDs by DEFAULT, with a primary key; how large that index becomes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from measure import Cost, cost, cost_of, interleaved, medians, timed
from report import Part
from run import Run

CONSTANT = "bigint constants"
SNOWFLAKE = "snowflakeid"
AS_BIGINT = "bigint, snowflake_nextval()"
BIGSERIAL = "bigserial"
UUID = "uuid"

COLUMNS = {
    CONSTANT: "bigint",
    SNOWFLAKE: "snowflakeid DEFAULT snowflake_nextval()",
    AS_BIGINT: "bigint DEFAULT snowflake_nextval()",
    BIGSERIAL: "bigserial",
    UUID: "uuid DEFAULT gen_random_uuid()",
}


def _tables(instance: Any, kind: str, prefix: str) -> dict[str, str]:
    names = {}
    for number, (name, column) in enumerate(COLUMNS.items()):
        names[name] = f"{prefix}{number}"
        instance.run(f"CREATE {kind} TABLE {names[name]} (id {column} PRIMARY KEY, v integer)")
    return names


def _insert(name: str, table: str, first: int, n: int) -> str:
    series = f"generate_series({first}, {first + n - 1}) AS g"
    if name == CONSTANT:
        return f"INSERT INTO {table} SELECT g, g FROM {series}"
    return f"INSERT INTO {table} (v) SELECT g FROM {series}"


def _copy(connection: Any, name: str, table: str, rows: dict[bool, str]) -> None:
    columns = "id, v" if name == CONSTANT else "v"
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO(rows[name == CONSTANT]))


def inserts(run: Run, part: Part) -> None:
    """INSERT and COPY of 1 M rows by DEFAULT into an empty table with a primary key, ms."""
    n = run.scaled(1_000_000)
    instance = run.instance(part, "inserts", 8)
    tables = {kind: _tables(instance, kind, prefix) for kind, prefix in (("", "logged"), ("UNLOGGED", "unlogged"))}
    connection = instance.connect()
    rows = {True: "".join(f"{g}\t{g}\n" for g in range(n)), False: "".join(f"{g}\n" for g in range(n))}

    def fill(way: str, kind: str, name: str) -> Cost:
        table = tables[kind][name]
        timed(connection, f"TRUNCATE {table}")
        timed(connection, "CHECKPOINT")
        if way == "INSERT":
            return cost(connection, _insert(name, table, 1, n))
        return cost_of(connection, lambda: _copy(connection, name, table, rows))

    def fills(count: int, ways: Sequence[tuple[str, str]], names: Sequence[str]) -> dict[str, list[Cost]]:
        return interleaved(run.rounds(count), {
            f"{way}|{kind}|{name}": lambda way=way, kind=kind, name=name: fill(way, kind, name)
            for way, kind in ways for name in names})

    # What is judged most often, as disks are noisy; random UUIDs seldom, as they take long.
    judged = ("INSERT", "")
    others = (("INSERT", "UNLOGGED"), ("COPY", ""))
    costs = (fills(21, [judged], [name for name in COLUMNS if name != UUID]) |
             fills(7, others, [name for name in COLUMNS if name != UUID]) |
             fills(3, [judged, *others], [UUID]))
    ms = {key: [made.wall for made in made_ones] for key, made_ones in costs.items()}
    cpu_ms = {key: [made.cpu for made in made_ones] for key, made_ones in costs.items()}
    wall, cpu = medians(ms), medians(cpu_ms)
    part.raw = {"rows": n, "ms": ms, "median_ms": wall, "cpu_ms": cpu_ms, "median_cpu_ms": cpu, "names": list(COLUMNS)}
    part.say(f"{n} rows (id, integer), 8 lanes, ms; of them CPU of the backend")
    part.table(["", "INSERT", "CPU", "INSERT, unlogged", "CPU", "COPY", "CPU"], [
        [name, *(of[f"{way}|{kind}|{name}"] for way, kind in (judged, *others) for of in (wall, cpu))] for name in COLUMNS])
    for way, kind in (judged, *others):
        text = f"{way} of snowflakeid{', unlogged table' if kind else ''}"
        for peer, limit in ((CONSTANT, 1.12), (BIGSERIAL, 0.85), (UUID, None)):
            part.compare(text, wall[f"{way}|{kind}|{SNOWFLAKE}"], peer, wall[f"{way}|{kind}|{peer}"], "ms",
                         limit if (way, kind) == judged else None)
    # What nothing can be quicker than, as constants are not made at all.
    part.compare("INSERT of constants", wall[f"INSERT||{CONSTANT}"], BIGSERIAL, wall[f"INSERT||{BIGSERIAL}"], "ms")
    for peer in (CONSTANT, BIGSERIAL):
        part.compare("CPU of INSERT of snowflakeid", cpu[f"INSERT||{SNOWFLAKE}"], peer, cpu[f"INSERT||{peer}"], "ms")


def index(run: Run, part: Part) -> None:
    """Size of the primary key's index after 5 M inserts, MB."""
    n = run.scaled(1_000_000)
    instance = run.instance(part, "index", 8)
    tables = _tables(instance, "UNLOGGED", "sized")
    connection = instance.connect()
    took = {name: 0.0 for name in COLUMNS}
    for turn in range(5):
        for name, table in tables.items():
            took[name] += timed(connection, _insert(name, table, 1 + turn * n, n))
    size = {name: instance.value(f"SELECT pg_relation_size('{table}_pkey') / 1e6")
            for name, table in tables.items()}
    size = {name: float(value) for name, value in size.items()}
    part.raw = {"rows": 5 * n, "mb": size, "ms": took}
    part.say(f"after {5 * n} rows")
    part.table(["", "index, MB", "s for all rows"], [[name, size[name], took[name] / 1e3] for name in COLUMNS])
    part.compare("index of snowflakeid", size[SNOWFLAKE], "of random uuid", size[UUID], "MB")
    part.compare("index of snowflakeid", size[SNOWFLAKE], "of bigserial", size[BIGSERIAL], "MB")
