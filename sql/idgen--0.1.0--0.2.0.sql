\echo Use "ALTER EXTENSION idgen UPDATE TO '0.2.0'" to load this file. \quit

-- As in the install script: names are looked up in pg_catalog alone.
SET LOCAL search_path = pg_catalog, pg_temp;

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

------------------------------------------------------------------------------
-- Layouts

------------------------------------------------------------------------------
-- Comparing an ID with a time

------------------------------------------------------------------------------
-- Issuing

-- Tools take a default with "nextval" in its text for a sequence's.
CREATE FUNCTION @extschema@.snowflake_id() RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id() IS 'next ID, as snowflake_nextval(): for tools that take that name for a sequence''s';
CREATE FUNCTION @extschema@.snowflake_id(scope text) RETURNS @extschema@.snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval_in' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.snowflake_id(text) IS 'next ID of a scope, as snowflake_nextval(scope): for tools that take that name for a sequence''s';

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
-- A fleet's coordinator

------------------------------------------------------------------------------
-- State and statistics

------------------------------------------------------------------------------
-- Operations

------------------------------------------------------------------------------
-- Privileges
