'use strict';
const { is, failure, untypedTime, column, query, keepsPromises, run } = require('./common');

// [page]
const { drizzle } = require('drizzle-orm/node-postgres');
const { and, eq, gte, inArray, lt, sql } = require('drizzle-orm');
const { customType, pgTable, text } = require('drizzle-orm/pg-core');
const snowflakeid = customType({ dataType: () => 'snowflakeid' });
const orders = pgTable('orders', {
  id: snowflakeid().primaryKey().default(sql`snowflake_id()`),
  item: text(),
});
const db = drizzle(process.env.DATABASE_URL);
// [end]

const driver = {
  async insert(item) {
    // [page]
    const [order] = await db.insert(orders).values({ item }).returning({ id: orders.id });
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const [found] = await db.select().from(orders).where(eq(orders.id, id));
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await db.select().from(orders).where(inArray(orders.id, ids));
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await db.select().from(orders)
      .where(and(gte(orders.id, sql`${from}::timestamptz`), lt(orders.id, sql`${to}::timestamptz`)));
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await db.insert(orders).values(items.map(item => ({ item }))).returning({ id: orders.id });
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  await query(`CREATE TABLE orders (id ${orders.id.getSQLType()} PRIMARY KEY DEFAULT ${orders.id.default.queryChunks[0].value.join('')}, item text)`);
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'what the table is declared as makes the column');
  await keepsPromises(driver);
  is(await failure(db.select().from(orders).where(gte(orders.id, new Date()))), untypedTime, 'a time without a type is refused, with a hint');
  await db.$client.end();
});
