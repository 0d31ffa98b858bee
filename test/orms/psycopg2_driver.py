from common import keeps_promises, query, run, same

# [page]
import psycopg2
import psycopg2.extras

db = psycopg2.connect("")  # from PGHOST, PGDATABASE and so on
db.autocommit = True
cursor = db.cursor()
cursor.execute("SELECT 'snowflakeid'::regtype::oid")
snowflakeid = psycopg2.extensions.new_type((cursor.fetchone()[0],), "snowflakeid", psycopg2.extensions.INTEGER)
psycopg2.extensions.register_type(snowflakeid)
# [end]


def insert(item):
    # [page]
    cursor.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", (item,))
    order_id = cursor.fetchone()[0]
    # [end]
    return order_id


def find(order_id):
    # [page]
    cursor.execute("SELECT id, item FROM orders WHERE id = %s", (order_id,))
    # [end]
    return cursor.fetchone()


def find_all(ids):
    # [page]
    cursor.execute("SELECT id, item FROM orders WHERE id = ANY (%s)", (ids,))
    # [end]
    return cursor.fetchall()


def between(start, end):
    # [page]
    cursor.execute("SELECT id, item FROM orders WHERE id >= %s AND id < %s", (start, end))
    # [end]
    return cursor.fetchall()


def batch(items):
    # [page]
    rows = psycopg2.extras.execute_values(
        cursor, "INSERT INTO orders (item) VALUES %s RETURNING id", [(item,) for item in items], fetch=True)
    # [end]
    return [order_id for order_id, in rows]


def program():
    query("CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)")
    keeps_promises(insert, find, find_all, between, batch)
    cursor.execute("SELECT id::text, id FROM orders WHERE item = 'odd'")
    text, number = cursor.fetchone()
    same(text, str(number), "a registered type reads as an int")


run(program)
