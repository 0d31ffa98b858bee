-- Masked IDs: a permutation by a key, there and back. The answers are those of
-- another implementation of FF1, and must never change.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- By a key of 32 bytes; by keys of each length.
SELECT id, snowflake_mask(id, sha256('a long secret')) AS masked
FROM (VALUES ('0'::snowflakeid), ('1'), ('2'), ('250510213499645953'), ('9223372036854775807')) AS v (id);
SELECT length(key), snowflake_mask(250510213499645953, key) AS masked, snowflake_unmask(snowflake_mask(250510213499645953, key), key) AS id
FROM (SELECT substr('\x2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94'::bytea, 1, n) FROM (VALUES (16), (24), (32)) AS l (n)) AS k (key);

-- Both types, and a snowflakeid of each.
SELECT pg_typeof(snowflake_mask(i::snowflakeid, k)) AS mask, pg_typeof(snowflake_mask(i, k)) AS mask_bigint,
       pg_typeof(snowflake_unmask(i::snowflakeid, k)) AS unmask, pg_typeof(snowflake_unmask(i, k)) AS unmask_bigint,
       snowflake_mask(i::snowflakeid, k) = snowflake_mask(i, k) AS same, snowflake_unmask(i::snowflakeid, k) = snowflake_unmask(i, k) AS same_back
FROM (VALUES (42::bigint, sha256('k'))) AS v (i, k);
SELECT snowflake_mask(NULL::snowflakeid, sha256('k')), snowflake_mask(NULL::bigint, sha256('k')), snowflake_mask(1, NULL),
       snowflake_unmask(NULL::snowflakeid, sha256('k')), snowflake_unmask(NULL::bigint, sha256('k')), snowflake_unmask(1, NULL);

-- There and back, and back and there; nothing twice, nothing negative; the order
-- is gone. With each key, changing from row to row.
CREATE TABLE mask_keys (version integer PRIMARY KEY, key bytea NOT NULL);
INSERT INTO mask_keys VALUES (1, sha256('one')), (2, substr(sha256('two'), 1, 16)), (3, substr(sha256('three'), 1, 24));
CREATE TABLE masked_ids AS
    SELECT id, version, snowflake_mask(id, key) AS masked, snowflake_unmask(id, key) AS unmasked
    FROM (SELECT (250510213499645952 + g)::snowflakeid FROM generate_series(0, 9999) AS g
          UNION ALL VALUES ('0'::snowflakeid), ('9223372036854775807')) AS i (id), mask_keys;
SELECT count(*), count(*) FILTER (WHERE snowflake_unmask(masked, key) <> id) AS wrong, count(*) FILTER (WHERE snowflake_mask(unmasked, key) <> id) AS wrong_back,
       count(*) FILTER (WHERE masked < 0 OR unmasked < 0) AS negative, count(DISTINCT (version, masked)) AS different
FROM masked_ids JOIN mask_keys USING (version);
SELECT version, count(*) FILTER (WHERE masked > before) BETWEEN 4800 AND 5200 AS ascends_half_of_the_time
FROM (SELECT version, masked, lag(masked) OVER (PARTITION BY version ORDER BY id) AS before FROM masked_ids) AS t
GROUP BY version ORDER BY version;
-- The wrong key gives another ID, and no error.
SELECT count(*) FROM masked_ids JOIN mask_keys AS k ON k.version <> masked_ids.version WHERE snowflake_unmask(masked, key) = id;

-- The key as a parameter, with a generic plan and without.
PREPARE unmasking(bigint, bytea) AS SELECT id FROM masked_ids WHERE version = 1 AND id = snowflake_unmask($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE unmasking(snowflake_mask(250510213499645960, sha256('one')), sha256('one'));
EXECUTE unmasking(snowflake_mask(250510213499645960, sha256('one')), sha256('two'));
SET plan_cache_mode = force_custom_plan;
EXECUTE unmasking(snowflake_mask(250510213499645961, sha256('one')), sha256('one'));
RESET plan_cache_mode;

-- Where else an expression may stand: one key after another in one call site.
DO $$
DECLARE
    k bytea;
    masked snowflakeid;
BEGIN
    FOREACH k IN ARRAY ARRAY[sha256('a'), substr(sha256('a'), 1, 16), sha256('b'), sha256('a')] LOOP
        masked := snowflake_mask(7, k);
        IF snowflake_unmask(masked, k) <> 7::snowflakeid THEN RAISE EXCEPTION 'not 7'; END IF;
        RAISE NOTICE '%', masked;
    END LOOP;
END
$$;
CREATE TABLE mask_generated (id snowflakeid, public snowflakeid GENERATED ALWAYS AS (snowflake_mask(id, '\x000102030405060708090a0b0c0d0e0f')) STORED UNIQUE);
INSERT INTO mask_generated (id) SELECT generate_series(1, 3) RETURNING id, public;
-- An error gives the call site up, in the middle of its work.
DO $$
DECLARE
    errors integer := 0;
BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM snowflake_mask(id, CASE id WHEN '250510213499645953' THEN 'short'::bytea ELSE sha256('one') END) FROM masked_ids;
        EXCEPTION WHEN invalid_parameter_value THEN errors := errors + 1;
        END;
    END LOOP;
    RAISE NOTICE '% errors; %', errors, snowflake_mask(2, sha256('a long secret'));
END
$$;

-- Bad keys, which no message shows; numbers that aren't of 63 bits.
SELECT snowflake_mask(1, '');
SELECT snowflake_mask(1, 'fifteen bytes..');
SELECT snowflake_mask('1'::snowflakeid, 'seventeen bytes..');
SELECT snowflake_unmask(1, repeat('x', 33)::bytea);
SELECT snowflake_unmask('1'::snowflakeid, repeat('x', 100000)::bytea);
SELECT snowflake_mask(-1, sha256('k'));
SELECT snowflake_mask('-9223372036854775808'::snowflakeid, sha256('k'));
SELECT snowflake_unmask(-1, sha256('k'));
SELECT snowflake_unmask('-1'::snowflakeid, sha256('k'));
-- A literal without a type is an ID.
SELECT snowflake_mask('1', sha256('k'));

-- What OpenSSL keeps for a call site goes with the statement: 20,000 of them leave
-- nothing behind (some 700 bytes each, otherwise).
CREATE FUNCTION resident_kb() RETURNS bigint LANGUAGE sql AS
    $$ SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmRSS:\s+(\d+)'))[1]::bigint $$;
CREATE PROCEDURE mask_often(n integer) LANGUAGE plpgsql AS
    $$ BEGIN FOR i IN 1..n LOOP EXECUTE 'SELECT snowflake_mask(id, sha256(''k'')) FROM masked_ids LIMIT 1'; END LOOP; END $$;
CALL mask_often(1000);
SELECT resident_kb() AS before \gset
CALL mask_often(20000);
SELECT resident_kb() - :before < 5000 AS nothing_left;
DROP FUNCTION resident_kb;
DROP PROCEDURE mask_often;

DROP TABLE mask_keys, masked_ids, mask_generated;
