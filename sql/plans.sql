-- Indexes, joins and partitions: the planner treats the type as a bigint.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE TABLE ids (id snowflakeid PRIMARY KEY, v integer);
INSERT INTO ids SELECT g::bigint, g FROM generate_series(1, 10000) AS g;
CREATE TABLE plain (id bigint PRIMARY KEY, v integer);
INSERT INTO plain SELECT g, g FROM generate_series(1, 10000) AS g;
VACUUM ANALYZE ids, plain;

-- The primary key serves literals, parameters of either type, lists and ranges.
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT v FROM ids WHERE id = 77;
EXPLAIN (COSTS OFF) SELECT v FROM ids WHERE id = '77';
EXPLAIN (COSTS OFF) SELECT v FROM ids WHERE 77 = id;
EXPLAIN (COSTS OFF) SELECT v FROM ids WHERE id = ANY ('{77,78}'::bigint[]);
EXPLAIN (COSTS OFF) SELECT v FROM ids WHERE id >= 77 AND id < 80;
EXPLAIN (COSTS OFF) SELECT v FROM ids ORDER BY id DESC LIMIT 1;
-- (Versions differ in how they show the rest of this plan.)
CREATE FUNCTION scans_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ ' Scan ' THEN RETURN NEXT ltrim(line, ' ->'); END IF;
    END LOOP;
END
$$;
SELECT scans_of('SELECT max(id) FROM ids');
SELECT min(id), max(id) FROM ids;
SET plan_cache_mode = force_generic_plan;
PREPARE by_bigint (bigint) AS SELECT v FROM ids WHERE id = $1;
PREPARE by_id (snowflakeid) AS SELECT v FROM ids WHERE id = $1;
EXPLAIN (COSTS OFF) EXECUTE by_bigint (77);
EXPLAIN (COSTS OFF) EXECUTE by_id ('77');
EXECUTE by_bigint (77);
EXECUTE by_id ('77');
DEALLOCATE ALL;
RESET plan_cache_mode;
RESET enable_bitmapscan;
-- (Two conditions up to 17, one from 18 on; by the index in any case.)
SELECT bool_or(s LIKE '%ids_pkey%') AS by_index, bool_or(s LIKE 'Seq Scan%') AS by_scan FROM scans_of('SELECT v FROM ids WHERE id IN (77, 78)') AS s;
DROP FUNCTION scans_of;

-- Joins of both types, every way.
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ids JOIN plain ON ids.id = plain.id;
SELECT count(*) FROM ids JOIN plain ON ids.id = plain.id;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ids AS a JOIN (SELECT id FROM ids OFFSET 0) AS b ON a.id = b.id;
SELECT count(*) FROM ids AS a JOIN (SELECT id FROM ids OFFSET 0) AS b ON a.id = b.id;
SET enable_hashjoin = off;
SET enable_mergejoin = on;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ids JOIN plain ON ids.id = plain.id;
SELECT count(*) FROM ids JOIN plain ON ids.id = plain.id;
SET enable_mergejoin = off;
SET enable_nestloop = on;
EXPLAIN (COSTS OFF) SELECT ids.v FROM plain JOIN ids ON ids.id = plain.id WHERE plain.v = 5;
SELECT ids.v FROM plain JOIN ids ON ids.id = plain.id WHERE plain.v = 5;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- The index of a bigint column serves a join when the ID is cast to bigint.
EXPLAIN (COSTS OFF) SELECT plain.v FROM ids JOIN plain ON plain.id = ids.id::bigint WHERE ids.id = 5;
SELECT plain.v FROM ids JOIN plain ON plain.id = ids.id::bigint WHERE ids.id = 5;

-- Aggregation by hash and by sort.
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id, count(*) FROM (SELECT id FROM ids OFFSET 0) AS s GROUP BY id;
RESET enable_sort;
SET enable_hashagg = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT id FROM (SELECT id FROM ids OFFSET 0) AS s;
RESET enable_hashagg;

-- Plans of plain bigint tables are none of our business.
EXPLAIN (COSTS OFF) SELECT a.v FROM plain AS a JOIN plain AS b ON a.id = b.id WHERE b.id = 5;

-- Partitions by hash and by range.
CREATE TABLE by_hash (id snowflakeid PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash SELECT g::bigint FROM generate_series(1, 1000) AS g;
SELECT count(*) > 300 AS spread FROM by_hash GROUP BY tableoid;
SELECT count(*) FROM by_hash WHERE id = 77;
EXPLAIN (COSTS OFF) SELECT * FROM by_hash WHERE id = '77'::snowflakeid;
CREATE TABLE by_range (id snowflakeid PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE by_range_2025 PARTITION OF by_range
    FOR VALUES FROM (snowflake_min('2025-01-01 UTC')) TO (snowflake_min('2026-01-01 UTC'));
CREATE TABLE by_range_2026 PARTITION OF by_range
    FOR VALUES FROM (snowflake_min('2026-01-01 UTC')) TO (snowflake_min('2027-01-01 UTC'));
INSERT INTO by_range VALUES (snowflake_encode('2025-12-31 23:59:59.999 UTC', 1023, 4095)),
    (snowflake_encode('2026-01-01 UTC', 0, 0));
SELECT tableoid::regclass, count(*) FROM by_range GROUP BY tableoid ORDER BY 1;
SET enable_bitmapscan = off;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM by_range WHERE id >= snowflake_min('2026-03-01 UTC');
EXPLAIN (COSTS OFF) SELECT * FROM by_range WHERE id < 5;
DROP TABLE by_hash, by_range;

-- A btree on a column with repeats shares them (equalimage).
CREATE TABLE repeats (id snowflakeid);
INSERT INTO repeats SELECT (g % 10)::bigint FROM generate_series(1, 20000) AS g;
CREATE INDEX shared_ids ON repeats (id);
CREATE INDEX single_ids ON repeats (id) WITH (deduplicate_items = off);
SELECT pg_relation_size('shared_ids') < pg_relation_size('single_ids') / 2 AS shares;
CREATE INDEX ON repeats USING hash (id);
DROP TABLE repeats, ids, plain;
