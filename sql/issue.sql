-- snowflake_nextval() and snowflake_batch(): how many, in which order, where.
-- (pg_regress runs with idgen.max_batch = 100000.)
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT snowflake_nextval() > 0 AS positive, pg_typeof(snowflake_nextval());
SELECT snowflake_nextval() < snowflake_nextval() AS ascending;
SELECT count(DISTINCT id) AS ids, bool_and(id > before) AS ascending
FROM (SELECT id, lag(id) OVER (ORDER BY g) AS before
      FROM (SELECT g, snowflake_nextval() AS id FROM generate_series(1, 20000) AS g) AS s) AS t;

-- What they say: this instance's node, in this database's layout, about now.
SELECT d.node = i.node AND d.region = i.region AND d.shard = i.shard AS ours, d.layout,
       abs(extract(epoch FROM d.ts - clock_timestamp())) < 30 AS about_now
FROM snowflake_instance AS i, snowflake_decode(snowflake_nextval()) AS d;

-- snowflake_id() is the same function by another name: tools take a default with
-- "nextval" in its text for a sequence's.
SELECT snowflake_nextval() < snowflake_id() AND snowflake_id() < snowflake_nextval() AS one_stream, pg_typeof(snowflake_id());
SELECT a.proname, b.proname, b.oid::regprocedure FROM pg_proc AS a JOIN pg_proc AS b USING (proargtypes)
WHERE a.proname = 'snowflake_nextval' AND b.proname = 'snowflake_id'
  AND (a.prosrc, a.provolatile, a.proparallel, a.proisstrict, a.procost) = (b.prosrc, b.provolatile, b.proparallel, b.proisstrict, b.procost)
ORDER BY 3;
CREATE TABLE named (id snowflakeid PRIMARY KEY DEFAULT snowflake_id(), plain bigint DEFAULT snowflake_id());
INSERT INTO named SELECT FROM generate_series(1, 100);
SELECT count(DISTINCT id) AS ids, count(DISTINCT plain) AS plain FROM named;
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'named'::regclass;
DROP TABLE named;

-- As a column's default, of either type.
CREATE TABLE events (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), v integer);
INSERT INTO events (v) SELECT g FROM generate_series(1, 10000) AS g;
INSERT INTO events (v) VALUES (10001), (10002);
SELECT count(*), bool_and(id > before) AS in_insertion_order
FROM (SELECT id, lag(id) OVER (ORDER BY v) AS before FROM events) AS t;
CREATE TABLE plain (id bigint PRIMARY KEY DEFAULT snowflake_nextval(), v integer);
INSERT INTO plain (v) SELECT g FROM generate_series(1, 1000) AS g;
INSERT INTO plain (v) VALUES (1001) RETURNING id > 0 AS positive, pg_typeof(id);
SELECT count(DISTINCT id) FROM plain;
INSERT INTO plain (id, v) SELECT id, -1 FROM snowflake_batch(10) AS id;
ALTER TABLE events ADD COLUMN other snowflakeid NOT NULL DEFAULT snowflake_nextval();
SELECT count(DISTINCT other) = count(*) AS each_row_its_own FROM events;
COPY events (v) FROM STDIN;
20001
20002
\.
SELECT count(DISTINCT id) FROM events WHERE v > 20000;
CREATE TABLE generated (id snowflakeid GENERATED ALWAYS AS (snowflake_nextval()) STORED);
DROP TABLE events, plain;

-- Batches: as many as asked for, ascending, distinct; one or many.
SELECT count(*), count(DISTINCT id) FROM snowflake_batch(1) AS id;
SELECT count(*), count(DISTINCT id), bool_and(id > before) AS ascending
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM snowflake_batch(100000) WITH ORDINALITY AS b (id, n)) AS t;
SELECT count(*) FROM (SELECT snowflake_batch(50000)) AS t;
-- Not more than were read.
SELECT count(*) FROM (SELECT snowflake_batch(100000) LIMIT 3) AS t;
SELECT count(*) FROM (SELECT * FROM snowflake_batch(1000) LIMIT 3) AS t;
-- One batch a row; the next call gives greater ones.
SELECT count(*), count(DISTINCT id) FROM generate_series(1, 100) AS g, snowflake_batch(g) AS id;
SELECT max(a::bigint) < min(b::bigint) AS later FROM (SELECT array_agg(a) FROM snowflake_batch(1000) AS a) AS x (a_s),
       LATERAL (SELECT array_agg(b) FROM snowflake_batch(1000 + coalesce(array_length(a_s, 1), 0) * 0) AS b) AS y (b_s),
       LATERAL unnest(a_s, b_s) AS u (a, b);
SELECT snowflake_batch(0);
SELECT snowflake_batch(-1);
SELECT snowflake_batch(-2147483648);
SELECT snowflake_batch(100001);
SELECT * FROM snowflake_batch(2147483647);
SELECT snowflake_batch(2147483648);
SELECT * FROM snowflake_batch(NULL);
SELECT snowflake_batch('many');
-- The planner knows how many.
CREATE FUNCTION rows_planned(query text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;
SELECT rows_planned('SELECT * FROM snowflake_batch(5000)') AS from_clause,
       rows_planned('SELECT snowflake_batch(5000)') AS select_list,
       rows_planned('SELECT * FROM idgen_internal.snowflake_batch(5000)') AS integers,
       rows_planned('SELECT * FROM snowflake_batch(2 * 350)') AS expression,
       rows_planned('SELECT * FROM snowflake_batch((SELECT 5))') AS unknown,
       rows_planned('SELECT * FROM snowflake_batch(-5)') AS negative,
       rows_planned('SELECT * FROM snowflake_batch(NULL)') AS null;
DROP FUNCTION rows_planned;

-- Read-only transactions, savepoints, functions, cursors.
BEGIN READ ONLY;
SELECT snowflake_nextval() IS NOT NULL AS issued;
SELECT count(*) FROM snowflake_batch(100);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT snowflake_nextval() IS NOT NULL AS issued;
COMMIT;
-- What is rolled back stays issued.
SELECT snowflake_nextval() AS first \gset
BEGIN;
SELECT snowflake_nextval() AS second \gset
ROLLBACK;
SELECT snowflake_nextval() AS third \gset
SELECT :'first'::snowflakeid < :'second' AND :'second'::snowflakeid < :'third' AS ascending;
BEGIN;
DECLARE c CURSOR FOR SELECT snowflake_batch(10);
MOVE 4 FROM c;
MOVE ALL FROM c;
COMMIT;
CREATE FUNCTION in_plpgsql() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    a snowflakeid := snowflake_nextval();
    b snowflakeid;
BEGIN
    FOR b IN SELECT snowflake_batch(1000) LOOP
        IF b <= a THEN RETURN false; END IF;
        a := b;
    END LOOP;
    RETURN snowflake_nextval() > a;
END
$$;
SELECT in_plpgsql();
DROP FUNCTION in_plpgsql;

-- In parallel workers: every row its own.
CREATE TABLE seeds AS SELECT g FROM generate_series(1, 20000) AS g;
ALTER TABLE seeds SET (parallel_workers = 2);
ANALYZE seeds;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(id) FROM (SELECT snowflake_nextval() AS id FROM seeds OFFSET 0) AS t;
SELECT count(DISTINCT id) FROM (SELECT snowflake_nextval() AS id FROM seeds OFFSET 0) AS t;
SELECT count(DISTINCT id) FROM (SELECT snowflake_batch(3) AS id FROM seeds OFFSET 0) AS t;
DROP TABLE seeds;

-- No wait allowed: who asks for more than the layout holds in that time is
-- refused; each call below reserves as far ahead as a batch may.
SET idgen.max_wait = 0;
DO $$
BEGIN
    FOR i IN 1 .. 10000 LOOP
        PERFORM snowflake_batch(100000) LIMIT 1;
    END LOOP;
EXCEPTION WHEN SQLSTATE 'IDG03' THEN
    RAISE NOTICE 'IDG03: %', sqlerrm;
END
$$;
RESET idgen.max_wait;

-- A cancel is answered at once.
SET statement_timeout = '10ms';
SELECT count(*) FROM generate_series(1, 1000) AS g, snowflake_batch(99000 + g) AS id;
RESET statement_timeout;
SELECT snowflake_nextval() IS NOT NULL AS goes_on;
