'use strict';
const { is, failure, untypedTime, query, keepsPromises, run } = require('./common');

// [page]
const { Pool } = require('pg');
const db = new Pool({ connectionString: process.env.DATABASE_URL });
// [end]

const driver = {
  async insert(item) {
    // [page]
    const { rows: [order] } = await db.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item]);
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const { rows: [found] } = await db.query('SELECT id, item FROM orders WHERE id = $1', [id]);
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const { rows: some } = await db.query('SELECT id, item FROM orders WHERE id = ANY ($1)', [ids]);
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const { rows: recent } = await db.query(
      'SELECT id, item FROM orders WHERE id >= $1::timestamptz AND id < $2::timestamptz', [from, to]);
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const { rows: batch } = await db.query(
      'INSERT INTO orders (item) SELECT unnest($1::text[]) RETURNING id', [items]);
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  await query('CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)');
  await keepsPromises(driver);

  const count = async (condition, parameter) =>
    (await db.query(`SELECT count(*)::integer AS n FROM orders WHERE ${condition}`, [parameter])).rows[0].n;
  const all = await count('$1', true);
  is(await failure(count('id >= $1', new Date())), untypedTime, 'a time without a type is refused, with a hint');
  is(await count('id >= $1', Date.now()), all, 'a number of milliseconds is taken for an ID, which every row is above');
  is(await count('id >= $1::timestamptz', new Date(Date.now() + 3600000)), 0, 'unlike a time to come');
  is(await count('id >= snowflake_min($1)', new Date('2026-01-01T00:00:01Z')), all - 3, 'snowflake_min takes a time without a type');
  await db.query('SET enable_seqscan = off'); // the only client of the pool, so far
  const { rows } = await db.query({ text: 'EXPLAIN SELECT * FROM orders WHERE id >= $1::timestamptz', values: [new Date()], rowMode: 'array' });
  is(rows.some(([line]) => line.includes('Index Cond')), true, 'the primary key serves it');
  await db.end();
});
