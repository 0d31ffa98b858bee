import os

from common import column, keeps_promises, run, same

import django
from django.conf import settings

settings.configure(
    USE_TZ=True, TIME_ZONE="America/New_York",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                           "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "NAME": os.environ["PGDATABASE"]}})
django.setup()

# [page]
from django.db import models


class SnowflakeField(models.BigAutoField):
    def db_type(self, connection):
        return "bigint DEFAULT snowflake_id()"


class SnowflakeMin(models.Func):
    function = "snowflake_min"
    output_field = models.BigIntegerField()


class Order(models.Model):
    id = SnowflakeField(primary_key=True)
    item = models.TextField(null=True)
    # [end]

    class Meta:
        app_label = "shop"
        db_table = "orders"


def rows(orders):
    return [(order.id, order.item) for order in orders]


def insert(item):
    # [page]
    order = Order.objects.create(item=item)
    # [end]
    return order.id


def find(order_id):
    # [page]
    found = Order.objects.get(id=order_id)
    # [end]
    return rows([found])[0]


def find_all(ids):
    # [page]
    some = Order.objects.filter(id__in=ids)
    # [end]
    return rows(some)


def between(start, end):
    # [page]
    recent = Order.objects.filter(id__gte=SnowflakeMin(models.Value(start)), id__lt=SnowflakeMin(models.Value(end)))
    # [end]
    return rows(recent)


def batch(items):
    # [page]
    orders = Order.objects.bulk_create([Order(item=item) for item in items])
    # [end]
    return [order.id for order in orders]


def program():
    from django.db import connection
    with connection.schema_editor() as editor:
        editor.create_model(Order)
    same(column(), ("bigint", "snowflake_id()"), "a migration makes the column")
    keeps_promises(insert, find, find_all, between, batch)
    with connection.cursor() as cursor:
        same([connection.introspection.get_sequences(cursor, "orders"),
              connection.introspection.get_primary_key_column(cursor, "orders")], [[], "id"], "introspection finds the key, and no sequence")


run(program)
