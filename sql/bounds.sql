-- snowflake_min(): the smallest ID not before a time, so that half-open ranges
-- of time are half-open ranges of IDs.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

SELECT snowflake_min('2025-01-01 UTC'), snowflake_min('2025-01-01 00:00:00.001 UTC');
SELECT snowflake_timestamp(snowflake_min('2026-01-01 UTC')), snowflake_node(snowflake_min('2026-01-01 UTC')),
       snowflake_sequence(snowflake_min('2026-01-01 UTC'));
SELECT snowflake_min('2022-06-28 16:07:40.105 UTC', 'twitter');
-- Between two ticks: the later one, as that is the first whose time isn't before.
SELECT snowflake_min('2025-01-01 00:00:00.000001 UTC') = snowflake_min('2025-01-01 00:00:00.001 UTC') AS up;

-- The last ID before a bound and the first at it lie on its two sides.
SELECT snowflake_encode('2025-12-31 23:59:59.999 UTC', 1023, 4095) < snowflake_min('2026-01-01 UTC') AS before,
       snowflake_encode('2026-01-01 UTC', 0, 0) >= snowflake_min('2026-01-01 UTC') AS at;
SELECT snowflake_min('2026-01-01 UTC') = snowflake_encode('2026-01-01 UTC', 0, 0) AS the_first;

-- Days tile: each ID belongs to exactly one, and it is the day of its time.
WITH days AS (
    SELECT d, snowflake_min(d) AS first, snowflake_min(d + interval '1 day') AS beyond
    FROM generate_series(timestamptz '2026-01-01 UTC', '2026-01-31 UTC', '1 day') AS d
), ids AS (
    SELECT snowflake_encode('2026-01-01 UTC'::timestamptz + g * interval '4001001.7 ms', g % 1024, g * 7 % 4096) AS id
    FROM generate_series(0, 660) AS g
)
SELECT count(*) AS ids, count(*) FILTER (WHERE n = 1 AND right_day) AS in_one_day
FROM (SELECT id, count(d) AS n, bool_and(date_trunc('day', snowflake_timestamp(id)) = d) AS right_day
      FROM ids LEFT JOIN days ON id >= first AND id < beyond GROUP BY id) AS t;

-- The edges of the layout.
SELECT snowflake_min('2094-09-07 15:47:35.551 UTC');
SELECT snowflake_min('2094-09-07 15:47:35.551001 UTC');
SELECT snowflake_min('2094-09-07 15:47:35.552 UTC');
SELECT snowflake_min('2024-12-31 23:59:59.999999 UTC');
SELECT snowflake_min('infinity');
SELECT snowflake_min('-infinity');
SELECT snowflake_min('2026-01-01 UTC', 'nobody');
SELECT snowflake_min(NULL), snowflake_min('2026-01-01 UTC', NULL);
-- Discord's IDs have 64 bits: from 2084 on they are negative numbers and sort
-- below the others, so there is no bound any more.
SELECT snowflake_min('2084-09-06 15:47:35.551 UTC', 'discord') > 0 AS positive;
\set VERBOSITY sqlstate
SELECT snowflake_min('2084-09-06 15:47:35.552 UTC', 'discord');
\set VERBOSITY default
SELECT snowflake_encode('2100-01-01 UTC', 1, 2, 'discord') < 0 AS negative,
       snowflake_timestamp(snowflake_encode('2100-01-01 UTC', 1, 2, 'discord'), 'discord');

-- A layout whose time isn't on top has no bounds.
SELECT snowflake_min('2026-01-01 UTC', 'seata');

-- A stable expression of now() still makes an index condition.
CREATE TABLE ids (id snowflakeid PRIMARY KEY);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= snowflake_min(now() - interval '1 hour');
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= snowflake_min('2026-01-01 UTC') AND id < snowflake_min('2026-01-02 UTC');
-- Of a bigint column, too: an explicit cast keeps pg_catalog's operator.
CREATE TABLE plain (id bigint PRIMARY KEY);
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE id >= snowflake_min('2026-01-01 UTC')::bigint;
DROP TABLE ids, plain;
