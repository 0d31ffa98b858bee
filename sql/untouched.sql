-- CREATE EXTENSION changes no plan of tables that don't use it: bigint, integer
-- and mixed joins, orderings and look-ups.
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT current_database() AS here \gset
CREATE DATABASE regress_idgen_untouched;
\c regress_idgen_untouched
CREATE TABLE a (id bigint PRIMARY KEY, small integer, v text) WITH (autovacuum_enabled = off);
CREATE TABLE b (id bigint PRIMARY KEY, a_id bigint, small integer) WITH (autovacuum_enabled = off);
CREATE TABLE c (id integer PRIMARY KEY, a_id bigint, b_id bigint) WITH (autovacuum_enabled = off);
CREATE TABLE parts (id bigint, v integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (10000);
INSERT INTO a SELECT g, g, g::text FROM generate_series(1, 5000) AS g;
INSERT INTO b SELECT g, g % 5000, g FROM generate_series(1, 8000) AS g;
INSERT INTO c SELECT g, g, g % 8000 FROM generate_series(1, 3000) AS g;
INSERT INTO parts SELECT g, g FROM generate_series(0, 9999) AS g;
CREATE INDEX ON b (a_id);
CREATE INDEX ON c (b_id);
CREATE INDEX ON a USING hash (small);
ANALYZE a, b, c, parts;

CREATE TABLE queries (number serial, query text);
INSERT INTO queries (query)
SELECT format('SELECT * FROM %s WHERE %s', f, w)
FROM unnest(ARRAY['a JOIN b ON a.id = b.a_id', 'a JOIN c ON a.id = c.id', 'b JOIN c ON b.small = c.id',
        'a JOIN b ON a.id = b.small', 'a JOIN b ON a.small = b.small', 'b LEFT JOIN c ON c.b_id = b.id AND c.a_id = b.a_id',
        'a JOIN b ON a.id = b.a_id JOIN c ON c.b_id = b.id', 'a JOIN b ON a.id = b.a_id JOIN c ON c.id = a.id',
        'a JOIN b ON a.id = b.id JOIN parts ON parts.id = a.id', 'a FULL JOIN b ON a.id = b.id']) AS f,
    unnest(ARRAY['true', 'a.id = 5', 'a.id = 5::smallint', 'a.id IN (1, 2, 3)', 'a.id > 4900', 'a.id BETWEEN 10 AND 20::bigint',
        'b.id < 7 AND b.a_id = 3', 'b.id = b.a_id', 'c.id = 77', 'c.b_id >= 7990::bigint']) AS w
WHERE (w !~ '\mb\.' OR f ~ '\mb\M') AND (w !~ '\mc\.' OR f ~ '\mc\M') AND (w !~ '\ma\.' OR f ~ '\ma\M');
INSERT INTO queries (query)
SELECT q || o
FROM unnest(ARRAY['SELECT id, count(*) FROM b GROUP BY id', 'SELECT a_id, max(small) FROM b GROUP BY a_id',
        'SELECT a.id, b.id FROM a JOIN b ON a.id = b.a_id', 'SELECT DISTINCT a_id AS id FROM b', 'SELECT id FROM parts WHERE id < 100',
        'SELECT id FROM parts WHERE id = 5000::integer', 'SELECT id FROM a UNION SELECT small FROM b', 'SELECT small AS id FROM b EXCEPT SELECT id FROM a',
        'SELECT a.id FROM a WHERE EXISTS (SELECT FROM b WHERE b.a_id = a.id)', 'SELECT id FROM a WHERE id NOT IN (SELECT a_id FROM b)',
        'SELECT a_id AS id, row_number() OVER (PARTITION BY a_id ORDER BY small) FROM b']) AS q,
    unnest(ARRAY['', ' ORDER BY 1', ' ORDER BY 1 DESC LIMIT 3']) AS o;
SELECT count(*) FROM queries;

CREATE TABLE plans (phase text, number integer, plan text);
CREATE PROCEDURE look(phase text) LANGUAGE plpgsql AS $$
DECLARE
    setting text;
    line text;
    q record;
BEGIN
    FOREACH setting IN ARRAY ARRAY['seqscan', 'hashjoin', 'mergejoin', 'nestloop', 'hashagg'] LOOP
        PERFORM set_config('enable_' || setting, 'off', true);
        FOR q IN SELECT * FROM queries LOOP
            FOR line IN EXECUTE 'EXPLAIN ' || q.query LOOP
                INSERT INTO plans VALUES (phase, q.number, setting || ' ' || line);
            END LOOP;
        END LOOP;
        PERFORM set_config('enable_' || setting, 'on', true);
    END LOOP;
END
$$;
CREATE VIEW changed AS
    SELECT DISTINCT query FROM queries JOIN (
        (SELECT number, plan FROM plans WHERE phase = 'before' EXCEPT ALL SELECT number, plan FROM plans WHERE phase = 'after')
        UNION ALL
        (SELECT number, plan FROM plans WHERE phase = 'after' EXCEPT ALL SELECT number, plan FROM plans WHERE phase = 'before')
    ) AS d USING (number);

CALL look('before');
CREATE EXTENSION idgen;
CALL look('after');
SELECT count(*) > 1000 AS looked FROM plans;
SELECT * FROM changed ORDER BY query;

-- Would it show? Yes: with pg_catalog's own operators in the family.
DELETE FROM plans WHERE phase = 'after';
ALTER OPERATOR FAMILY snowflakeid_ops USING btree DROP OPERATOR 3 (bigint, bigint);
ALTER OPERATOR FAMILY snowflakeid_ops USING btree ADD OPERATOR 3 pg_catalog.= (bigint, bigint);
ALTER OPERATOR FAMILY snowflakeid_ops USING hash DROP OPERATOR 1 (bigint, bigint);
ALTER OPERATOR FAMILY snowflakeid_ops USING hash ADD OPERATOR 1 pg_catalog.= (bigint, bigint);
CALL look('after');
SELECT count(*) > 0 AS changes_show FROM changed;

\c :here
DROP DATABASE regress_idgen_untouched;
