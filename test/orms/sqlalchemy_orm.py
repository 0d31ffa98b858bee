import warnings

from common import column, keeps_promises, run, same

# [page]
from sqlalchemy import Column, DateTime, Text, cast, create_engine, inspect, select, text, types
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()


class SnowflakeID(types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **kw):
        return "snowflakeid"

    def result_processor(self, dialect, coltype):
        return lambda value: None if value is None else int(value)


ischema_names["snowflakeid"] = SnowflakeID  # for reflection and Alembic


class Order(Base):
    __tablename__ = "orders"
    id = Column(SnowflakeID, primary_key=True, server_default=text("snowflake_id()"))
    item = Column(Text)


engine = create_engine("postgresql+psycopg2://")  # from PGHOST, PGDATABASE and so on
# [end]
session = Session(engine)


def rows(orders):
    return [(order.id, order.item) for order in orders]


def insert(item):
    # [page]
    order = Order(item=item)
    session.add(order)
    session.commit()
    # [end]
    return order.id


def find(order_id):
    # [page]
    found = session.get(Order, order_id)
    # [end]
    return rows([found])[0]


def find_all(ids):
    # [page]
    some = session.scalars(select(Order).where(Order.id.in_(ids)))
    # [end]
    return rows(some)


def between(start, end):
    # [page]
    when = DateTime(timezone=True)
    recent = session.scalars(select(Order).where(Order.id >= cast(start, when), Order.id < cast(end, when)))
    # [end]
    return rows(recent)


def batch(items):
    # [page]
    orders = [Order(item=item) for item in items]
    session.add_all(orders)
    session.commit()
    # [end]
    return [order.id for order in orders]


def program():
    # [page]
    Base.metadata.create_all(engine)
    # [end]
    same(column(), ("snowflakeid", "snowflake_id()"), "create_all makes the column")
    Base.metadata.create_all(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inspect(engine).get_columns("orders")[0]
    same((type(found["type"]), found["default"], found["autoincrement"]), (SnowflakeID, "snowflake_id()", False),
         "reflection knows the type, the default, and that it is no sequence's")
    keeps_promises(insert, find, find_all, between, batch)


run(program)
