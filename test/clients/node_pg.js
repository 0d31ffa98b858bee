// What node-postgres makes of snowflakeids: strings with every digit, both ways.
// Prints a line "ok" or "not ok" for each promise; the exit code is 0 if all hold.
//
//   node node_pg.js HOST PORT DATABASE USER    (a database with idgen)
'use strict';

const { Client } = require('pg');

const [host, port, database, user] = process.argv.slice(2);

// Beyond 2^53, where doubles have even numbers only.
const odd = '9007199254740993';
const greatest = '9223372036854775807';

let failed = 0;
function is(got, wanted, promise) {
  const same = JSON.stringify(got) === JSON.stringify(wanted);
  console.log(`${same ? 'ok' : 'not ok'} ${promise}`);
  if (!same) {
    console.log(`# got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
    failed++;
  }
}

async function run(client) {
  // One row, with columns as fields.
  const row = async (sql, ...parameters) => (await client.query(sql, parameters)).rows[0];
  // The IDs that a condition finds.
  const found = async (condition, parameter) =>
    (await client.query(`SELECT id FROM ids WHERE ${condition} ORDER BY id`, [parameter])).rows.map(r => r.id);

  await client.query('CREATE TEMPORARY TABLE ids (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), plain bigint)');

  // Parameters.
  await client.query('INSERT INTO ids VALUES ($1, $2)', [odd, odd]);
  await client.query('INSERT INTO ids VALUES ($1, $2)', [BigInt(greatest), BigInt(greatest)]);
  is(await found('id = $1', odd), [odd], 'a string finds its row');
  is(await found('id = $1', BigInt(odd)), [odd], 'a BigInt finds its row');
  is(await found('id = $1::bigint', BigInt(greatest)), [greatest], 'a bigint parameter does, too');
  is(await found('id = ANY ($1)', [odd, greatest]), [odd, greatest], 'an array of strings finds its rows');
  is(await found('id = ANY ($1)', [BigInt(odd), 5n]), [odd], 'an array of BigInts');
  is(await found('id = ANY ($1::bigint[])', [odd, '5']), [odd], 'an array of bigints');
  const rounded = Number(odd);
  is(await found('id = $1', rounded), [], 'a number is rounded before it is sent, and finds nothing');
  await client.query('INSERT INTO ids VALUES ($1)', [rounded]);
  is(await found('id = $1', rounded), ['9007199254740992'], 'or becomes another ID');
  await client.query('DELETE FROM ids WHERE id = $1', [rounded]);

  // Results.
  const read = await row('SELECT id, plain FROM ids WHERE id = $1', greatest);
  is(read, { id: greatest, plain: greatest }, 'a snowflakeid reads as a string, and so does a bigint');
  const issued = await row('INSERT INTO ids DEFAULT VALUES RETURNING id, id::text AS text');
  is([typeof issued.id, issued.id === issued.text], ['string', true], 'RETURNING gives the ID with every digit');
  is((await row('SELECT snowflake_node(id) = snowflake_node($1) AS same FROM ids WHERE id = $1', issued.id)).same,
    true, 'and it goes into a function again, without a cast');
  await client.query('DELETE FROM ids WHERE id = $1', [issued.id]);

  // JSON: a snowflakeid is a string there; a bigint is a number, which JSON.parse rounds.
  const json = await row('SELECT json_agg(ids ORDER BY id) AS rows, to_json(min(id)) AS least FROM ids');
  is(json.rows.map(r => r.id), [odd, greatest], 'json_agg comes through JSON.parse');
  is(json.least, odd, 'to_json does, too');
  is(json.rows[0].plain, rounded, 'a bigint in JSON is rounded');
  const sent = JSON.stringify([{ id: odd }]);
  is((await row('SELECT id FROM json_to_recordset($1) AS r (id snowflakeid)', sent)).id, odd, 'and back into a snowflakeid');

  // Arrays: of a type that node-postgres doesn't know they stay text, unless it is told.
  const arrays = () => row('SELECT array_agg(id ORDER BY id) AS own, array_agg(id::bigint ORDER BY id) AS plain FROM ids');
  is(await arrays(), { own: `{${odd},${greatest}}`, plain: [odd, greatest] },
    'snowflakeid[] reads as text, bigint[] as an array of strings');
  const { oid } = await row(`SELECT 'snowflakeid[]'::regtype::oid AS oid`);
  client.setTypeParser(oid, client.getTypeParser(1016)); // that of bigint[]
  is((await arrays()).own, [odd, greatest], 'with the parser of bigint[] it is an array of strings');
  is((await row('SELECT $1::snowflakeid[] AS list', [odd, BigInt(greatest)])).list, [odd, greatest], 'and goes there as one');
}

(async () => {
  const client = new Client({ host, port: Number(port), database, user });
  await client.connect();
  try {
    await run(client);
  } finally {
    await client.end();
  }
  process.exitCode = failed ? 1 : 0;
})().catch(error => {
  console.log(`not ok ${error.message}`);
  process.exitCode = 2;
});
