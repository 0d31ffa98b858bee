-- Everything that the catalogue says of the extension, a row for each object and
-- property, without OIDs: two databases with the same extension give the same rows.
-- test/t/042_upgrade.t compares a fresh extension with one that was updated.
SET search_path = pg_catalog;
SET quote_all_identifiers = off;

CREATE TEMP VIEW member AS
    SELECT classid, objid FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen');
CREATE TEMP VIEW relation AS
    SELECT c.* FROM pg_class AS c
    WHERE c.oid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
       OR c.oid IN (SELECT i.indexrelid FROM pg_index AS i JOIN member AS m ON m.objid = i.indrelid AND m.classid = 'pg_class'::regclass)
       OR c.relnamespace = 'idgen_internal'::regnamespace;
CREATE TEMP VIEW type AS
    SELECT t.* FROM pg_type AS t
    WHERE t.oid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
       OR t.typelem IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
       OR t.typrelid IN (SELECT oid FROM relation)
       OR t.typnamespace = 'idgen_internal'::regnamespace;
CREATE TEMP VIEW family AS
    SELECT f.*, format('%s %I.%I', amname, nspname, opfname) AS name FROM pg_opfamily AS f
    JOIN pg_am AS a ON a.oid = opfmethod JOIN pg_namespace AS n ON n.oid = opfnamespace
    WHERE f.oid IN (SELECT objid FROM member WHERE classid = 'pg_opfamily'::regclass);
CREATE FUNCTION pg_temp.acl(acl aclitem[]) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest($1) AS a $$;

SELECT what, name, property, value FROM (
    -- The extension, its members, what it notes of them
    SELECT 'extension' AS what, extname::text AS name, property, value FROM pg_extension, LATERAL (VALUES
        ('version', extversion), ('schema', extnamespace::regnamespace::text), ('relocatable', extrelocatable::text),
        ('dumped', (SELECT string_agg(format('%s [%s]', c.t::regclass, c.w), ', ' ORDER BY c.t::regclass::text) FROM unnest(extconfig, extcondition) AS c (t, w)))) AS v (property, value)
    WHERE extname = 'idgen'
    UNION ALL
    -- (The types of rows and arrays are members from 17 on, if they were made by a
    -- CREATE EXTENSION there.)
    SELECT 'member', pg_describe_object(classid, objid, 0), 'comment', coalesce(obj_description(objid, classid::regclass::name), '(none)') FROM member AS m
    WHERE NOT EXISTS (SELECT FROM pg_depend AS i WHERE (i.classid, i.objid, i.deptype) = (m.classid, m.objid, 'i'))
    UNION ALL
    SELECT 'dependency', pg_describe_object(classid, objid, objsubid), deptype::text, pg_describe_object(refclassid, refobjid, refobjsubid)
    FROM pg_depend AS d WHERE (classid, objid) IN (SELECT classid, objid FROM member) AND deptype NOT IN ('e', 'i') AND refobjid >= 16384
    UNION ALL
    SELECT 'initial privileges', pg_describe_object(classoid, objoid, objsubid), privtype::text, pg_temp.acl(initprivs)
    FROM pg_init_privs WHERE (classoid, objoid) IN (SELECT classid, objid FROM member)
    UNION ALL
    SELECT 'schema', nspname, property, value FROM pg_namespace AS n, LATERAL (VALUES
        ('owner', nspowner::regrole::text), ('rights', pg_temp.acl(nspacl))) AS v (property, value)
    WHERE n.oid = 'idgen_internal'::regnamespace
    UNION ALL
    -- Functions
    SELECT 'function', p.oid::regprocedure::text, property, value FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang, LATERAL (
        SELECT * FROM jsonb_each_text(to_jsonb(p) - ARRAY['oid', 'pronamespace', 'proowner', 'prolang', 'provariadic', 'prorettype', 'proargtypes', 'proallargtypes', 'proargdefaults', 'prosqlbody', 'proacl'])
        UNION ALL VALUES ('owner', proowner::regrole::text), ('language', lanname), ('arguments', pg_get_function_arguments(p.oid)),
            ('result', pg_get_function_result(p.oid)), ('body', pg_get_function_sqlbody(p.oid)), ('rights', pg_temp.acl(proacl))) AS v (property, value)
    WHERE p.oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass) OR p.pronamespace = 'idgen_internal'::regnamespace
    UNION ALL
    SELECT 'aggregate', aggfnoid::regprocedure::text, property, value FROM pg_aggregate AS a, LATERAL (
        SELECT * FROM jsonb_each_text(to_jsonb(a) - ARRAY['aggfnoid', 'aggsortop', 'aggtranstype', 'aggmtranstype'])
        UNION ALL VALUES ('sortop', aggsortop::regoperator::text), ('transtype', aggtranstype::regtype::text)) AS v (property, value)
    WHERE aggfnoid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    -- Types and casts
    SELECT 'type', t.oid::regtype::text, property, value FROM type AS t, LATERAL (
        SELECT * FROM jsonb_each_text(to_jsonb(t) - ARRAY['oid', 'typname', 'typnamespace', 'typowner', 'typrelid', 'typelem', 'typarray', 'typbasetype', 'typcollation', 'typacl'])
        UNION ALL VALUES ('owner', typowner::regrole::text), ('schema', typnamespace::regnamespace::text), ('relation', typrelid::regclass::text), ('element', typelem::regtype::text),
            ('array', typarray::regtype::text), ('rights', pg_temp.acl(typacl))) AS v (property, value)
    UNION ALL
    SELECT 'cast', format('%s to %s', castsource::regtype, casttarget::regtype), property, value FROM pg_cast AS c, LATERAL (VALUES
        ('function', castfunc::regprocedure::text), ('context', castcontext::text), ('method', castmethod::text)) AS v (property, value)
    WHERE castsource IN (SELECT oid FROM type) OR casttarget IN (SELECT oid FROM type)
    UNION ALL
    -- Operators, families, classes
    SELECT 'operator', o.oid::regoperator::text, property, value FROM pg_operator AS o, LATERAL (VALUES
        ('owner', oprowner::regrole::text), ('kind', oprkind::text), ('merges', oprcanmerge::text), ('hashes', oprcanhash::text), ('result', oprresult::regtype::text),
        ('commutator', oprcom::regoperator::text), ('negator', oprnegate::regoperator::text), ('function', oprcode::regprocedure::text),
        ('restrict', oprrest::text), ('join', oprjoin::text)) AS v (property, value)
    WHERE o.oid IN (SELECT objid FROM member WHERE classid = 'pg_operator'::regclass) OR oprnamespace = 'idgen_internal'::regnamespace
    UNION ALL
    SELECT 'family', name, 'owner', opfowner::regrole::text FROM family
    UNION ALL
    SELECT 'family', name, format('operator %s (%s, %s) %s', amopstrategy, amoplefttype::regtype, amoprighttype::regtype, amoppurpose), amopopr::regoperator::text
    FROM pg_amop JOIN family AS f ON f.oid = amopfamily
    UNION ALL
    SELECT 'family', name, format('function %s (%s, %s)', amprocnum, amproclefttype::regtype, amprocrighttype::regtype), amproc::regprocedure::text
    FROM pg_amproc JOIN family AS f ON f.oid = amprocfamily
    UNION ALL
    SELECT 'class', format('%I.%I of %s', opcnamespace::regnamespace, opcname, f.name), property, value FROM pg_opclass AS c JOIN family AS f ON f.oid = opcfamily, LATERAL (VALUES
        ('owner', opcowner::regrole::text), ('type', opcintype::regtype::text), ('default', opcdefault::text), ('stored', opckeytype::regtype::text)) AS v (property, value)
    UNION ALL
    -- A member of a family belongs to its class, by which both are dropped, or is loose.
    SELECT 'part', pg_describe_object(classid, objid, 0), deptype::text, pg_describe_object(refclassid, refobjid, 0)
    FROM pg_depend WHERE classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
      AND (refclassid = 'pg_opclass'::regclass AND refobjid IN (SELECT objid FROM member) OR refclassid = 'pg_opfamily'::regclass AND refobjid IN (SELECT objid FROM member))
    UNION ALL
    -- Tables and views
    SELECT 'relation', c.oid::regclass::text, property, value FROM relation AS c, LATERAL (VALUES
        ('owner', relowner::regrole::text), ('kind', relkind::text), ('persistence', relpersistence::text), ('columns', relnatts::text), ('checks', relchecks::text),
        ('rules', relhasrules::text), ('triggers', relhastriggers::text), ('row security', relrowsecurity::text || relforcerowsecurity), ('identity', relreplident::text),
        ('options', array_to_string(reloptions, ',')), ('rights', pg_temp.acl(relacl)), ('toasted', (reltoastrelid <> 0)::text),
        ('view', CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END)) AS v (property, value)
    UNION ALL
    SELECT 'column', format('%s.%s', attrelid::regclass, attname), property, value FROM pg_attribute AS a, LATERAL (VALUES
        ('number', attnum::text), ('type', format_type(atttypid, atttypmod)), ('not null', attnotnull::text), ('dropped', attisdropped::text), ('identity', attidentity::text),
        ('generated', attgenerated::text), ('storage', attstorage::text), ('compression', attcompression::text), ('statistics', attstattarget::text),
        -- (Some builds of PostgreSQL note a version of the column among its options.)
        ('options', (SELECT string_agg(o, ',') FROM unnest(attoptions) AS o WHERE o !~ '^pg_attver=')),
        ('rights', pg_temp.acl(attacl)), ('collation', attcollation::text), ('comment', col_description(attrelid, attnum)),
        ('default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))) AS v (property, value)
    WHERE attrelid IN (SELECT oid FROM relation) AND attnum > 0
    UNION ALL
    SELECT 'constraint', format('%s on %s', conname, CASE conrelid WHEN 0 THEN contypid::regtype::text ELSE conrelid::regclass::text END), 'definition',
        concat_ws(' ', pg_get_constraintdef(oid), convalidated, conislocal, connoinherit)
    FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relation) OR contypid IN (SELECT oid FROM type)
    UNION ALL
    SELECT 'index', indexrelid::regclass::text, 'definition', concat_ws(' ', pg_get_indexdef(indexrelid), indisunique, indisprimary, indisvalid, indisreplident, indisclustered)
    FROM pg_index WHERE indrelid IN (SELECT oid FROM relation)
    UNION ALL
    SELECT 'trigger', format('%s on %s', tgname, tgrelid::regclass), 'definition', pg_get_triggerdef(oid) || '; enabled ' || tgenabled::text
    FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relation) AND NOT tgisinternal
    UNION ALL
    SELECT 'rule', format('%s on %s', rulename, ev_class::regclass), 'definition', pg_get_ruledef(oid) || '; enabled ' || ev_enabled::text
    FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relation)
    UNION ALL
    SELECT 'policy', format('%s on %s', polname, polrelid::regclass), 'definition', concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy WHERE polrelid IN (SELECT oid FROM relation)
    UNION ALL
    SELECT 'event trigger', evtname, 'function', evtfoid::regprocedure::text FROM pg_event_trigger WHERE evtfoid IN (SELECT objid FROM member)
    UNION ALL
    -- The rows that the script makes
    SELECT 'layout', l.name, 'row', to_jsonb(l)::text FROM idgen_internal.layout AS l WHERE kind IN ('p', 'f')
) AS rows
ORDER BY what COLLATE "C", name COLLATE "C", property COLLATE "C", value COLLATE "C";
