-- IDs are distinct and ascend, singly and in batches.
BEGIN;
SELECT plan(18);

CREATE TEMP TABLE singles AS
    SELECT g, snowflake_nextval() AS id FROM generate_series(1, 100000) AS g;
SELECT is(count(DISTINCT id), 100000::bigint, '100,000 IDs are distinct') FROM singles;
SELECT is_empty(
    $$ SELECT g FROM (SELECT g, id, lag(id) OVER (ORDER BY g) AS before FROM singles) AS t WHERE id <= before LIMIT 3 $$,
    'and ascend');
SELECT is_empty(
    $$ SELECT id FROM singles WHERE snowflake_node(id) <> (SELECT node FROM snowflake_instance) LIMIT 3 $$,
    'all are this instance''s node''s');
SELECT is_empty(
    $$ SELECT id FROM singles WHERE snowflake_timestamp(id) NOT BETWEEN now() - interval '1 minute' AND clock_timestamp() + interval '1 minute' LIMIT 3 $$,
    'and of now');

-- Batches: exactly as many as asked for.
CREATE TEMP TABLE batches AS
    SELECT n, id, row_number() OVER () AS place
    FROM unnest(ARRAY[1, 2, 3, 10, 4095, 4096, 4097, 50000, 100000]) AS n, snowflake_batch(n) AS id;
SELECT is_empty($$ SELECT n FROM batches GROUP BY n HAVING count(*) <> n $$, 'a batch has as many IDs as asked for');
SELECT is(count(*), count(DISTINCT id), 'no two batches share an ID') FROM batches;
SELECT is_empty(
    $$ SELECT place FROM (SELECT place, id, lag(id) OVER (ORDER BY place) AS before FROM batches) AS t WHERE id <= before LIMIT 3 $$,
    'batches ascend, one after the other');
SELECT is_empty($$ SELECT id FROM batches INTERSECT SELECT id FROM singles $$, 'a batch repeats no single ID');
SELECT is_empty($$ SELECT FROM batches WHERE id <= (SELECT id FROM singles ORDER BY id DESC LIMIT 1) LIMIT 3 $$,
    'and is greater than all before it');

-- The greatest allowed; the counters add up.
SELECT is((SELECT count(DISTINCT id) FROM snowflake_batch(current_setting('idgen.max_batch')::integer) AS id),
    current_setting('idgen.max_batch')::bigint, 'idgen.max_batch IDs at once');
SELECT snowflake_create_scope('counted');
SELECT snowflake_nextval('counted');
SELECT snowflake_reset_stats();
SELECT count(snowflake_nextval()) FROM generate_series(1, 1000);
SELECT count(*) FROM snowflake_batch(500);
SELECT sum(count) FROM snowflake_reserve(70);
SELECT snowflake_reserve_run(8);
SELECT count(snowflake_nextval('counted')) FROM generate_series(1, 300);
SELECT count(*) FROM snowflake_batch(20, 'counted');
SELECT is(
    (SELECT string_agg(concat_ws(' ', coalesce(scope, 'total'), database = current_database(), ids, calls, batches), ', ') FROM snowflake_stats),
    'default 1578 1000 3, counted t 320 300 1, total 1898 1300 4',
    'snowflake_stats counts IDs, calls and batches, of each scope and of all');
SELECT is_empty($$ SELECT FROM snowflake_stats WHERE stats_reset IS NULL OR stats_reset > clock_timestamp() OR stats_reset < now() $$,
    'since they were reset');
SELECT snowflake_drop_scope('counted');

-- A run that is longer than what time there is for it: ticks are used up, and the
-- clock is waited for. How long depends on the machine; that it is part of the time
-- that the call took does not.
SELECT snowflake_reset_stats();
CREATE TEMP TABLE began AS SELECT clock_timestamp() AS at;
CREATE TEMP TABLE reserved AS SELECT first, last FROM snowflake_reserve(300000);
CREATE TEMP TABLE ended AS SELECT clock_timestamp() AS at;
SELECT ok(exhausted = (SELECT count(*) FROM reserved WHERE snowflake_sequence(last) = 4095) AND exhausted > 1 AND peak_use = 1,
    'ticks that were used up are counted') FROM snowflake_stats WHERE scope = 'default';
SELECT ok(waits_clock > 0 AND waits_clock_longest > '0' AND waits_clock_time >= waits_clock_longest
        AND waits_clock_time BETWEEN '1 ms' AND (SELECT ended.at - began.at FROM began, ended)
        AND waits_node = 0 AND waits_node_time = '0',
    'waits for the clock are counted') FROM snowflake_stats WHERE scope = 'default';
SELECT ok(lead BETWEEN '0' AND current_setting('idgen.max_lead')::interval + interval '1 ms',
    'the lead is what IDs are ahead of the clock') FROM snowflake_stats WHERE scope = 'default';
SELECT is(s.waits_clock, t.waits_clock, 'the total has them, too')
    FROM snowflake_stats AS s, snowflake_stats AS t WHERE s.scope = 'default' AND t.scope IS NULL;
-- After a reset, and when the clock has left the last tick behind (in that tick itself
-- the lead is 0, and no ID is left), most is what is most from then on.
DO $$ BEGIN
    WHILE (SELECT issuing_time < snowflake_timestamp(max(last)) + interval '1 ms' FROM snowflake_instance, reserved GROUP BY issuing_time) LOOP
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$;
SELECT snowflake_reset_stats();
SELECT snowflake_nextval();
SELECT ok(peak_use < 0.01 AND waits_clock = 0 AND waits_clock_longest = '0' AND exhausted = 0,
    'a reset lets greatest values begin anew, too') FROM snowflake_stats WHERE scope = 'default';
SELECT is(state || ' ' || registry, 'active local', 'the instance holds a node') FROM snowflake_instance;

SELECT * FROM finish();
ROLLBACK;
