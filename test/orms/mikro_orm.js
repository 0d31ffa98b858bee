'use strict';
const { is, failure, untypedTime, column, keepsPromises, run } = require('./common');

// [page]
const { MikroORM, EntitySchema } = require('@mikro-orm/postgresql');
const Order = new EntitySchema({
  name: 'Order',
  tableName: 'orders',
  properties: {
    id: { type: 'string', columnType: 'snowflakeid', primary: true, defaultRaw: 'snowflake_id()' },
    item: { type: 'text', nullable: true },
  },
});
// [end]

let orm;
let em;
const driver = {
  async insert(item) {
    // [page]
    const order = em.create(Order, { item });
    await em.flush();
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await em.findOne(Order, id);
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await em.find(Order, { id: { $in: ids } });
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await em.createQueryBuilder(Order)
      .where('id >= ?::timestamptz AND id < ?::timestamptz', [from, to])
      .getResultList();
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = items.map(item => em.create(Order, { item }));
    await em.flush();
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  // [page]
  orm = await MikroORM.init({
    clientUrl: process.env.DATABASE_URL,
    entities: [Order],
    schemaGenerator: { ignoreSchema: ['idgen_internal'] },
  });
  await orm.schema.updateSchema();
  em = orm.em.fork();
  // [end]
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'updateSchema makes the column');
  is(await orm.schema.getUpdateSchemaSQL(), '', 'and finds nothing to do afterwards');
  await keepsPromises(driver);
  is(await failure(em.find(Order, { id: { $gte: new Date() } })), untypedTime, 'a time without a type is refused, with a hint');
  await orm.close(true);
});
