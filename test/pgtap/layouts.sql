-- Encoding undoes decoding: 100,000 random IDs of each layout, whatever the
-- order and width of its fields; and published pairs.
BEGIN;
SELECT plan(29);
SET LOCAL timezone = 'UTC';
SELECT setseed(0.2025);

-- What the field uses (docs: other people's IDs), for this transaction.
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES
    ('mastodon', 'time:48 sequence:16', '0'),
    ('sonyflake_v1', 'sign:1 time:39 sequence:8 shard:16 tick:10ms', '1409529600000'),
    ('baidu', 'sign:1 time:28 shard:22 sequence:13 tick:1s', '1463673600000'),
    ('leaf', 'sign:1 time:41 shard:10 sequence:12', '1288834974657'),
    ('seata', 'sign:1 shard:10 time:41 sequence:12', '1588435200000'),
    ('tsid', 'time:42 shard:10 sequence:12', '1577836800000'),
    ('pgedge_v1', 'sign:1 time:41 sequence:12 shard:10', '1672531200000'),
    ('cockroach', 'sign:1 time:48 shard:15 tick:10us', '1420070400000'),
    ('tidb_tso', 'time:46 sequence:18', '0'),
    ('js53', 'time:41 region:0 shard:4 sequence:8', '2025-01-01T00:00:00Z');

-- Random IDs that a layout can hold: 64 bits cut to its width.
CREATE TEMP TABLE widths AS
    SELECT name::text, sum(width) FILTER (WHERE field NOT IN ('tick', 'sign'))::integer AS bits
    FROM snowflake_layouts,
         LATERAL (SELECT split_part(item, ':', 1), regexp_replace(split_part(item, ':', 2), '\D+$', '')::integer
                  FROM regexp_split_to_table(definition, ' ') AS item) AS f (field, width)
    GROUP BY name;
CREATE TEMP TABLE random_ids AS
    SELECT floor(random() * 4294967296)::bigint << 32 | floor(random() * 4294967296)::bigint AS id
    FROM generate_series(1, 100000);
CREATE FUNCTION pg_temp.ids_of(bits integer) RETURNS SETOF bigint LANGUAGE sql AS
    $$ SELECT CASE WHEN bits = 64 THEN id ELSE id & ~((-1)::bigint << bits) END FROM random_ids $$;

SELECT is(
    (SELECT count(*) FROM pg_temp.ids_of(bits) AS id
     WHERE snowflake_encode(snowflake_timestamp(id, name), coalesce(snowflake_node(id, name), 0),
                            coalesce(snowflake_sequence(id, name), 0), name)::bigint = id),
    100000::bigint, 'encode(decode(id)) = id in layout ' || name)
FROM widths ORDER BY name;

-- The three overloads and the accessors say the same.
SELECT is_empty(
    $$ SELECT id FROM pg_temp.ids_of(63) AS id, snowflake_decode(id) AS d
       WHERE d IS DISTINCT FROM snowflake_decode(id::snowflakeid) OR d IS DISTINCT FROM snowflake_decode(id::text)
          OR d IS DISTINCT FROM snowflake_decode(id, 'idgen')
       LIMIT 3 $$,
    'snowflake_decode says the same of a bigint, a snowflakeid and a text');
SELECT is_empty(
    $$ SELECT id FROM pg_temp.ids_of(63) AS id, snowflake_decode(id) AS d
       WHERE d.ts IS DISTINCT FROM snowflake_timestamp(id) OR d.node IS DISTINCT FROM snowflake_node(id)
          OR d.region IS DISTINCT FROM snowflake_region(id) OR d.shard IS DISTINCT FROM snowflake_shard(id)
          OR d.sequence IS DISTINCT FROM snowflake_sequence(id) OR d.layout <> 'idgen'
          OR d.node <> snowflake_node_of(d.region, d.shard)
       LIMIT 3 $$,
    'snowflake_decode says what the accessors say');

-- Within a layout whose time is on top, later means greater.
SELECT is_empty(
    $$ SELECT id FROM (SELECT id, snowflake_timestamp(id) AS ts, lag(snowflake_timestamp(id)) OVER (ORDER BY id) AS before
                       FROM pg_temp.ids_of(63) AS id) AS t
       WHERE ts < before LIMIT 3 $$,
    'IDs sort by time');

-- Published pairs.
SELECT is(to_char(ts, 'YYYY-MM-DD HH24:MI:SS.MS') || ' ' || concat_ws(' ', node, sequence), says, layout_name || ' ' || id)
FROM (VALUES
    ('twitter', 1541815603606036480, '2022-06-28 16:07:40.105 378 0'),
    ('discord', 105484726235607040, '2015-10-19 01:58:38.546 11 0'),
    ('discord', 937847820382261308, '2022-01-31 23:12:24.749 37 60'),
    ('discord', 175928847299117063, '2016-04-30 11:18:25.796 32 7'),
    ('sonyflake_v1', 600114305433927938, '2026-01-01 00:00:00.000 258 5'),
    ('leaf', 2006515713438658569, '2026-01-01 00:00:00.000 3 9'),
    ('seata', 180462466153357319, '2022-10-19 14:22:44.682 20 7'),
    ('tsid', 38352658567418867, '2020-04-15 19:59:46.360 421 1011'),
    ('pgedge_v1', 136169504773242881, '2024-01-11 18:08:59.845 1 0'),
    ('tidb_tso', 443852055297916932, '2023-08-27 18:33:41.687 4'),
    ('baidu', 9185265162859347977, '2024-11-07 17:20:00.000 4 9')
    ) AS pairs (layout_name, id, says), snowflake_decode(id, layout_name) AS d
ORDER BY layout_name, id;
SELECT is(snowflake_timestamp(1949525278281554174, 'instagram')::date, date '2019-01-04', 'instagram, to the day');

SELECT * FROM finish();
ROLLBACK;
