// The client is generated beforehand, from prisma/schema.prisma, into IDGEN_PRISMA_CLIENT.
'use strict';
const { is, query, keepsPromises, run } = require('./common');

const { PrismaClient } = require(process.env.IDGEN_PRISMA_CLIENT);
// [page]
const { PrismaPg } = require('@prisma/adapter-pg');
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });
// [end]

const driver = {
  async insert(item) {
    // [page]
    const order = await prisma.order.create({ data: { item } });
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await prisma.order.findUnique({ where: { id } });
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await prisma.order.findMany({ where: { id: { in: ids } } });
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await prisma.$queryRaw`SELECT id, item FROM orders
      WHERE id::snowflakeid >= ${from.toISOString()}::timestamptz AND id::snowflakeid < ${to.toISOString()}::timestamptz`;
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await prisma.order.createManyAndReturn({ data: items.map(item => ({ item })) });
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  await query('CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT snowflake_id(), item text)');
  await keepsPromises(driver);
  const date = new Date('2026-01-01T00:00:00Z');
  const [{ same }] = await prisma.$queryRaw`SELECT ${date}::timestamptz = ${date.toISOString()}::timestamptz AS same`;
  is(same, false, 'a Date loses its zone on the way, its ISO form does not');
  await query('ALTER TABLE orders ALTER COLUMN id TYPE snowflakeid');
  const again = await driver.find(await driver.insert('cake'));
  is([again.item, typeof again.id], ['cake', 'bigint'], 'a column of type snowflakeid serves a BigInt as well');
  await prisma.$disconnect();
});
