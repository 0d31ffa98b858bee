import asyncio

from common import keeps_promises, query, run, same

# [page]
import asyncpg


async def connect():
    db = await asyncpg.connect()  # from PGHOST, PGDATABASE and so on
    await db.set_type_codec("snowflakeid", encoder=str, decoder=int)
    return db
# [end]

loop = asyncio.new_event_loop()
db = None


def insert(item):
    async def example():
        # [page]
        order_id = await db.fetchval("INSERT INTO orders (item) VALUES ($1) RETURNING id", item)
        # [end]
        return order_id
    return loop.run_until_complete(example())


def find(order_id):
    async def example():
        # [page]
        found = await db.fetchrow("SELECT id, item FROM orders WHERE id = $1", order_id)
        # [end]
        return found
    return loop.run_until_complete(example())


def find_all(ids):
    async def example():
        # [page]
        some = await db.fetch("SELECT id, item FROM orders WHERE id = ANY ($1)", ids)
        # [end]
        return some
    return loop.run_until_complete(example())


def between(start, end):
    async def example():
        # [page]
        recent = await db.fetch(
            "SELECT id, item FROM orders WHERE id >= $1::timestamptz AND id < $2::timestamptz", start, end)
        # [end]
        return recent
    return loop.run_until_complete(example())


def batch(items):
    async def example():
        # [page]
        rows = await db.fetch("INSERT INTO orders (item) SELECT unnest($1::text[]) RETURNING id", items)
        # [end]
        return [row["id"] for row in rows]
    return loop.run_until_complete(example())


def program():
    global db
    query("CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)")
    db = loop.run_until_complete(connect())
    keeps_promises(insert, find, find_all, between, batch)
    statement = loop.run_until_complete(db.prepare("SELECT id FROM orders WHERE id = $1"))
    same([one.name for one in statement.get_parameters()], ["snowflakeid"], "a parameter beside an ID is one")
    loop.run_until_complete(db.close())


run(program)
