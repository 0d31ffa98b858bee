-- Tables of idgen_internal as C functions read them, and what a session remembers.
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set VERBOSITY default
\set SHOW_CONTEXT never

-- More columns than the library knows, and dropped ones: as after an upgrade's script
-- while the library of before is loaded.
BEGIN;
DO $$
BEGIN
    FOR n IN 1 .. 40 LOOP
        EXECUTE format('ALTER TABLE idgen_internal.layout ADD COLUMN more_%1$s text DEFAULT ''more %1$s''', n);
        EXECUTE format('ALTER TABLE idgen_internal.scope ADD COLUMN more_%1$s text DEFAULT ''more %1$s''', n);
    END LOOP;
    ALTER TABLE idgen_internal.layout DROP COLUMN more_7;
END
$$;
SELECT definition, epoch FROM snowflake_layouts WHERE name = 'twitter';
SELECT snowflake_timestamp(154014842880000000::snowflakeid) IS NOT NULL AS own, snowflake_timestamp(1541815603606036480, 'twitter') AS preset;
SELECT snowflake_create_layout('wide', 'time:41 shard:10 sequence:12 tick:1ms', '2020-01-01');
SELECT snowflake_timestamp(4194304000::bigint, 'wide');
SELECT name, definition, kind, note, more_1, more_40 FROM idgen_internal.layout WHERE name = 'wide';
INSERT INTO idgen_internal.layout (name, definition, epoch, kind, more_5) VALUES ('dumped', 'time:41 shard:10 sequence:12 tick:1ms', '2021-01-01', 'u', 'given');
SELECT name, kind, more_4, more_5 FROM idgen_internal.layout WHERE name = 'dumped';
SELECT snowflake_create_scope('wide');
SELECT snowflake_nextval('wide') < snowflake_nextval('wide') AS rises;
SELECT '5'::snowflakeid < now() AS compared;
ROLLBACK;
-- A column that is missing is named.
BEGIN;
ALTER TABLE idgen_internal.layout RENAME COLUMN kind TO sort;
SELECT snowflake_timestamp(154014842880000000::snowflakeid);
ROLLBACK;
SELECT snowflake_timestamp(154014842880000000::snowflakeid) IS NOT NULL AS own;

-- A session remembers the scopes it has used, but not all: 3,000 names take no more
-- memory than the 300 before them.
CREATE FUNCTION pg_temp.use_scopes(first integer, last integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN first .. last LOOP
        BEGIN
            PERFORM snowflake_batch(0, 'many_' || n); -- finds the scope, and refuses the number
        EXCEPTION WHEN invalid_parameter_value THEN
        END;
    END LOOP;
END
$$;
CREATE FUNCTION pg_temp.remembered() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts WHERE name LIKE 'idgen%scopes'
$$;
BEGIN;
INSERT INTO idgen_internal.scope SELECT 'many_' || n FROM generate_series(1, 3300) AS n;
SELECT pg_temp.use_scopes(1, 300);
SELECT pg_temp.remembered() AS before \gset
SELECT pg_temp.use_scopes(301, 3300);
SELECT pg_temp.remembered() = :before AS same, pg_temp.remembered() < 200000 AS little;
-- A batch goes on in its own scope, though the session has forgotten it meanwhile and
-- its memory is another scope's; and so does a call that is repeated.
SELECT snowflake_create_scope('kept');
DECLARE batch CURSOR FOR SELECT snowflake_batch(100000, 'kept') AS id;
MOVE 1 IN batch;
SELECT ids BETWEEN 1 AND 99999 AS begun FROM snowflake_stats WHERE scope = 'kept';
SELECT pg_temp.use_scopes(1, 3300);
MOVE ALL IN batch;
SELECT scope, ids, batches FROM snowflake_stats WHERE scope LIKE 'many%' OR scope = 'kept';
ROLLBACK;
