'use strict';
const { is, query, keepsPromises, run } = require('./common');

// [page]
const postgres = require('postgres');
const sql = postgres(process.env.DATABASE_URL);
// [end]

const driver = {
  async insert(item) {
    // [page]
    const [order] = await sql`INSERT INTO orders ${sql({ item })} RETURNING id`;
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const [found] = await sql`SELECT id, item FROM orders WHERE id = ${id}`;
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await sql`SELECT id, item FROM orders WHERE id IN ${sql(ids)}`;
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await sql`SELECT id, item FROM orders WHERE id >= ${from}::timestamptz AND id < ${to}::timestamptz`;
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await sql`INSERT INTO orders ${sql(items.map(item => ({ item })))} RETURNING id`;
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  await query('CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), item text)');
  await keepsPromises(driver);
  const rows = await sql`SELECT item FROM orders WHERE id < ${new Date('2026-01-01T00:00:00Z')} ORDER BY id`;
  is(rows.map(row => row.item), ['even', 'odd'], 'a Date is sent as a timestamptz');
  await sql.end();
});
