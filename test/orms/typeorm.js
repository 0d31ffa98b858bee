'use strict';
const { is, failure, untypedTime, column, keepsPromises, run } = require('./common');

// [page]
const { DataSource, EntitySchema, In, Raw } = require('typeorm');
const Order = new EntitySchema({
  name: 'orders',
  columns: {
    id: { type: 'bigint', primary: true, default: () => 'snowflake_id()' },
    item: { type: 'text', nullable: true },
  },
});
const db = new DataSource({ type: 'postgres', url: process.env.DATABASE_URL, entities: [Order] });
// [end]

let orders;
const driver = {
  async insert(item) {
    // [page]
    const order = await orders.save({ item });
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await orders.findOneBy({ id });
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await orders.findBy({ id: In(ids) });
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await orders.findBy({
      id: Raw(id => `${id}::snowflakeid >= :from::timestamptz AND ${id}::snowflakeid < :to::timestamptz`, { from, to }),
    });
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await orders.insert(items.map(item => ({ item })));
    // [end]
    return batch.identifiers.map(row => row.id);
  },
};

run(async () => {
  // [page]
  await db.initialize();
  await db.synchronize(); // or a migration
  // [end]
  orders = db.getRepository(Order);
  is(await column(), ['bigint', 'snowflake_id()'], 'synchronize makes the column');
  is((await db.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query), [], 'and finds nothing to do afterwards');
  await keepsPromises(driver);
  const late = Raw(id => `${id}::snowflakeid >= :from`, { from: new Date() });
  is(await failure(orders.findBy({ id: late })), untypedTime, 'a time without a type is refused, with a hint');
  await db.destroy();
});
