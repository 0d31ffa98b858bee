-- Ranges of time are ranges of IDs, exactly: at 10,000 random times, which lie
-- between ticks as well as on them.
BEGIN;
SELECT plan(7);
SELECT setseed(0.41);

CREATE TEMP TABLE times AS
    SELECT timestamptz '2025-01-01 UTC' + floor(random() * 1.7e15) * interval '1 us' AS t
    FROM generate_series(1, 9000)
    UNION ALL
    SELECT date_trunc('milliseconds', timestamptz '2025-01-01 UTC' + floor(random() * 1.7e15) * interval '1 us')
    FROM generate_series(1, 1000);
SELECT is(count(*), 10000::bigint, 'times') FROM times;

SELECT is_empty(
    $$ SELECT t FROM times, snowflake_min(t) AS bound WHERE snowflake_timestamp(bound) < t LIMIT 3 $$,
    'a bound is not before its time');
SELECT is_empty(
    $$ SELECT t FROM times, snowflake_min(t) AS bound WHERE snowflake_timestamp(bound::bigint - 1) >= t LIMIT 3 $$,
    'the ID just below a bound is before its time');
SELECT is_empty(
    $$ SELECT t, id
       FROM times, LATERAL (SELECT snowflake_encode(t + off * interval '1 us', node, sequence)
                            FROM (VALUES (-2000, 1023, 4095), (-1000, 0, 0), (-1, 1023, 4095), (0, 0, 0), (0, 1023, 4095),
                                         (1, 7, 7), (999, 0, 0), (1000, 0, 0), (2000, 5, 5)) AS v (off, node, sequence)
                            WHERE t + off * interval '1 us' >= '2010-01-01 UTC') AS e (id)
       WHERE (id >= snowflake_min(t)) <> (snowflake_timestamp(id) >= t) LIMIT 3 $$,
    'id >= snowflake_min(t) means snowflake_timestamp(id) >= t, for every ID around t');
SELECT is_empty(
    $$ SELECT t FROM (SELECT t, snowflake_min(t) AS bound, lag(snowflake_min(t)) OVER (ORDER BY t) AS before FROM times) AS b
       WHERE bound < before LIMIT 3 $$,
    'later times have no lower bounds');
-- Adjacent ranges share no ID and miss none.
SELECT is(
    (SELECT sum((bound::bigint - before::bigint)::numeric)
     FROM (SELECT snowflake_min(t) AS bound, lag(snowflake_min(t)) OVER (ORDER BY t) AS before FROM times) AS b),
    (SELECT (snowflake_min(max(t))::bigint - snowflake_min(min(t))::bigint)::numeric FROM times),
    'the ranges between the times tile');
SELECT is_empty(
    $$ SELECT name, t
       FROM (SELECT t FROM times WHERE t < '2046-01-01 UTC' OFFSET 0) AS early, unnest(ARRAY['twitter', 'discord', 'instagram']) AS name
       WHERE NOT (
           snowflake_timestamp(snowflake_min(t, name), name) >= t
           AND snowflake_timestamp(snowflake_min(t, name)::bigint - 1, name) < t)
       LIMIT 3 $$,
    'so in other people''s layouts, while their IDs are positive');

SELECT * FROM finish();
ROLLBACK;
