-- snowflakeid beside bigint: what works without a cast, and what wants one. No
-- cast is implicit, so where PostgreSQL makes one type of two, one must be cast;
-- an untyped literal becomes whatever is wanted.
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE TABLE ids (id snowflakeid PRIMARY KEY, other snowflakeid);
CREATE TABLE plain (id bigint PRIMARY KEY);
INSERT INTO ids VALUES (5, NULL), (6, 7);
INSERT INTO plain VALUES (5), (7);

-- Sets.
SELECT id FROM plain UNION SELECT id FROM ids;
SELECT id FROM ids INTERSECT SELECT id FROM plain;
SELECT id FROM ids EXCEPT SELECT id FROM plain;
SELECT id FROM ids UNION SELECT 5;
VALUES ('1'::snowflakeid), (2::bigint);
SELECT id FROM plain UNION SELECT id::bigint FROM ids ORDER BY id;
SELECT id FROM ids INTERSECT SELECT id::snowflakeid FROM plain;
SELECT id FROM ids UNION SELECT '9' UNION SELECT NULL ORDER BY id;

-- CASE, COALESCE, GREATEST, LEAST make one type of two.
SELECT CASE WHEN true THEN '1'::snowflakeid ELSE 2::bigint END;
SELECT CASE WHEN true THEN '1'::snowflakeid ELSE 2 END;
SELECT coalesce(other, 0::bigint) FROM ids;
SELECT coalesce(0::bigint, other) FROM ids;
SELECT coalesce(other, 0) FROM ids;
SELECT greatest(id, 5::bigint) FROM ids;
SELECT least(id, 5) FROM ids;
SELECT CASE WHEN id = 5 THEN id ELSE '2' END AS "case", coalesce(other, '0') AS coalesce,
       coalesce(other::bigint, 0) AS plain, greatest(id, '6') AS greatest, least(id, 5::snowflakeid) AS least
FROM ids ORDER BY id;

-- What only compares doesn't: CASE with a value, NULLIF, BETWEEN, rows.
SELECT id, CASE id WHEN 5 THEN 'five' WHEN '6' THEN 'six' WHEN 7::bigint THEN 'seven' END AS "case",
       nullif(id, 5) AS own, pg_typeof(nullif(id, 5)) AS own_type,
       nullif(5::bigint, id) AS plain, pg_typeof(nullif(5::bigint, id)) AS plain_type,
       id BETWEEN 6 AND '7' AS between_6_and_7, id IS DISTINCT FROM 5::bigint AS is_distinct,
       (id, 1) > (5, 1) AS greater_row
FROM ids ORDER BY id;

-- IN and = ANY.
SELECT id FROM ids WHERE id IN (5, '6', 7::bigint) ORDER BY id;
SELECT id FROM plain WHERE id IN ('5'::snowflakeid, '7', 8) ORDER BY id;
SELECT id, id IN (SELECT id FROM plain) AS there, id NOT IN (SELECT id FROM plain) AS missing FROM ids ORDER BY id;
SELECT id FROM plain WHERE id IN (SELECT id FROM ids);
SELECT id FROM ids WHERE (id, id) IN (SELECT id, id FROM plain);
SELECT id FROM ids WHERE id = ANY (ARRAY[5, 7]);
SELECT id FROM ids WHERE id = ANY ('{5,7}');
SELECT id FROM ids WHERE id <> ALL (ARRAY[5, 7]::bigint[]);
SELECT id FROM plain WHERE id = ANY (ARRAY(SELECT id FROM ids));
SELECT id FROM ids WHERE id IN (5, 6.0);
SELECT id FROM ids WHERE id = 5.0;
SELECT id FROM ids WHERE id = ANY (ARRAY['5', '7']);

-- Arrays: of one type. They are cast as their elements are.
SELECT ARRAY['1'::snowflakeid, 2::bigint];
SELECT ARRAY['1'::snowflakeid, 2];
SELECT '{1,2}'::snowflakeid[] = '{1,2}'::bigint[];
SELECT '{1,2}'::snowflakeid[] @> '{1}'::bigint[];
SELECT '{1,2}'::snowflakeid[] || 3::bigint;
SELECT array_append('{1}'::snowflakeid[], 2);
SELECT ARRAY['1'::snowflakeid, '2'] AS literals, '{1,2}'::snowflakeid[] || '3'::snowflakeid AS appended,
       '{1,2}'::snowflakeid[] && '{1}' AS overlaps, array_position('{8,9}'::snowflakeid[], '9') AS position;
SELECT '{1,2}'::bigint[]::snowflakeid[] AS of_bigints, '{1,2}'::integer[]::snowflakeid[] AS of_integers,
       '{1,2}'::snowflakeid[]::bigint[] = '{1,2}'::bigint[] AS to_bigints;
CREATE TABLE lists (own snowflakeid[], plain bigint[]);
INSERT INTO lists VALUES (ARRAY[1, 2], '{3}'::snowflakeid[]), ('{4}'::bigint[], ARRAY['5'::snowflakeid]);
SELECT * FROM lists ORDER BY own;

-- Assignment casts: INSERT, UPDATE, ON CONFLICT, MERGE, PL/pgSQL. Arguments of functions don't.
INSERT INTO plain SELECT id FROM ids ON CONFLICT DO NOTHING;
UPDATE ids SET other = plain.id FROM plain WHERE plain.id = ids.id;
INSERT INTO ids SELECT id, id FROM plain ON CONFLICT (id) DO UPDATE SET other = 9::bigint;
MERGE INTO ids USING (VALUES (7::bigint), (8)) AS v (id) ON ids.id = v.id
    WHEN MATCHED THEN UPDATE SET other = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.id);
SELECT * FROM ids ORDER BY id;
SELECT * FROM plain ORDER BY id;
DO $$
DECLARE
    own snowflakeid := 5::bigint;
    plain bigint;
BEGIN
    SELECT id INTO plain FROM ids WHERE id = own;
    RAISE NOTICE '% %', own, plain;
END
$$;
CREATE FUNCTION takes_bigint(id bigint) RETURNS bigint LANGUAGE sql AS 'SELECT id';
SELECT takes_bigint(id) FROM ids;
SELECT takes_bigint(id::bigint) FROM ids WHERE id = 5;
SELECT id, lag(id, 1, 0) OVER (ORDER BY id) FROM ids;
SELECT id, lag(id, 1, '0') OVER (ORDER BY id) FROM ids ORDER BY id LIMIT 2;

-- It is no quantity, and it is cast to bigint alone.
SELECT sum(id) FROM ids;
SELECT id % 2 FROM ids;
SELECT id::integer FROM ids;
SELECT id::numeric FROM ids;
SELECT id::bigint % 2 AS rest, id::bigint::numeric AS number, id::text || '!' AS text FROM ids WHERE id = 5;
SELECT count(*) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM ids;

-- JSON gives it back through text, or a number through bigint.
SELECT ('{"id": 5}'::jsonb -> 'id')::snowflakeid;
SELECT ('{"id": 5}'::jsonb ->> 'id')::snowflakeid, ('{"id": 5}'::jsonb -> 'id')::bigint::snowflakeid;

-- COPY as CSV and text between both types; binary from bigint (type.sql has the
-- rest). So of arrays.
SELECT current_setting('data_directory') || '/idgen_mixed' AS file \gset
CREATE TABLE own_copy (id snowflakeid);
CREATE TABLE plain_copy (id bigint);
COPY (SELECT id FROM ids WHERE id < 7) TO :'file' (FORMAT csv, HEADER);
COPY own_copy FROM :'file' (FORMAT csv, HEADER);
COPY plain_copy FROM :'file' (FORMAT csv, HEADER);
COPY (SELECT 1541815603606036480) TO :'file';
COPY own_copy FROM :'file';
COPY (SELECT 9223372036854775807::snowflakeid) TO :'file';
COPY plain_copy FROM :'file';
COPY (SELECT '-9223372036854775808'::bigint) TO :'file' (FORMAT binary);
COPY own_copy FROM :'file' (FORMAT binary);
SELECT * FROM own_copy ORDER BY id;
SELECT * FROM plain_copy ORDER BY id;
COPY (SELECT own, own FROM lists) TO :'file' (FORMAT binary);
TRUNCATE lists;
COPY lists FROM :'file' (FORMAT binary);
COPY (SELECT plain, plain FROM lists) TO :'file' (FORMAT binary);
COPY lists FROM :'file' (FORMAT binary);
SELECT own, plain, own::bigint[] = plain AS equal FROM lists ORDER BY own;

DROP FUNCTION takes_bigint;
DROP TABLE ids, plain, lists, own_copy, plain_copy;
