-- BRIN indexes: of snowflakeid and of domains over it, by each class; as bigint's.
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- What they store is what bigint's classes store.
SELECT own.opcname, own.opckeytype = own.opcintype AS own, theirs.opckeytype = theirs.opcintype AS bigint
FROM pg_opclass AS own JOIN pg_opclass AS theirs
    ON theirs.opcmethod = own.opcmethod AND theirs.opcname = replace(own.opcname, 'snowflakeid', 'int8') AND theirs.opcnamespace = 'pg_catalog'::regnamespace
WHERE own.opcintype = 'snowflakeid'::regtype AND own.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'brin')
ORDER BY 1;

CREATE DOMAIN order_id AS snowflakeid CHECK (VALUE > 0::bigint);
CREATE DOMAIN deep_id AS order_id;
CREATE FUNCTION found(class text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    condition text;
    plan text;
    line text;
    expected bigint;
    seen bigint;
    result text := '';
BEGIN
    -- On an empty table, then with rows; then on a table that has rows.
    EXECUTE format('CREATE TABLE ranged (id %s, v integer) WITH (fillfactor = 10)', type);
    EXECUTE format('CREATE INDEX ranged_id ON ranged USING brin (id %s) WITH (pages_per_range = 1)', class);
    INSERT INTO ranged SELECT snowflake_encode('2026-01-01 UTC'::timestamptz + g * interval '1 s', 1, 1), g FROM generate_series(1, 2000) AS g;
    PERFORM brin_summarize_new_values('ranged_id');
    DROP INDEX ranged_id;
    EXECUTE format('CREATE INDEX ranged_id ON ranged USING brin (id %s) WITH (pages_per_range = 1)', class);
    INSERT INTO ranged SELECT snowflake_encode('2027-01-01 UTC', 1, 1), 0;
    ANALYZE ranged;
    SET LOCAL enable_seqscan = off;
    FOREACH condition IN ARRAY ARRAY['id = snowflake_encode(''2026-01-01 00:01:00 UTC'', 1, 1)', 'id = snowflake_encode(''2026-01-01 00:01:00 UTC'', 1, 1)::bigint',
        'id = ANY (ARRAY[5, 6, snowflake_encode(''2026-01-01 00:01:00 UTC'', 1, 1)::bigint])',
        'id < timestamptz ''2026-01-01 00:01:00 UTC''', 'id > snowflake_min(''2026-06-01 UTC'')'] LOOP
        SET LOCAL enable_bitmapscan = off;
        SET LOCAL enable_seqscan = on;
        EXECUTE 'SELECT count(*) FROM ranged WHERE ' || condition INTO expected;
        SET LOCAL enable_bitmapscan = on;
        SET LOCAL enable_seqscan = off;
        EXECUTE 'SELECT count(*) FROM ranged WHERE ' || condition INTO seen;
        plan := '';
        FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT count(*) FROM ranged WHERE ' || condition LOOP
            plan := plan || line;
        END LOOP;
        result := result || CASE WHEN seen <> expected THEN ' WRONG' WHEN plan ~ 'Bitmap Index Scan on ranged_id' THEN ' index' ELSE ' none' END;
    END LOOP;
    DROP TABLE ranged;
    RETURN result;
END
$$;
SELECT class, type, found(class, type)
FROM unnest(ARRAY['snowflakeid_minmax_ops', 'snowflakeid_minmax_multi_ops', 'snowflakeid_bloom_ops', '']) AS class, unnest(ARRAY['snowflakeid', 'order_id', 'deep_id']) AS type
ORDER BY class, type;
DROP FUNCTION found;
DROP DOMAIN deep_id, order_id;
