from common import keeps_promises, query, run, same

# [page]
import psycopg
from psycopg.types import TypeInfo
from psycopg.types.numeric import IntLoader

db = psycopg.connect("", autocommit=True)  # from PGHOST, PGDATABASE and so on
TypeInfo.fetch(db, "snowflakeid").register(db)
db.adapters.register_loader("snowflakeid", IntLoader)
# [end]


def insert(item):
    # [page]
    order_id, = db.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", (item,)).fetchone()
    # [end]
    return order_id


def find(order_id):
    # [page]
    found = db.execute("SELECT id, item FROM orders WHERE id = %s", (order_id,)).fetchone()
    # [end]
    return found


def find_all(ids):
    # [page]
    some = db.execute("SELECT id, item FROM orders WHERE id = ANY (%s)", (ids,)).fetchall()
    # [end]
    return some


def between(start, end):
    # [page]
    recent = db.execute("SELECT id, item FROM orders WHERE id >= %s AND id < %s", (start, end)).fetchall()
    # [end]
    return recent


def batch(items):
    # [page]
    cursor = db.cursor()
    cursor.executemany("INSERT INTO orders (item) VALUES (%s) RETURNING id", [(item,) for item in items], returning=True)
    batch_ids = [cursor.fetchone()[0]]
    while cursor.nextset():
        batch_ids.append(cursor.fetchone()[0])
    # [end]
    return batch_ids


def program():
    query("CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)")
    keeps_promises(insert, find, find_all, between, batch)
    same(db.execute("SELECT array_agg(id ORDER BY id) FROM orders WHERE id < '2117794686566400000'").fetchone()[0],
         [9007199254740992, 9007199254740993], "an array of IDs is a list of ints")


run(program)
