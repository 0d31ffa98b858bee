-- CREATE EXTENSION: all of it, anywhere, again and again.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE EXTENSION idgen;
SELECT extname, extversion, extrelocatable, nspname
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = extnamespace
WHERE extname = 'idgen';

-- What is public has the prefix snowflake; its operators are the type's.
CREATE VIEW members AS
    SELECT pg_describe_object(classid, objid, 0) AS object,
           (pg_identify_object(classid, objid, 0)).type AS kind,
           (pg_identify_object(classid, objid, 0)).schema AS schema,
           obj_description(objid, classid::regclass::name) AS comment
    FROM pg_depend AS d
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen')
      -- From 17 on the types of arrays and rows are members, too.
      AND NOT EXISTS (SELECT FROM pg_depend AS i WHERE (i.classid, i.objid, i.deptype) = (d.classid, d.objid, 'i'));
SELECT object FROM members
WHERE schema = 'public' AND kind <> 'operator'
ORDER BY object COLLATE "C";
SELECT kind, count(*) FROM members WHERE kind IN ('operator', 'cast') GROUP BY kind ORDER BY kind;

-- Everything public says what it is.
SELECT object FROM members
WHERE schema = 'public' AND kind NOT IN ('operator class', 'operator family')
  AND coalesce(comment, '') = ''
ORDER BY object COLLATE "C";

-- Internals stay in their schema; nothing is left when it is dropped.
SELECT DISTINCT schema FROM members WHERE schema IS NOT NULL ORDER BY schema;
DROP VIEW members;
DROP EXTENSION idgen;
SELECT count(*) FROM pg_namespace WHERE nspname = 'idgen_internal';
SELECT count(*) FROM pg_proc WHERE proname LIKE 'snowflake%';
SELECT count(*) FROM pg_type WHERE typname LIKE '%snowflake%';

-- A table that uses it holds it.
CREATE EXTENSION idgen;
CREATE TABLE holder (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval());
DROP EXTENSION idgen;
DROP TABLE holder;
DROP EXTENSION idgen;

-- In another schema, with nothing on the search path.
CREATE SCHEMA elsewhere;
CREATE EXTENSION idgen SCHEMA elsewhere;
SET search_path = '';
CREATE TABLE public.events (id elsewhere.snowflakeid PRIMARY KEY DEFAULT elsewhere.snowflake_nextval(), v integer);
INSERT INTO public.events (v) SELECT pg_catalog.generate_series(1, 100);
SELECT count(DISTINCT id) FROM public.events;
SELECT count(*) FROM public.events WHERE id OPERATOR(elsewhere.>) 5::bigint;
SELECT count(*) FROM (SELECT id FROM public.events ORDER BY id LIMIT 10) AS first;
SELECT node, sequence, layout FROM elsewhere.snowflake_decode(1541815603606036480, 'twitter');
SELECT elsewhere.snowflake_encode('2025-01-01 00:00:00.001Z', 5, 6);
SELECT elsewhere.snowflake_min('2025-01-01 00:00:00.001Z');
SELECT elsewhere.snowflake_from_base62(elsewhere.snowflake_to_base62('42'));
SELECT count(*) FROM elsewhere.snowflake_batch(10);
SELECT name FROM elsewhere.snowflake_layouts ORDER BY name;
SELECT state FROM elsewhere.snowflake_instance;
SELECT scope FROM elsewhere.snowflake_stats;
RESET search_path;
DROP TABLE events;
DROP EXTENSION idgen;
DROP SCHEMA elsewhere;

-- It can't be moved later, and a database holds one.
CREATE EXTENSION idgen;
ALTER EXTENSION idgen SET SCHEMA pg_temp;
CREATE EXTENSION idgen;

-- Whoever may create objects where the extension goes can't run code as the
-- one who installs it: the script finds its functions in pg_catalog alone.
DROP EXTENSION idgen;
CREATE TABLE trapped (f text);
CREATE FUNCTION unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.trapped VALUES ('unnest'); RETURN QUERY SELECT pg_catalog.unnest($1); END $$;
CREATE FUNCTION format(text, text, text, text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.trapped VALUES ('format'); RETURN pg_catalog.format($1, $2, $3, $4, $5); END $$;
CREATE EXTENSION idgen;
SELECT DISTINCT f FROM trapped;
DROP TABLE trapped;
DROP FUNCTION unnest(text[]), format(text, text, text, text, text);
