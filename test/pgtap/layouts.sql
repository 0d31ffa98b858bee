-- Encoding undoes decoding: 20,000 random IDs of each layout, whatever the
-- order and width of its fields; and published pairs.
BEGIN;
SELECT plan(46);
SET LOCAL timezone = 'UTC';
SELECT setseed(0.2025);

-- Random IDs that a layout can hold: 64 bits cut to its width.
CREATE TEMP TABLE widths AS
    SELECT name::text, sum(width) FILTER (WHERE field NOT IN ('tick', 'sign'))::integer AS bits
    FROM snowflake_layouts,
         LATERAL (SELECT split_part(item, ':', 1), regexp_replace(split_part(item, ':', 2), '\D+$', '')::integer
                  FROM regexp_split_to_table(definition, ' ') AS item) AS f (field, width)
    GROUP BY name;
CREATE TEMP TABLE random_ids AS
    SELECT floor(random() * 4294967296)::bigint << 32 | floor(random() * 4294967296)::bigint AS id
    FROM generate_series(1, 20000);
CREATE FUNCTION pg_temp.ids_of(bits integer) RETURNS SETOF bigint LANGUAGE sql AS
    $$ SELECT CASE WHEN bits = 64 THEN id ELSE id & ~((-1)::bigint << bits) END FROM random_ids $$;

SELECT is(
    (SELECT count(*) FROM pg_temp.ids_of(bits) AS id
     WHERE snowflake_encode(snowflake_timestamp(id, name), coalesce(snowflake_node(id, name), 0),
                            coalesce(snowflake_sequence(id, name), 0), name)::bigint = id),
    20000::bigint, 'encode(decode(id)) = id in layout ' || name)
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

-- Published pairs; of sonyflake, baidu and leaf computed ones. Without a sequence
-- where it isn't known.
SELECT is(to_char(ts, 'YYYY-MM-DD HH24:MI:SS.MS') || CASE WHEN says ~ ' .* ' THEN ' ' || concat_ws(' ', node, sequence) ELSE '' END, says, layout_name || ' ' || id)
FROM (VALUES
    ('twitter', 1541815603606036480, '2022-06-28 16:07:40.105 378 0'),
    ('discord', 105484726235607040, '2015-10-19 01:58:38.546'),
    ('discord', 937847820382261308, '2022-01-31 23:12:24.749 37 60'),
    ('discord', 175928847299117063, '2016-04-30 11:18:25.796 32 7'),
    ('sonyflake_v1', 600114305433927938, '2026-01-01 00:00:00.000 258 5'),
    ('sonyflake_v2', 52908628377927938, '2026-01-01 00:00:00.000 258 5'),
    ('baidu', 9185265162859347977, '2024-11-07 17:20:00.000 4 9'),
    ('baidu_readme', 180363646902239241, '2017-01-19 04:15:46.000 4 9'),
    ('leaf', 2006515713438658569, '2026-01-01 00:00:00.000 3 9'),
    ('seata_legacy', 308351234998353920, '2022-08-31 13:17:43.312'),
    ('seata', 180462466153357319, '2022-10-19 14:22:44.682 20 7'),
    ('tsid', 38352658567418867, '2020-04-15 19:59:46.360'),
    ('pgedge_v1', 136169504773242881, '2024-01-11 18:08:59.845 1 0'),
    ('pgedge', 170505378935607296, '2024-04-15 12:07:30.175 1 0'),
    ('tidb_tso', 443852055297916932, '2023-08-27 18:33:41.687 4'),
    ('katsubushi', 283890203179880448, '2017-02-22 09:18:18.863')
    ) AS pairs (layout_name, id, says), snowflake_decode(id, layout_name) AS d
ORDER BY layout_name, id;
-- Known less exactly.
SELECT is(snowflake_timestamp(1949525278281554174, 'instagram')::date, date '2019-01-04', 'instagram, to the day');
SELECT ok(abs(extract(epoch FROM snowflake_timestamp(103270115826048975, 'mastodon') - timestamptz '2019-12-08 03:48:33.849 UTC')) <= 0.052, 'mastodon, to 52 ms');
SELECT is(to_char(ts, 'YYYY-MM-DD HH24:MI:SS.MS') || ' ' || node, '2016-06-09 01:48:34.411 1', 'cockroach, of ticks of 10 us')
FROM snowflake_decode(148656994422095873, 'cockroach') AS d;

-- The notes say which are known less well than by a published ID.
SELECT is(
    (SELECT string_agg(name, ', ' ORDER BY name) FROM snowflake_layouts WHERE note ~ '(computed ID|no ID is known|known to the day|fits to 52 ms|can be wrong)'),
    'baidu, cockroach, hazelcast, instagram, leaf, mastodon, sonyflake_v1, sonyflake_v2', 'notes on what is known');
SELECT is((SELECT count(*) FROM snowflake_layouts WHERE coalesce(note, '') = ''), 0::bigint, 'every layout has a note');

-- What a layout can't hold is refused, field by field: never cut to fit.
CREATE FUNCTION pg_temp.refused(sql text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE sql; RETURN NULL; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
SELECT is_empty(
    $$ SELECT name, what FROM snowflake_layouts,
           LATERAL (SELECT sum(width) FILTER (WHERE field IN ('region', 'shard'))::integer AS node, coalesce(sum(width) FILTER (WHERE field = 'region'), 0)::integer AS region,
                        coalesce(sum(width) FILTER (WHERE field = 'shard'), 0)::integer AS shard, coalesce(sum(width) FILTER (WHERE field = 'sequence'), 0)::integer AS sequence
                    FROM (SELECT split_part(item, ':', 1), regexp_replace(split_part(item, ':', 2), '\D+$', '')::integer
                          FROM regexp_split_to_table(definition, ' ') AS item) AS f (field, width)) AS w,
           LATERAL (VALUES
               ('node', format('SELECT snowflake_encode(snowflake_timestamp(1::bigint, %L), 1 << %s, 0, %1$L)', name, coalesce(node, 0))),
               ('negative node', format('SELECT snowflake_encode(snowflake_timestamp(1::bigint, %L), -1, 0, %1$L)', name)),
               ('sequence', format('SELECT snowflake_encode(snowflake_timestamp(1::bigint, %L), 0, 1 << %s, %1$L)', name, sequence)),
               ('negative sequence', format('SELECT snowflake_encode(snowflake_timestamp(1::bigint, %L), 0, -1, %1$L)', name)),
               ('region', format('SELECT snowflake_node_of(1 << %s, 0, %L)', region, name)),
               ('shard', format('SELECT snowflake_node_of(0, 1 << %s, %L)', shard, name))) AS t (what, sql)
       WHERE pg_temp.refused(sql) IS DISTINCT FROM '22003' $$,
    'a field that is too wide is refused in every layout');
SELECT is_empty(
    $$ SELECT name FROM snowflake_layouts
       WHERE pg_temp.refused(format('SELECT snowflake_encode(snowflake_timestamp(0::bigint, %L) - interval ''1 us'', 0, 0, %1$L)', name)) IS DISTINCT FROM '22008' $$,
    'a time before the epoch is refused in every layout');

SELECT * FROM finish();
ROLLBACK;
