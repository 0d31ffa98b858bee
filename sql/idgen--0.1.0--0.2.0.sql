\echo Use "ALTER EXTENSION idgen UPDATE TO '0.2.0'" to load this file. \quit

------------------------------------------------------------------------------
-- Type snowflakeid

------------------------------------------------------------------------------
-- Layouts

------------------------------------------------------------------------------
-- Comparing an ID with a time

------------------------------------------------------------------------------
-- Issuing

-- Tools take a default with "nextval" in its text for a sequence's.
CREATE FUNCTION snowflake_id() RETURNS snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION snowflake_id() IS 'next ID, as snowflake_nextval(): for tools that take that name for a sequence''s';
CREATE FUNCTION snowflake_id(scope text) RETURNS snowflakeid
    AS 'MODULE_PATHNAME', 'idgen_nextval_in' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION snowflake_id(text) IS 'next ID of a scope, as snowflake_nextval(scope): for tools that take that name for a sequence''s';

------------------------------------------------------------------------------
-- Scopes

------------------------------------------------------------------------------
-- Decoding and encoding

------------------------------------------------------------------------------
-- A fleet's coordinator

------------------------------------------------------------------------------
-- State and statistics

------------------------------------------------------------------------------
-- Operations

------------------------------------------------------------------------------
-- Privileges
