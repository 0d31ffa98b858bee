-- base32 and base62: there and back, and in the order of the numbers.
BEGIN;
SELECT plan(9);
SELECT setseed(0.62);

-- Of all magnitudes.
CREATE TEMP TABLE ids AS
    SELECT id, snowflake_to_base32(id) AS b32, snowflake_to_base62(id) AS b62
    FROM (SELECT ((floor(random() * 2147483648)::bigint << 32 | floor(random() * 4294967296)::bigint) >> (g % 60))::snowflakeid
          FROM generate_series(1, 99996) AS g
          UNION ALL VALUES ('0'::snowflakeid), ('1'), ('9223372036854775807'), ('9223372036854775806')) AS r (id);
SELECT is(count(*), 100000::bigint, 'IDs') FROM ids;

SELECT is_empty($$ SELECT id FROM ids WHERE snowflake_from_base32(b32) <> id LIMIT 3 $$, 'base32 comes back');
SELECT is_empty($$ SELECT id FROM ids WHERE snowflake_from_base32(lower(b32)) <> id LIMIT 3 $$, 'so it does in small letters');
SELECT is_empty($$ SELECT id FROM ids WHERE snowflake_from_base62(b62) <> id LIMIT 3 $$, 'base62 comes back');
SELECT is_empty($$ SELECT b32 FROM ids WHERE b32 !~ '^[0-7][0-9A-HJKMNP-TV-Z]{12}$' LIMIT 3 $$, 'base32 is 13 characters of Crockford''s');
SELECT is_empty($$ SELECT b62 FROM ids WHERE b62 !~ '^[0-9A-Za-z]{11}$' LIMIT 3 $$, 'base62 is 11 letters and digits');
SELECT is_empty(
    $$ SELECT id FROM (SELECT id, b32, lag(id) OVER w AS id_before, lag(b32) OVER w AS before FROM ids WINDOW w AS (ORDER BY id)) AS t
       WHERE (id > id_before) <> (b32 > before COLLATE "C") LIMIT 3 $$,
    'base32 sorts as the number');
SELECT is_empty(
    $$ SELECT id FROM (SELECT id, b62, lag(id) OVER w AS id_before, lag(b62) OVER w AS before FROM ids WINDOW w AS (ORDER BY id)) AS t
       WHERE (id > id_before) <> (b62 > before COLLATE "C") LIMIT 3 $$,
    'base62 sorts as the number in the C collation');
-- A form of digits alone reads as decimal; all others are told apart.
SELECT is_empty(
    $$ SELECT id FROM ids
       WHERE (b32 ~ '\D' AND snowflake_decode(b32) IS DISTINCT FROM snowflake_decode(id))
          OR (b62 ~ '\D' AND snowflake_decode(b62) IS DISTINCT FROM snowflake_decode(id)) LIMIT 3 $$,
    'snowflake_decode tells the forms apart');

SELECT * FROM finish();
ROLLBACK;
