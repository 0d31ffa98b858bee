"""Who makes IDs: idgen and its peers, as expressions of SQL."""

from __future__ import annotations

from dataclasses import dataclass

from servers import Server

NOTHING = "pg_backend_pid()"
IDGEN = "snowflake_nextval()"
NEXTVAL = "nextval"
CACHED = "nextval, cache 1000"
UUID = "gen_random_uuid()"
INSTAGRAM = "PL/pgSQL, Instagram's way"

# In Instagram's manner (2012): milliseconds, shard, the sequence modulo 1024. The
# times of two calls may differ from the order of their sequence numbers, and a clock
# set back repeats IDs.
_INSTAGRAM_SQL = """
CREATE SEQUENCE plpgsql_sequence;
CREATE FUNCTION plpgsql_id() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    epoch_ms constant bigint := 1735689600000;
    shard constant bigint := 5;
    now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
    count bigint := nextval('plpgsql_sequence') % 1024;
BEGIN
    RETURN (now_ms - epoch_ms) << 23 | shard << 10 | count;
END
$$"""


@dataclass(frozen=True)
class Contestant:
    name: str
    expression: str
    setup: tuple[str, ...] = ()
    slow: bool = False  # above a microsecond a call: measured with fewer calls


CONTESTANTS = (
    # It reads one variable: as close to a no-op as a built-in function that is
    # neither folded nor inlined comes.
    Contestant(NOTHING, "pg_backend_pid()"),
    Contestant(IDGEN, "snowflake_nextval()"),
    Contestant(CACHED, "nextval('cached')", ("CREATE SEQUENCE cached CACHE 1000",)),
    Contestant(NEXTVAL, "nextval('plain')", ("CREATE SEQUENCE plain",)),
    Contestant(UUID, "gen_random_uuid()", slow=True),
    Contestant(INSTAGRAM, "plpgsql_id()", (_INSTAGRAM_SQL,), slow=True),
)

# Built in, or measured where they are installed.
_UUIDV7 = Contestant("uuidv7()", "uuidv7()")
_EXTENSIONS = {
    "snowflake": Contestant("pgEdge snowflake", "pgedge_snowflake.nextval('pgedge')", (
        "CREATE SCHEMA pgedge_snowflake", "CREATE EXTENSION snowflake SCHEMA pgedge_snowflake",
        "CREATE SEQUENCE pgedge")),
    "pg_uuidv7": Contestant("pg_uuidv7", "uuid_generate_v7()", ("CREATE EXTENSION pg_uuidv7",), True),
    "pgx_ulid": Contestant("pgx_ulid", "gen_ulid()", ("CREATE EXTENSION pgx_ulid",), True),
    "ulid": Contestant("pgx_ulid", "gen_ulid()", ("CREATE EXTENSION ulid",), True),
    "pgflake": Contestant("pgflake", "pgflake_generate()", ("CREATE EXTENSION pgflake",), True),
    "uuid-ossp": Contestant("uuid-ossp, v1mc", "uuid_generate_v1mc()", ('CREATE EXTENSION "uuid-ossp"',), True),
}


def prepare(server: Server, *names: str) -> dict[str, Contestant]:
    """Makes what they need in the server's database; only these, if named, or all there
    are, with other extensions where they are installed."""
    chosen = [made for made in CONTESTANTS if not names or made.name in names]
    if not names:
        if server.value("SELECT count(*) FROM pg_proc WHERE proname = 'uuidv7'"):
            chosen.append(_UUIDV7)
        for (extension,) in server.run("SELECT name FROM pg_available_extensions ORDER BY name"):
            if extension in _EXTENSIONS:
                chosen.append(_EXTENSIONS[extension])
    ready = {}
    for made in chosen:
        try:
            if made.setup:
                server.run(*made.setup)
            server.run(f"SELECT {made.expression}")
        except Exception as error:
            if made in CONTESTANTS:
                raise
            print(f"  {made.name} is installed but can't be measured: {str(error).strip()}")
            continue
        ready[made.name] = made
    return ready
