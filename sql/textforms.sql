-- base32 (13 characters, Crockford's) and base62 (11): exact, and in order.
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT id, snowflake_to_base32(id), snowflake_to_base62(id)
FROM (VALUES ('0'::snowflakeid), ('1'), ('31'), ('32'), ('61'), ('62'), ('1541815603606036480'),
             ('9223372036854775807')) AS v (id);
SELECT id, snowflake_from_base32(snowflake_to_base32(id)) = id AS base32, snowflake_from_base62(snowflake_to_base62(id)) = id AS base62
FROM (VALUES ('0'::snowflakeid), ('1'), ('1541815603606036480'), ('9223372036854775807')) AS v (id);

-- Crockford's leniency: either case, I and L are 1, O is 0.
SELECT snowflake_from_base32('000000000000z'), snowflake_from_base32('000000000000Z');
SELECT snowflake_from_base32('OoIiLl1000000') = snowflake_from_base32('0011111000000') AS same;
SELECT snowflake_from_base32('000000000000U');
SELECT snowflake_from_base32('0000-00000000');
-- base62 tells the cases apart.
SELECT snowflake_from_base62('0000000000z'), snowflake_from_base62('0000000000Z');

SELECT snowflake_from_base32('');
SELECT snowflake_from_base32('0');
SELECT snowflake_from_base32('00000000000000');
SELECT snowflake_from_base32(' 000000000000');
SELECT snowflake_from_base32('8000000000000');
SELECT snowflake_from_base32('ZZZZZZZZZZZZZ');
SELECT snowflake_from_base62('');
SELECT snowflake_from_base62('0000000000_');
SELECT snowflake_from_base62('000000000000');
SELECT snowflake_from_base62('AzL8n0Y58m7'), snowflake_from_base62('AzL8n0Y58m7') = 9223372036854775807 AS greatest;
SELECT snowflake_from_base62('AzL8n0Y58m8');
SELECT snowflake_from_base62('zzzzzzzzzzz');
SELECT snowflake_to_base32('-1');
SELECT snowflake_to_base62('-9223372036854775808');
SELECT snowflake_to_base32(NULL), snowflake_from_base32(NULL), snowflake_to_base62(NULL), snowflake_from_base62(NULL);

-- They sort as the number does.
SELECT bool_and(b32 > b32_before) AS base32, bool_and(b62 > b62_before) AS base62
FROM (SELECT snowflake_to_base32(id) COLLATE "C" AS b32, lag(snowflake_to_base32(id)) OVER by_id COLLATE "C" AS b32_before,
             snowflake_to_base62(id) COLLATE "C" AS b62, lag(snowflake_to_base62(id)) OVER by_id COLLATE "C" AS b62_before
      FROM (SELECT (g::bigint * g * g * g * 9000)::snowflakeid FROM generate_series(1, 5000) AS g) AS t (id)
      WINDOW by_id AS (ORDER BY id)) AS t;
