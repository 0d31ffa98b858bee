-- Each kind of wrong input has its SQLSTATE.
BEGIN;
SELECT plan(49);

CREATE ROLE regress_idgen_errors;

CREATE FUNCTION pg_temp.fails(query text, state text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT throws_ok(query, state::char(5), NULL, state || ': ' || query) $$;

-- 22P02: not an ID
SELECT pg_temp.fails($$ SELECT ''::snowflakeid $$, '22P02');
SELECT pg_temp.fails($$ SELECT '12x'::snowflakeid $$, '22P02');
SELECT pg_temp.fails($$ SELECT '2025-01-01'::snowflakeid $$, '22P02');
SELECT pg_temp.fails($$ SELECT snowflake_decode('nonsense') $$, '22P02');
SELECT pg_temp.fails($$ SELECT snowflake_decode('0000000000_') $$, '22P02');
SELECT pg_temp.fails($$ SELECT snowflake_from_base32('000000000000U') $$, '22P02');
SELECT pg_temp.fails($$ SELECT snowflake_from_base62('short') $$, '22P02');

-- 22003: a number out of its range
SELECT pg_temp.fails($$ SELECT '9223372036854775808'::snowflakeid $$, '22003');
SELECT pg_temp.fails($$ SELECT 9223372036854775808::snowflakeid $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_decode(-1) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_timestamp(-1::bigint) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_decode('99999999999999999999') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_encode('2026-01-01 UTC', 1024, 0) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_encode('2026-01-01 UTC', -1, 0) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_encode('2026-01-01 UTC', 0, 4096) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_encode('2026-01-01 UTC', 0, -1) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_node_of(8, 0) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_node_of(0, 128) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_node_of(1, 0, 'instagram') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_to_base32('-1') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_to_base62('-1') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_from_base32('8000000000000') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_from_base62('AzL8n0Y58m8') $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_mask(-1, sha256('k')) $$, '22003');
SELECT pg_temp.fails($$ SELECT snowflake_unmask(-1, sha256('k')) $$, '22003');

-- 22008: a time out of the layout's
SELECT pg_temp.fails($$ SELECT snowflake_encode('2009-12-31 UTC', 0, 0) $$, '22008');
SELECT pg_temp.fails($$ SELECT snowflake_encode('2095-01-01 UTC', 0, 0) $$, '22008');
SELECT pg_temp.fails($$ SELECT snowflake_encode('infinity', 0, 0) $$, '22008');
SELECT pg_temp.fails($$ SELECT snowflake_min('-infinity') $$, '22008');
SELECT pg_temp.fails($$ SELECT snowflake_min('2095-01-01 UTC') $$, '22008');

-- 22023: a count, a setting, a definition, a key
SELECT pg_temp.fails($$ SELECT snowflake_batch(0) $$, '22023');
SELECT pg_temp.fails($$ SELECT snowflake_batch(-1) $$, '22023');
SELECT pg_temp.fails($$ SELECT snowflake_batch(current_setting('idgen.max_batch')::integer + 1) $$, '22023');
SELECT pg_temp.fails($$ SET idgen.max_wait = -1 $$, '22023');
SELECT pg_temp.fails($$ SELECT snowflake_mask(1, 'a key too short') $$, '22023');
SELECT pg_temp.fails($$ SELECT snowflake_unmask(1, repeat('x', 33)::bytea) $$, '22023');
SELECT pg_temp.fails($$ INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'nonsense', '0') $$, '22023');

-- 42704, 42883, 42846, 0A000, 55000: what isn't there, or isn't done
SELECT pg_temp.fails($$ SELECT snowflake_decode(1, 'nobody') $$, '42704');
SELECT pg_temp.fails($$ SELECT 1::bigint < now() $$, '42883');
SELECT pg_temp.fails($$ SELECT now()::snowflakeid $$, '42846');
SELECT pg_temp.fails($$ INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('idgen', 'time:41 shard:4 sequence:8', '0') $$, '23505');
SELECT pg_temp.fails($$ INSERT INTO idgen_internal.layout (name, definition, epoch, kind) VALUES ('a', 'time:41', '0', 'p') $$, '22023');
SELECT pg_temp.fails($$ UPDATE idgen_internal.layout SET note = '' $$, '55000');
SELECT pg_temp.fails($$ DELETE FROM idgen_internal.layout $$, '55000');
SELECT pg_temp.fails($$ TRUNCATE idgen_internal.layout $$, '55000');
SELECT pg_temp.fails($$ SELECT snowflake_min('2026-01-01 UTC', 'seata') $$, '0A000');

-- 42501: not for everybody
SET LOCAL ROLE regress_idgen_errors;
DO $$ BEGIN PERFORM * FROM snowflake_instance; PERFORM set_config('idgen_test.state', 'none', true);
      EXCEPTION WHEN insufficient_privilege THEN PERFORM set_config('idgen_test.state', '42501', true); END $$;
RESET ROLE;
SELECT is(current_setting('idgen_test.state'), '42501', '42501: snowflake_instance as an ordinary role');

-- The extension's own
SET LOCAL idgen.max_wait = 0;
SELECT pg_temp.fails($$ DO 'BEGIN FOR i IN 1 .. 100000 LOOP PERFORM snowflake_batch(100000) LIMIT 1; END LOOP; END' $$, 'IDG03');
SET LOCAL idgen.max_wait = '1s';
INSERT INTO idgen_internal.layout (name, definition, epoch, kind) VALUES ('idgen', 'time:41 shard:4 sequence:8', '0', 'f');
SELECT pg_temp.fails($$ SELECT snowflake_nextval() $$, 'IDG06');

SELECT * FROM finish();
ROLLBACK;
