-- snowflake_reserve() and snowflake_reserve_run(): runs of consecutive integers.
-- (pg_regress runs with idgen.max_batch = 100000.)
\set VERBOSITY default
\set SHOW_CONTEXT never

-- As many as asked for, ascending, consecutive, within one tick and node.
CREATE TEMP TABLE runs AS
    SELECT n, first, last, count FROM snowflake_reserve(20000) WITH ORDINALITY AS r (first, last, count, n);
SELECT sum(count) AS ids, bool_and(last::bigint - first::bigint = count - 1) AS consecutive,
       bool_and(snowflake_timestamp(first) = snowflake_timestamp(last)) AS one_tick,
       bool_and(snowflake_node(first) = i.node AND snowflake_node(last) = i.node) AS ours,
       bool_and(count <= 4096) AS cut
FROM runs, snowflake_instance AS i;
SELECT bool_and(first > before) AS ascending
FROM (SELECT first, lag(last) OVER (ORDER BY n) AS before FROM runs) AS t;
SELECT snowflake_nextval() > max(last) AS later FROM runs;
SELECT count(*) AS runs, sum(count) AS ids FROM snowflake_reserve(1);
SELECT pg_typeof(first), pg_typeof(last), pg_typeof(count) FROM snowflake_reserve(1);
SELECT (snowflake_reserve(1)).count;

-- Nothing that a run holds is issued to anybody else.
CREATE TEMP TABLE issued (id bigint);
DO $$
DECLARE
    lo bigint;
BEGIN
    FOR i IN 1 .. 50 LOOP
        INSERT INTO issued SELECT generate_series(first::bigint, last::bigint) FROM snowflake_reserve(i * 37);
        INSERT INTO issued SELECT snowflake_nextval() FROM generate_series(1, i);
        INSERT INTO issued SELECT snowflake_batch(i * 11);
        lo := snowflake_reserve_run(i * 17);
        INSERT INTO issued SELECT generate_series(lo, lo + i * 17 - 1);
    END LOOP;
END
$$;
SELECT count(*), count(DISTINCT id) FROM issued;

-- A whole run: what pooled-lo of Hibernate takes for granted, that the
-- allocationSize integers from the one it is given on are its own.
CREATE TEMP TABLE blocks AS SELECT g, snowflake_reserve_run(50)::bigint AS lo FROM generate_series(1, 2000) AS g;
SELECT count(DISTINCT id) AS ids, count(DISTINCT snowflake_node(id)) AS nodes
FROM blocks, generate_series(lo, lo + 49) AS id;
SELECT bool_and(snowflake_timestamp(lo) = snowflake_timestamp(lo + 49)) AS one_tick FROM blocks;
SELECT bool_and(lo > before + 49) AS ascending FROM (SELECT lo, lag(lo) OVER (ORDER BY g) AS before FROM blocks) AS t;
SELECT snowflake_sequence(snowflake_reserve_run(4096)) AS first_of_a_tick;
SELECT snowflake_reserve_run(4097);

-- Bad counts.
SELECT * FROM snowflake_reserve(0);
SELECT * FROM snowflake_reserve(-9223372036854775808);
SELECT * FROM snowflake_reserve(100001);
SELECT * FROM snowflake_reserve(9223372036854775807);
SELECT * FROM snowflake_reserve(NULL);
SELECT snowflake_reserve_run(0);
SELECT snowflake_reserve_run(-1);
SELECT snowflake_reserve_run(2147483647);
SELECT snowflake_reserve_run(NULL);

BEGIN READ ONLY;
SELECT sum(count) FROM snowflake_reserve(5000);
SELECT snowflake_reserve_run(50) IS NOT NULL AS issued;
COMMIT;

-- IDs of other instances that were seen.
SELECT snowflake_observe(NULL::snowflakeid), snowflake_observe((-5)::bigint), snowflake_observe(0::bigint);
SELECT snowflake_observe(snowflake_nextval());
SELECT max(id) AS seen FROM (SELECT snowflake_encode(clock_timestamp() + interval '20 s', 1023, 4095) AS id) AS t \gset
SELECT snowflake_observe(:'seen'::snowflakeid), snowflake_nextval() > :'seen'::snowflakeid AS later;
SELECT snowflake_observe(:'seen'::bigint);
SELECT snowflake_observe(snowflake_encode(clock_timestamp() + interval '70 s', 0, 0)),
       snowflake_observe(9223372036854775807);
SELECT state, skew BETWEEN '10 s' AND '21 s' AS ahead FROM snowflake_clock;
SELECT observations > 0 AS observed, observations_ignored FROM snowflake_worker_stats;
