-- From bigint to snowflakeid and back: the table stays, its indexes are built
-- anew. And foreign keys between the two.
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Which files of tables and indexes are others than those that were noted.
CREATE TABLE files (relation text, file oid);
CREATE VIEW current_files AS
    SELECT relname::text AS relation, pg_relation_filenode(oid) AS file
    FROM pg_class WHERE relname ~ '^converted' AND relkind IN ('r', 'i');
CREATE FUNCTION note() RETURNS void LANGUAGE sql AS
    'TRUNCATE files; INSERT INTO files SELECT * FROM current_files';
CREATE FUNCTION rewritten() RETURNS TABLE (relation text, rewritten boolean) LANGUAGE sql AS
    'SELECT relation, f.file <> c.file FROM files AS f FULL JOIN current_files AS c USING (relation) ORDER BY relation COLLATE "C"';

CREATE TABLE converted (
    id bigint PRIMARY KEY DEFAULT snowflake_nextval(),
    v integer,
    CHECK (id > 0 AND id <> 77::bigint AND id NOT IN (78, 79)));
CREATE INDEX converted_v ON converted (v);
CREATE INDEX converted_some ON converted (id) WHERE id > 100;
CREATE INDEX converted_hash ON converted USING hash (id);
INSERT INTO converted SELECT g, g FROM generate_series(1, 70) AS g;

SELECT note();
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
SELECT * FROM rewritten();
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'converted'::regclass AND contype = 'c';
SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'converted_some'::regclass;
SELECT pg_typeof(id), count(*), sum(id::bigint) FROM converted GROUP BY 1;
INSERT INTO converted (v) VALUES (0) RETURNING id > 1000;
INSERT INTO converted VALUES (77);
DELETE FROM converted WHERE v = 0;

SELECT note();
ALTER TABLE converted ALTER COLUMN id TYPE bigint;
SELECT * FROM rewritten();
SELECT pg_typeof(id), count(*), sum(id) FROM converted GROUP BY 1;
INSERT INTO converted (v) VALUES (0) RETURNING id > 1000;
DELETE FROM converted WHERE v = 0;

-- With foreign keys: the referenced column first. Back: the referencing first.
CREATE TABLE converted_refers (id bigint REFERENCES converted ON DELETE CASCADE);
CREATE INDEX converted_refers_id ON converted_refers (id);
INSERT INTO converted_refers VALUES (1), (2), (3);
ALTER TABLE converted_refers ALTER COLUMN id TYPE snowflakeid;
CREATE TABLE refused (id snowflakeid REFERENCES converted);
SELECT note();
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
SELECT * FROM rewritten();
-- A bigint references a snowflakeid.
INSERT INTO converted_refers VALUES (71);
DELETE FROM converted WHERE id = 3;
UPDATE converted_refers SET id = 4 WHERE id = 1;
SELECT * FROM converted_refers ORDER BY id;
SELECT note();
ALTER TABLE converted_refers ALTER COLUMN id TYPE snowflakeid;
SELECT * FROM rewritten();
INSERT INTO converted_refers VALUES (71);
DELETE FROM converted WHERE id = 2;
SELECT * FROM converted_refers;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'converted_refers'::regclass AND contype = 'f';
ALTER TABLE converted ALTER COLUMN id TYPE bigint;
ALTER TABLE converted_refers ALTER COLUMN id TYPE bigint;
ALTER TABLE converted ALTER COLUMN id TYPE bigint;
DROP TABLE converted_refers, converted;

-- Defaults of other kinds stay; an identity can't.
CREATE SEQUENCE numbers;
CREATE TABLE converted (
    a bigint DEFAULT nextval('numbers'), b bigserial, c bigint DEFAULT 7, i bigint GENERATED ALWAYS AS IDENTITY);
INSERT INTO converted DEFAULT VALUES;
SELECT note();
ALTER TABLE converted
    ALTER COLUMN a TYPE snowflakeid, ALTER COLUMN b TYPE snowflakeid, ALTER COLUMN c TYPE snowflakeid;
SELECT * FROM rewritten();
INSERT INTO converted DEFAULT VALUES;
SELECT a, b, c FROM converted ORDER BY a;
ALTER TABLE converted ALTER COLUMN i TYPE snowflakeid;
ALTER TABLE converted ALTER COLUMN i DROP IDENTITY;
ALTER TABLE converted ALTER COLUMN i TYPE snowflakeid;
DROP TABLE converted;
DROP SEQUENCE numbers;

-- What has to be dropped first, and made anew: what PostgreSQL doesn't rewrite,
-- and what calculates.
CREATE TABLE converted (id bigint, node integer GENERATED ALWAYS AS (snowflake_node(id)) STORED);
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
ALTER TABLE converted DROP COLUMN node;
CREATE VIEW shown AS SELECT id FROM converted;
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
DROP VIEW shown;
CREATE POLICY small ON converted USING (id < 100);
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
DROP POLICY small ON converted;
ALTER TABLE converted ADD CONSTRAINT even CHECK (id % 2 = 0);
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
ALTER TABLE converted DROP CONSTRAINT even;
CREATE INDEX half ON converted ((id / 2));
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
DROP INDEX half;
CREATE TABLE refused (id bigint) PARTITION BY RANGE (id);
\set VERBOSITY sqlstate
ALTER TABLE refused ALTER COLUMN id TYPE snowflakeid;
\set VERBOSITY terse
ALTER TABLE converted ALTER COLUMN id TYPE snowflakeid;
SELECT pg_typeof(id) FROM (SELECT) AS one LEFT JOIN converted ON true;
DROP TABLE converted, refused;

-- An array is written anew.
CREATE TABLE converted (ids bigint[]);
INSERT INTO converted VALUES ('{1,2}');
SELECT note();
ALTER TABLE converted ALTER COLUMN ids TYPE snowflakeid[];
SELECT * FROM rewritten();
SELECT ids, pg_typeof(ids) FROM converted;
DROP TABLE converted, files;
DROP VIEW current_files;
DROP FUNCTION note, rewritten;
