// What every program for Node promises, and how it is checked. A program hands over a
// driver: an object of functions that do what their names say to the table orders, which
// has been made. Prints "ok" or "not ok" for each promise; the exit code is 0 if all hold.
//
// The times of sessions, of this process and of UTC differ, so that a time that loses its
// zone on the way finds other rows.
'use strict';

const { Client } = require('pg');

// The second is beyond 2^53 and odd: a double makes the first of it.
const fixtures = `INSERT INTO orders (id, item) VALUES ('9007199254740992', 'even'), ('9007199254740993', 'odd'),
  (snowflake_min('2026-01-01 UTC'), 'new year'), (snowflake_min('2026-01-01 00:00:01 UTC'), 'a second later')`;
const odd = '9007199254740993';
const newYear = '2117794686566400000';

function is(got, wanted, promise) {
  const text = value => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v));
  if (text(got) === text(wanted)) return console.log(`ok ${promise}`);
  console.log(`not ok ${promise}\n# got ${text(got)}, wanted ${text(wanted)}`);
  process.exitCode = 1;
}

// The outcome of what is expected to fail: SQLSTATE and hint.
const failure = promise => promise.then(() => 'it succeeds', error => {
  const reason = error.code ? error : error.original ?? error.driverError ?? error.cause ?? error;
  return [reason.code, reason.hint];
});
const untypedTime = ['22P02', "To compare an ID with a time, write timestamptz '...', or $1::timestamptz for a parameter."];

// Statements of our own, apart from the driver that is tested.
let server;
async function query(sql, ...parameters) {
  return (await server.query({ text: sql, values: parameters, rowMode: 'array' })).rows;
}

async function keepsPromises(driver) {
  await query(fixtures);
  const id = await driver.insert('tea');
  is([['string', 'bigint'].includes(typeof id), [[String(id)]]],
    [true, await query("SELECT id::text FROM orders WHERE item = 'tea'")], 'an insert gives the ID with every digit');
  const found = await driver.find(typeof id === 'bigint' ? BigInt(odd) : odd);
  is([typeof found.id, String(found.id), found.item], [typeof id, odd, 'odd'], 'a row is found by its ID, and not its neighbor');
  const list = [odd, newYear].map(one => (typeof id === 'bigint' ? BigInt(one) : one));
  is((await driver.findAll(list)).map(row => row.item).sort(), ['new year', 'odd'], 'an IN list finds its rows');
  is((await driver.between(new Date('2026-01-01T00:00:00Z'), new Date('2026-01-01T00:00:01Z'))).map(row => row.item),
    ['new year'], 'a range of time finds its rows');
  const ids = await driver.batch(['milk', 'sugar', 'lemon']);
  is(new Set(ids.map(String)).size, 3, 'each row of a batch has an ID of its own');
  is(ids.map(one => [String(one)]), await query("SELECT id::text FROM orders WHERE item IN ('milk', 'sugar', 'lemon') ORDER BY id"),
    'and they are those of the table');
}

// The column as the database has it.
const column = async () => (await query(`SELECT format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)
  FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attrelid = 'orders'::regclass AND attname = 'id'`))[0];

async function main(run) {
  server = new Client({ connectionString: process.env.DATABASE_URL });
  await server.connect();
  try {
    await run();
  } finally {
    await server.end();
  }
}

module.exports = { is, failure, untypedTime, query, column, keepsPromises, odd,
  run: program => main(program).catch(error => {
    console.log(`not ok it runs: ${error.message}\n# ${error.stack.replace(/\n/g, '\n# ')}`);
    process.exit(2);
  }) };
