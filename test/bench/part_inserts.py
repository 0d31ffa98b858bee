"""Rows that get their IDs by DEFAULT, with a primary key; how large that index becomes."""

from __future__ import annotations

import io
import time
from typing import Any

from measure import interleaved, medians, timed
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

    def fill(way: str, kind: str, name: str) -> float:
        table = tables[kind][name]
        timed(connection, f"TRUNCATE {table}")
        timed(connection, "CHECKPOINT")
        if way == "INSERT":
            return timed(connection, _insert(name, table, 1, n))
        begin = time.perf_counter()
        _copy(connection, name, table, rows)
        return (time.perf_counter() - begin) * 1e3

    ways = (("INSERT", ""), ("INSERT", "UNLOGGED"), ("COPY", ""))
    rounds = interleaved(run.rounds(7), {
        f"{way}|{kind}|{name}": lambda way=way, kind=kind, name=name: fill(way, kind, name)
        for way, kind in ways for name in COLUMNS})
    ms = medians(rounds)
    part.raw = {"rows": n, "ms": rounds, "median_ms": ms, "names": list(COLUMNS)}
    part.say(f"{n} rows (id, integer), 8 lanes, ms")
    part.table(["", "INSERT", "INSERT, unlogged", "COPY"],
               [[name, *(ms[f"{way}|{kind}|{name}"] for way, kind in ways)] for name in COLUMNS])
    for way, kind in ways:
        judged = (way, kind) == ("INSERT", "")
        text = f"{way} of snowflakeid{', unlogged table' if kind else ''}"
        for peer, limit in ((CONSTANT, 1.12), (BIGSERIAL, 0.85), (UUID, None)):
            part.compare(text, ms[f"{way}|{kind}|{SNOWFLAKE}"], peer, ms[f"{way}|{kind}|{peer}"], "ms",
                         limit if judged else None)


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
