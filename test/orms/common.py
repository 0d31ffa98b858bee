"""What every program in Python promises, and how it is checked: as common.js does it."""
import datetime
import sys
import traceback

import psycopg2

ODD = 9007199254740993  # beyond 2^53, and odd: a double makes another number of it
NEW_YEAR = 2117794686566400000
UTC = datetime.timezone.utc

_failed = False
_server = psycopg2.connect("")
_server.autocommit = True


def same(got, wanted, promise):
    global _failed
    if got == wanted:
        print("ok " + promise)
    else:
        print(f"not ok {promise}\n# got {got!r}, wanted {wanted!r}")
        _failed = True


def query(sql):
    """Statements of our own, apart from the driver that is tested."""
    cursor = _server.cursor()
    cursor.execute(sql)
    return cursor.fetchall() if cursor.description else None


def column():
    """The column as the database has it."""
    return query("""SELECT format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = 'orders'::regclass AND attname = 'id'""")[0]


def keeps_promises(insert, find, find_all, between, batch):
    """Each function does what its name says to the table orders. Rows are (id, item)."""
    query(f"""INSERT INTO orders (id, item) VALUES ({ODD - 1}, 'even'), ({ODD}, 'odd'),
        (snowflake_min('2026-01-01 UTC'), 'new year'), (snowflake_min('2026-01-01 00:00:01 UTC'), 'a second later')""")
    made = insert("tea")
    same([type(made), [(str(made),)]], [int, query("SELECT id::text FROM orders WHERE item = 'tea'")],
         "an insert gives the ID with every digit")
    same(tuple(find(ODD)), (ODD, "odd"), "a row is found by its ID, and not its neighbor")
    same(sorted(item for _, item in find_all([ODD, NEW_YEAR])), ["new year", "odd"], "an IN list finds its rows")
    start = datetime.datetime(2026, 1, 1, tzinfo=UTC)
    same([item for _, item in between(start, start + datetime.timedelta(seconds=1))], ["new year"],
         "a range of time finds its rows")
    ids = batch(["milk", "sugar", "lemon"])
    same(len(set(ids)), 3, "each row of a batch has an ID of its own")
    same([(str(one),) for one in ids],
         query("SELECT id::text FROM orders WHERE item IN ('milk', 'sugar', 'lemon') ORDER BY id"),
         "and they are those of the table")


def run(program):
    try:
        program()
    except Exception as error:  # pylint: disable=broad-except
        print(f"not ok it runs: {error}")
        print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
        sys.exit(2)
    sys.exit(1 if _failed else 0)
