'use strict';
const { is, failure, untypedTime, column, keepsPromises, run } = require('./common');

// [page]
const { Kysely, PostgresDialect, sql } = require('kysely');
const { Pool } = require('pg');
const db = new Kysely({
  dialect: new PostgresDialect({ pool: new Pool({ connectionString: process.env.DATABASE_URL }) }),
});
// [end]

const driver = {
  async insert(item) {
    // [page]
    const order = await db.insertInto('orders').values({ item }).returning('id').executeTakeFirstOrThrow();
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await db.selectFrom('orders').selectAll().where('id', '=', id).executeTakeFirst();
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await db.selectFrom('orders').selectAll().where('id', 'in', ids).execute();
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await db.selectFrom('orders').selectAll()
      .where('id', '>=', sql`${from}::timestamptz`)
      .where('id', '<', sql`${to}::timestamptz`)
      .execute();
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await db.insertInto('orders').values(items.map(item => ({ item }))).returning('id').execute();
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  // [page]
  await db.schema.createTable('orders')
    .addColumn('id', sql`snowflakeid`, column => column.primaryKey().defaultTo(sql`snowflake_id()`))
    .addColumn('item', 'text')
    .execute();
  // [end]
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'the schema builder makes the column');
  const table = (await db.introspection.getTables()).find(({ name }) => name === 'orders');
  const { dataType, hasDefaultValue, isAutoIncrementing } = table.columns.find(({ name }) => name === 'id');
  is([dataType, hasDefaultValue, isAutoIncrementing], ['snowflakeid', true, false], 'introspection knows the type and that there is a default');
  await keepsPromises(driver);
  is(await failure(db.selectFrom('orders').selectAll().where('id', '>=', new Date()).execute()), untypedTime,
    'a time without a type is refused, with a hint');
  await db.destroy();
});
