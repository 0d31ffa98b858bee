-- Everything that the extension creates is labelled, explained and named as
-- promised.
BEGIN;
SELECT plan(39);

CREATE TEMP VIEW members AS
    SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object,
           (pg_identify_object(classid, objid, 0)).type AS kind,
           (pg_identify_object(classid, objid, 0)).schema AS schema
    FROM pg_depend AS d
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'idgen')
      -- From 17 on the types of arrays and rows are members, too.
      AND NOT EXISTS (SELECT FROM pg_depend AS i WHERE (i.classid, i.objid, i.deptype) = (d.classid, d.objid, 'i'));
CREATE TEMP VIEW functions AS
    SELECT p.*, p.oid::regprocedure::text AS signature, nspname = 'idgen_internal' AS internal
    FROM members JOIN pg_proc AS p ON p.oid = objid AND classid = 'pg_proc'::regclass
    JOIN pg_namespace AS n ON n.oid = pronamespace;
CREATE TEMP VIEW operators AS
    SELECT o.*, o.oid::regoperator::text AS signature
    FROM members JOIN pg_operator AS o ON o.oid = objid AND classid = 'pg_operator'::regclass;

-- What operators call; what instances call in their coordinator; what looks at the
-- server.
CREATE TEMP VIEW operating AS
    SELECT unnest(ARRAY['snowflake_accept_clock', 'snowflake_confirm_copy', 'snowflake_confirm_local',
        'snowflake_rotate_node', 'snowflake_drain', 'snowflake_resume', 'snowflake_raise_registry',
        'snowflake_retire_node', 'snowflake_allow_leasing', 'snowflake_create_layout',
        'snowflake_create_scope', 'snowflake_drop_scope', 'snowflake_backfill_slots'])::name AS name;
CREATE TEMP VIEW issuing AS
    SELECT unnest(ARRAY['snowflake_nextval', 'snowflake_id', 'snowflake_batch', 'snowflake_reserve', 'snowflake_reserve_run',
        'snowflake_observe', 'snowflake_reset_stats'])::name AS name;
CREATE TEMP VIEW coordinating AS
    SELECT unnest(ARRAY['fleet_read', 'fleet_write', 'fleet_create', 'fleet_raise'])::name AS name;
CREATE TEMP VIEW looking AS
    SELECT unnest(ARRAY['instance', 'clock', 'clock_events', 'stats', 'configured_layout', 'layout_guard',
        'worker_stats', 'registry_space', 'scope_guard', 'leased_fleet', 'timeline', 'took_over', 'fleet_check',
        'fleet_place', 'fleet_guard', 'fleet_guarded', 'fleet_guard_again', 'fleet_latest_generation', 'fleet_writing',
        'fleet_merge', 'fleet_farthest', 'fleet_force', 'fleet_check_far'])::name AS name;
CREATE TEMP VIEW writing AS
    SELECT unnest(ARRAY['fleet_write', 'fleet_create', 'fleet_raise', 'fleet_merge'])::name AS name;

-- Functions
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE NOT internal AND provolatile <> CASE WHEN proname IN (SELECT name FROM issuing) OR proname IN (SELECT name FROM operating) THEN 'v' ELSE 'i' END $$,
    'issuing and operating is volatile, everything else that is public is immutable');
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE NOT internal AND proparallel <> CASE WHEN proname IN (SELECT name FROM operating) THEN 'u' ELSE 's' END $$,
    'everything public is parallel safe, but what operates');
SELECT is_empty(
    $$ SELECT signature FROM functions WHERE NOT internal AND prokind = 'f' AND NOT proisstrict AND pronargs > 0
         AND proname NOT IN ('snowflake_raise_registry', 'snowflake_create_layout', 'snowflake_create_scope', 'snowflake_drop_scope') $$,
    'everything public that has arguments is strict, but for what has a default of NULL, or takes none');
SELECT is_empty(
    $$ SELECT signature FROM functions WHERE NOT internal AND proleakproof $$,
    'nothing public claims to be leakproof: errors tell the value');
SELECT is_empty(
    $$ SELECT f.signature FROM functions AS f JOIN operators AS o ON o.oprcode = f.oid
       WHERE NOT (provolatile = 'i' AND proisstrict AND proparallel = 's'
             AND proleakproof = ('idgen_internal.any_numeric'::regtype NOT IN (oprleft, oprright))) $$,
    'functions of operators are immutable, strict, parallel safe and, but for numeric''s, leakproof');
SELECT is_empty(
    $$ SELECT signature FROM functions WHERE prosecdef
         AND NOT (CASE WHEN internal THEN proname IN (SELECT name FROM coordinating) OR proname IN ('coordinated_fleet', 'fleet_guard')
                 ELSE proname IN ('snowflake_create_layout', 'snowflake_create_scope', 'snowflake_drop_scope', 'snowflake_backfill_slots') END
             AND proconfig[1] = 'search_path=pg_catalog, pg_temp' AND NOT has_function_privilege('public', oid, 'EXECUTE')) $$,
    'nothing runs with its owner''s rights, but what coordinates, adds or drops a layout or scope, or hands out slots: not for everybody, by no search path but its own');
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE prolang IN (SELECT oid FROM pg_language WHERE lanname IN ('plpgsql', 'sql'))
         AND proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
             || CASE WHEN proname IN (SELECT name FROM writing) THEN ARRAY['idgen.fleet_writing=on'] ELSE '{}' END
         -- These are inlined, which a setting would prevent. Their operators are bound.
         AND NOT (prosqlbody IS NOT NULL AND 'idgen_internal.any_numeric'::regtype = ANY (proargtypes)) $$,
    'what is written in SQL finds names in pg_catalog alone; only what writes a fleet may write it');
SELECT is(
    (SELECT string_agg(signature, ' ' ORDER BY signature) FROM functions WHERE NOT internal AND proretset),
    'snowflake_batch(bigint) snowflake_batch(bigint,text) snowflake_reserve(bigint) snowflake_reserve(bigint,text)',
    'what asks for several IDs alone returns sets');
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE proname IN (SELECT name FROM operating UNION SELECT unnest(ARRAY['snowflake_observe', 'snowflake_reset_stats']))
         AND has_function_privilege('public', oid, 'EXECUTE') $$,
    'what operates is not for everybody, nor what moves issuing time or resets statistics');
SELECT is_empty(
    $$ SELECT f.signature FROM functions AS f
       WHERE proname IN ('snowflake_timestamp', 'snowflake_node', 'snowflake_region', 'snowflake_shard', 'snowflake_sequence',
                         'snowflake_mask', 'snowflake_unmask', 'snowflake_to_base32', 'snowflake_to_base62')
         AND NOT EXISTS (
           SELECT FROM functions AS g
           WHERE g.proname = f.proname AND g.prorettype = f.prorettype AND g.pronargs = f.pronargs
             AND g.proargtypes[0] = CASE f.proargtypes[0] WHEN 'bigint'::regtype THEN 'snowflakeid'::regtype ELSE 'bigint'::regtype END) $$,
    'each accessor is there for snowflakeid and for bigint, and so are masking and text forms');
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE internal AND (proname IN (SELECT name FROM looking) OR proname IN (SELECT name FROM coordinating))
         AND has_function_privilege('public', oid, 'EXECUTE') $$,
    'internals with a state are not for everybody');

SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE internal AND proname NOT IN ('coordinated_fleet', 'snowflake_batch', 'snowflake_reserve_run') AND provolatile <> CASE
           WHEN proname IN (SELECT name FROM looking) OR proname IN (SELECT name FROM coordinating) THEN 'v' ELSE 'i' END $$,
    'internals that look at the server are volatile, the others immutable');
SELECT is_empty(
    $$ SELECT signature FROM functions
       WHERE internal AND prokind = 'f' AND pronargs > 0 AND NOT (proisstrict
         AND proparallel = CASE WHEN proname IN (SELECT name FROM coordinating UNION SELECT name FROM writing) THEN 'u' ELSE 's' END) $$,
    'internals that have arguments are strict and, but for what writes, parallel safe');

SELECT is(
    (SELECT string_agg(proname || ' ' || cost, ', ' ORDER BY proname) FROM (SELECT DISTINCT proname, procost::text AS cost FROM functions
        WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'c') AND procost <> 1) AS f),
    'snowflake_decode 10, snowflake_mask 50, snowflake_unmask 50',
    'costs: a row is ten times a number, a mask fifty times');
SELECT is(
    (SELECT string_agg(proname, ', ' ORDER BY proname) FROM functions WHERE internal AND proleakproof AND proname ~ '^bound_'),
    'bound_after, bound_not_before', 'bounds tell nothing of the time, so that they may be computed behind a barrier');

-- Names and comments
SELECT is_empty(
    $$ SELECT object FROM members
       WHERE schema IS DISTINCT FROM 'idgen_internal' AND kind NOT IN ('operator', 'cast', 'schema')
         AND object !~ '^(operator (class|family)|function|type|view|table) "?snowflake'
         AND object NOT IN ('function max(snowflakeid)', 'function min(snowflakeid)') $$,
    'nothing public lacks the prefix snowflake, but for its max and min');
SELECT is_empty(
    $$ SELECT object FROM members
       WHERE coalesce(obj_description(objid, classid::regclass::name), '') = '' $$,
    'everything has a comment');
SELECT is_empty(
    $$ SELECT o.signature, d.description FROM operators AS o LEFT JOIN pg_description AS d ON d.objoid = oprcode AND d.classoid = 'pg_proc'::regclass
       WHERE d.description IS DISTINCT FROM 'implementation of ' || oprname || ' operator' $$,
    'functions of operators say of which');
SELECT is_empty(
    $$ SELECT signature FROM functions WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'c') AND prosrc NOT LIKE 'idgen\_%' $$,
    'C symbols have the prefix idgen_');

-- Operators and their classes
SELECT is_empty(
    $$ SELECT signature FROM operators WHERE oprcom = 0 OR oprnegate = 0 $$,
    'every operator has a commutator and a negator');
SELECT is_empty(
    $$ SELECT signature FROM operators AS o
       WHERE NOT EXISTS (SELECT FROM pg_operator AS c WHERE c.oid = o.oprcom AND c.oprcom = o.oid AND c.oprleft = o.oprright AND c.oprright = o.oprleft)
          OR NOT EXISTS (SELECT FROM pg_operator AS n WHERE n.oid = o.oprnegate AND n.oprnegate = o.oid AND n.oprleft = o.oprleft AND n.oprright = o.oprright) $$,
    'commutators and negators are each other''s');
SELECT is_empty(
    $$ SELECT signature FROM operators WHERE oprrest = 0 OR oprjoin = 0 $$,
    'every operator has estimators');
SELECT is_empty(
    $$ SELECT signature FROM operators WHERE oprname = '=' AND 'idgen_internal.any_numeric'::regtype NOT IN (oprleft, oprright)
         AND NOT (oprcanhash AND oprcanmerge) $$,
    'every = hashes and merges, but for numeric''s');
SELECT is_empty(
    $$ SELECT object FROM members WHERE CASE classid WHEN 'pg_opclass'::regclass THEN NOT amvalidate(objid) END $$,
    'every operator class is valid');
SELECT is_empty(
    $$ SELECT object, l.type, r.type FROM members, (VALUES ('bigint'::regtype), ('snowflakeid')) AS l (type), (VALUES ('bigint'::regtype), ('snowflakeid')) AS r (type)
       WHERE classid = 'pg_opfamily'::regclass
         AND (SELECT count(*) FROM pg_amop WHERE amopfamily = objid AND amoplefttype = l.type AND amoprighttype = r.type)
             <> CASE WHEN object ~ 'bloom|hash' THEN 1 ELSE 5 END $$,
    'each family holds both types in all pairs');
SELECT is_empty(
    $$ SELECT signature FROM operators AS o JOIN pg_namespace AS n ON n.oid = oprnamespace
       WHERE (oprleft = 'bigint'::regtype AND oprright = 'bigint'::regtype) <> (nspname = 'idgen_internal') $$,
    'operators of bigint alone are off the search path');
SELECT is_empty(
    $$ SELECT amopopr::regoperator FROM pg_amop WHERE amopfamily IN (SELECT objid FROM members WHERE classid = 'pg_opfamily'::regclass)
       AND amopopr NOT IN (SELECT oid FROM operators) $$,
    'no family shares an operator with pg_catalog');
SELECT is_empty(
    $$ SELECT o.signature, am.amname FROM operators AS o, pg_am AS am
       WHERE am.amname IN ('btree', 'brin', 'hash') AND 'timestamptz'::regtype NOT IN (oprleft, oprright) AND 'idgen_internal.any_numeric'::regtype NOT IN (oprleft, oprright)
         AND (SELECT count(*) FROM pg_amop WHERE amopopr = o.oid AND amopmethod = am.oid)
             <> CASE WHEN oprname = '<>' THEN 0 WHEN am.amname = 'brin' THEN CASE oprname WHEN '=' THEN 3 ELSE 2 END WHEN am.amname = 'btree' OR oprname = '=' THEN 1 ELSE 0 END $$,
    'every comparison is in the families that can use it');
SELECT is(
    (SELECT string_agg(concat_ws(' ', amname, opcname, CASE WHEN opcdefault THEN 'default' END), ', ' ORDER BY amname, opcname)
     FROM members JOIN pg_opclass AS c ON c.oid = objid AND classid = 'pg_opclass'::regclass
     JOIN pg_am AS a ON a.oid = opcmethod WHERE opcintype = 'snowflakeid'::regtype),
    'brin snowflakeid_bloom_ops, brin snowflakeid_minmax_multi_ops, brin snowflakeid_minmax_ops default, btree snowflakeid_ops default, hash snowflakeid_ops default',
    'classes: btree, hash and BRIN minmax as the default, BRIN minmax-multi and bloom');
SELECT is_empty(
    $$ SELECT signature, oprrest, oprjoin FROM operators
       WHERE oprrest::text <> CASE oprname WHEN '=' THEN 'eqsel' WHEN '<>' THEN 'neqsel' WHEN '<' THEN 'scalarltsel' WHEN '<=' THEN 'scalarlesel' WHEN '>' THEN 'scalargtsel' ELSE 'scalargesel' END
          OR oprjoin::text <> replace(oprrest::text, 'sel', 'joinsel') $$,
    'estimators are those of the comparison');
SELECT is_empty(
    $$ SELECT signature FROM operators AS o JOIN pg_operator AS n ON n.oid = o.oprnegate JOIN pg_operator AS c ON c.oid = o.oprcom
       WHERE (o.oprname, n.oprname, c.oprname) NOT IN (('=', '<>', '='), ('<>', '=', '<>'), ('<', '>=', '>'), ('<=', '>', '>='), ('>', '<=', '<'), ('>=', '<', '<=')) $$,
    'negators and commutators are the right ones');

-- Comparisons with times.
SELECT is_empty(
    $$ SELECT op, l, r FROM unnest(ARRAY['<', '<=', '>', '>=']) AS op, (VALUES ('snowflakeid'::regtype, 'timestamptz'::regtype), ('timestamptz', 'snowflakeid')) AS t (l, r)
       WHERE NOT EXISTS (SELECT FROM operators AS o JOIN functions AS f ON f.oid = o.oprcode
           WHERE oprname = op AND oprleft = l AND oprright = r AND prosupport::text LIKE 'idgen\_internal.%\_support') $$,
    'four comparisons with a time on either side, known to the planner');
SELECT is_empty(
    $$ SELECT signature FROM operators WHERE 'timestamptz'::regtype IN (oprleft, oprright) AND (oprcanhash OR oprcanmerge
           OR EXISTS (SELECT FROM pg_amop WHERE amopopr = operators.oid)) $$,
    'which are in no family');
SELECT is_empty(
    $$ SELECT castsource::regtype, casttarget::regtype FROM pg_cast WHERE 'snowflakeid'::regtype IN (castsource, casttarget) AND castcontext <> 'a' $$,
    'no cast is implicit');

-- What they are made of is int8's own.
SELECT is(
    (SELECT string_agg(format('%s %s (%s, %s) %s', amname, amprocnum, amproclefttype::regtype, amprocrighttype::regtype, prosrc), E'\n'
                       ORDER BY amname, amprocnum, amproclefttype::regtype::text, amprocrighttype::regtype::text)
     FROM pg_amproc JOIN pg_opfamily AS f ON f.oid = amprocfamily JOIN pg_am AS a ON a.oid = opfmethod JOIN pg_proc AS p ON p.oid = amproc
     WHERE amname <> 'brin' AND amprocfamily IN (SELECT objid FROM members WHERE classid = 'pg_opfamily'::regclass)),
    concat_ws(E'\n', 'btree 1 (bigint, bigint) btint8cmp', 'btree 1 (bigint, snowflakeid) btint8cmp',
        'btree 1 (snowflakeid, bigint) btint8cmp', 'btree 1 (snowflakeid, snowflakeid) btint8cmp',
        'btree 2 (bigint, bigint) btint8sortsupport', 'btree 2 (snowflakeid, snowflakeid) btint8sortsupport',
        'btree 4 (bigint, bigint) btequalimage', 'btree 4 (snowflakeid, snowflakeid) btequalimage',
        'hash 1 (bigint, bigint) hashint8', 'hash 1 (snowflakeid, snowflakeid) hashint8',
        'hash 2 (bigint, bigint) hashint8extended', 'hash 2 (snowflakeid, snowflakeid) hashint8extended'),
    'support functions: comparison, sort support, equal image, both hashes');
SELECT is_empty(
    $$ SELECT DISTINCT a.amprocnum, p.prosrc FROM pg_amproc AS a JOIN pg_proc AS p ON p.oid = a.amproc JOIN pg_opfamily AS f ON f.oid = a.amprocfamily
       WHERE f.oid IN (SELECT objid FROM members WHERE classid = 'pg_opfamily'::regclass) AND opfmethod = (SELECT oid FROM pg_am WHERE amname = 'brin')
         AND NOT EXISTS (SELECT FROM pg_amproc AS b JOIN pg_opfamily AS g ON g.oid = b.amprocfamily JOIN pg_proc AS q ON q.oid = b.amproc
             WHERE opfname = replace(f.opfname, 'snowflakeid', 'integer') AND b.amproclefttype = 'bigint'::regtype
               AND b.amprocnum = a.amprocnum AND q.prosrc = p.prosrc) $$,
    'and those of int8 for BRIN');
SELECT is_empty(
    $$ SELECT f.signature, f.prosrc FROM functions AS f JOIN pg_language AS l ON l.oid = f.prolang AND lanname = 'internal'
       WHERE NOT EXISTS (SELECT FROM pg_proc AS t WHERE t.pronamespace = 'pg_catalog'::regnamespace AND t.prolang = f.prolang AND t.prosrc = f.prosrc
           AND t.pronargs = f.pronargs AND t.provolatile = f.provolatile AND t.proisstrict = f.proisstrict AND t.proparallel = f.proparallel
           AND t.proleakproof = f.proleakproof AND t.procost = f.procost) $$,
    'functions that are int8''s own are labelled as those');
SELECT is(
    (SELECT string_agg(format('%s %s %s %s', signature, aggtransfn::oid = aggcombinefn::oid, s.prosrc, o.oprname), E'\n' ORDER BY signature)
     FROM functions AS f JOIN pg_aggregate ON aggfnoid = f.oid JOIN pg_proc AS s ON s.oid = aggtransfn
     JOIN pg_operator AS o ON o.oid = aggsortop WHERE f.prokind = 'a'),
    concat_ws(E'\n', 'max(snowflakeid) t int8larger >', 'min(snowflakeid) t int8smaller <'),
    'aggregates combine partial results and use an index');

-- Hash joins and hash partitions of IDs as they are, not of small numbers.
CREATE TEMP TABLE here AS SELECT id::snowflakeid FROM generate_series(250510213499645953, 250510213499745953, 10) AS id
    UNION ALL SELECT (-id)::snowflakeid FROM generate_series(1, 9000000000000000000, 90000000000000000) AS id;
CREATE TEMP TABLE there AS SELECT id::bigint FROM here;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_nestloop = off;
SELECT is((SELECT count(*) FROM here JOIN there ON here.id = there.id), (SELECT count(*) FROM here),
    'a hash join of both types finds every ID');

SELECT * FROM finish();
ROLLBACK;
