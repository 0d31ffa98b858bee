\echo Use "ALTER EXTENSION idgen UPDATE TO '0.2.0'" to load this file. \quit

-- As in the install script: names are looked up in pg_catalog alone.
SET LOCAL search_path = pg_catalog, pg_temp;

-- For the section "Privileges": the rights there are, and those that the extension
-- was made with.
SELECT set_config('idgen_update.rights', jsonb_agg(jsonb_build_object(
        'oid', m.oid, 'name', m.name, 'args', m.args, 'had', coalesce(m.acl, m.standard)::text,
        'base', coalesce(i.initprivs, m.standard)::text))::text, true)
FROM (
    SELECT 'pg_proc'::regclass AS class, oid, proname AS name, pronargs AS args, proacl AS acl, acldefault('f', proowner) AS standard FROM pg_proc
    UNION ALL
    SELECT 'pg_class'::regclass, oid, relname, NULL, relacl, acldefault('r', relowner) FROM pg_class WHERE relkind IN ('r', 'v')) AS m
JOIN pg_depend AS d ON d.classid = m.class AND d.objid = m.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'idgen'
LEFT JOIN pg_init_privs AS i ON i.classoid = m.class AND i.objoid = m.oid AND i.objsubid = 0;

------------------------------------------------------------------------------
-- Type snowflakeid

-- Only for parameters and literals without a type, where a function has a form for
-- snowflakeid and one for bigint. ALTER TYPE can't say so.
UPDATE pg_catalog.pg_type SET typispreferred = true
WHERE oid OPERATOR(pg_catalog.=) '@extschema@.snowflakeid'::pg_catalog.regtype;

CREATE FUNCTION idgen_internal.from_int2(smallint) RETURNS @extschema@.snowflakeid
    AS 'int28' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE CAST (smallint AS @extschema@.snowflakeid) WITH FUNCTION idgen_internal.from_int2(smallint) AS ASSIGNMENT;
COMMENT ON FUNCTION idgen_internal.from_int2(smallint) IS 'convert smallint to snowflakeid';
COMMENT ON CAST (smallint AS @extschema@.snowflakeid) IS 'the same number';

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
-- Indexes of domains, too, which no row could be put into.
UPDATE pg_attribute AS a SET atttypid = c.opcintype
FROM pg_index AS i, pg_opclass AS c
WHERE a.attrelid = i.indexrelid AND c.oid = i.indclass[a.attnum - 1] AND a.atttypid <> c.opcintype
    AND c.opcintype = '@extschema@.snowflakeid'::regtype AND c.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'brin');

------------------------------------------------------------------------------
-- Layouts

------------------------------------------------------------------------------
-- Comparing an ID with a time

------------------------------------------------------------------------------
-- Issuing

-- Tools take a default with "nextval" in its text for a sequence's.
CREATE FUNCTION @extschema@.snowflake_id() RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id() IS 'next ID, as snowflake_nextval(): for tools that treat a default that contains "nextval" as a sequence''s';
CREATE FUNCTION @extschema@.snowflake_id(scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval_in' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id(text) IS 'next ID of a scope, as snowflake_nextval(scope): for tools that treat a default that contains "nextval" as a sequence''s';

-- Forms that take integers go out of the way of those that take bigint; what was
-- made with them keeps them.
ALTER FUNCTION @extschema@.snowflake_batch(integer) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_batch(integer, text) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_reserve_run(integer) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_reserve_run(integer, text) SET SCHEMA idgen_internal;
COMMENT ON FUNCTION idgen_internal.snowflake_batch(integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_batch(integer, text) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_reserve_run(integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_reserve_run(integer, text) IS 'form of version 0.1.0, with integers';
CREATE FUNCTION @extschema@.snowflake_batch(n bigint) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
CREATE FUNCTION @extschema@.snowflake_batch(n bigint, scope text) RETURNS SETOF @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_batch_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE
    ROWS 1000 SUPPORT idgen_internal.batch_support;
COMMENT ON FUNCTION @extschema@.snowflake_batch(bigint) IS 'n IDs in ascending order, from 1 to idgen.max_batch';
COMMENT ON FUNCTION @extschema@.snowflake_batch(bigint, text) IS 'n IDs of a scope in ascending order, from 1 to idgen.max_batch';
CREATE FUNCTION @extschema@.snowflake_reserve_run(n bigint) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
CREATE FUNCTION @extschema@.snowflake_reserve_run(n bigint, scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_reserve_run_bigint' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_reserve_run(bigint) IS 'the first of n consecutive integers that are all IDs of the caller''s; as many at most as a tick has';
COMMENT ON FUNCTION @extschema@.snowflake_reserve_run(bigint, text) IS 'the first of n consecutive integers that are all IDs of the caller''s, of a scope; as many at most as a tick has';

------------------------------------------------------------------------------
-- Scopes

CREATE OR REPLACE FUNCTION @extschema@.snowflake_drop_scope(name text) RETURNS void
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

------------------------------------------------------------------------------
-- Decoding and encoding

ALTER FUNCTION @extschema@.snowflake_encode(timestamptz, integer, integer) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_encode(timestamptz, integer, integer, text) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_node_of(integer, integer) SET SCHEMA idgen_internal;
ALTER FUNCTION @extschema@.snowflake_node_of(integer, integer, text) SET SCHEMA idgen_internal;
COMMENT ON FUNCTION idgen_internal.snowflake_encode(timestamptz, integer, integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_encode(timestamptz, integer, integer, text) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_node_of(integer, integer) IS 'form of version 0.1.0, with integers';
COMMENT ON FUNCTION idgen_internal.snowflake_node_of(integer, integer, text) IS 'form of version 0.1.0, with integers';
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
CREATE FUNCTION @extschema@.snowflake_to_base32(id bigint) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base32' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_to_base32(bigint) IS 'the ID in Crockford''s base32, 13 characters; sorts as the ID does';
CREATE FUNCTION @extschema@.snowflake_to_base62(id bigint) RETURNS text
    AS 'MODULE_PATHNAME', 'idgen_to_base62' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_to_base62(bigint) IS 'the ID in base62, 11 characters; sorts as the ID does in the C collation';

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
-- A fleet's coordinator

-- Made again, as 0.1.0 bound operators of the extension's schema, too.
CREATE OR REPLACE FUNCTION idgen_internal.timeline() RETURNS integer
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    -- The control file knows a new timeline only after a checkpoint.
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
CREATE OR REPLACE FUNCTION idgen_internal.took_over() RETURNS timestamptz
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT f.modification FROM pg_stat_file(
        'pg_wal/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '.history', true) AS f);

-- Renewals queue behind whoever waits for these locks, so it does not wait for a dump or a
-- report to end.
DO $$
DECLARE
    before constant text := pg_catalog.current_setting('lock_timeout');
BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '200ms', true);
    LOCK TABLE idgen_internal.fleet, idgen_internal.node IN ACCESS EXCLUSIVE MODE;
    PERFORM pg_catalog.set_config('lock_timeout', before, true);
END
$$;
-- A fleet that lives here goes on. Names are for display only, no instance takes more lanes
-- than 64, and no layout has such nodes: 0.1.0 let others write those.
DELETE FROM idgen_internal.node
    WHERE node OPERATOR(pg_catalog.<) 0 OR node OPERATOR(pg_catalog.>) 4294967295;
ALTER TABLE idgen_internal.fleet
    ADD COLUMN database oid NOT NULL DEFAULT 0,
    ADD COLUMN relation oid NOT NULL DEFAULT 0;
UPDATE idgen_internal.fleet SET
    relation = 'idgen_internal.fleet'::pg_catalog.regclass,
    database = (SELECT d.oid FROM pg_catalog.pg_database AS d
        WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
    WHERE system OPERATOR(pg_catalog.=) (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c);
UPDATE idgen_internal.node SET name = pg_catalog.left(name, 50)
    WHERE pg_catalog.octet_length(name) OPERATOR(pg_catalog.>) 200;
UPDATE idgen_internal.node SET log2_lanes = CASE WHEN log2_lanes OPERATOR(pg_catalog.<) 0 THEN 0 ELSE 6 END
    WHERE log2_lanes OPERATOR(pg_catalog.<) 0 OR log2_lanes OPERATOR(pg_catalog.>) 6;
ALTER TABLE idgen_internal.fleet
    ADD CONSTRAINT fleet_layout_length CHECK (octet_length(layout) <= 1000 AND octet_length(epoch) <= 100);
ALTER TABLE idgen_internal.node
    ADD CONSTRAINT node_numbers CHECK (node BETWEEN 0 AND 4294967295 AND revision >= 0 AND epoch >= 0 AND ceiling >= 0),
    ADD CONSTRAINT node_lanes CHECK (log2_lanes BETWEEN 0 AND 6),
    ADD CONSTRAINT node_name_length CHECK (octet_length(name) <= 200);
COMMENT ON COLUMN idgen_internal.fleet.database IS 'OID of the database that the generation was made in; 0 in a row that was restored, replicated or copied';
COMMENT ON COLUMN idgen_internal.fleet.relation IS 'OID of the table that the generation was made in; 0 in a row that was restored, replicated or copied';

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

CREATE OR REPLACE FUNCTION idgen_internal.fleet_check() RETURNS void
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

CREATE OR REPLACE FUNCTION idgen_internal.fleet_read(first bigint, last bigint) RETURNS json
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

CREATE OR REPLACE FUNCTION idgen_internal.fleet_write(
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

CREATE OR REPLACE FUNCTION idgen_internal.fleet_create(id uuid, layout text, epoch text, generation bigint, base bigint, raised_us bigint)
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

CREATE OR REPLACE FUNCTION idgen_internal.fleet_raise(
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

------------------------------------------------------------------------------
-- State and statistics

COMMENT ON VIEW @extschema@.snowflake_clock_events IS 'what happened to the clock since shared memory was initialized, the last 128 events';

-- Made again, as 0.1.0 bound operators of the extension's schema, too.
CREATE OR REPLACE FUNCTION idgen_internal.coordinated_fleet(
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

-- The view stays, with its grants and what uses it, while its function is made again.
CREATE OR REPLACE VIEW @extschema@.snowflake_worker_stats AS
    SELECT NULL::bigint AS starts, NULL::timestamptz AS started, NULL::bigint AS turns,
        NULL::bigint AS acquisitions, NULL::bigint AS renewals, NULL::bigint AS failures,
        NULL::bigint AS losses, NULL::timestamptz AS last_renewal, NULL::interval AS renewal_time,
        NULL::interval AS renewal_mean, NULL::interval AS renewal_longest,
        NULL::bigint AS observations, NULL::bigint AS observations_ignored,
        NULL::timestamptz AS stats_reset;
DROP FUNCTION idgen_internal.worker_stats();
CREATE FUNCTION idgen_internal.worker_stats(
    OUT starts bigint, OUT started timestamptz, OUT turns bigint, OUT acquisitions bigint,
    OUT renewals bigint, OUT failures bigint, OUT losses bigint, OUT last_renewal timestamptz,
    OUT renewal_time interval, OUT renewal_mean interval, OUT renewal_longest interval,
    OUT observations bigint, OUT observations_ignored bigint, OUT stats_reset timestamptz, OUT last_turn timestamptz)
    RETURNS record
    AS 'MODULE_PATHNAME', 'idgen_worker_stats' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION idgen_internal.worker_stats() IS 'implementation of the view snowflake_worker_stats';
CREATE OR REPLACE VIEW @extschema@.snowflake_worker_stats AS
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

------------------------------------------------------------------------------
-- Operations

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
