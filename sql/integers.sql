-- Where bigint takes part, a snowflakeid does: numbers of other types, bigint
-- arguments, parameters and literals without a type.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- From smallint: psycopg and JDBC send small numbers so. And arrays.
CREATE TABLE ids (id snowflakeid PRIMARY KEY, plain bigint);
INSERT INTO ids VALUES (5::smallint, 5::smallint), ((-32768)::smallint, (-32768)::smallint);
SELECT * FROM ids ORDER BY id;
SELECT 7::smallint::snowflakeid;
CREATE TABLE lists (ids snowflakeid[]);
INSERT INTO lists VALUES ('{1,2}'::smallint[]), ('{3,4}'::integer[]), ('{5,6}'::bigint[]);
SELECT ids, pg_typeof(ids) FROM lists ORDER BY ids;
SELECT '{1,2}'::smallint[]::snowflakeid[], '{1,2}'::integer[]::snowflakeid[], '{1,2.5}'::numeric[]::snowflakeid[];
CREATE TABLE tiny (id smallint);
INSERT INTO tiny VALUES (9);
ALTER TABLE tiny ALTER COLUMN id TYPE snowflakeid;
SELECT id, pg_typeof(id) FROM tiny;
DROP TABLE lists, tiny;

-- Comparison with numeric: by value, as bigint's.
CREATE FUNCTION compared(a text, b text) RETURNS TABLE (lt boolean, le boolean, eq boolean, ge boolean, gt boolean, ne boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT a < b, a <= b, a = b, a >= b, a > b, a <> b FROM (SELECT %s AS a, %s AS b) AS v', a, b);
END
$$;
SELECT n, i.*, (i = p AND j = q) AS as_bigint, j = k AS commuted
FROM unnest(ARRAY['4', '4.9', '5', '5.0', '5.000000000000000000001', '6', '18446744073709551616', '-18446744073709551616',
                  'NaN', 'Infinity', '-Infinity']) AS n,
    compared('5::snowflakeid', format('%L::numeric', n)) AS i, compared('5::bigint', format('%L::numeric', n)) AS p,
    compared(format('%L::numeric', n), '5::snowflakeid') AS j, compared(format('%L::numeric', n), '5::bigint') AS q,
    LATERAL (SELECT i.gt AS lt, i.ge AS le, i.eq, i.le AS ge, i.lt AS gt, i.ne) AS k;
DROP FUNCTION compared;
TRUNCATE ids;
INSERT INTO ids SELECT g, g FROM generate_series(1, 1000) AS g;
ANALYZE ids;
SELECT count(*) FROM ids WHERE id = 5.0;
SELECT count(*) FROM ids WHERE id = 18446744073709551616;
SELECT count(*) FROM ids WHERE id BETWEEN 4.5 AND 7;
SELECT count(*) FROM ids WHERE id IN (5, 6.0, 18446744073709551616);
SELECT count(*) FROM ids WHERE id = ANY ('{5,6.5,7}'::numeric[]);
SELECT count(*) FROM ids AS a JOIN (SELECT g::numeric AS n FROM generate_series(1, 10) AS g) AS b ON a.id = b.n;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id = 5.0;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE 5.5 > id;
-- Which takes nothing away from other operands: none is ambiguous, the index serves.
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id = 5;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE 5::smallint = id;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id = 5::bigint;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id = '5';
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= now();
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id = ANY ('{5,6}'::integer[]) AND id = ANY ('{5,6}'::smallint[]);
SET plan_cache_mode = force_generic_plan;
PREPARE by_id AS SELECT plain FROM ids WHERE id = $1;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'by_id';
EXPLAIN (COSTS OFF) EXECUTE by_id ('5');
EXECUTE by_id ('5');
PREPARE by_number (numeric) AS SELECT plain FROM ids WHERE id = $1;
EXECUTE by_number (5);
EXECUTE by_number (18446744073709551616);
DEALLOCATE ALL;
-- What no bigint does, no snowflakeid does.
SELECT 5.5 < now();
SELECT 5::snowflakeid + 1.5;
-- Nobody else's comparisons change.
SELECT 5.0 = 5::bigint AS a, 5.0 = '5' AS b, 5 = 5.0 AS c, 5.0 < 6::real AS d, '5' < 6.5 AS e;
SELECT proname FROM pg_proc WHERE 'idgen_internal.any_numeric'::regtype = ANY (proargtypes) AND pronamespace <> 'idgen_internal'::regnamespace;

-- Arguments of bigint, integer and smallint, a literal, a parameter without a type.
SELECT count(*) FROM snowflake_batch(5::bigint);
SELECT count(*) FROM snowflake_batch(5::smallint);
SELECT count(*) FROM snowflake_batch(5);
SELECT count(*) FROM snowflake_batch('5');
SELECT count(*) FROM snowflake_batch(5::bigint, 'default');
SELECT count(*) FROM snowflake_batch(4294967297);
SELECT snowflake_reserve_run(5::bigint) > 0 AS a, snowflake_reserve_run(5::smallint) > 0 AS b, snowflake_reserve_run(5) > 0 AS c,
       snowflake_reserve_run('5') > 0 AS d, snowflake_reserve_run(5::bigint, 'default') > 0 AS e;
SELECT snowflake_reserve_run(4294967297);
SELECT snowflake_encode('2026-01-01 UTC', 5::bigint, 6::bigint) = snowflake_encode('2026-01-01 UTC', 5, 6::smallint) AS same,
       snowflake_encode('2026-01-01 UTC', '5', '6', 'twitter');
SELECT snowflake_encode('2026-01-01 UTC', 4294967296, 0);
SELECT snowflake_encode('2026-01-01 UTC', 0, 4294967296);
SELECT snowflake_node_of(1::bigint, 2::bigint), snowflake_node_of(1::smallint, 2), snowflake_node_of('1', '2');
SELECT snowflake_node_of(4294967297, 0);
SELECT snowflake_node_of(0, 4294967297);
SELECT snowflake_to_base32(42::bigint), snowflake_to_base62(42::bigint), snowflake_to_base32(42), snowflake_to_base62('42');

-- A parameter or a literal without a type is an ID.
PREPARE q01 AS SELECT snowflake_timestamp($1);
PREPARE q02 AS SELECT snowflake_node($1), snowflake_region($1), snowflake_shard($1), snowflake_sequence($1);
PREPARE q03 AS SELECT snowflake_timestamp($1, $2);
PREPARE q04 AS SELECT snowflake_to_base32($1), snowflake_to_base62($1);
PREPARE q05 AS SELECT snowflake_unmask(snowflake_mask($1, $2), $2);
PREPARE q06 AS SELECT snowflake_observe($1);
PREPARE q07 AS SELECT count(*) FROM snowflake_batch($1);
PREPARE q08 AS SELECT snowflake_reserve_run($1) > 0;
PREPARE q09 AS SELECT snowflake_encode($1, $2, $3);
PREPARE q10 AS SELECT snowflake_node_of($1, $2);
PREPARE q11 AS SELECT node, sequence FROM snowflake_decode($1);
PREPARE q12 AS SELECT snowflake_min($1);
PREPARE q13 AS SELECT sum(count) FROM snowflake_reserve($1);
PREPARE q14 AS SELECT snowflake_unmask($1, $2) IS NOT NULL;
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
EXECUTE q01 ('4097');
EXECUTE q02 ('4097');
EXECUTE q03 ('4097', 'twitter');
EXECUTE q04 ('4097');
EXECUTE q05 ('4097', '0123456789abcdef');
EXECUTE q06 ('4097');
EXECUTE q07 ('5');
EXECUTE q08 ('5');
EXECUTE q09 ('2026-01-01 UTC', '5', '6');
EXECUTE q10 ('1', '2');
EXECUTE q11 ('4097');
EXECUTE q12 ('2026-01-01 UTC');
EXECUTE q13 ('5');
EXECUTE q14 ('4097', '0123456789abcdef');
DEALLOCATE ALL;
SELECT snowflake_timestamp('4097'), snowflake_node('4097');
-- Of any integer type, too, and none of them is taken for another.
SELECT snowflake_sequence(4097::smallint), snowflake_sequence(4097), snowflake_sequence(4097::bigint), snowflake_sequence(4097::snowflakeid);
SELECT pg_typeof(coalesce(NULL, 5::bigint)), pg_typeof(greatest('5', 6)), pg_typeof(abs('-5'));

-- The forms that version 0.1.0 had, for what was made with them.
SELECT count(*) FROM idgen_internal.snowflake_batch(5);
SELECT idgen_internal.snowflake_reserve_run(5) > 0 AS issued;
SELECT idgen_internal.snowflake_encode('2026-01-01 UTC', 5, 6) = snowflake_encode('2026-01-01 UTC', 5, 6) AS same;
SELECT idgen_internal.snowflake_node_of(1, 2);
DROP TABLE ids;
