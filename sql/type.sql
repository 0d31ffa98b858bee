-- The type snowflakeid: in and out, casts, comparison, JSON, COPY.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- Text in and out.
SELECT '0'::snowflakeid, '250510213499645953'::snowflakeid, ' +12 '::snowflakeid,
       '-1'::snowflakeid, '9223372036854775807'::snowflakeid, '-9223372036854775808'::snowflakeid;
SELECT ''::snowflakeid;
SELECT 'abc'::snowflakeid;
SELECT '12abc'::snowflakeid;
SELECT '1 2'::snowflakeid;
SELECT '1.0'::snowflakeid;
SELECT '9223372036854775808'::snowflakeid;
SELECT '2025-01-01 00:00:00Z'::snowflakeid;
SELECT '07EHC6KM04B0X'::snowflakeid;
SELECT '0IRPTrU9wpP'::snowflakeid;
SELECT typlen, typbyval, typcategory, typispreferred FROM pg_type WHERE typname = 'snowflakeid';

-- Binary: as bigint.
SELECT encode(idgen_internal.snowflakeid_send('258'), 'hex');

-- Casts: on assignment and explicit, never implicit.
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod
FROM pg_cast WHERE 'snowflakeid'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text, casttarget::regtype::text;
CREATE TABLE assigned (id snowflakeid, plain bigint);
INSERT INTO assigned VALUES (5, '6'::snowflakeid);
INSERT INTO assigned VALUES (7::bigint, 8), (9::numeric, 10), (11::smallint::integer, 12), (NULL, NULL);
SELECT * FROM assigned ORDER BY id;
INSERT INTO assigned VALUES (9223372036854775808);
INSERT INTO assigned VALUES (now());
SELECT now()::snowflakeid;
SELECT 5::snowflakeid + 1;
SELECT 1::bigint < now();
SELECT 5::snowflakeid::timestamptz;
SELECT snowflake_to_base32(5::bigint);
DROP TABLE assigned;

-- Comparison, with bigint and integer on either side.
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a >= b AS ge, a > b AS gt, a <> b AS ne
FROM (VALUES ('1'::snowflakeid, '2'::snowflakeid), ('2', '2'), ('3', '2'), ('-1', '1'), (NULL, '1')) AS v (a, b);
SELECT 5::snowflakeid = 5::bigint AS a, 5::bigint = 5::snowflakeid AS b, 5::snowflakeid = 5 AS c,
       5 = 5::snowflakeid AS d, 5::snowflakeid < 6::bigint AS e, 5::smallint < 6::snowflakeid AS f,
       5::snowflakeid = '5' AS g, 5::snowflakeid <> 5::bigint AS h, 7::bigint >= 6::snowflakeid AS i;
SELECT 5::snowflakeid = 'five';
SELECT 5::bigint = 5::bigint AS plain_bigint_is_untouched, 5 < 6::bigint AS mixed;

-- Sorting, grouping, sets.
SELECT id FROM (VALUES ('3'::snowflakeid), ('-1'), (NULL), ('9223372036854775807'), ('2')) AS v (id) ORDER BY id;
SELECT id FROM (VALUES ('3'::snowflakeid), ('-1'), (NULL), ('2')) AS v (id) ORDER BY id DESC NULLS LAST;
SELECT id, count(*) FROM (VALUES ('3'::snowflakeid), ('3'), ('2')) AS v (id) GROUP BY id ORDER BY id;
SELECT DISTINCT id FROM (VALUES ('3'::snowflakeid), ('3'), ('2')) AS v (id) ORDER BY id;
SELECT '1'::snowflakeid UNION SELECT '1'::snowflakeid;
SELECT '3'::snowflakeid IN ('1', '2', '3') AS literals, '3'::snowflakeid IN (1, 2, 3) AS integers,
       '3'::snowflakeid = ANY ('{1,2,3}'::snowflakeid[]) AS own, '3'::snowflakeid = ANY ('{1,2,3}'::bigint[]) AS bigints;
SELECT '{3,1,2}'::snowflakeid[], array_agg(id ORDER BY id) FROM (VALUES ('3'::snowflakeid), ('1')) AS v (id);
SELECT ARRAY['1', '2']::snowflakeid[] @> ARRAY['2']::snowflakeid[] AS contains;
SELECT min(id), max(id), count(id) FROM (VALUES ('3'::snowflakeid), ('-1'), (NULL), ('9223372036854775807')) AS v (id);
SELECT max(id) FROM (SELECT '1'::snowflakeid WHERE false) AS v (id);
SELECT greatest('1'::snowflakeid, '2'), least('1'::snowflakeid, '2');

-- Constraints.
CREATE TABLE ids (id snowflakeid PRIMARY KEY, other snowflakeid UNIQUE);
INSERT INTO ids VALUES (1, 1), (2, NULL), (3, NULL);
INSERT INTO ids VALUES (1, 5);
INSERT INTO ids VALUES (4, 1);
INSERT INTO ids VALUES (NULL, 9);
INSERT INTO ids VALUES (1, 6) ON CONFLICT (id) DO UPDATE SET other = excluded.other RETURNING *;
CREATE TABLE refers (id snowflakeid REFERENCES ids, plain bigint REFERENCES ids (id));
INSERT INTO refers VALUES (1, 2);
INSERT INTO refers VALUES (8, 2);
INSERT INTO refers VALUES (1, 8);
DROP TABLE refers;

-- JSON: a string, since JavaScript's numbers end at 2^53.
SELECT to_json('1541815603606036480'::snowflakeid), to_jsonb('1541815603606036480'::snowflakeid);
SELECT row_to_json(v), json_agg(id) OVER () FROM (SELECT '1541815603606036480'::snowflakeid AS id) AS v;
SELECT * FROM json_to_record('{"a": "1541815603606036480", "b": 5}') AS r (a snowflakeid, b snowflakeid);

-- COPY, text and binary, there and back.
CREATE TABLE copied (LIKE ids);
SELECT current_setting('data_directory') AS data \gset
\set file :data /idgen_copy
COPY ids TO :'file';
COPY copied FROM :'file';
COPY ids TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT id, count(*), count(other) FROM copied GROUP BY id ORDER BY id;
-- A bigint column reads the binary form.
CREATE TABLE plain (id bigint, other bigint);
COPY plain FROM :'file' (FORMAT binary);
SELECT * FROM plain ORDER BY id;
COPY ids TO STDOUT;
DROP TABLE ids, copied, plain;

-- Not the same type: where a column is merged from both, cast one.
CREATE TABLE ids (id snowflakeid);
CREATE TABLE plain (id bigint);
SELECT count(*) FROM ids JOIN plain ON plain.id = ids.id;
SELECT count(*) FROM ids JOIN plain USING (id);
SELECT count(*) FROM ids JOIN (SELECT id::snowflakeid FROM plain) AS plain USING (id);
SELECT id FROM ids UNION SELECT id FROM plain;
SELECT id FROM ids UNION SELECT id::snowflakeid FROM plain;
DROP TABLE ids, plain;
