-- snowflake_encode() and snowflake_node_of(): the inverse of decoding. What
-- doesn't fit is refused, never masked.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

SELECT snowflake_encode('2025-01-01 UTC', 0, 0);
SELECT snowflake_encode('2025-01-01 UTC', 0, 1), snowflake_encode('2025-01-01 UTC', 1, 0),
       snowflake_encode('2025-01-01 00:00:00.001 UTC', 0, 0);
SELECT snowflake_encode('2094-09-07 15:47:35.551 UTC', 1023, 4095);
SELECT snowflake_encode('2022-06-28 16:07:40.105 UTC', 378, 0, 'twitter');
SELECT snowflake_encode('2022-01-31 23:12:24.749 UTC', 37, 60, 'discord');
-- Rounded down to a tick.
SELECT snowflake_encode('2025-01-01 00:00:00.001999 UTC', 0, 0) = snowflake_encode('2025-01-01 00:00:00.001 UTC', 0, 0) AS down;

-- Region and shard.
SELECT snowflake_node_of(0, 0), snowflake_node_of(0, 127), snowflake_node_of(1, 0), snowflake_node_of(7, 127);
SELECT snowflake_node_of(11, 26, 'twitter'), snowflake_node_of(1, 5, 'discord'), snowflake_node_of(0, 8191, 'instagram');
SELECT * FROM snowflake_decode(snowflake_encode('2026-01-01 UTC', snowflake_node_of(5, 10), 3));

-- Over-wide.
SELECT snowflake_encode('2026-01-01 UTC', 1024, 0);
SELECT snowflake_encode('2026-01-01 UTC', -1, 0);
SELECT snowflake_encode('2026-01-01 UTC', 0, 4096);
SELECT snowflake_encode('2026-01-01 UTC', 0, -1);
SELECT snowflake_encode('2026-01-01 UTC', 2147483647, 0);
SELECT snowflake_encode('2026-01-01 UTC', 0, -2147483648);
SELECT snowflake_encode('2026-01-01 UTC', 0, 1024, 'instagram');
SELECT snowflake_encode('2026-01-01 UTC', 2147483648, 0);
SELECT snowflake_node_of(8, 0);
SELECT snowflake_node_of(-1, 0);
SELECT snowflake_node_of(0, 128);
SELECT snowflake_node_of(0, -1);
SELECT snowflake_node_of(1, 0, 'instagram');

-- Outside of the layout's time.
SELECT snowflake_encode('2024-12-31 23:59:59.999999 UTC', 0, 0);
SELECT snowflake_encode('2094-09-07 15:47:35.552 UTC', 0, 0);
SELECT snowflake_encode('2010-11-04 UTC', 0, 0, 'twitter');
SELECT snowflake_encode('infinity', 0, 0);
SELECT snowflake_encode('-infinity', 0, 0);
SELECT snowflake_encode('4713-01-01 BC', 0, 0);
SELECT snowflake_encode('294276-12-31 UTC', 0, 0);

-- Unknown layouts, NULL.
SELECT snowflake_encode('2026-01-01 UTC', 0, 0, 'nobody');
SELECT snowflake_node_of(0, 0, 'nobody');
SELECT snowflake_encode(NULL, 0, 0), snowflake_encode('2026-01-01 UTC', NULL, 0), snowflake_encode('2026-01-01 UTC', 0, NULL),
       snowflake_encode('2026-01-01 UTC', 0, 0, NULL), snowflake_node_of(NULL, 0), snowflake_node_of(0, 0, NULL);
