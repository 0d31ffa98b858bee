-- snowflake_decode() and the accessors of one field.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Published pairs of other people's layouts.
SELECT * FROM snowflake_decode(1541815603606036480, 'twitter');
SELECT * FROM snowflake_decode(105484726235607040, 'discord');
SELECT * FROM snowflake_decode(937847820382261308, 'discord');
SELECT * FROM snowflake_decode(175928847299117063, 'discord');
-- Known to the day; there is no region.
SELECT ts::date, node, region, shard, sequence, layout FROM snowflake_decode(1949525278281554174, 'instagram');

-- The database's own layout: the first ID, the last, one in between.
SELECT * FROM snowflake_decode(0);
SELECT * FROM snowflake_decode(9223372036854775807);
SELECT * FROM snowflake_decode(250510213499645953);
SELECT * FROM snowflake_decode(250510213499645953, 'idgen');

-- Three overloads; an untyped literal is text.
SELECT a = b AND b = c AND c = d AS same
FROM snowflake_decode(250510213499645953) AS a, snowflake_decode('250510213499645953'::snowflakeid) AS b,
     snowflake_decode('250510213499645953'::text) AS c, snowflake_decode('250510213499645953') AS d;
SELECT a = b AND b = c AS same
FROM snowflake_decode(937847820382261308, 'discord') AS a,
     snowflake_decode('937847820382261308'::snowflakeid, 'discord') AS b,
     snowflake_decode('937847820382261308', 'discord') AS c;

-- Text in any of its forms, told apart by length; digits alone are decimal.
SELECT form, d.*
FROM (SELECT snowflake_to_base32('1541815603606036480') UNION ALL
      SELECT lower(snowflake_to_base32('1541815603606036480')) UNION ALL
      SELECT snowflake_to_base62('1541815603606036480') UNION ALL
      SELECT '1541815603606036480' UNION ALL
      SELECT '+1541815603606036480') AS t (form), snowflake_decode(form, 'twitter') AS d;
SELECT form, ts FROM (VALUES ('00000000000'), ('0000000000000'), ('10000000000')) AS t (form), snowflake_decode(form);
SELECT * FROM snowflake_decode('');
SELECT * FROM snowflake_decode('12x');
SELECT * FROM snowflake_decode(' 12');
SELECT * FROM snowflake_decode('0IRPTrU9wpP!');
SELECT * FROM snowflake_decode('07EHC6KM04B0U');
SELECT * FROM snowflake_decode('ZZZZZZZZZZZZZ');
SELECT * FROM snowflake_decode('zzzzzzzzzzz');
SELECT * FROM snowflake_decode('99999999999999999999');

-- One field at a time.
SELECT snowflake_timestamp(id), snowflake_node(id), snowflake_region(id), snowflake_shard(id), snowflake_sequence(id)
FROM (VALUES (snowflake_encode('2026-01-02 03:04:05.678 UTC', 650, 77))) AS v (id);
SELECT snowflake_timestamp(id), snowflake_node(id), snowflake_region(id), snowflake_shard(id), snowflake_sequence(id)
FROM (VALUES (snowflake_encode('2026-01-02 03:04:05.678 UTC', 650, 77)::bigint)) AS v (id);
SELECT snowflake_timestamp(id, 'discord'), snowflake_node(id, 'discord'), snowflake_region(id, 'discord'),
       snowflake_shard(id, 'discord'), snowflake_sequence(id, 'discord')
FROM (VALUES (937847820382261308)) AS v (id);
SELECT snowflake_timestamp(id, 'discord'), snowflake_node(id, 'discord'), snowflake_region(id, 'discord'),
       snowflake_shard(id, 'discord'), snowflake_sequence(id, 'discord')
FROM (VALUES ('937847820382261308'::snowflakeid)) AS v (id);
-- NULL where the layout lacks the field.
SELECT snowflake_region(1949525278281554174, 'instagram') IS NULL AS no_region,
       snowflake_node(1949525278281554174, 'instagram') = snowflake_shard(1949525278281554174, 'instagram') AS node_is_shard;

-- NULL in, NULL out.
SELECT snowflake_timestamp(NULL::bigint), snowflake_node(NULL::snowflakeid), snowflake_region(5::bigint, NULL),
       snowflake_shard(NULL::bigint), snowflake_sequence(NULL::bigint, 'twitter');
SELECT * FROM snowflake_decode(NULL::snowflakeid);
SELECT * FROM snowflake_decode(NULL::bigint, 'twitter');
SELECT * FROM snowflake_decode(NULL::text);
SELECT * FROM snowflake_decode(5, NULL);

-- An ID that isn't one of the layout's.
SELECT * FROM snowflake_decode(-1);
SELECT * FROM snowflake_decode('-1');
SELECT snowflake_timestamp(-1::bigint);
SELECT snowflake_node('-9223372036854775808'::snowflakeid, 'twitter');
SELECT * FROM snowflake_decode(-1, 'discord');
SELECT * FROM snowflake_decode(1, 'nobody');
SELECT * FROM snowflake_decode(1, '');
SELECT * FROM snowflake_decode(1, 'Twitter');
SELECT * FROM snowflake_decode(1, repeat('x', 64));
SELECT snowflake_node(1::bigint, 'nobody');
-- A driver that went through a double.
SELECT * FROM snowflake_decode(1541815603606036480.0);

-- Many at a time, laterally.
SELECT id, d.ts, d.sequence
FROM (VALUES (175928847299117063), (105484726235607040)) AS v (id), snowflake_decode(id, 'discord') AS d
ORDER BY id;
SELECT (snowflake_decode(id, layout)).*
FROM (VALUES (175928847299117063, 'discord'), (1541815603606036480, 'twitter'), (0, 'idgen')) AS v (id, layout)
ORDER BY 1;
-- Immutable: folded, and good for an index.
EXPLAIN (VERBOSE, COSTS OFF) SELECT snowflake_sequence(937847820382261308, 'discord');
CREATE TABLE posts (id bigint);
CREATE INDEX ON posts (snowflake_timestamp(id, 'twitter'));
DROP TABLE posts;
