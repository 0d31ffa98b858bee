-- What CREATE EXTENSION grants, whatever the defaults of the database and whatever
-- others have made in its schema; and schemas of all names.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- The rights that each member has, as the catalogue has them.
CREATE VIEW rights AS
    SELECT pg_describe_object(d.classid, d.objid, 0) AS object, m.rights
    FROM pg_depend AS d, LATERAL (
        SELECT proacl FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        UNION ALL SELECT relacl FROM pg_class AS c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
        UNION ALL SELECT typacl FROM pg_type AS t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND typelem = 0 AND typrelid = 0
        UNION ALL SELECT nspacl FROM pg_namespace AS n WHERE d.classid = 'pg_namespace'::regclass AND n.oid = d.objid) AS a (acl),
        LATERAL (SELECT (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(acl) AS x) AS rights) AS m
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen');
SELECT object FROM rights WHERE rights IS NULL;
-- What is not simply everybody's.
SELECT split_part(object, '(', 1) AS object, regexp_replace(regexp_replace(rights, '\m' || current_user || '\M', 'owner', 'g'), 'arwdDxtm?', 'all') AS rights
FROM rights WHERE object !~ '^(function|type)' OR rights !~ '(^| )=X/'
ORDER BY object COLLATE "C";
CREATE TABLE expected AS SELECT * FROM rights;
SELECT count(*) > 100 AS many FROM expected;

-- By defaults that take away, and by defaults that give; of all schemas and of the
-- extension's and its internals'.
CREATE ROLE regress_idgen_plain;
CREATE ROLE regress_idgen_given;
CREATE VIEW others AS
    SELECT coalesce(e.object, r.object) AS object, e.rights AS expected, r.rights FROM expected AS e FULL JOIN rights AS r USING (object)
    WHERE e.rights IS DISTINCT FROM r.rights;
DROP EXTENSION idgen;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM CURRENT_USER;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM CURRENT_USER;
CREATE EXTENSION idgen;
SELECT * FROM others;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO CURRENT_USER;
-- A role that may do nothing in particular uses all of it.
CREATE TABLE owned (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), v integer);
GRANT ALL ON owned TO regress_idgen_plain;
SET ROLE regress_idgen_plain;
INSERT INTO owned (v) SELECT generate_series(1, 100);
SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;
SELECT count(*) FROM owned WHERE id = 5 OR id = 5.0 OR id >= now() + interval '1 day';
RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan; SET enable_seqscan = off;
SELECT count(*) FROM owned WHERE id = 5;
SELECT max(id) IS NOT NULL AS max, snowflake_timestamp(min(id)) IS NOT NULL AS min FROM owned;
CREATE TEMP TABLE own (id snowflakeid CHECK (id < timestamptz '2090-01-01 UTC'));
INSERT INTO own VALUES (5);
RESET ALL;
SET client_min_messages = warning;
RESET ROLE;
DROP TABLE owned, own;
DROP EXTENSION idgen;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO PUBLIC;

ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_idgen_given WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_idgen_given, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO regress_idgen_given;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_idgen_given, PUBLIC;
CREATE EXTENSION idgen;
SELECT * FROM others;
DROP EXTENSION idgen;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_idgen_given;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_idgen_given, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM regress_idgen_given;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_idgen_given, PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO regress_idgen_given, PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO regress_idgen_given, PUBLIC;
CREATE EXTENSION idgen;
SELECT * FROM others;
SET ROLE regress_idgen_given;
SELECT snowflake_drain();
SELECT state FROM snowflake_instance;
UPDATE idgen_internal.layout SET epoch = '1970-01-01' WHERE name = 'idgen';
RESET ROLE;
DROP EXTENSION idgen;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM regress_idgen_given, PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM regress_idgen_given, PUBLIC;
SELECT count(*) FROM pg_default_acl;

-- Traps: in the extension's schema lie operators and functions by the names that the
-- scripts use, of types that may fit better than pg_catalog's. None is called or bound.
CREATE TABLE trapped (what text);
CREATE SCHEMA traps;
CREATE FUNCTION set_traps() RETURNS boolean LANGUAGE plpgsql AS $make$
DECLARE
    t record;
    types constant text[] := '{text,name,"\"char\"",integer,bigint,numeric,boolean,interval,timestamptz,oid,jsonb,text[]}';
BEGIN
    FOR t IN SELECT l, r FROM unnest(types) AS l, unnest(types) AS r LOOP
        EXECUTE format('CREATE FUNCTION traps.trap(%s, %s) RETURNS %1$s LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trapped VALUES (%L); RETURN NULL; END $$',
            t.l, t.r, format('operator of %s and %s', t.l, t.r));
    END LOOP;
    FOR t IN SELECT o, l, r FROM unnest('{=,<>,<,<=,>,>=,+,-,*,/,||,&,<<,>>,->,->>,~,!~}'::text[]) AS o, unnest(types) AS l, unnest(types) AS r LOOP
        EXECUTE format('CREATE OPERATOR traps.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = traps.trap)', t.o, t.l, t.r);
    END LOOP;
    FOR t IN
        SELECT n, a FROM unnest('{format,unnest,array_agg,string_agg,quote_ident,rtrim,set_config,current_setting,acldefault,aclexplode,jsonb_agg,jsonb_build_object,jsonb_array_elements,pg_get_userbyid,replace,regexp_match,clock_timestamp,pg_extension_config_dump,strpos,cardinality,pg_walfile_name,pg_current_wal_insert_lsn,pg_stat_file,current_database,octet_length}'::text[]) AS n,
            unnest(types || '{"","text, VARIADIC text[]","text, text","text, name","text, text, text, text, text","regclass, text","text, boolean",anyarray,anyelement,"text, anyelement"}'::text[]) AS a
    LOOP
        EXECUTE format('CREATE FUNCTION traps.%I(%s) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trapped VALUES (%L); RETURN NULL; END $$', t.n, t.a, t.n);
    END LOOP;
    RETURN true;
END
$make$;
SELECT set_traps();
-- One of each, tried.
SET search_path = traps;
SELECT 1::bigint & 1::integer, format('%s', 'a'::name);
RESET search_path;
SELECT * FROM trapped ORDER BY what;
TRUNCATE trapped;
-- What the extension needs of that.
CREATE VIEW sprung AS
    SELECT pg_describe_object(classid, objid, 0) AS member, pg_describe_object(refclassid, refobjid, 0) AS needs FROM pg_depend
    WHERE deptype = 'n' AND (refclassid = 'pg_operator'::regclass AND refobjid IN (SELECT o.oid FROM pg_operator AS o WHERE (SELECT proname FROM pg_proc AS p WHERE p.oid = oprcode) = 'trap')
        OR refclassid = 'pg_proc'::regclass AND refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace::regnamespace::text = 'traps' AND prosrc ~ 'trapped'))
      AND NOT (classid = 'pg_operator'::regclass AND objid IN (SELECT o.oid FROM pg_operator AS o WHERE (SELECT proname FROM pg_proc AS p WHERE p.oid = oprcode) = 'trap'))
    UNION ALL
    SELECT what, 'was called' FROM trapped;
CREATE EXTENSION idgen SCHEMA traps;
SELECT * FROM sprung;
DROP EXTENSION idgen;
DROP SCHEMA traps CASCADE;
-- An update, too: of 0.1.0, which was made before the traps were set.
CREATE SCHEMA traps;
CREATE EXTENSION idgen SCHEMA traps VERSION '0.1.0';
SELECT set_traps();
ALTER EXTENSION idgen UPDATE;
SELECT * FROM sprung;
DROP EXTENSION idgen;
DROP SCHEMA traps CASCADE;
-- And what 0.1.0 itself bound, an update takes out.
CREATE SCHEMA traps;
CREATE FUNCTION traps.trap(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trapped VALUES ('bound'); RETURN 0; END $$;
CREATE OPERATOR traps.& (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = traps.trap);
CREATE EXTENSION idgen SCHEMA traps VERSION '0.1.0';
SELECT * FROM sprung;
ALTER EXTENSION idgen UPDATE;
SELECT * FROM sprung;
DROP EXTENSION idgen;
DROP VIEW sprung;
DROP SCHEMA traps CASCADE;
DROP FUNCTION set_traps;
DROP TABLE trapped;

-- Schemas of all names.
CREATE FUNCTION works_in(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', name);
    EXECUTE format('CREATE EXTENSION idgen SCHEMA %I', name);
    EXECUTE replace('CREATE TABLE public.used (id S.snowflakeid PRIMARY KEY DEFAULT S.snowflake_nextval(), v integer)', 'S.', quote_ident(name) || '.');
    INSERT INTO public.used (v) VALUES (1), (2);
    EXECUTE replace('SELECT concat_ws('' '', count(*), (S.snowflake_decode(''4097'')).node, S.snowflake_timestamp(''4097'') AT TIME ZONE ''UTC'' IS NOT NULL, '
        '(SELECT count(*) FROM S.snowflake_layouts) > 10, S.snowflake_to_base62(''42''), S.min(id) OPERATOR(S.<) S.max(id), '
        'bool_and(id OPERATOR(S.<) timestamptz ''infinity''), bool_and(id OPERATOR(S.>) 5.5)) FROM public.used', 'S.', quote_ident(name) || '.')
        INTO result;
    EXECUTE format('SELECT %1$I.snowflake_create_layout(''mine'', ''time:41'', 0), %1$I.snowflake_create_scope(''mine'')', name);
    EXECUTE format('CREATE INDEX ON public.used USING brin (id %I.snowflakeid_minmax_multi_ops)', name);
    DROP TABLE public.used;
    DROP EXTENSION idgen;
    -- And an update in it. (0.1.0 could not be made where there is a percent sign.)
    IF name !~ '%' THEN
        EXECUTE format('CREATE EXTENSION idgen SCHEMA %I VERSION ''0.1.0''', name);
        ALTER EXTENSION idgen UPDATE;
        DROP EXTENSION idgen;
    END IF;
    EXECUTE format('DROP SCHEMA %I', name);
    RETURN result;
END
$$;
SELECT name, works_in(name)
FROM unnest(ARRAY['100%', 'a%s', 'My-Schema', 'x.y', 'select', 'a b', 'Größe', repeat('s', 63), repeat('%I', 31)]) WITH ORDINALITY AS n (name, i)

ORDER BY i;
DROP FUNCTION works_in;

DROP VIEW others, rights;
DROP TABLE expected;
DROP ROLE regress_idgen_plain, regress_idgen_given;
RESET client_min_messages;
CREATE EXTENSION idgen;
-- The way to keep others from issuing, of docs/operations.md, leaves no form of it out.
BEGIN;
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen')
  AND p.proname IN ('snowflake_nextval', 'snowflake_id', 'snowflake_batch', 'snowflake_reserve', 'snowflake_reserve_run')
ORDER BY p.oid \gexec
SELECT p.oid::regprocedure AS still
FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen')
  AND p.provolatile = 'v' AND has_function_privilege('public', p.oid, 'EXECUTE');
ROLLBACK;
