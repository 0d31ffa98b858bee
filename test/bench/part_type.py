"""The type against bigint; decoding against the same done in SQL."""

from __future__ import annotations

from measure import interleaved, medians, timed
from report import Part
from run import Run

IN_SQL = "to_timestamp(...) in SQL"
COLUMNS = "count(ts), count(node), count(region), count(shard), count(sequence), count(layout)"
STATEMENTS = {
    IN_SQL: "SELECT count(to_timestamp(((number >> 22) + 1735689600000) / 1000.0)) FROM few",
    "snowflake_timestamp(id)": "SELECT count(snowflake_timestamp(id)) FROM few",
    "snowflake_timestamp of a named layout": "SELECT count(snowflake_timestamp(id, 'pgedge')) FROM few",
    "snowflake_decode(id), all columns": f"SELECT {COLUMNS} FROM few, snowflake_decode(id)",
    "snowflake_decode of a named layout": f"SELECT {COLUMNS} FROM few, snowflake_decode(id, 'pgedge')",
    "snowflake_mask(id, key)": f"SELECT count(snowflake_mask(id, '\\x{'0f' * 32}')) FROM few",
    "snowflake_mask, a key for each row, by sha256": "SELECT count(snowflake_mask(id, sha256(id::text::bytea))) FROM few",
    "md5(id::text)": "SELECT count(md5(id::text)) FROM few",
    "sha256 alone": "SELECT count(sha256(id::text::bytea)) FROM few",
}
# Each against a peer, and the greatest ratio that is wanted.
WANTED = (
    ("snowflake_timestamp(id)", IN_SQL, 1.00),
    ("snowflake_decode(id), all columns", IN_SQL, 3.00),
    ("snowflake_timestamp of a named layout", "snowflake_timestamp(id)", 1.25),
    ("snowflake_decode of a named layout", "snowflake_decode(id), all columns", 1.10),
    ("snowflake_mask(id, key)", "md5(id::text)", 1.00),
    ("snowflake_mask, a key for each row, by sha256", "sha256 alone", 4.00),
)


def type_(run: Run, part: Part) -> None:
    """snowflakeid against bigint in sorts and indexes; decoding and masking, ms."""
    rows = run.scaled(5_000_000)
    calls = run.scaled(1_000_000)
    instance = run.local(part, "type", "work_mem = 1GB", "maintenance_work_mem = 1GB")
    instance.run(
        f"""CREATE UNLOGGED TABLE ids AS
            SELECT snowflake_encode('2026-01-01 UTC'::timestamptz + g * interval '7 ms', g % 1024, g % 4096) AS id
            FROM generate_series(1, {rows}) AS g ORDER BY random()""",
        "CREATE UNLOGGED TABLE numbers AS SELECT id::bigint FROM ids",
        f"CREATE UNLOGGED TABLE few AS SELECT id, id::bigint AS number FROM ids LIMIT {calls}",
        "VACUUM ANALYZE ids, numbers, few")
    connection = instance.connect()

    def index(table: str) -> float:
        took = timed(connection, f"CREATE INDEX {table}_index ON {table} (id)")
        timed(connection, f"DROP INDEX {table}_index")
        return took

    tables = {"snowflakeid": "ids", "bigint": "numbers"}
    rounds = interleaved(run.rounds(7), {
        **{f"sort|{name}": lambda table=table: timed(connection, f"SELECT id FROM {table} ORDER BY id OFFSET {rows - 1}")
           for name, table in tables.items()},
        **{f"index|{name}": lambda table=table: index(table) for name, table in tables.items()},
        **{name: lambda sql=sql: timed(connection, sql) for name, sql in STATEMENTS.items()}})
    ms = medians(rounds)
    for table in tables.values():
        instance.run(f"CREATE INDEX {table}_index ON {table} (id)")
    size = {name: float(instance.value(f"SELECT pg_relation_size('{table}_index') / 1e6")) for name, table in tables.items()}
    part.raw = {"rows": rows, "calls": calls, "ms": rounds, "median_ms": ms, "index_mb": size}
    part.say(f"{rows} rows in random order, ms")
    part.compare("sort by snowflakeid", ms["sort|snowflakeid"], "bigint", ms["sort|bigint"], "ms", 1.05)
    part.compare("CREATE INDEX on snowflakeid", ms["index|snowflakeid"], "bigint", ms["index|bigint"], "ms", 1.05)
    part.compare("size of the index", size["snowflakeid"], "bigint", size["bigint"], "MB", 1.00)
    part.say(f"{calls} IDs, ms")
    for name, peer, limit in WANTED:
        part.compare(name, ms[name], peer, ms[peer], "ms", limit)
