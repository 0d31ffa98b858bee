-- Slots for past times are handed out once, whatever is asked for.
BEGIN;
SELECT plan(13);
SELECT setseed(0.8);

-- Each row takes its slots beside those before it: ranges of time that overlap in all ways,
-- of 1 to 9 sequence numbers, on two nodes.
CREATE TEMP TABLE given (job integer, node integer, width integer, wanted_from timestamptz, wanted_until timestamptz, row_count bigint,
    first_tick timestamptz, tick interval, first_sequence integer, last_tick timestamptz);
DO $$
DECLARE
    from_time timestamptz;
    until_time timestamptz;
    row_count bigint;
    width integer;
BEGIN
    FOR job IN 1..300 LOOP
        from_time := timestamptz '2024-01-01 UTC' + (random() * 1000)::integer * interval '250 us';
        until_time := from_time + (random() * 300)::integer * interval '250 us';
        row_count := 1 + (random() * 200)::integer;
        width := 1 + (random() * 8)::integer;
        INSERT INTO given SELECT job, job % 2, width, from_time, until_time, row_count, s.*
            FROM snowflake_backfill_slots(from_time, until_time, row_count, width, job % 2) AS s;
    END LOOP;
END
$$;
SELECT is(count(*), 300::bigint, 'jobs') FROM given;
SELECT is_empty(
    $$ SELECT a.job, b.job FROM given AS a JOIN given AS b ON a.job < b.job AND a.node = b.node
       WHERE a.first_tick <= b.last_tick AND b.first_tick <= a.last_tick
         AND a.first_sequence < b.first_sequence + b.width AND b.first_sequence < a.first_sequence + a.width LIMIT 3 $$,
    'no two jobs share a slot');
SELECT ok(bool_and(first_sequence >= 0 AND first_sequence + width <= 4096), 'all lie in the layout''s sequence') FROM given;
SELECT ok(bool_and(first_tick = date_trunc('milliseconds', wanted_from) AND tick = '1 ms'), 'from the tick of the first time on') FROM given;
SELECT ok(bool_and(last_tick >= wanted_until + row_count / width * tick), 'as far as the last row can spill') FROM given;
SELECT cmp_ok(max(first_sequence) FILTER (WHERE node = 0), '>', 0, 'jobs of the same time lie side by side') FROM given;
SELECT cmp_ok(max(first_sequence), '<', 2700, 'and use room that is free') FROM given;
SELECT is((SELECT count(*) FROM idgen_internal.backfill WHERE node < 2), 300::bigint, 'what was handed out is recorded');

SELECT throws_ok($$ SELECT snowflake_backfill_slots('2024-01-02', '2024-01-01', 1) $$, '22023');
SELECT throws_ok($$ SELECT snowflake_backfill_slots('2009-01-02', '2024-01-01', 1) $$, '22008');
SELECT throws_ok($$ SELECT snowflake_backfill_slots('2024-01-01', '2024-01-02', 1, 4097) $$, '22023');
SELECT throws_ok($$ SELECT snowflake_backfill_slots('2023-12-31', '2024-01-02', 1, 4096) $$, '55000', NULL, 'no room is an error, not a repeat');
SELECT throws_ok($$ SELECT snowflake_backfill_slots('2024-01-01', '2024-01-02', 1, 1, (SELECT node FROM snowflake_instance)) $$, '55006',
    NULL, 'the instance''s own node is refused');

SELECT * FROM finish();
ROLLBACK;
