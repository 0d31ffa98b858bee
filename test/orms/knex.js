'use strict';
const { is, failure, untypedTime, column, keepsPromises, run } = require('./common');

// [page]
const knex = require('knex')({ client: 'pg', connection: process.env.DATABASE_URL });
// [end]

const driver = {
  async insert(item) {
    // [page]
    const [order] = await knex('orders').insert({ item }).returning('id');
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await knex('orders').where({ id }).first();
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await knex('orders').whereIn('id', ids);
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await knex('orders')
      .where('id', '>=', knex.raw('?::timestamptz', [from]))
      .where('id', '<', knex.raw('?::timestamptz', [to]));
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await knex('orders').insert(items.map(item => ({ item }))).returning('id');
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  // [page]
  await knex.schema.createTable('orders', table => {
    table.specificType('id', 'snowflakeid').primary().defaultTo(knex.raw('snowflake_id()'));
    table.text('item');
  });
  // [end]
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'the schema builder makes the column');
  is((await knex('orders').columnInfo('id')).defaultValue, 'snowflake_id()', 'and reads it back');
  await keepsPromises(driver);
  is(await failure(knex('orders').where('id', '>=', new Date())), untypedTime, 'a time without a type is refused, with a hint');
  await knex.destroy();
});
