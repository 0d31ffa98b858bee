-- Scopes: made, used, dropped, by whom, and what happens to them in transactions.
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT snowflake_nextval('orders');
SELECT snowflake_create_scope('orders');
SELECT snowflake_create_scope('invoices');
SELECT name FROM snowflake_scopes ORDER BY name;

-- Each is a stream of its own.
SELECT snowflake_nextval('orders') < snowflake_nextval('orders') AS ascending, pg_typeof(snowflake_nextval('orders'));
SELECT count(DISTINCT id), bool_and(id > before) AS ascending
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM snowflake_batch(20000, 'orders') WITH ORDINALITY AS b (id, n)) AS t;
SELECT sum(count) AS ids, bool_and(last - first = count - 1) AS consecutive
FROM (SELECT first::bigint, last::bigint, count FROM snowflake_reserve(20000, 'orders')) AS r;
SELECT snowflake_reserve_run(100, 'orders') < snowflake_nextval('orders') AS ascending;
SELECT scope, database, ids, calls, batches FROM snowflake_stats
WHERE database = current_database() ORDER BY scope;
-- The default one by its name.
SELECT snowflake_nextval('default') < snowflake_nextval() AS one_stream;
SELECT count(*) FROM snowflake_batch(10, 'default');

-- As a column's default.
CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval('orders'), v integer);
INSERT INTO orders (v) SELECT g FROM generate_series(1, 5000) AS g;
SELECT count(*), bool_and(id > before) AS in_insertion_order
FROM (SELECT id, lag(id) OVER (ORDER BY v) AS before FROM orders) AS t;
-- A call site that names one scope after another.
SELECT count(DISTINCT (name, id))
FROM (SELECT name, snowflake_nextval(name) AS id
      FROM generate_series(1, 1000), unnest(ARRAY['orders', 'invoices', 'default']) AS name) AS t;

-- Names.
SELECT snowflake_create_scope('orders');
SELECT snowflake_create_scope('default');
SELECT snowflake_create_scope('');
SELECT snowflake_create_scope(NULL);
SELECT snowflake_create_scope(repeat('x', 64));
SELECT snowflake_create_scope(repeat('x', 63));
SELECT snowflake_nextval(repeat('x', 63)) IS NOT NULL AS issued;
SELECT snowflake_nextval(repeat('x', 64));
SELECT snowflake_drop_scope(repeat('x', 63));
SELECT snowflake_drop_scope(repeat('x', 64));
SELECT snowflake_drop_scope('default');
SELECT snowflake_drop_scope('none');
SELECT snowflake_drop_scope(NULL);
SELECT snowflake_create_scope('Größe "8"');
SELECT snowflake_nextval('Größe "8"') IS NOT NULL AS issued;
SELECT snowflake_drop_scope('Größe "8"');
SELECT snowflake_nextval(NULL::text) IS NULL AS strict;
SELECT snowflake_nextval('');
SELECT snowflake_nextval('Orders');
SELECT snowflake_batch(0, 'orders');
SELECT snowflake_batch(10, 'none');
SELECT snowflake_reserve(10, 'none');
SELECT snowflake_reserve_run(10, 'none');
UPDATE idgen_internal.scope SET name = 'other' WHERE name = 'orders';

-- What is rolled back has not been.
BEGIN;
SELECT snowflake_create_scope('later');
SELECT snowflake_nextval('later') IS NOT NULL AS issued;
ROLLBACK;
SELECT snowflake_nextval('later');
BEGIN;
SELECT snowflake_nextval('orders') AS before \gset
SELECT snowflake_drop_scope('orders');
SAVEPOINT s;
SELECT snowflake_nextval('orders');
ROLLBACK TO s;
SELECT snowflake_create_scope('orders');
SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;
ROLLBACK;
SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;
BEGIN;
SAVEPOINT s;
SELECT snowflake_drop_scope('orders');
ROLLBACK TO s;
SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;
COMMIT;
SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;

-- Dropped and made again it goes on above all that it has issued.
SELECT max(id) AS before FROM snowflake_batch(50000, 'orders') AS id \gset
SELECT snowflake_drop_scope('orders');
INSERT INTO orders (v) VALUES (0);
SELECT snowflake_create_scope('orders');
INSERT INTO orders (v) VALUES (0) RETURNING id > :'before'::snowflakeid AS goes_on;
PREPARE one AS SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;
EXECUTE one;
SELECT snowflake_drop_scope('orders');
EXECUTE one;
SELECT snowflake_create_scope('orders');
EXECUTE one;
DEALLOCATE one;
-- While a batch of it is being read.
BEGIN;
DECLARE ids CURSOR FOR SELECT snowflake_batch(100000, 'orders') AS id;
MOVE 10 FROM ids;
SELECT snowflake_drop_scope('orders');
MOVE ALL FROM ids;
ROLLBACK;
TRUNCATE idgen_internal.scope;
SELECT snowflake_nextval('orders');
INSERT INTO idgen_internal.scope VALUES ('orders');
SELECT snowflake_nextval('orders') > :'before'::snowflakeid AS goes_on;
-- A row that is there already, as from a dump, is passed over.
INSERT INTO idgen_internal.scope VALUES ('orders'), ('more');
SELECT name FROM snowflake_scopes ORDER BY name;
INSERT INTO idgen_internal.scope VALUES ('default');
SELECT snowflake_drop_scope('more');

-- Read-only transactions; a scope that nobody has used before.
SELECT snowflake_create_scope('fresh');
BEGIN READ ONLY;
SELECT snowflake_nextval('fresh') IS NOT NULL AS issued;
COMMIT;
BEGIN READ ONLY;
SELECT snowflake_create_scope('no');
ROLLBACK;

-- In parallel workers, also of one that was made in this transaction.
CREATE TABLE seeds AS SELECT g FROM generate_series(1, 20000) AS g;
ALTER TABLE seeds SET (parallel_workers = 2);
ANALYZE seeds;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
BEGIN;
SELECT snowflake_create_scope('parallel');
EXPLAIN (COSTS OFF) SELECT count(id) FROM (SELECT snowflake_nextval('parallel') AS id FROM seeds OFFSET 0) AS t;
SELECT count(DISTINCT id) FROM (SELECT snowflake_nextval('parallel') AS id FROM seeds OFFSET 0) AS t;
COMMIT;
SELECT count(DISTINCT id) FROM (SELECT snowflake_nextval('parallel') AS id FROM seeds OFFSET 0) AS t;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE seeds, orders;

-- More than idgen.max_scopes, which is 8 here: places of scopes that are gone are
-- used again, those of other databases and of this one's scopes are not.
SELECT snowflake_drop_scope(name) FROM snowflake_scopes;
SELECT count(snowflake_create_scope('s' || g)) FROM generate_series(1, 9) AS g;
SELECT count(snowflake_nextval('s' || g)) FROM generate_series(1, 8) AS g;
SELECT snowflake_nextval('s9');
SELECT snowflake_nextval('s8') IS NOT NULL AS issued;
BEGIN;
SELECT snowflake_drop_scope('s1');
SELECT snowflake_nextval('s9') IS NOT NULL AS issued;
ROLLBACK;
SELECT snowflake_nextval('s1');
SELECT snowflake_drop_scope('s9');
SELECT snowflake_nextval('s1') IS NOT NULL AS issued;
SELECT snowflake_drop_scope(name) FROM snowflake_scopes;
SELECT count(*) FROM snowflake_stats WHERE database = current_database();

-- Not everybody's.
CREATE ROLE scopeless;
SET ROLE scopeless;
SELECT snowflake_create_scope('mine');
SELECT snowflake_drop_scope('mine');
INSERT INTO idgen_internal.scope VALUES ('mine');
DELETE FROM idgen_internal.scope;
SELECT count(*) FROM snowflake_scopes;
RESET ROLE;
SELECT snowflake_create_scope('ours');
SET ROLE scopeless;
SELECT snowflake_nextval('ours') IS NOT NULL AS issued;
RESET ROLE;
SELECT snowflake_drop_scope('ours');
DROP ROLE scopeless;
-- The trigger's function guards no other table.
CREATE TABLE names (name name);
CREATE TRIGGER guard BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION idgen_internal.scope_guard();
INSERT INTO names VALUES ('a');
SELECT idgen_internal.scope_guard();
DROP TABLE names;
