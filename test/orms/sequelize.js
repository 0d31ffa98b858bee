'use strict';
const { is, failure, untypedTime, column, keepsPromises, run } = require('./common');

// [page]
const { Sequelize, DataTypes, Op } = require('sequelize');
const sequelize = new Sequelize(process.env.DATABASE_URL, { logging: false });
const Order = sequelize.define('order', {
  id: { type: 'snowflakeid', primaryKey: true, defaultValue: sequelize.literal('snowflake_id()') },
  item: DataTypes.TEXT,
}, { timestamps: false });
// [end]

const driver = {
  async insert(item) {
    // [page]
    const order = await Order.create({ item });
    // [end]
    return order.id;
  },
  async find(id) {
    // [page]
    const found = await Order.findByPk(id);
    // [end]
    return found;
  },
  async findAll(ids) {
    // [page]
    const some = await Order.findAll({ where: { id: ids } });
    // [end]
    return some;
  },
  async between(from, to) {
    // [page]
    const recent = await Order.findAll({
      where: { id: { [Op.gte]: sequelize.cast(from, 'timestamptz'), [Op.lt]: sequelize.cast(to, 'timestamptz') } },
    });
    // [end]
    return recent;
  },
  async batch(items) {
    // [page]
    const batch = await Order.bulkCreate(items.map(item => ({ item })));
    // [end]
    return batch.map(row => row.id);
  },
};

run(async () => {
  // [page]
  await sequelize.sync();
  // [end]
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'sync makes the column');
  await sequelize.sync({ alter: true });
  is(await column(), ['snowflakeid', 'snowflake_id()'], 'and leaves it as it is when it alters');
  is((await sequelize.getQueryInterface().describeTable('orders')).id.defaultValue, 'snowflake_id()', 'introspection has the default');
  await keepsPromises(driver);
  is(await failure(Order.findAll({ where: { id: { [Op.gte]: new Date() } } })), untypedTime, 'a time without a type is refused, with a hint');
  await sequelize.close();
});
