\echo Use "CREATE EXTENSION idgen" to load this file. \quit

-- Names are looked up in pg_catalog alone, whatever others have put into the schema
-- that the extension goes to: what is bound here runs as its owner. So all that
-- the script makes is named in full, and @extschema@ is in no format string, as it
-- may contain a percent sign.
SET LOCAL search_path = pg_catalog, pg_temp;
-- For the section "Privileges": nothing was there before.
SELECT set_config('idgen_update.rights', '', true);

-- Internals: the operators' functions, the catalogue of layouts.
CREATE SCHEMA idgen_internal;
COMMENT ON SCHEMA idgen_internal IS 'internals of the extension idgen';

------------------------------------------------------------------------------
-- Type snowflakeid: 8 bytes by value; in and out as decimal, on the wire as int8

CREATE TYPE @extschema@.snowflakeid;

CREATE FUNCTION idgen_internal.snowflakeid_in(cstring) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflakeid_out(@extschema@.snowflakeid) RETURNS cstring
    AS 'int8out' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflakeid_recv(internal) RETURNS @extschema@.snowflakeid
    AS 'int8recv' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflakeid_send(@extschema@.snowflakeid) RETURNS bytea
    AS 'int8send' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE @extschema@.snowflakeid (
    INPUT = idgen_internal.snowflakeid_in,
    OUTPUT = idgen_internal.snowflakeid_out,
    RECEIVE = idgen_internal.snowflakeid_recv,
    SEND = idgen_internal.snowflakeid_send,
    LIKE = bigint,
    CATEGORY = 'N',
    -- Only for parameters and literals without a type, where a function has a form
    -- for snowflakeid and one for bigint.
    PREFERRED = true
);
COMMENT ON TYPE @extschema@.snowflakeid IS '64-bit ID: time, node and sequence in one number';
COMMENT ON FUNCTION idgen_internal.snowflakeid_in(cstring) IS 'I/O';
COMMENT ON FUNCTION idgen_internal.snowflakeid_out(@extschema@.snowflakeid) IS 'I/O';
COMMENT ON FUNCTION idgen_internal.snowflakeid_recv(internal) IS 'I/O';
COMMENT ON FUNCTION idgen_internal.snowflakeid_send(@extschema@.snowflakeid) IS 'I/O';

-- Casts. None is implicit: with one, bigint < timestamptz would become legal.
CREATE CAST (@extschema@.snowflakeid AS bigint) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (bigint AS @extschema@.snowflakeid) WITHOUT FUNCTION AS ASSIGNMENT;

CREATE FUNCTION idgen_internal.from_int2(smallint) RETURNS @extschema@.snowflakeid
    AS 'int28' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION idgen_internal.from_int4(integer) RETURNS @extschema@.snowflakeid
    AS 'int48' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION idgen_internal.from_numeric(numeric) RETURNS @extschema@.snowflakeid
    AS 'numeric_int8' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE CAST (smallint AS @extschema@.snowflakeid) WITH FUNCTION idgen_internal.from_int2(smallint) AS ASSIGNMENT;
CREATE CAST (integer AS @extschema@.snowflakeid) WITH FUNCTION idgen_internal.from_int4(integer) AS ASSIGNMENT;
CREATE CAST (numeric AS @extschema@.snowflakeid) WITH FUNCTION idgen_internal.from_numeric(numeric) AS ASSIGNMENT;
COMMENT ON FUNCTION idgen_internal.from_int2(smallint) IS 'convert smallint to snowflakeid';
COMMENT ON FUNCTION idgen_internal.from_int4(integer) IS 'convert integer to snowflakeid';
COMMENT ON FUNCTION idgen_internal.from_numeric(numeric) IS 'convert numeric to snowflakeid';
COMMENT ON CAST (@extschema@.snowflakeid AS bigint) IS 'the same 8 bytes';
COMMENT ON CAST (bigint AS @extschema@.snowflakeid) IS 'the same 8 bytes';
COMMENT ON CAST (smallint AS @extschema@.snowflakeid) IS 'the same number';
COMMENT ON CAST (integer AS @extschema@.snowflakeid) IS 'the same number';
COMMENT ON CAST (numeric AS @extschema@.snowflakeid) IS 'the same number, rounded; of bigint''s range';

------------------------------------------------------------------------------
-- Comparison: int8's own functions under operators of this type. The families
-- also hold bigint, so that a driver's parameter uses the index. Their
-- (bigint, bigint) members are operators of our own, off the search path: the
-- planner derives equalities within a family, and sharing pg_catalog's would
-- change the plans of every bigint table in the database.

DO $make$
DECLARE
    l text;
    r text;
    s text;
    op record;
BEGIN
    FOR l, r IN
        SELECT a, b
        FROM pg_catalog.unnest(ARRAY['@extschema@.snowflakeid', 'bigint']) AS a,
             pg_catalog.unnest(ARRAY['@extschema@.snowflakeid', 'bigint']) AS b
    LOOP
        s := CASE WHEN l = 'bigint' AND r = 'bigint' THEN 'idgen_internal' ELSE '@extschema@' END;
        FOR op IN
            SELECT * FROM (VALUES
                ('=',  'eq', 'int8eq', '=',  '<>', 'eqsel', 'eqjoinsel'),
                ('<>', 'ne', 'int8ne', '<>', '=',  'neqsel', 'neqjoinsel'),
                ('<',  'lt', 'int8lt', '>',  '>=', 'scalarltsel', 'scalarltjoinsel'),
                ('<=', 'le', 'int8le', '>=', '>',  'scalarlesel', 'scalarlejoinsel'),
                ('>',  'gt', 'int8gt', '<',  '<=', 'scalargtsel', 'scalargtjoinsel'),
                ('>=', 'ge', 'int8ge', '<=', '<',  'scalargesel', 'scalargejoinsel'))
                AS o (symbol, name, source, commutator, negator, sel, joinsel)
        LOOP
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION idgen_internal.%I(%s, %s) RETURNS boolean AS %L '
                'LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                op.name, l, r, op.source);
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION idgen_internal.%I(%s, %s) IS %L',
                op.name, l, r, 'implementation of ' || op.symbol || ' operator');
            EXECUTE pg_catalog.format(
                'CREATE OPERATOR %s.%s (LEFTARG = %s, RIGHTARG = %s, '
                'FUNCTION = idgen_internal.%I, COMMUTATOR = OPERATOR(%s.%s), '
                'NEGATOR = OPERATOR(%s.%s), RESTRICT = %s, JOIN = %s%s)',
                s, op.symbol, l, r, op.name, s, op.commutator, s, op.negator, op.sel, op.joinsel,
                CASE op.name WHEN 'eq' THEN ', HASHES, MERGES' ELSE '' END);
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR %s.%s (%s, %s) IS %L', s, op.symbol, l, r,
                CASE op.name
                    WHEN 'eq' THEN 'equal' WHEN 'ne' THEN 'not equal'
                    WHEN 'lt' THEN 'less than' WHEN 'le' THEN 'less than or equal'
                    WHEN 'gt' THEN 'greater than' ELSE 'greater than or equal' END);
        END LOOP;
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION idgen_internal.cmp(%s, %s) RETURNS integer AS ''btint8cmp'' '
            'LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE', l, r);
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION idgen_internal.cmp(%s, %s) IS ''less-equal-greater''', l, r);
    END LOOP;
END
$make$;

-- With numeric, as bigint compares with it: by value, without an index. The operand
-- has a type of its own, to which only numeric casts implicitly: integers would
-- become numeric, too, and id = 5 would be ambiguous.
CREATE TYPE idgen_internal.any_numeric;
CREATE FUNCTION idgen_internal.any_numeric_in(cstring, oid, integer) RETURNS idgen_internal.any_numeric
    AS 'numeric_in' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.any_numeric_out(idgen_internal.any_numeric) RETURNS cstring
    AS 'numeric_out' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE idgen_internal.any_numeric (
    INPUT = idgen_internal.any_numeric_in,
    OUTPUT = idgen_internal.any_numeric_out,
    LIKE = numeric
);
CREATE CAST (numeric AS idgen_internal.any_numeric) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (idgen_internal.any_numeric AS numeric) WITHOUT FUNCTION;
COMMENT ON TYPE idgen_internal.any_numeric IS 'numeric as an operand beside snowflakeid';
COMMENT ON FUNCTION idgen_internal.any_numeric_in(cstring, oid, integer) IS 'I/O';
COMMENT ON FUNCTION idgen_internal.any_numeric_out(idgen_internal.any_numeric) IS 'I/O';
COMMENT ON CAST (numeric AS idgen_internal.any_numeric) IS 'the same bytes';
COMMENT ON CAST (idgen_internal.any_numeric AS numeric) IS 'the same bytes';

DO $make$
DECLARE
    l text;
    r text;
    op record;
BEGIN
    FOR l, r IN VALUES ('@extschema@.snowflakeid', 'idgen_internal.any_numeric'),
        ('idgen_internal.any_numeric', '@extschema@.snowflakeid')
    LOOP
        FOR op IN
            SELECT * FROM (VALUES
                ('=',  'eq', '=',  '<>', 'eqsel', 'eqjoinsel', 'equal'),
                ('<>', 'ne', '<>', '=',  'neqsel', 'neqjoinsel', 'not equal'),
                ('<',  'lt', '>',  '>=', 'scalarltsel', 'scalarltjoinsel', 'less than'),
                ('<=', 'le', '>=', '>',  'scalarlesel', 'scalarlejoinsel', 'less than or equal'),
                ('>',  'gt', '<',  '<=', 'scalargtsel', 'scalargtjoinsel', 'greater than'),
                ('>=', 'ge', '<=', '<',  'scalargesel', 'scalargejoinsel', 'greater than or equal'))
                AS o (symbol, name, commutator, negator, sel, joinsel, note)
        LOOP
            -- The planner puts the body in the function's place.
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION idgen_internal.%I(%s, %s) RETURNS boolean '
                'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN %s OPERATOR(pg_catalog.%s) %s',
                op.name, l, r,
                CASE WHEN l = 'idgen_internal.any_numeric' THEN '$1::numeric' ELSE '$1::bigint::numeric' END,
                op.symbol,
                CASE WHEN l = 'idgen_internal.any_numeric' THEN '$2::bigint::numeric' ELSE '$2::numeric' END);
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION idgen_internal.%I(%s, %s) IS %L',
                op.name, l, r, pg_catalog.format('implementation of %s operator', op.symbol));
            EXECUTE pg_catalog.format(
                'CREATE OPERATOR %1$s.%2$s (LEFTARG = %3$s, RIGHTARG = %4$s, '
                'FUNCTION = idgen_internal.%5$I, COMMUTATOR = OPERATOR(%1$s.%6$s), '
                'NEGATOR = OPERATOR(%1$s.%7$s), RESTRICT = %8$s, JOIN = %9$s)',
                '@extschema@', op.symbol, l, r, op.name, op.commutator, op.negator, op.sel, op.joinsel);
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR %s.%s (%s, %s) IS %L', '@extschema@', op.symbol, l, r, op.note);
        END LOOP;
    END LOOP;
END
$make$;

CREATE FUNCTION idgen_internal.hash(@extschema@.snowflakeid) RETURNS integer
    AS 'hashint8' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.hash_extended(@extschema@.snowflakeid, bigint) RETURNS bigint
    AS 'hashint8extended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION idgen_internal.hash(@extschema@.snowflakeid) IS 'hash';
COMMENT ON FUNCTION idgen_internal.hash_extended(@extschema@.snowflakeid, bigint) IS 'hash';

CREATE OPERATOR FAMILY @extschema@.snowflakeid_ops USING btree;
CREATE OPERATOR CLASS @extschema@.snowflakeid_ops DEFAULT FOR TYPE @extschema@.snowflakeid USING btree FAMILY @extschema@.snowflakeid_ops AS
    OPERATOR 1 @extschema@.<, OPERATOR 2 @extschema@.<=, OPERATOR 3 @extschema@.=, OPERATOR 4 @extschema@.>=, OPERATOR 5 @extschema@.>,
    FUNCTION 1 idgen_internal.cmp(@extschema@.snowflakeid, @extschema@.snowflakeid),
    FUNCTION 2 (@extschema@.snowflakeid, @extschema@.snowflakeid) btint8sortsupport(internal),
    FUNCTION 4 (@extschema@.snowflakeid, @extschema@.snowflakeid) btequalimage(oid);
ALTER OPERATOR FAMILY @extschema@.snowflakeid_ops USING btree ADD
    OPERATOR 1 @extschema@.< (@extschema@.snowflakeid, bigint), OPERATOR 2 @extschema@.<= (@extschema@.snowflakeid, bigint),
    OPERATOR 3 @extschema@.= (@extschema@.snowflakeid, bigint), OPERATOR 4 @extschema@.>= (@extschema@.snowflakeid, bigint),
    OPERATOR 5 @extschema@.> (@extschema@.snowflakeid, bigint),
    FUNCTION 1 (@extschema@.snowflakeid, bigint) idgen_internal.cmp(@extschema@.snowflakeid, bigint),
    OPERATOR 1 @extschema@.< (bigint, @extschema@.snowflakeid), OPERATOR 2 @extschema@.<= (bigint, @extschema@.snowflakeid),
    OPERATOR 3 @extschema@.= (bigint, @extschema@.snowflakeid), OPERATOR 4 @extschema@.>= (bigint, @extschema@.snowflakeid),
    OPERATOR 5 @extschema@.> (bigint, @extschema@.snowflakeid),
    FUNCTION 1 (bigint, @extschema@.snowflakeid) idgen_internal.cmp(bigint, @extschema@.snowflakeid),
    OPERATOR 1 idgen_internal.< (bigint, bigint), OPERATOR 2 idgen_internal.<= (bigint, bigint),
    OPERATOR 3 idgen_internal.= (bigint, bigint), OPERATOR 4 idgen_internal.>= (bigint, bigint),
    OPERATOR 5 idgen_internal.> (bigint, bigint),
    FUNCTION 1 (bigint, bigint) idgen_internal.cmp(bigint, bigint),
    FUNCTION 2 (bigint, bigint) btint8sortsupport(internal),
    FUNCTION 4 (bigint, bigint) btequalimage(oid);

-- BRIN: one class that summarises each range of pages by its least and greatest
-- ID, one by several intervals, and (below) one by a filter. As everywhere, bigint on the other side.
DO $make$
DECLARE
    class record;
    i integer;
    symbol text;
    procedure text;
    own text;
    loose text;
BEGIN
    FOR class IN
        SELECT * FROM (VALUES
            ('snowflakeid_minmax_ops', 'DEFAULT', ARRAY[
                '1 %s brin_minmax_opcinfo(internal)',
                '2 %s brin_minmax_add_value(internal, internal, internal, internal)',
                '3 %s brin_minmax_consistent(internal, internal, internal)',
                '4 %s brin_minmax_union(internal, internal, internal)']),
            ('snowflakeid_minmax_multi_ops', '', ARRAY[
                '1 %s brin_minmax_multi_opcinfo(internal)',
                '2 %s brin_minmax_multi_add_value(internal, internal, internal, internal)',
                '3 %s brin_minmax_multi_consistent(internal, internal, internal, integer)',
                '4 %s brin_minmax_multi_union(internal, internal, internal)',
                '5 %s brin_minmax_multi_options(internal)',
                '11 %s brin_minmax_multi_distance_int8(internal, internal)']))
            AS c (name, is_default, procedures)
    LOOP
        own := 'STORAGE @extschema@.snowflakeid';
        loose := '';
        FOR i IN 1..5 LOOP
            symbol := (ARRAY['<', '<=', '=', '>=', '>'])[i];
            own := own || pg_catalog.format(', OPERATOR %s %s.%s', i, '@extschema@', symbol);
            loose := loose || pg_catalog.format(
                'OPERATOR %1$s %3$s.%2$s (%3$s.snowflakeid, bigint), '
                'OPERATOR %1$s %3$s.%2$s (bigint, %3$s.snowflakeid), '
                'OPERATOR %1$s idgen_internal.%2$s (bigint, bigint), ', i, symbol, '@extschema@');
        END LOOP;
        FOREACH procedure IN ARRAY class.procedures LOOP
            own := own || ', FUNCTION ' || pg_catalog.format(procedure, '');
            loose := loose || 'FUNCTION ' || pg_catalog.format(procedure, '(bigint, bigint)') || ', ';
        END LOOP;
        EXECUTE pg_catalog.format('CREATE OPERATOR FAMILY %s.%s USING brin', '@extschema@', class.name);
        EXECUTE pg_catalog.format(
            'CREATE OPERATOR CLASS %1$s.%2$s %3$s FOR TYPE %1$s.snowflakeid USING brin FAMILY %1$s.%2$s AS %4$s',
            '@extschema@', class.name, class.is_default, own);
        EXECUTE pg_catalog.format('ALTER OPERATOR FAMILY %s.%s USING brin ADD %s',
            '@extschema@', class.name, pg_catalog.rtrim(loose, ', '));
    END LOOP;
END
$make$;

CREATE OPERATOR FAMILY @extschema@.snowflakeid_ops USING hash;
CREATE OPERATOR CLASS @extschema@.snowflakeid_ops DEFAULT FOR TYPE @extschema@.snowflakeid USING hash FAMILY @extschema@.snowflakeid_ops AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 idgen_internal.hash(@extschema@.snowflakeid),
    FUNCTION 2 idgen_internal.hash_extended(@extschema@.snowflakeid, bigint);
ALTER OPERATOR FAMILY @extschema@.snowflakeid_ops USING hash ADD
    OPERATOR 1 @extschema@.= (@extschema@.snowflakeid, bigint),
    OPERATOR 1 @extschema@.= (bigint, @extschema@.snowflakeid),
    OPERATOR 1 idgen_internal.= (bigint, bigint),
    FUNCTION 1 (bigint, bigint) hashint8(bigint),
    FUNCTION 2 (bigint, bigint) hashint8extended(bigint, bigint);

-- BRIN by a filter of the IDs of each range of pages, for = alone.
CREATE OPERATOR FAMILY @extschema@.snowflakeid_bloom_ops USING brin;
CREATE OPERATOR CLASS @extschema@.snowflakeid_bloom_ops FOR TYPE @extschema@.snowflakeid USING brin
    FAMILY @extschema@.snowflakeid_bloom_ops AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 brin_bloom_opcinfo(internal),
    FUNCTION 2 brin_bloom_add_value(internal, internal, internal, internal),
    FUNCTION 3 brin_bloom_consistent(internal, internal, internal, integer),
    FUNCTION 4 brin_bloom_union(internal, internal, internal),
    FUNCTION 5 brin_bloom_options(internal),
    FUNCTION 11 idgen_internal.hash(@extschema@.snowflakeid);
ALTER OPERATOR FAMILY @extschema@.snowflakeid_bloom_ops USING brin ADD
    OPERATOR 1 @extschema@.= (@extschema@.snowflakeid, bigint),
    OPERATOR 1 @extschema@.= (bigint, @extschema@.snowflakeid),
    OPERATOR 1 idgen_internal.= (bigint, bigint),
    FUNCTION 1 (bigint, bigint) brin_bloom_opcinfo(internal),
    FUNCTION 2 (bigint, bigint) brin_bloom_add_value(internal, internal, internal, internal),
    FUNCTION 3 (bigint, bigint) brin_bloom_consistent(internal, internal, internal, integer),
    FUNCTION 4 (bigint, bigint) brin_bloom_union(internal, internal, internal),
    FUNCTION 5 (bigint, bigint) brin_bloom_options(internal),
    FUNCTION 11 (bigint, bigint) hashint8(bigint);
COMMENT ON OPERATOR FAMILY @extschema@.snowflakeid_bloom_ops USING brin IS 'equality of snowflakeid and bigint';
COMMENT ON OPERATOR CLASS @extschema@.snowflakeid_bloom_ops USING brin IS 'a filter of the snowflakeids of each range of pages';
-- What an index stores is a snowflakeid also where its column's type is a domain. The
-- command leaves out a stored type that is the class's own; pg_catalog's classes have it.
UPDATE pg_opclass SET opckeytype = opcintype
WHERE opcintype = '@extschema@.snowflakeid'::regtype AND opcmethod = (SELECT oid FROM pg_am WHERE amname = 'brin');

COMMENT ON OPERATOR FAMILY @extschema@.snowflakeid_ops USING btree IS 'order of snowflakeid and bigint';
COMMENT ON OPERATOR CLASS @extschema@.snowflakeid_ops USING btree IS 'order of snowflakeid';
COMMENT ON OPERATOR FAMILY @extschema@.snowflakeid_ops USING hash IS 'equality of snowflakeid and bigint';
COMMENT ON OPERATOR CLASS @extschema@.snowflakeid_ops USING hash IS 'equality of snowflakeid';
COMMENT ON OPERATOR FAMILY @extschema@.snowflakeid_minmax_ops USING brin IS 'order of snowflakeid and bigint';
COMMENT ON OPERATOR CLASS @extschema@.snowflakeid_minmax_ops USING brin IS 'least and greatest snowflakeid of each range of pages';
COMMENT ON OPERATOR FAMILY @extschema@.snowflakeid_minmax_multi_ops USING brin IS 'order of snowflakeid and bigint';
COMMENT ON OPERATOR CLASS @extschema@.snowflakeid_minmax_multi_ops USING brin IS 'several intervals of snowflakeid of each range of pages';

CREATE FUNCTION idgen_internal.larger(@extschema@.snowflakeid, @extschema@.snowflakeid) RETURNS @extschema@.snowflakeid
    AS 'int8larger' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.smaller(@extschema@.snowflakeid, @extschema@.snowflakeid) RETURNS @extschema@.snowflakeid
    AS 'int8smaller' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.larger(@extschema@.snowflakeid, @extschema@.snowflakeid) IS 'larger of two';
COMMENT ON FUNCTION idgen_internal.smaller(@extschema@.snowflakeid, @extschema@.snowflakeid) IS 'smaller of two';
CREATE AGGREGATE @extschema@.max(@extschema@.snowflakeid) (
    SFUNC = idgen_internal.larger, STYPE = @extschema@.snowflakeid, COMBINEFUNC = idgen_internal.larger,
    SORTOP = OPERATOR(@extschema@.>), PARALLEL = SAFE);
CREATE AGGREGATE @extschema@.min(@extschema@.snowflakeid) (
    SFUNC = idgen_internal.smaller, STYPE = @extschema@.snowflakeid, COMBINEFUNC = idgen_internal.smaller,
    SORTOP = OPERATOR(@extschema@.<), PARALLEL = SAFE);
COMMENT ON AGGREGATE @extschema@.max(@extschema@.snowflakeid) IS 'maximum value of all snowflakeid input values';
COMMENT ON AGGREGATE @extschema@.min(@extschema@.snowflakeid) IS 'minimum value of all snowflakeid input values';

------------------------------------------------------------------------------
-- Layouts: this database's own and other people's, by name. Append-only.

CREATE TABLE idgen_internal.layout (
    name name PRIMARY KEY CHECK (name <> ''),
    definition text NOT NULL,
    epoch text NOT NULL,
    note text,
    kind "char" NOT NULL CHECK (kind IN ('f', 'r', 'p', 'u')) -- filled in by the trigger
);
COMMENT ON TABLE idgen_internal.layout IS 'layouts by name: this database''s own (idgen) and others for decoding';
COMMENT ON COLUMN idgen_internal.layout.definition IS 'fields from the most significant bit, widths in bits, length of a tick';
COMMENT ON COLUMN idgen_internal.layout.epoch IS 'the time that IDs count from, UTC';
COMMENT ON COLUMN idgen_internal.layout.kind IS 'f: own, made by CREATE EXTENSION; r: own, restored from a dump; p: preset; u: added by a user. Left out when a layout is added';

CREATE FUNCTION idgen_internal.layout_guard() RETURNS trigger
    AS 'MODULE_PATHNAME', 'idgen_layout_guard' LANGUAGE C;
COMMENT ON FUNCTION idgen_internal.layout_guard() IS 'trigger that keeps the table of layouts append-only';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON idgen_internal.layout
    FOR EACH ROW EXECUTE FUNCTION idgen_internal.layout_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON idgen_internal.layout
    FOR EACH STATEMENT EXECUTE FUNCTION idgen_internal.layout_guard();
ALTER TABLE idgen_internal.layout
    ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_truncate;

CREATE FUNCTION idgen_internal.configured_layout(OUT definition text, OUT epoch text) RETURNS record
    AS 'MODULE_PATHNAME', 'idgen_configured_layout' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION idgen_internal.configured_layout() IS 'the layout that the settings, or their defaults, ask for';

INSERT INTO idgen_internal.layout (name, definition, epoch, note, kind)
    SELECT 'idgen', definition, epoch, 'this database''s own layout', 'f'
    FROM idgen_internal.configured_layout();
INSERT INTO idgen_internal.layout (name, definition, epoch, note, kind) VALUES
    ('baidu', 'sign:1 time:28 shard:22 sequence:13 tick:1s', '1463673600000',
     'uid-generator as it was released; its time field ended on 2024-11-20; tested with a computed ID', 'p'),
    ('baidu_readme', 'sign:1 time:29 shard:21 sequence:13 tick:1s', '1474300800000',
     'uid-generator as its README sets it up', 'p'),
    ('cockroach', 'sign:1 time:48 shard:15 tick:10us', '1420070400000',
     'unique_rowid(); the node is exclusive-ored into the last bits, so that it can be wrong', 'p'),
    ('discord', 'time:42 region:5 shard:5 sequence:12 tick:1ms', '1420070400000',
     'region is the worker, shard the process', 'p'),
    ('hazelcast', 'sign:1 time:41 sequence:6 shard:16 tick:1ms', '1514764800000',
     'FlakeIdGenerator; no ID is known to test with', 'p'),
    ('instagram', 'time:41 shard:13 sequence:10 tick:1ms', '1314220021721',
     'shard is the logical shard; known to the day', 'p'),
    ('js53', 'time:41 shard:4 sequence:8 tick:1ms', '2025-01-01T00:00:00Z',
     '53 bits, exact as JavaScript numbers; idgen.layout = ''js53'' with the default epoch', 'p'),
    ('katsubushi', 'time:42 shard:10 sequence:12 tick:1ms', '1420070400000',
     'shard is the worker', 'p'),
    ('leaf', 'sign:1 time:41 shard:10 sequence:12 tick:1ms', '1288834974657',
     'Meituan Leaf in snowflake mode; tested with a computed ID', 'p'),
    ('mastodon', 'time:48 sequence:16 tick:1ms', '0',
     'timestamp_id(); the sequence is hashed; the known ID fits to 52 ms', 'p'),
    ('pgedge', 'sign:1 time:41 shard:10 sequence:12 tick:1ms', '1672531200000',
     'pgEdge snowflake since 2024-03-30', 'p'),
    ('pgedge_v1', 'sign:1 time:41 sequence:12 shard:10 tick:1ms', '1672531200000',
     'pgEdge snowflake until 2024-03-30: the node below the sequence', 'p'),
    ('seata', 'sign:1 shard:10 time:41 sequence:12 tick:1ms', '1588435200000',
     'the improved algorithm: node on top, so that IDs do not sort by time; the time is that of the start plus a count', 'p'),
    ('seata_legacy', 'sign:1 time:41 shard:10 sequence:12 tick:1ms', '1588435200000',
     'the algorithm before the improved one', 'p'),
    ('sonyflake_v1', 'sign:1 time:39 sequence:8 shard:16 tick:10ms', '1409529600000',
     'shard is the machine, below the sequence; tested with a computed ID', 'p'),
    ('sonyflake_v2', 'sign:1 time:39 sequence:8 shard:16 tick:10ms', '1735689600000',
     'shard is the machine, below the sequence; tested with a computed ID', 'p'),
    ('tidb_tso', 'time:46 sequence:18 tick:1ms', '0',
     'TiDB and TiKV timestamps; sequence is the logical part; no node', 'p'),
    ('tsid', 'time:42 shard:10 sequence:12 tick:1ms', '1577836800000',
     'tsid-creator with its default of 10 bits of node', 'p'),
    ('twitter', 'sign:1 time:41 region:5 shard:5 sequence:12 tick:1ms', '1288834974657',
     'region is the datacenter, shard the worker', 'p');

SELECT pg_catalog.pg_extension_config_dump('idgen_internal.layout', 'WHERE kind <> ''p''');

CREATE VIEW @extschema@.snowflake_layouts AS
    SELECT name, definition, epoch, note FROM idgen_internal.layout;
COMMENT ON VIEW @extschema@.snowflake_layouts IS 'layouts that snowflake_decode() and others take by name; "idgen" is this database''s own';

CREATE FUNCTION @extschema@.snowflake_create_layout(name text, definition text, epoch text, note text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    -- A longer one would be cut by the type "name".
    IF octet_length(name) > 63 THEN
        RAISE EXCEPTION 'layout name "%" is too long', name
            USING ERRCODE = 'name_too_long', DETAIL = 'It may have 63 bytes.';
    END IF;
    INSERT INTO idgen_internal.layout (name, definition, epoch, note)
        VALUES (name, definition, epoch, note);
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'layout "%" already exists', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = 'Layouts are never changed or removed.',
                  HINT = 'Add it under another name.';
END
$$;
CREATE FUNCTION @extschema@.snowflake_create_layout(name text, definition text, epoch bigint, note text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM @extschema@.snowflake_create_layout(name, definition, epoch::text, note);
END
$$;
COMMENT ON FUNCTION @extschema@.snowflake_create_layout(text, text, text, text) IS 'adds a layout by which IDs of others are decoded: fields from the most significant bit; the time that IDs count from, UTC';
COMMENT ON FUNCTION @extschema@.snowflake_create_layout(text, text, bigint, text) IS 'adds a layout by which IDs of others are decoded: fields from the most significant bit; the time that IDs count from, milliseconds of Unix time';

------------------------------------------------------------------------------
-- Comparing an ID with a time, in the database's own layout. Total: any number,
-- any time. The planner gets comparisons of numbers in their place
-- (src/pg/time_predicates.cpp), by the (bigint, bigint) members of the families.

CREATE FUNCTION idgen_internal.bound_not_before(timestamptz) RETURNS bigint
    AS 'MODULE_PATHNAME', 'idgen_bound_not_before' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION idgen_internal.bound_after(timestamptz) RETURNS bigint
    AS 'MODULE_PATHNAME', 'idgen_bound_after' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.bound_not_before(timestamptz) IS 'the smallest bigint whose time as an ID is not before a time';
COMMENT ON FUNCTION idgen_internal.bound_after(timestamptz) IS 'the smallest bigint whose time as an ID is after a time';

DO $make$
DECLARE
    op record;
    l text;
    r text;
    s text;
    flip boolean;
BEGIN
    FOREACH s IN ARRAY ARRAY['lt_support', 'le_support', 'gt_support', 'ge_support'] LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION idgen_internal.%I(internal) RETURNS internal '
            'AS ''MODULE_PATHNAME'', %L LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE',
            s, 'idgen_' || s);
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION idgen_internal.%I(internal) IS %L',
            s, 'planner support of comparisons of an ID with a time');
    END LOOP;
    FOR flip IN VALUES (false), (true) LOOP
        l := CASE WHEN flip THEN 'timestamptz' ELSE '@extschema@.snowflakeid' END;
        r := CASE WHEN flip THEN '@extschema@.snowflakeid' ELSE 'timestamptz' END;
        FOR op IN
            SELECT * FROM (VALUES
                ('<',  'lt', '>',  '>=', 'gt', 'scalarlt', 'before'),
                ('<=', 'le', '>=', '>',  'ge', 'scalarle', 'not after'),
                ('>',  'gt', '<',  '<=', 'lt', 'scalargt', 'after'),
                ('>=', 'ge', '<=', '<',  'le', 'scalarge', 'not before'))
                AS o (symbol, name, commutator, negator, commuted, sel, meaning)
        LOOP
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION idgen_internal.%I(%s, %s) RETURNS boolean '
                'AS ''MODULE_PATHNAME'', %L LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE '
                'SUPPORT idgen_internal.%I',
                op.name, l, r,
                CASE WHEN flip THEN 'idgen_time_' || op.name || '_id' ELSE 'idgen_id_' || op.name || '_time' END,
                CASE WHEN flip THEN op.commuted ELSE op.name END || '_support');
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION idgen_internal.%I(%s, %s) IS %L',
                op.name, l, r, 'implementation of ' || op.symbol || ' operator');
            EXECUTE pg_catalog.format(
                'CREATE OPERATOR %1$s.%2$s (LEFTARG = %3$s, RIGHTARG = %4$s, '
                'FUNCTION = idgen_internal.%5$I, COMMUTATOR = OPERATOR(%1$s.%6$s), '
                'NEGATOR = OPERATOR(%1$s.%7$s), RESTRICT = %8$s, JOIN = %9$s)',
                '@extschema@', op.symbol, l, r, op.name, op.commutator, op.negator, op.sel || 'sel', op.sel || 'joinsel');
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR %s.%s (%s, %s) IS %L', '@extschema@', op.symbol, l, r,
                CASE WHEN flip THEN 'time is ' || op.meaning || ' the time of the ID'
                    ELSE 'time of the ID is ' || op.meaning END);
        END LOOP;
    END LOOP;
END
$make$;

------------------------------------------------------------------------------
-- Issuing

CREATE FUNCTION @extschema@.snowflake_nextval() RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_nextval() IS 'next ID: unique, greater than every ID issued before on this instance';
-- Tools take a default with "nextval" in its text for a sequence's.
CREATE FUNCTION @extschema@.snowflake_id() RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id() IS 'next ID, as snowflake_nextval(): for tools that treat a default that contains "nextval" as a sequence''s';

CREATE FUNCTION idgen_internal.batch_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'idgen_batch_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.batch_support(internal) IS 'planner support: how many rows snowflake_batch(n) gives';
CREATE FUNCTION @extschema@.snowflake_batch(n bigint) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
CREATE FUNCTION @extschema@.snowflake_batch(n bigint, scope text) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
COMMENT ON FUNCTION @extschema@.snowflake_batch(bigint) IS 'n IDs in ascending order, from 1 to idgen.max_batch';
COMMENT ON FUNCTION @extschema@.snowflake_batch(bigint, text) IS 'n IDs of a scope in ascending order, from 1 to idgen.max_batch';

CREATE FUNCTION @extschema@.snowflake_reserve(n bigint, OUT first @extschema@.snowflakeid, OUT last @extschema@.snowflakeid, OUT count bigint) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_reserve' LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION @extschema@.snowflake_reserve(n bigint, scope text, OUT first @extschema@.snowflakeid, OUT last @extschema@.snowflakeid, OUT count bigint) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_reserve' LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION @extschema@.snowflake_reserve(bigint) IS 'n IDs as runs of consecutive integers, in ascending order; from 1 to idgen.max_batch';
COMMENT ON FUNCTION @extschema@.snowflake_reserve(bigint, text) IS 'n IDs of a scope as runs of consecutive integers, in ascending order; from 1 to idgen.max_batch';

CREATE FUNCTION @extschema@.snowflake_reserve_run(n bigint) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_reserve_run(n bigint, scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_reserve_run(bigint) IS 'the first of n consecutive integers that are all IDs of the caller''s; as many at most as a tick has';
COMMENT ON FUNCTION @extschema@.snowflake_reserve_run(bigint, text) IS 'the first of n consecutive integers that are all IDs of the caller''s, of a scope; as many at most as a tick has';

-- Scopes: named streams of IDs. Which there are is this table's to say, also after
-- a restore, and on subscribers and standbys.

CREATE TABLE idgen_internal.scope (name name PRIMARY KEY CHECK (name <> ''));
COMMENT ON TABLE idgen_internal.scope IS 'the scopes of this database, but for the one that all databases share';
COMMENT ON COLUMN idgen_internal.scope.name IS 'as snowflake_nextval() takes it';
CREATE FUNCTION idgen_internal.scope_guard() RETURNS trigger
    AS 'MODULE_PATHNAME', 'idgen_scope_guard' LANGUAGE C;
COMMENT ON FUNCTION idgen_internal.scope_guard() IS 'trigger that keeps sessions informed of the scopes there are';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON idgen_internal.scope
    FOR EACH ROW EXECUTE FUNCTION idgen_internal.scope_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON idgen_internal.scope
    FOR EACH STATEMENT EXECUTE FUNCTION idgen_internal.scope_guard();
ALTER TABLE idgen_internal.scope
    ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_truncate;
SELECT pg_catalog.pg_extension_config_dump('idgen_internal.scope', '');

CREATE VIEW @extschema@.snowflake_scopes AS
    SELECT name FROM idgen_internal.scope;
COMMENT ON VIEW @extschema@.snowflake_scopes IS 'the scopes of this database, beside the one that all databases share';

CREATE FUNCTION @extschema@.snowflake_nextval(scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval_in' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_nextval(text) IS 'next ID of a scope: unique in it, greater than every ID issued in it before on this instance';
CREATE FUNCTION @extschema@.snowflake_id(scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval_in' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id(text) IS 'next ID of a scope, as snowflake_nextval(scope): for tools that treat a default that contains "nextval" as a sequence''s';

CREATE FUNCTION @extschema@.snowflake_create_scope(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF coalesce(name, '') = '' THEN
        RAISE EXCEPTION 'a scope must have a name'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A longer one would be cut by the type "name".
    IF octet_length(name) > 63 THEN
        RAISE EXCEPTION 'scope name "%" is too long', name
            USING ERRCODE = 'name_too_long', DETAIL = 'It may have 63 bytes.';
    END IF;
    INSERT INTO idgen_internal.scope (name) VALUES (name);
    IF NOT FOUND THEN
        RAISE unique_violation;
    END IF;
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'scope "%" already exists', name
            USING ERRCODE = 'duplicate_object';
END
$$;
COMMENT ON FUNCTION @extschema@.snowflake_create_scope(text) IS 'makes a scope of this database: a stream of IDs of its own, with all that a node can issue';

CREATE FUNCTION @extschema@.snowflake_drop_scope(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF name = 'default' THEN
        RAISE EXCEPTION 'cannot drop scope "default"'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'It is the scope of snowflake_nextval() without an argument.';
    END IF;
    DELETE FROM idgen_internal.scope AS s WHERE s.name::text = name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'scope "%" does not exist', name
            USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.snowflake_drop_scope(text) IS 'drops a scope of this database; if it is made again, it goes on above all that it has issued';

-- The receive rule of a hybrid logical clock.
CREATE FUNCTION @extschema@.snowflake_observe(id @extschema@.snowflakeid) RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_observe' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_observe(id bigint) RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_observe' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_observe(@extschema@.snowflakeid) IS 'sees to it that IDs issued here from now on are greater than one of another instance; false if that lies too far ahead of the clock, and is ignored';
COMMENT ON FUNCTION @extschema@.snowflake_observe(bigint) IS 'sees to it that IDs issued here from now on are greater than one of another instance; false if that lies too far ahead of the clock, and is ignored';

------------------------------------------------------------------------------
-- Decoding and encoding

DO $make$
DECLARE
    f record;
    a record;
BEGIN
    -- By ID: snowflake_decode(id [, layout]) and the accessors of one field.
    FOR f IN
        SELECT * FROM (VALUES
            ('snowflake_decode',
             ', OUT ts timestamptz, OUT node integer, OUT region integer, OUT shard integer, '
             'OUT sequence integer, OUT layout text',
             'record', 'idgen_decode', 10, 'the fields of an ID; NULL where its layout lacks one'),
            ('snowflake_timestamp', '', 'timestamptz', 'idgen_timestamp', 1, 'the time of an ID'),
            ('snowflake_node', '', 'integer', 'idgen_node', 1, 'the node of an ID: region and shard together'),
            ('snowflake_region', '', 'integer', 'idgen_region', 1, 'the region of an ID'),
            ('snowflake_shard', '', 'integer', 'idgen_shard', 1, 'the shard of an ID'),
            ('snowflake_sequence', '', 'integer', 'idgen_sequence', 1, 'the sequence of an ID'))
            AS v (name, columns, result, source, cost, note)
    LOOP
        FOR a IN
            SELECT t.type, l.args, l.types
            FROM pg_catalog.unnest(ARRAY['@extschema@.snowflakeid', 'bigint', 'text']) AS t (type),
                 (VALUES ('', ''), (', layout_name text', ', text')) AS l (args, types)
            WHERE t.type <> 'text' OR f.name = 'snowflake_decode'
        LOOP
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION %s.%I(id %s%s%s) RETURNS %s AS ''MODULE_PATHNAME'', %L '
                'LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST %s',
                '@extschema@', f.name, a.type, a.args, f.columns, f.result,
                f.source || CASE a.type WHEN 'text' THEN '_text' ELSE '' END, f.cost);
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s.%I(%s%s) IS %L', '@extschema@', f.name, a.type, a.types, f.note
                || CASE a.type WHEN 'text' THEN ' (decimal, base32 or base62)' ELSE '' END
                || CASE a.types WHEN '' THEN '' ELSE ', in a named layout' END);
        END LOOP;
    END LOOP;
END
$make$;

CREATE FUNCTION @extschema@.snowflake_encode(ts timestamptz, node bigint, sequence bigint) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_encode_bigint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_encode(ts timestamptz, node bigint, sequence bigint, layout_name text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_encode_bigint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_encode(timestamptz, bigint, bigint) IS 'the ID with these fields; uniqueness is the caller''s';
COMMENT ON FUNCTION @extschema@.snowflake_encode(timestamptz, bigint, bigint, text) IS 'the ID with these fields, in a named layout; uniqueness is the caller''s';

CREATE FUNCTION @extschema@.snowflake_node_of(region bigint, shard bigint) RETURNS integer
    AS 'MODULE_PATHNAME', 'idgen_node_of_bigint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_node_of(region bigint, shard bigint, layout_name text) RETURNS integer
    AS 'MODULE_PATHNAME', 'idgen_node_of_bigint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_node_of(bigint, bigint) IS 'the node number of a region and a shard';
COMMENT ON FUNCTION @extschema@.snowflake_node_of(bigint, bigint, text) IS 'the node number of a region and a shard, in a named layout';

CREATE FUNCTION @extschema@.snowflake_min(ts timestamptz) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_min' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_min(ts timestamptz, layout_name text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_min' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_min(timestamptz) IS 'the smallest ID whose time is not before ts';
COMMENT ON FUNCTION @extschema@.snowflake_min(timestamptz, text) IS 'the smallest ID whose time is not before ts, in a named layout';

CREATE FUNCTION @extschema@.snowflake_to_base32(id @extschema@.snowflakeid) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base32' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_to_base32(id bigint) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base32' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_from_base32(text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_from_base32' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_to_base62(id @extschema@.snowflakeid) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base62' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_to_base62(id bigint) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base62' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_from_base62(text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_from_base62' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_to_base32(@extschema@.snowflakeid) IS 'the ID in Crockford''s base32, 13 characters; sorts as the ID does';
COMMENT ON FUNCTION @extschema@.snowflake_to_base32(bigint) IS 'the ID in Crockford''s base32, 13 characters; sorts as the ID does';
COMMENT ON FUNCTION @extschema@.snowflake_from_base32(text) IS 'the ID of 13 characters of Crockford''s base32, either case';
COMMENT ON FUNCTION @extschema@.snowflake_to_base62(@extschema@.snowflakeid) IS 'the ID in base62, 11 characters; sorts as the ID does in the C collation';
COMMENT ON FUNCTION @extschema@.snowflake_to_base62(bigint) IS 'the ID in base62, 11 characters; sorts as the ID does in the C collation';
COMMENT ON FUNCTION @extschema@.snowflake_from_base62(text) IS 'the ID of 11 characters of base62';

------------------------------------------------------------------------------
-- Forms of version 0.1.0, which took integers. Off the search path: here for what
-- was made with them, and comes with an update or a dump.

CREATE FUNCTION idgen_internal.snowflake_batch(n integer) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
CREATE FUNCTION idgen_internal.snowflake_batch(n integer, scope text) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
CREATE FUNCTION idgen_internal.snowflake_reserve_run(n integer) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflake_reserve_run(n integer, scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflake_encode(ts timestamptz, node integer, sequence integer) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_encode' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflake_encode(ts timestamptz, node integer, sequence integer, layout_name text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_encode' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflake_node_of(region integer, shard integer) RETURNS integer
    AS 'MODULE_PATHNAME', 'idgen_node_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION idgen_internal.snowflake_node_of(region integer, shard integer, layout_name text) RETURNS integer
    AS 'MODULE_PATHNAME', 'idgen_node_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.snowflake_batch(integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_batch(integer, text) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_reserve_run(integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_reserve_run(integer, text) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_encode(timestamptz, integer, integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_encode(timestamptz, integer, integer, text) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_node_of(integer, integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_node_of(integer, integer, text) IS 'form of version 0.1.0, with integers';

------------------------------------------------------------------------------
-- Masked IDs

CREATE FUNCTION @extschema@.snowflake_mask(id @extschema@.snowflakeid, key bytea) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_mask' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION @extschema@.snowflake_mask(id bigint, key bytea) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_mask' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION @extschema@.snowflake_unmask(masked @extschema@.snowflakeid, key bytea) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_unmask' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
CREATE FUNCTION @extschema@.snowflake_unmask(masked bigint, key bytea) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_unmask' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50;
COMMENT ON FUNCTION @extschema@.snowflake_mask(@extschema@.snowflakeid, bytea) IS 'the number that stands for the ID in public, by a key of 16, 24 or 32 bytes';
COMMENT ON FUNCTION @extschema@.snowflake_mask(bigint, bytea) IS 'the number that stands for the ID in public, by a key of 16, 24 or 32 bytes';
COMMENT ON FUNCTION @extschema@.snowflake_unmask(@extschema@.snowflakeid, bytea) IS 'the ID that a number stands for, by the key it was masked with';
COMMENT ON FUNCTION @extschema@.snowflake_unmask(bigint, bytea) IS 'the ID that a number stands for, by the key it was masked with';

------------------------------------------------------------------------------
-- Slots for rows of past times. A slot is a tick and a sequence number of one
-- node. Each row here says that the sequence numbers from first_sequence on, as
-- many as width, are handed out in all ticks of a range of time. No two rows of a
-- node overlap in both. There is no primary key: a subscriber takes in the
-- publisher's rows beside its own.

CREATE TABLE idgen_internal.backfill (
    node integer NOT NULL,
    during tstzrange NOT NULL,
    first_sequence integer NOT NULL CHECK (first_sequence >= 0),
    width integer NOT NULL CHECK (width > 0),
    handed_out timestamptz NOT NULL
);
COMMENT ON TABLE idgen_internal.backfill IS 'slots that snowflake_backfill_slots() has handed out';
COMMENT ON COLUMN idgen_internal.backfill.during IS 'the ticks: from the start of the first to the end of the last';
COMMENT ON COLUMN idgen_internal.backfill.first_sequence IS 'the least sequence number that was handed out in each of these ticks';
COMMENT ON COLUMN idgen_internal.backfill.width IS 'how many sequence numbers were handed out in each of these ticks';
COMMENT ON COLUMN idgen_internal.backfill.handed_out IS 'when that was';
SELECT pg_catalog.pg_extension_config_dump('idgen_internal.backfill', '');

CREATE FUNCTION @extschema@.snowflake_backfill_slots(
    from_time timestamptz, until_time timestamptz, row_count bigint,
    width integer DEFAULT 64, node integer DEFAULT 0,
    OUT first_tick timestamptz, OUT tick interval, OUT first_sequence integer, OUT last_tick timestamptz)
    RETURNS record
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    definition text;
    capacity bigint;
    wanted tstzrange;
BEGIN
    IF row_count < 1 THEN
        RAISE EXCEPTION 'number of rows must be positive: %', row_count
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF from_time > until_time THEN
        RAISE EXCEPTION 'the first time is after the last: % > %', from_time, until_time
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT l.definition INTO STRICT definition FROM idgen_internal.layout AS l WHERE l.name = 'idgen';
    capacity := 1::bigint << (regexp_match(definition, 'sequence:(\d+)'))[1]::integer;
    tick := replace((regexp_match(definition, 'tick:(\S+)'))[1], 'us', ' us')::interval;
    IF width < 1 OR width > capacity THEN
        RAISE EXCEPTION 'width must be from 1 to %: %', capacity, width
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The layout has %s sequence numbers per tick.', capacity);
    END IF;
    -- Rows spill into later ticks where they crowd: at most row_count / width of them.
    -- Both calls report times and nodes that the layout does not have.
    first_tick := @extschema@.snowflake_timestamp(@extschema@.snowflake_encode(from_time, node, 0));
    last_tick := @extschema@.snowflake_timestamp(
        @extschema@.snowflake_encode(until_time + (row_count / width + 1) * tick, node, 0));
    IF EXISTS (SELECT FROM @extschema@.snowflake_instance AS i
               WHERE snowflake_backfill_slots.node BETWEEN i.node AND i.node + i.lanes - 1) THEN
        RAISE EXCEPTION 'node % is held by this instance', node
            USING ERRCODE = 'object_in_use',
                  DETAIL = 'IDs for past times could repeat IDs that it has issued.',
                  HINT = 'Use a node that no instance is given, such as node 0.';
    END IF;

    -- One caller after the other, each with a snapshot of what the one before has taken.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'snowflake_backfill_slots() cannot be used in a % transaction', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state',
                  DETAIL = 'Slots that were handed out after its start would be handed out again.',
                  HINT = 'Begin the transaction with ISOLATION LEVEL READ COMMITTED.';
    END IF;
    LOCK TABLE idgen_internal.backfill IN SHARE ROW EXCLUSIVE MODE;
    wanted := tstzrange(first_tick, last_tick, '[]');
    SELECT min(c.first) INTO first_sequence
    FROM (SELECT 0 AS first
          UNION ALL
          SELECT b.first_sequence + b.width FROM idgen_internal.backfill AS b
          WHERE b.node = snowflake_backfill_slots.node AND b.during && wanted) AS c
    WHERE c.first + width <= capacity
        AND NOT EXISTS (
            SELECT FROM idgen_internal.backfill AS b
            WHERE b.node = snowflake_backfill_slots.node AND b.during && wanted
                AND b.first_sequence < c.first + snowflake_backfill_slots.width
                AND c.first < b.first_sequence + b.width);
    IF first_sequence IS NULL THEN
        RAISE EXCEPTION 'node % has no % sequence numbers left from % to %', node, width, first_tick, last_tick
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Ask for a smaller width, a shorter time, or another node that no instance is given.';
    END IF;
    INSERT INTO idgen_internal.backfill (node, during, first_sequence, width, handed_out)
        VALUES (node, wanted, first_sequence, width, clock_timestamp());
END
$$;
COMMENT ON FUNCTION @extschema@.snowflake_backfill_slots(timestamptz, timestamptz, bigint, integer, integer)
    IS 'hands out slots for rows with past timestamps, each slot once: width sequence numbers from first_sequence on, in every tick from first_tick to last_tick';

------------------------------------------------------------------------------
-- A fleet's coordinator: which node is held by whom, up to which ceiling. Used
-- where other instances name this database in idgen.registry; it needs no
-- preloading. Ticks and rows are what src/registry/fleet_registry.h says.

CREATE TABLE idgen_internal.fleet (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL,
    layout text NOT NULL,
    epoch text NOT NULL,
    generation bigint NOT NULL CHECK (generation > 0),
    base bigint NOT NULL CHECK (base >= 0),
    raised timestamptz NOT NULL,
    system bigint NOT NULL,
    timeline integer NOT NULL,
    database oid NOT NULL DEFAULT 0,
    relation oid NOT NULL DEFAULT 0,
    CONSTRAINT fleet_layout_length CHECK (octet_length(layout) <= 1000 AND octet_length(epoch) <= 100)
);
COMMENT ON TABLE idgen_internal.fleet IS 'what goes for all nodes of the fleet that this database coordinates; empty if it coordinates none';
COMMENT ON COLUMN idgen_internal.fleet.generation IS 'grows whenever all ceilings are raised. Compared together with the base: after a second loss the same number may come again';
COMMENT ON COLUMN idgen_internal.fleet.base IS 'no ceiling counts as lower than this tick';
COMMENT ON COLUMN idgen_internal.fleet.raised IS 'when the base was set';
COMMENT ON COLUMN idgen_internal.fleet.system IS 'system identifier of the cluster that the generation was made on';
COMMENT ON COLUMN idgen_internal.fleet.timeline IS 'timeline of the WAL that the generation was made on';
COMMENT ON COLUMN idgen_internal.fleet.database IS 'OID of the database that the generation was made in; 0 in a row that was restored, replicated or copied';
COMMENT ON COLUMN idgen_internal.fleet.relation IS 'OID of the table that the generation was made in; 0 in a row that was restored, replicated or copied';

CREATE TABLE idgen_internal.node (
    node bigint PRIMARY KEY,
    revision bigint NOT NULL,
    epoch bigint NOT NULL,
    state "char" NOT NULL CHECK (state IN ('f', 'h', 'r')),
    holder uuid,
    ceiling bigint NOT NULL,
    log2_lanes integer NOT NULL,
    system bigint,
    name text,
    ceiling_at timestamptz,
    since timestamptz,
    extended timestamptz,
    alive_until timestamptz,
    CONSTRAINT node_numbers CHECK (node BETWEEN 0 AND 4294967295 AND revision >= 0 AND epoch >= 0 AND ceiling >= 0),
    CONSTRAINT node_lanes CHECK (log2_lanes BETWEEN 0 AND 6),
    CONSTRAINT node_name_length CHECK (octet_length(name) <= 200)
) WITH (fillfactor = 50);
COMMENT ON TABLE idgen_internal.node IS 'nodes that were ever taken: holder, and the tick up to which it may issue IDs';
COMMENT ON COLUMN idgen_internal.node.revision IS 'changes with every write';
COMMENT ON COLUMN idgen_internal.node.epoch IS 'how often the node was taken';
COMMENT ON COLUMN idgen_internal.node.state IS 'f: free; h: held; r: retired by an operator, never handed out';
COMMENT ON COLUMN idgen_internal.node.holder IS 'incarnation of the last holder';
COMMENT ON COLUMN idgen_internal.node.ceiling IS 'first tick that the holder may not issue; never decreases';
COMMENT ON COLUMN idgen_internal.node.alive_until IS 'until then the holder counts as alive, if it is not extended';

-- Not to be lost with a dump. What is restored elsewhere waits for an operator.
SELECT pg_catalog.pg_extension_config_dump('idgen_internal.fleet', '');
SELECT pg_catalog.pg_extension_config_dump('idgen_internal.node', '');

-- The place of the fleet is part of its identity: a database that is dropped and restored
-- in its own cluster, or made from a template, keeps the cluster's identifier and timeline.
CREATE FUNCTION idgen_internal.fleet_place(OUT database oid, OUT relation oid)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.oid, 'idgen_internal.fleet'::regclass::oid FROM pg_database AS d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION idgen_internal.fleet_place() IS 'OIDs of this database and of its table idgen_internal.fleet';

-- True within the functions below that write a fleet: their SET clause turns the setting
-- on, for the time of the call. Other than that only superusers can.
CREATE FUNCTION idgen_internal.fleet_writing() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_fleet_writing' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION idgen_internal.fleet_writing() IS 'whether a function of the extension is writing the fleet';

-- For rows that come again where no fleet lives: what is there is raised, not lowered.
CREATE FUNCTION idgen_internal.fleet_merge(came idgen_internal.fleet) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    SET idgen.fleet_writing = on AS $$
BEGIN
    UPDATE idgen_internal.fleet AS f SET
        base = greatest(f.base, came.base),
        generation = greatest(f.generation, came.generation) + 1
    WHERE f.id = came.id;
    RETURN FOUND OR EXISTS (SELECT FROM idgen_internal.fleet);
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_merge(idgen_internal.fleet) IS 'raises a fleet that was restored or replicated to what came again, if it is the same; false if there is none';
CREATE FUNCTION idgen_internal.fleet_merge(came idgen_internal.node) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    SET idgen.fleet_writing = on AS $$
BEGIN
    UPDATE idgen_internal.node AS n SET
        state = CASE WHEN came.state = 'r' THEN came.state ELSE n.state END,
        ceiling = greatest(n.ceiling, came.ceiling),
        epoch = greatest(n.epoch, came.epoch),
        revision = greatest(n.revision, came.revision) + 1
    WHERE n.node = came.node;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_merge(idgen_internal.node) IS 'raises a node that was restored or replicated to what came again; false if there is none';

-- Restores, replication, COPY and scripts write nothing into a fleet that lives here.
CREATE FUNCTION idgen_internal.fleet_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    replicates constant boolean := current_setting('session_replication_role') = 'replica';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'cannot truncate table %.%', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'The ceilings of a fleet must not be lost.';
    END IF;

    IF idgen_internal.fleet_writing() THEN
        IF TG_OP = 'INSERT' THEN
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'node' THEN
            IF NEW.ceiling >= OLD.ceiling AND NEW.epoch >= OLD.epoch AND NEW.revision > OLD.revision
                AND NEW.node = OLD.node THEN
                RETURN NEW;
            END IF;
        ELSIF TG_OP = 'UPDATE' THEN
            IF NEW.base >= OLD.base AND NEW.generation > OLD.generation AND NEW.id = OLD.id THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'cannot lower a ceiling, a node epoch, a revision or a generation of a fleet'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    IF TG_OP <> 'INSERT' AND NOT replicates THEN
        RAISE EXCEPTION 'cannot write table %.%', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Only the instances of the fleet change it.',
                  HINT = 'To have a node never handed out, call snowflake_retire_node(). To begin another fleet, use another database.';
    END IF;
    -- A subscription goes on, whatever it brings. It writes no fleet that was made or raised
    -- here, also while that waits for an operator.
    IF TG_OP = 'DELETE' OR EXISTS (
        SELECT FROM idgen_internal.fleet AS f, pg_control_system() AS c, idgen_internal.fleet_place() AS p
        WHERE replicates AND f.database <> 0
            OR f.system = c.system_identifier AND f.database = p.database AND f.relation = p.relation) THEN
        RETURN NULL;
    END IF;

    -- What is restored or replicated where no fleet lives is kept, so that no other is founded
    -- in its place. It belongs to nowhere until an operator raises its ceilings. What comes
    -- again, or later, lowers nothing and lets no retired node go.
    IF TG_TABLE_NAME = 'fleet' THEN
        NEW.database := 0;
        NEW.relation := 0;
        -- What no instance has written could keep instances from reading or raising it.
        NEW.generation := least(NEW.generation, idgen_internal.fleet_latest_generation(0));
        NEW.raised := least(greatest(NEW.raised, 'epoch'), clock_timestamp());
        IF TG_OP = 'UPDATE' THEN
            IF NEW.id <> OLD.id THEN
                RETURN NULL;
            END IF;
            NEW.base := greatest(OLD.base, NEW.base);
            NEW.generation := greatest(OLD.generation, NEW.generation);
            RETURN NEW;
        END IF;
    ELSE
        IF NEW.node NOT BETWEEN 0 AND 4294967295 THEN
            RETURN NULL;
        END IF;
        NEW.revision := greatest(NEW.revision, 1);
        NEW.log2_lanes := least(greatest(NEW.log2_lanes, 0), 6);
        NEW.ceiling_at := CASE WHEN NEW.ceiling_at BETWEEN 'epoch' AND '10000-01-01' THEN NEW.ceiling_at END;
        NEW.since := CASE WHEN NEW.since BETWEEN 'epoch' AND '10000-01-01' THEN NEW.since END;
        NEW.extended := CASE WHEN NEW.extended BETWEEN 'epoch' AND '10000-01-01' THEN NEW.extended END;
        NEW.alive_until := CASE WHEN NEW.alive_until < clock_timestamp() + interval '1 hour' THEN NEW.alive_until END;
        NEW.name := CASE WHEN octet_length(NEW.name) > 200 THEN left(NEW.name, 50) ELSE NEW.name END;
        IF TG_OP = 'UPDATE' THEN
            NEW.node := OLD.node;
            NEW.state := CASE WHEN OLD.state = 'r' THEN OLD.state ELSE NEW.state END;
            NEW.ceiling := greatest(OLD.ceiling, NEW.ceiling);
            NEW.epoch := greatest(OLD.epoch, NEW.epoch);
            NEW.revision := greatest(OLD.revision, NEW.revision);
            RETURN NEW;
        END IF;
    END IF;
    IF idgen_internal.fleet_merge(NEW) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_guard() IS 'lets only idgen''s own functions write a fleet, and lowers nothing';
REVOKE ALL ON FUNCTION idgen_internal.fleet_place(), idgen_internal.fleet_writing(), idgen_internal.fleet_guard(),
    idgen_internal.fleet_merge(idgen_internal.fleet), idgen_internal.fleet_merge(idgen_internal.node) FROM PUBLIC;

CREATE TRIGGER fleet_guard BEFORE INSERT OR UPDATE OR DELETE ON idgen_internal.fleet
    FOR EACH ROW EXECUTE FUNCTION idgen_internal.fleet_guard();
CREATE TRIGGER fleet_guard_truncate BEFORE TRUNCATE ON idgen_internal.fleet
    EXECUTE FUNCTION idgen_internal.fleet_guard();
CREATE TRIGGER node_guard BEFORE INSERT OR UPDATE OR DELETE ON idgen_internal.node
    FOR EACH ROW EXECUTE FUNCTION idgen_internal.fleet_guard();
CREATE TRIGGER node_guard_truncate BEFORE TRUNCATE ON idgen_internal.node
    EXECUTE FUNCTION idgen_internal.fleet_guard();
ALTER TABLE idgen_internal.fleet ENABLE ALWAYS TRIGGER fleet_guard, ENABLE ALWAYS TRIGGER fleet_guard_truncate;
ALTER TABLE idgen_internal.node ENABLE ALWAYS TRIGGER node_guard, ENABLE ALWAYS TRIGGER node_guard_truncate;

-- pg_restore --disable-triggers leaves them enabled, but no longer always.
CREATE FUNCTION idgen_internal.fleet_guarded() RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) = 4 FROM pg_trigger AS t
    WHERE t.tgrelid IN ('idgen_internal.fleet'::regclass, 'idgen_internal.node'::regclass)
        AND t.tgfoid = 'idgen_internal.fleet_guard'::regproc AND t.tgenabled = 'A'
$$;
COMMENT ON FUNCTION idgen_internal.fleet_guarded() IS 'whether the triggers that guard the fleet''s tables fire always';

CREATE FUNCTION idgen_internal.fleet_guard_again() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT idgen_internal.fleet_guarded() THEN
        ALTER TABLE idgen_internal.fleet ENABLE ALWAYS TRIGGER fleet_guard, ENABLE ALWAYS TRIGGER fleet_guard_truncate;
        ALTER TABLE idgen_internal.node ENABLE ALWAYS TRIGGER node_guard, ENABLE ALWAYS TRIGGER node_guard_truncate;
    END IF;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_guard_again() IS 'lets the triggers that guard the fleet''s tables fire always';
REVOKE ALL ON FUNCTION idgen_internal.fleet_guarded(), idgen_internal.fleet_guard_again() FROM PUBLIC;

CREATE FUNCTION idgen_internal.timeline() RETURNS integer
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    -- The control file knows a new timeline only after a checkpoint.
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
COMMENT ON FUNCTION idgen_internal.timeline() IS 'timeline of the WAL that is being written';

-- The file that says where the timeline branched off is written by the promotion.
CREATE FUNCTION idgen_internal.took_over() RETURNS timestamptz
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT f.modification FROM pg_stat_file(
        'pg_wal/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '.history', true) AS f);
COMMENT ON FUNCTION idgen_internal.took_over() IS 'when this server was promoted, by its clock; null if it never was';

CREATE FUNCTION idgen_internal.fleet_check() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'the coordinator is a standby'
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'List all hosts in idgen.registry; the one that takes writes is chosen.';
    END IF;
    IF current_setting('fsync') <> 'on' THEN
        RAISE EXCEPTION 'the coordinator runs with fsync = off, so that nothing it says is durable'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Turn fsync on in the coordinator.';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the transaction is % instead of read committed', current_setting('transaction_isolation')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'It could miss that the ceilings were raised.';
    END IF;
    -- A pooler may have lost what the client has set. A commit that is not known to be
    -- durable shows by a warning alone.
    PERFORM set_config('synchronous_commit', 'on', true), set_config('client_min_messages', 'warning', true),
        set_config('lock_timeout', '2s', true);
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_check() IS 'reports an error unless this server may coordinate a fleet';

-- What no instance asks for could stop a fleet for good, or fill its readers' memory.
CREATE FUNCTION idgen_internal.fleet_bound(argument text, value bigint, lowest bigint, highest bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value BETWEEN lowest AND highest THEN
        RETURN;
    END IF;
    RAISE EXCEPTION '% is out of range: %', argument, value
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = format('It must be between %s and %s.', lowest, highest);
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_bound(text, bigint, bigint, bigint) IS 'reports an error unless an argument lies within its bounds';

-- Generations are the clock's milliseconds, or one more than the last.
CREATE FUNCTION idgen_internal.fleet_latest_generation(generation bigint) RETURNS bigint
    LANGUAGE sql VOLATILE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(fleet_latest_generation.generation + 1,
        (extract(epoch FROM clock_timestamp() + interval '10 years') * 1000)::bigint)
$$;
COMMENT ON FUNCTION idgen_internal.fleet_latest_generation(bigint) IS 'the highest generation that may follow one';

-- How far ceilings go, by this server's own count. idgen.max_clock_skew is 25 days at most.
CREATE FUNCTION idgen_internal.fleet_farthest(layout text, epoch text, base bigint, days integer) RETURNS bigint
    LANGUAGE sql VOLATILE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(greatest(floor(extract(epoch FROM clock_timestamp() - fleet_farthest.epoch::timestamptz) * 1000000 / t.us), base)
        + ceil(days * 86400 * 1000000::numeric / t.us), 9223372036854775807)::bigint
    FROM regexp_match(layout, ' tick:([1-9][0-9]{0,9})(us|ms|s)$') AS m (parts),
        LATERAL (SELECT parts[1]::numeric * CASE parts[2] WHEN 'us' THEN 1 WHEN 'ms' THEN 1000 ELSE 1000000 END AS us) AS t
    WHERE parts IS NOT NULL AND fleet_farthest.epoch ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$'
$$;
COMMENT ON FUNCTION idgen_internal.fleet_farthest(text, text, bigint, integer) IS 'the tick so many days after now, or after the base if that is later; null if layout or epoch are malformed';

CREATE FUNCTION idgen_internal.fleet_last_node(layout text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (1::bigint << coalesce(sum(m.parts[2]::integer), 0)::integer) - 1
    FROM regexp_matches(layout, '(region|shard):([0-9]{1,2})(?![0-9])', 'g') AS m (parts)
$$;
COMMENT ON FUNCTION idgen_internal.fleet_last_node(text) IS 'the highest node of a layout';

CREATE FUNCTION idgen_internal.fleet_force() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS '';
COMMENT ON FUNCTION idgen_internal.fleet_force() IS 'does nothing; who may execute it may set ceilings however far ahead of the clock';

CREATE FUNCTION idgen_internal.fleet_check_far(is_far boolean, days integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF is_far AND NOT has_function_privilege(session_user, 'idgen_internal.fleet_force()', 'EXECUTE') THEN
        RAISE EXCEPTION 'a ceiling would lie more than % days ahead of the coordinator''s clock; set that clock right, or, if this is intended, run GRANT EXECUTE ON FUNCTION idgen_internal.fleet_force() TO % in the coordinator''s database', days, quote_ident(session_user)
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_check_far(boolean, integer) IS 'reports an error if a ceiling is far ahead, unless the session may have such';

-- A raise that lifts nothing would hand out nodes that are in use.
CREATE FUNCTION idgen_internal.fleet_check_near(is_past boolean) RETURNS void
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF is_past THEN
        RAISE EXCEPTION 'ceilings cannot be raised to a time that the coordinator''s clock has passed'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_check_near(boolean) IS 'reports an error if a raise would lift ceilings to the past';
REVOKE ALL ON FUNCTION idgen_internal.fleet_bound(text, bigint, bigint, bigint),
    idgen_internal.fleet_latest_generation(bigint), idgen_internal.fleet_farthest(text, text, bigint, integer),
    idgen_internal.fleet_last_node(text), idgen_internal.fleet_force(),
    idgen_internal.fleet_check_near(boolean), idgen_internal.fleet_check_far(boolean, integer) FROM PUBLIC;

-- One snapshot of the fleet and of the nodes first to last.
CREATE FUNCTION idgen_internal.fleet_read(first bigint, last bigint) RETURNS json
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM idgen_internal.fleet_check();
    RETURN (
        SELECT json_build_object(
            'clock_us', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
            -- Flushed: a crash may take the rest away, which is no loss.
            'revision', (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint,
            'took_over_us', (extract(epoch FROM idgen_internal.took_over()) * 1000000)::bigint,
            'standbys', s.standbys,
            'synchronous', s.synchronous,
            'node_bytes', b.bytes,
            -- Rows that a long snapshot keeps from being pruned are read, too.
            'node_rows', CASE WHEN b.bytes > 4194304 THEN (SELECT count(*) FROM idgen_internal.node) END,
            'fleet', (
                SELECT json_build_object('id', f.id, 'layout', f.layout, 'epoch', f.epoch,
                    'generation', f.generation, 'base', f.base,
                    'raised_us', (extract(epoch FROM f.raised) * 1000000)::bigint,
                    -- Another place is another system: instances of 0.1.0 know no more.
                    'same_system', f.system = c.system_identifier AND w.same_place AND w.guarded,
                    'same_timeline', f.timeline = idgen_internal.timeline(),
                    'same_place', w.same_place,
                    'guarded', w.guarded)
                FROM idgen_internal.fleet AS f, pg_control_system() AS c,
                    LATERAL (SELECT (f.database, f.relation) = (p.database, p.relation) AS same_place,
                        idgen_internal.fleet_guarded() AS guarded FROM idgen_internal.fleet_place() AS p) AS w),
            'nodes', (
                SELECT coalesce(json_agg(json_build_object(
                    'node', n.node, 'revision', n.revision, 'epoch', n.epoch, 'state', n.state,
                    'holder', n.holder, 'ceiling', n.ceiling, 'log2_lanes', n.log2_lanes,
                    'system', n.system, 'name', n.name,
                    'alive', n.state = 'h' AND n.alive_until > clock_timestamp(),
                    'ceiling_us', (extract(epoch FROM n.ceiling_at) * 1000000)::bigint,
                    'since_us', (extract(epoch FROM n.since) * 1000000)::bigint,
                    'extended_us', (extract(epoch FROM n.extended) * 1000000)::bigint)
                    ORDER BY n.node), '[]')
                FROM idgen_internal.node AS n
                WHERE n.node BETWEEN fleet_read.first AND fleet_read.last))
        FROM (
            SELECT count(*) AS standbys,
                count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous
            FROM pg_stat_replication AS r
            WHERE r.state = 'streaming' AND NOT EXISTS (
                SELECT FROM pg_replication_slots AS l
                WHERE l.active_pid = r.pid AND l.slot_type = 'logical')) AS s,
            pg_relation_size('idgen_internal.node') AS b (bytes));
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_read(bigint, bigint) IS 'for instances that lease from here: the fleet and its nodes first to last';

-- Compare and write: all of the nodes, or an error and none. SQLSTATE 40001:
-- something is no longer what the caller had read; 55000: refused.
CREATE FUNCTION idgen_internal.fleet_write(
    generation bigint, base bigint, nodes bigint[], revisions bigint[], epochs bigint[], take boolean,
    state "char", holder uuid, ceiling bigint, ceiling_us bigint, log2_lanes integer,
    system bigint, name text, alive_ms bigint, recorded_us bigint, skew_us bigint, lead_us bigint,
    window_us bigint)
    RETURNS json
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET idgen.fleet_writing = on AS $$
#variable_conflict use_column
DECLARE
    now_at constant timestamptz := clock_timestamp();
    clock_us constant bigint := (extract(epoch FROM now_at) * 1000000)::bigint;
    epoch_start constant timestamptz := timestamptz 'epoch';
    tolerance_us bigint; -- lead_left() of src/registry/fleet_store.h
    farthest bigint;
    changed bigint;
BEGIN
    PERFORM idgen_internal.fleet_check();
    IF NOT (cardinality(nodes) BETWEEN 1 AND 64 AND cardinality(revisions) = cardinality(nodes)
        AND cardinality(epochs) = cardinality(nodes) AND log2_lanes BETWEEN 0 AND 6 AND octet_length(name) <= 200
        AND alive_ms BETWEEN 0 AND 3600000 AND window_us BETWEEN 0 AND 3600000000
        AND (window_us > 0 OR state <> 'h') AND skew_us BETWEEN 0 AND 2147483647000 AND ceiling >= 0) THEN
        PERFORM idgen_internal.fleet_bound('the number of nodes', cardinality(nodes), 1, 64);
        PERFORM idgen_internal.fleet_bound('the number of revisions', cardinality(revisions), cardinality(nodes), cardinality(nodes));
        PERFORM idgen_internal.fleet_bound('the number of epochs', cardinality(epochs), cardinality(nodes), cardinality(nodes));
        PERFORM idgen_internal.fleet_bound('log2_lanes', log2_lanes, 0, 6);
        PERFORM idgen_internal.fleet_bound('the length of the name', octet_length(name), 0, 200);
        PERFORM idgen_internal.fleet_bound('alive_ms', alive_ms, 0, 3600000);
        PERFORM idgen_internal.fleet_bound('window_us', window_us, (state = 'h')::integer, 3600000000);
        PERFORM idgen_internal.fleet_bound('skew_us', skew_us, 0, 2147483647000);
        PERFORM idgen_internal.fleet_bound('ceiling', ceiling, 0, 9223372036854775807);
    END IF;
    -- Writers pass each other; a raise waits for all of them, and they for it.
    LOCK TABLE idgen_internal.fleet IN ROW SHARE MODE;
    SELECT greatest(skew_us, lead_us - greatest(clock_us - (extract(epoch FROM f.raised) * 1000000)::bigint, 0) / 16),
            coalesce(idgen_internal.fleet_farthest(f.layout, f.epoch, f.base, 30), 0)
        INTO tolerance_us, farthest
        FROM idgen_internal.fleet AS f, pg_control_system() AS c, idgen_internal.fleet_place() AS p
        WHERE f.generation = fleet_write.generation AND f.base = fleet_write.base
            AND f.system = c.system_identifier AND f.timeline = idgen_internal.timeline()
            AND f.database = p.database AND f.relation = p.relation
            AND idgen_internal.fleet_guarded();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fleet is of another generation' USING ERRCODE = 'serialization_failure';
    END IF;
    IF window_us > 0 AND ceiling_us > greatest(clock_us + tolerance_us, recorded_us) + window_us THEN
        RAISE EXCEPTION 'the ceiling asked for lies too far ahead of the coordinator''s clock: by more than % s',
            (skew_us + window_us) / 1000000
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Set the clocks right: one bad clock must not use nodes up.';
    END IF;
    IF window_us > 0 AND ceiling > farthest THEN
        PERFORM idgen_internal.fleet_check_far(true, 30);
    END IF;

    IF 0 = ANY (revisions) THEN
        PERFORM idgen_internal.fleet_bound('a node', u, 0, idgen_internal.fleet_last_node(f.layout))
            FROM unnest(nodes) AS u, idgen_internal.fleet AS f;
        INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes)
            SELECT u, 0, 0, 'f', 0, 0 FROM unnest(nodes) AS u
            ON CONFLICT DO NOTHING;
    END IF;
    -- In the same order for all callers, so that none deadlocks.
    PERFORM FROM idgen_internal.node AS n WHERE n.node = ANY (nodes) ORDER BY n.node FOR UPDATE;
    IF state = 'r' AND EXISTS (SELECT FROM idgen_internal.node AS n
            WHERE n.node = ANY (nodes) AND n.state = 'h' AND n.alive_until > now_at) THEN
        RAISE EXCEPTION 'the holder of the node is alive' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE idgen_internal.node AS n SET
        revision = n.revision + 1,
        epoch = n.epoch + take::integer,
        state = fleet_write.state,
        holder = fleet_write.holder,
        -- Without a window nothing is promised: each node keeps the ceiling that it has.
        ceiling = CASE WHEN window_us > 0 THEN fleet_write.ceiling ELSE n.ceiling END,
        log2_lanes = fleet_write.log2_lanes,
        system = fleet_write.system,
        name = fleet_write.name,
        ceiling_at = epoch_start + ceiling_us * interval '1 microsecond',
        since = CASE WHEN take THEN now_at ELSE n.since END,
        extended = now_at,
        alive_until = CASE WHEN fleet_write.state = 'h' THEN now_at + alive_ms * interval '1 millisecond' END
    FROM unnest(nodes, revisions, epochs) AS e (node, revision, epoch)
    WHERE n.node = e.node AND n.revision = e.revision AND n.epoch = e.epoch
        AND (fleet_write.state <> 'h' OR n.state <> 'r')
        AND n.ceiling <= fleet_write.ceiling; -- never lowered
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(nodes) THEN
        RAISE EXCEPTION 'a node is not what it was' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN json_build_object('revision', (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
        'node_bytes', pg_relation_size('idgen_internal.node'));
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_write(bigint, bigint, bigint[], bigint[], bigint[], boolean, "char", uuid, bigint, bigint, integer, bigint, text, bigint, bigint, bigint, bigint, bigint)
    IS 'for instances that lease from here: takes, extends or releases nodes, all of them or none';

CREATE FUNCTION idgen_internal.fleet_create(id uuid, layout text, epoch text, generation bigint, base bigint, raised_us bigint)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET idgen.fleet_writing = on AS $$
BEGIN
    PERFORM idgen_internal.fleet_check();
    PERFORM idgen_internal.fleet_bound('generation', generation, 1, idgen_internal.fleet_latest_generation(0)),
        idgen_internal.fleet_bound('the length of the layout', octet_length(layout), 1, 1000),
        idgen_internal.fleet_bound('the length of the epoch', octet_length(epoch), 1, 100),
        idgen_internal.fleet_check_far(base > idgen_internal.fleet_farthest(layout, epoch, 0, 90), 90);
    IF base < 0 OR idgen_internal.fleet_farthest(layout, epoch, 0, 0) IS NULL THEN
        RAISE EXCEPTION 'the layout, the epoch or the base of the fleet is malformed'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF generation > 1 THEN -- an operator's raise
        PERFORM idgen_internal.fleet_check_near(base < idgen_internal.fleet_farthest(layout, epoch, 0, 0));
        PERFORM idgen_internal.fleet_guard_again();
    ELSIF NOT idgen_internal.fleet_guarded() OR EXISTS (SELECT FROM idgen_internal.node) THEN
        RAISE EXCEPTION 'the coordinator''s restore is not complete: there are nodes without a fleet, or disabled triggers; complete it, then call snowflake_raise_registry()'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Raised by this server's clock, whatever raised_us says.
    INSERT INTO idgen_internal.fleet (id, layout, epoch, generation, base, raised, system, timeline, database, relation)
        SELECT fleet_create.id, fleet_create.layout, fleet_create.epoch, fleet_create.generation,
            fleet_create.base, CASE WHEN fleet_create.base > 0 THEN clock_timestamp() ELSE 'epoch' END,
            c.system_identifier, idgen_internal.timeline(), p.database, p.relation
        FROM pg_control_system() AS c, idgen_internal.fleet_place() AS p
        ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_create(uuid, text, text, bigint, bigint, bigint) IS 'for instances that lease from here: makes the fleet; false if there is one';

CREATE FUNCTION idgen_internal.fleet_raise(
    old_generation bigint, old_base bigint, generation bigint, base bigint, raised_us bigint,
    nodes bigint[], revisions bigint[], ceilings bigint[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET idgen.fleet_writing = on AS $$
#variable_conflict use_column
DECLARE
    farthest bigint; -- null: no bound
    changed bigint;
BEGIN
    PERFORM idgen_internal.fleet_check();
    PERFORM idgen_internal.fleet_bound('generation', fleet_raise.generation, 1,
        idgen_internal.fleet_latest_generation(old_generation));
    PERFORM idgen_internal.fleet_guard_again();
    LOCK TABLE idgen_internal.fleet IN EXCLUSIVE MODE;
    PERFORM idgen_internal.fleet_check_far(
            fleet_raise.base > idgen_internal.fleet_farthest(f.layout, f.epoch, 0, 90), 90),
        idgen_internal.fleet_check_near(
            fleet_raise.base < idgen_internal.fleet_farthest(f.layout, f.epoch, 0, 0))
        FROM idgen_internal.fleet AS f
        WHERE f.generation = old_generation AND f.base = old_base;
    UPDATE idgen_internal.fleet AS f SET
        generation = fleet_raise.generation,
        base = fleet_raise.base,
        raised = clock_timestamp(), -- whatever raised_us says
        system = c.system_identifier,
        timeline = idgen_internal.timeline(),
        database = p.database,
        relation = p.relation
    FROM pg_control_system() AS c, idgen_internal.fleet_place() AS p
    WHERE f.generation = old_generation AND f.base = old_base
        AND fleet_raise.generation > f.generation
        AND fleet_raise.base >= f.base;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- fleet_write() takes no ceiling so far ahead, so none above it was lost: what lies there
    -- stays, and keeps nobody from raising the others.
    IF NOT has_function_privilege(session_user, 'idgen_internal.fleet_force()', 'EXECUTE') THEN
        SELECT idgen_internal.fleet_farthest(f.layout, f.epoch, f.base, 60) INTO farthest FROM idgen_internal.fleet AS f;
    END IF;
    UPDATE idgen_internal.node AS n SET
        ceiling = greatest(n.ceiling, least(e.ceiling, farthest)),
        revision = n.revision + 1
    FROM unnest(nodes, revisions, ceilings) AS e (node, revision, ceiling)
    WHERE n.node = e.node AND n.revision = e.revision AND n.ceiling <= e.ceiling;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(nodes) THEN
        RAISE EXCEPTION 'a node is not what it was' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION idgen_internal.fleet_raise(bigint, bigint, bigint, bigint, bigint, bigint[], bigint[], bigint[])
    IS 'for instances that lease from here: raises all ceilings, to at least base; false if somebody else did';

CREATE FUNCTION @extschema@.snowflake_allow_leasing(role regrole, allowed boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fn text;
BEGIN
    FOREACH fn IN ARRAY ARRAY[
        'fleet_read(bigint, bigint)',
        'fleet_write(bigint, bigint, bigint[], bigint[], bigint[], boolean, "char", uuid, bigint, bigint, integer, bigint, text, bigint, bigint, bigint, bigint, bigint)',
        'fleet_create(uuid, text, text, bigint, bigint, bigint)',
        'fleet_raise(bigint, bigint, bigint, bigint, bigint, bigint[], bigint[], bigint[])']
    LOOP
        EXECUTE format(CASE WHEN allowed THEN 'GRANT EXECUTE ON FUNCTION idgen_internal.%s TO %s'
            ELSE 'REVOKE EXECUTE ON FUNCTION idgen_internal.%s FROM %s' END, fn, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.snowflake_allow_leasing(regrole, boolean) IS 'lets a role, as which instances connect to this coordinator, lease nodes; or no longer';

------------------------------------------------------------------------------
-- State and statistics, for pg_monitor

CREATE FUNCTION idgen_internal.instance(
    OUT state text, OUT state_since timestamptz,
    OUT node integer, OUT region integer, OUT shard integer, OUT lanes integer,
    OUT node_epoch bigint, OUT issuing_time timestamptz, OUT floor timestamptz, OUT ceiling timestamptz,
    OUT window_left interval,
    OUT clock_state text, OUT clock_skew interval, OUT incarnation uuid, OUT registry text,
    OUT worker_pid integer, OUT last_error text, OUT last_error_at timestamptz,
    OUT layout text, OUT epoch timestamptz)
    RETURNS record
    AS 'MODULE_PATHNAME', 'idgen_instance' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.instance() IS 'implementation of the view snowflake_instance';
CREATE VIEW @extschema@.snowflake_instance AS
    SELECT i.* FROM idgen_internal.instance() AS i WHERE i.state IS NOT NULL;
COMMENT ON VIEW @extschema@.snowflake_instance IS 'the node this instance holds and its state; empty if idgen is not preloaded';

CREATE FUNCTION idgen_internal.clock(
    OUT state text, OUT wall_time timestamptz, OUT issuing_time timestamptz, OUT skew interval,
    OUT kernel text, OUT max_error interval, OUT last_sample timestamptz)
    RETURNS record
    AS 'MODULE_PATHNAME', 'idgen_clock' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.clock() IS 'implementation of the view snowflake_clock';
CREATE VIEW @extschema@.snowflake_clock AS
    SELECT c.* FROM idgen_internal.clock() AS c WHERE c.state IS NOT NULL;
COMMENT ON VIEW @extschema@.snowflake_clock IS 'wall time, issuing time and what is thought of them; empty if idgen is not preloaded';

CREATE FUNCTION idgen_internal.clock_events(
    OUT number bigint, OUT at timestamptz, OUT event text, OUT state text, OUT skew interval,
    OUT step interval)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_clock_events' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 16;
COMMENT ON FUNCTION idgen_internal.clock_events() IS 'implementation of the view snowflake_clock_events';
CREATE VIEW @extschema@.snowflake_clock_events AS
    SELECT e.* FROM idgen_internal.clock_events() AS e;
COMMENT ON VIEW @extschema@.snowflake_clock_events IS 'what happened to the clock since shared memory was initialized, the last 128 events';

CREATE FUNCTION idgen_internal.stats(
    OUT scope text, OUT database text, OUT ids bigint, OUT calls bigint, OUT batches bigint,
    OUT waits_clock bigint, OUT waits_clock_time interval, OUT waits_clock_longest interval,
    OUT waits_ceiling bigint, OUT waits_ceiling_time interval, OUT waits_ceiling_longest interval,
    OUT waits_node bigint, OUT waits_node_time interval, OUT waits_node_longest interval,
    OUT exhausted bigint, OUT peak_use double precision, OUT lead interval, OUT stats_reset timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_stats' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 4;
COMMENT ON FUNCTION idgen_internal.stats() IS 'implementation of the view snowflake_stats';
CREATE VIEW @extschema@.snowflake_stats AS
    SELECT s.* FROM idgen_internal.stats() AS s;
COMMENT ON VIEW @extschema@.snowflake_stats IS 'IDs issued, calls and waits, of each scope in use and (scope is null) of all together; empty if idgen is not preloaded';

CREATE FUNCTION idgen_internal.worker_stats(
    OUT starts bigint, OUT started timestamptz, OUT turns bigint, OUT acquisitions bigint,
    OUT renewals bigint, OUT failures bigint, OUT losses bigint, OUT last_renewal timestamptz,
    OUT renewal_time interval, OUT renewal_mean interval, OUT renewal_longest interval,
    OUT observations bigint, OUT observations_ignored bigint, OUT stats_reset timestamptz, OUT last_turn timestamptz)
    RETURNS record
    AS 'MODULE_PATHNAME', 'idgen_worker_stats' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.worker_stats() IS 'implementation of the view snowflake_worker_stats';
CREATE VIEW @extschema@.snowflake_worker_stats AS
    SELECT w.* FROM idgen_internal.worker_stats() AS w WHERE w.starts IS NOT NULL;
COMMENT ON VIEW @extschema@.snowflake_worker_stats IS 'what the worker has done: ceilings renewed, how long that took, failures; IDs of others that were seen; empty if idgen is not preloaded';

CREATE FUNCTION idgen_internal.registry_space(
    OUT member text, OUT size bigint, OUT in_use bigint, OUT quota bigint, OUT quota_known boolean,
    OUT used double precision, OUT is_full boolean, OUT read_at timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_registry_space' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 3;
COMMENT ON FUNCTION idgen_internal.registry_space() IS 'implementation of the view snowflake_registry_space';
CREATE VIEW @extschema@.snowflake_registry_space AS
    SELECT s.* FROM idgen_internal.registry_space() AS s;
COMMENT ON VIEW @extschema@.snowflake_registry_space IS 'how full the database of each etcd member is, as last read; empty for other registries';

CREATE FUNCTION @extschema@.snowflake_reset_stats() RETURNS void
    AS 'MODULE_PATHNAME', 'idgen_reset_stats' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_reset_stats() IS 'lets snowflake_stats and snowflake_worker_stats count from 0';

CREATE FUNCTION idgen_internal.leased_fleet(
    OUT node bigint, OUT region integer, OUT shard integer, OUT state text, OUT alive boolean,
    OUT holder text, OUT incarnation uuid, OUT node_epoch bigint, OUT lanes integer,
    OUT ceiling timestamptz, OUT since timestamptz, OUT extended timestamptz,
    OUT read_at timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'idgen_fleet' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 16;

-- What this database coordinates, by the fleet's own layout.
CREATE FUNCTION idgen_internal.coordinated_fleet(
    OUT node bigint, OUT region integer, OUT shard integer, OUT state text, OUT alive boolean,
    OUT holder text, OUT incarnation uuid, OUT node_epoch bigint, OUT lanes integer,
    OUT ceiling timestamptz, OUT since timestamptz, OUT extended timestamptz,
    OUT read_at timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT n.node, (n.node >> l.shard)::integer, (n.node & ((1 << l.shard) - 1))::integer,
        CASE n.state WHEN 'h' THEN 'held' WHEN 'r' THEN 'retired' ELSE 'free' END,
        n.state = 'h' AND n.alive_until > clock_timestamp(),
        n.name, n.holder, n.epoch, 1 << n.log2_lanes,
        -- The base, in the fleet's own ticks, where that is higher.
        greatest(n.ceiling_at, CASE WHEN f.base > n.ceiling
            THEN n.ceiling_at + (f.base - n.ceiling) * l.tick END),
        n.since, n.extended, clock_timestamp()
    FROM idgen_internal.fleet AS f
    CROSS JOIN LATERAL (
        SELECT coalesce((regexp_match(f.layout, 'shard:(\d+)'))[1]::integer, 0) AS shard,
            replace((regexp_match(f.layout, 'tick:(\S+)'))[1], 'us', ' us')::interval AS tick) AS l
    CROSS JOIN idgen_internal.node AS n
    ORDER BY n.node;
END;

COMMENT ON FUNCTION idgen_internal.leased_fleet() IS 'implementation of the view snowflake_fleet: what this instance leases from';
COMMENT ON FUNCTION idgen_internal.coordinated_fleet() IS 'implementation of the view snowflake_fleet: what this database coordinates';

CREATE VIEW @extschema@.snowflake_fleet AS
    SELECT * FROM idgen_internal.leased_fleet()
    UNION ALL
    SELECT * FROM idgen_internal.coordinated_fleet();
COMMENT ON VIEW @extschema@.snowflake_fleet IS 'the nodes of the fleet that this instance leases from, as its coordinator knows it, or that this database coordinates';

------------------------------------------------------------------------------
-- Operations, not for PUBLIC

CREATE FUNCTION @extschema@.snowflake_accept_clock() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_accept_clock' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_accept_clock() IS 'says that a wall clock that is suspect is right, so that it is followed; true if it was suspect';

CREATE FUNCTION @extschema@.snowflake_confirm_copy() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_confirm_copy' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_confirm_copy() IS 'says that the original of this copied data directory is gone for good, so that its pinned node may be taken; true if it was';

CREATE FUNCTION @extschema@.snowflake_confirm_local() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_confirm_local' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_confirm_local() IS 'says that this instance has left its fleet for good, so that it may go on by its own record alone; true if it did';

CREATE FUNCTION @extschema@.snowflake_rotate_node() RETURNS integer
    AS 'MODULE_PATHNAME', 'idgen_rotate_node' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_rotate_node() IS 'takes another node, then lets the one go that was held; the new one';

CREATE FUNCTION @extschema@.snowflake_drain() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_drain' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_drain() IS 'takes this instance out of service: it issues nothing and lets its node go; false if it was out already';

CREATE FUNCTION @extschema@.snowflake_resume() RETURNS boolean
    AS 'MODULE_PATHNAME', 'idgen_resume' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_resume() IS 'puts this instance back into service after snowflake_drain(); false if it was in service';

CREATE FUNCTION @extschema@.snowflake_raise_registry(at_least timestamptz DEFAULT NULL, force boolean DEFAULT false) RETURNS void
    AS 'MODULE_PATHNAME', 'idgen_raise_registry' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_raise_registry(timestamptz, boolean) IS 'raises the ceilings of all nodes of the fleet above all that may be in use, after its registry was restored; and to a time, if one is given, which may be more than a day ahead only by force';

CREATE FUNCTION @extschema@.snowflake_retire_node(node bigint, retired boolean DEFAULT true) RETURNS void
    AS 'MODULE_PATHNAME', 'idgen_retire_node' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.snowflake_retire_node(bigint, boolean) IS 'never hands a node of the fleet out again, for one whose ceiling lies far ahead; or does again';

------------------------------------------------------------------------------
-- Privileges: of everything, whatever default privileges gave or took. Functions
-- that are immutable are everybody's; any other is its owner's alone unless it is
-- named here. idgen_update.rights is what an update has found: of public functions
-- and views, of the functions that views call, and of those that instances lease by,
-- what was granted and revoked since they were made stays so, and holds for their new
-- forms.

DO $rights$
DECLARE
    issuing constant text[] := ARRAY['snowflake_nextval', 'snowflake_id', 'snowflake_batch', 'snowflake_reserve',
        'snowflake_reserve_run'];
    monitoring constant text[] := ARRAY['instance', 'snowflake_instance', 'clock', 'snowflake_clock',
        'clock_events', 'snowflake_clock_events', 'stats', 'snowflake_stats', 'worker_stats', 'snowflake_worker_stats',
        'registry_space', 'snowflake_registry_space', 'leased_fleet', 'coordinated_fleet', 'snowflake_fleet'];
    readable constant text[] := ARRAY['layout', 'snowflake_layouts', 'scope', 'snowflake_scopes'];
    -- pg_dump and a restore by a database's owner read and write these. The triggers
    -- of the tables say which rows they take.
    dumped constant text[] := ARRAY['backfill', 'layout', 'scope', 'fleet', 'node'];
    found_rights constant jsonb := nullif(current_setting('idgen_update.rights'), '')::jsonb;
    member record;
    found_right jsonb;
    who text;
    own aclitem[];
    change record;
    changed boolean;
BEGIN
    FOR member IN
        SELECT m.*, a.privileges, pg_get_userbyid(m.owner) AS owner_name
        FROM (
            SELECT 'pg_proc'::regclass AS class, p.oid, 'FUNCTION' AS kind, p.oid::regprocedure::text AS name, p.proname AS bare,
                p.pronargs AS args, p.pronamespace AS space, p.proowner AS owner, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl,
                'EXECUTE' AS privilege, CASE WHEN p.provolatile = 'i' OR p.proname = ANY (issuing) THEN 'PUBLIC'
                    WHEN p.proname = ANY (monitoring) THEN 'pg_monitor' END AS holder
            FROM pg_proc AS p
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'TABLE', c.oid::regclass::text, c.relname, NULL, c.relnamespace, c.relowner,
                coalesce(c.relacl, acldefault('r', c.relowner)), 'SELECT', CASE WHEN c.relname = ANY (readable) THEN 'PUBLIC'
                    WHEN c.relname = ANY (monitoring) THEN 'pg_monitor' END
            FROM pg_class AS c WHERE c.relkind IN ('r', 'v')
            UNION ALL
            SELECT 'pg_type'::regclass, t.oid, 'TYPE', t.oid::regtype::text, t.typname, NULL, t.typnamespace, t.typowner,
                coalesce(t.typacl, acldefault('T', t.typowner)), 'USAGE', 'PUBLIC'
            FROM pg_type AS t WHERE t.typtype = 'b' AND t.typelem = 0
            UNION ALL
            SELECT 'pg_namespace'::regclass, n.oid, 'SCHEMA', n.oid::regnamespace::text, n.nspname, NULL, NULL, n.nspowner,
                coalesce(n.nspacl, acldefault('n', n.nspowner)), 'USAGE', 'PUBLIC'
            FROM pg_namespace AS n) AS m
        JOIN pg_depend AS d ON d.classid = m.class AND d.objid = m.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'idgen',
        LATERAL (SELECT array_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)
                 FROM aclexplode(m.acl) AS x) AS a (privileges)
    LOOP
        FOREACH who IN ARRAY coalesce(member.privileges, '{}') LOOP
            EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', member.kind, member.name, who);
        END LOOP;
        EXECUTE format('GRANT ALL ON %s %s TO %I', member.kind, member.name, member.owner_name);
        IF member.holder IS NOT NULL THEN
            EXECUTE format('GRANT %s ON %s %s TO %s', member.privilege, member.kind, member.name, member.holder);
        END IF;
        IF member.kind = 'TABLE' AND member.bare = ANY (dumped) AND member.space = 'idgen_internal'::regnamespace THEN
            EXECUTE format('GRANT SELECT, INSERT ON TABLE %s TO pg_database_owner', member.name);
        END IF;

        CONTINUE WHEN found_rights IS NULL OR member.kind NOT IN ('FUNCTION', 'TABLE')
            OR member.space = 'idgen_internal'::regnamespace AND NOT (member.kind = 'FUNCTION'
                AND (member.bare ~ '^(snowflake|fleet)_' OR member.bare = ANY (monitoring)));
        -- What is new takes after what is there: a new form after the old one, what
        -- leasing roles are granted after what they were granted before.
        found_right := NULL;
        SELECT r INTO found_right
            FROM jsonb_array_elements(found_rights) AS r
            WHERE (r ->> 'oid')::oid = member.oid
               OR member.kind = 'FUNCTION' AND (r ->> 'args')::integer = member.args
                  AND r ->> 'name' = CASE member.bare WHEN 'snowflake_id' THEN 'snowflake_nextval' ELSE member.bare END
               OR member.kind = 'FUNCTION' AND r ->> 'name' = 'fleet_read' AND EXISTS (
                  SELECT FROM pg_proc AS p WHERE p.proname = 'snowflake_allow_leasing' AND strpos(p.prosrc, member.bare || '(') > 0)
            ORDER BY (r ->> 'oid')::oid = member.oid DESC, r ->> 'name' = 'fleet_read'
            LIMIT 1;
        CONTINUE WHEN found_right IS NULL;
        SELECT initprivs INTO own FROM pg_init_privs AS i WHERE i.classoid = member.class AND i.objoid = member.oid AND i.objsubid = 0;
        changed := false;
        FOR change IN
            WITH had AS (SELECT grantee, privilege_type, is_grantable FROM aclexplode((found_right ->> 'had')::aclitem[])),
                base AS (SELECT grantee, privilege_type, is_grantable FROM aclexplode((found_right ->> 'base')::aclitem[]))
            SELECT 'REVOKE %s ON %s %s FROM %s CASCADE' AS command, b.* FROM (TABLE base EXCEPT TABLE had) AS b
            UNION ALL
            SELECT 'GRANT %s ON %s %s TO %s' || CASE WHEN h.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, h.* FROM (TABLE had EXCEPT TABLE base) AS h
            ORDER BY command DESC
        LOOP
            CONTINUE WHEN change.grantee = member.owner;
            EXECUTE format(change.command, change.privilege_type, member.kind, member.name,
                CASE change.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(change.grantee)) END);
            changed := true;
        END LOOP;
        -- An administrator's, so that pg_dump writes it.
        IF changed THEN
            UPDATE pg_init_privs AS i SET initprivs = own
                WHERE i.classoid = member.class AND i.objoid = member.oid AND i.objsubid = 0;
            DELETE FROM pg_shdepend AS s
                WHERE s.classid = member.class AND s.objid = member.oid AND s.deptype = 'i'
                  AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND s.refobjid NOT IN (SELECT x.grantee FROM aclexplode(own) AS x);
        END IF;
    END LOOP;
END
$rights$;
