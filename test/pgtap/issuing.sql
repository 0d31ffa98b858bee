-- IDs are distinct and ascend, singly and in batches.
BEGIN;
SELECT plan(12);

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
CREATE TEMP TABLE counted AS SELECT ids, calls, batches FROM snowflake_stats;
SELECT count(snowflake_nextval()) FROM generate_series(1, 1000);
SELECT count(*) FROM snowflake_batch(500);
SELECT ok(s.calls >= c.calls + 1000 AND s.batches >= c.batches + 1 AND s.ids >= c.ids + 1500,
    'snowflake_stats counts IDs, calls and batches') FROM snowflake_stats AS s, counted AS c;
SELECT is(state || ' ' || registry, 'active local', 'the instance holds a node') FROM snowflake_instance;

SELECT * FROM finish();
ROLLBACK;
