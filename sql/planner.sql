-- The planner also simplifies comparisons with times whose column isn't the query's
-- own: a table's CHECKs number their columns as if the table were the first of the
-- query's relations. Whichever relation is the first, the answer is right, and CHECKs
-- exclude what they exclude.
SET timezone = 'UTC';
-- The tables that a query's plan scans.
CREATE FUNCTION pg_temp.scanned(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text[] := '{}';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ ' Scan .*on \w+' AND line !~ 'Replaces' THEN found := found || substring(line FROM ' on (\w+)'); END IF;
    END LOOP;
    RETURN (SELECT string_agg(name, ' ' ORDER BY name COLLATE "C") FROM unnest(found) AS name);
END
$$;

-- The column at every position, up to the 12th; IDs and bigints that are cast.
CREATE TABLE short (id snowflakeid);
CREATE TABLE short_bigint (n bigint);
INSERT INTO short VALUES (snowflake_min('2026-01-02 UTC')), (snowflake_min('2026-03-02 UTC'));
INSERT INTO short_bigint SELECT id FROM short;
CREATE FUNCTION pg_temp.at_position(place integer, kind text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    columns text := (SELECT string_agg('c' || n || ' integer, ', '') FROM generate_series(1, place - 1) AS n);
    key text := CASE kind WHEN 'bigint' THEN 'id::snowflakeid' ELSE 'id' END;
    answers text := '';
    answer integer;
    by_times integer;
    query text;
BEGIN
    EXECUTE format('CREATE TABLE early (%sid %s, z integer, CHECK (%s < timestamptz ''2026-02-01 UTC''))', columns, kind, key);
    EXECUTE format('CREATE TABLE late (%sid %s, z integer, CHECK (timestamptz ''2026-02-01 UTC'' <= %s))', columns, kind, key);
    EXECUTE 'CREATE TABLE parent (LIKE early); CREATE TABLE child () INHERITS (parent)';
    EXECUTE format('ALTER TABLE child ADD CHECK (%s >= timestamptz ''2026-01-01 UTC'')', key);
    EXECUTE format('CREATE TEMP TABLE temporary (%sid %s, z integer, CHECK (%s < timestamptz ''2026-02-01 UTC''))', columns, kind, key);
    INSERT INTO early (id) VALUES (snowflake_min('2026-01-02 UTC'));
    INSERT INTO late (id) VALUES (snowflake_min('2026-03-02 UTC'));
    INSERT INTO parent (id) SELECT id FROM early;
    INSERT INTO child (id) SELECT id FROM late;
    INSERT INTO temporary (id) SELECT id FROM early;
    FOREACH query IN ARRAY ARRAY[
        'SELECT @ AS id FROM early UNION ALL SELECT @ FROM late',
        'SELECT @ AS id FROM late UNION ALL SELECT id FROM short UNION ALL SELECT n::snowflakeid FROM short_bigint',
        'SELECT n::snowflakeid AS id FROM short_bigint UNION ALL SELECT @ FROM early',
        'SELECT @ AS id FROM parent UNION ALL SELECT id FROM short',
        'SELECT id FROM short UNION ALL SELECT @ FROM parent',
        'SELECT id FROM short UNION ALL (SELECT @ AS id FROM early UNION ALL SELECT @ FROM late)',
        'SELECT id FROM (SELECT id FROM short UNION ALL SELECT n::snowflakeid FROM short_bigint) AS u UNION ALL SELECT @ FROM late',
        'SELECT @ AS id FROM temporary UNION ALL SELECT id FROM short',
        'SELECT a.id FROM (SELECT id FROM short UNION ALL SELECT n::snowflakeid FROM short_bigint) AS a JOIN (SELECT @ AS id FROM late UNION ALL SELECT @ AS id FROM early) AS b ON a.id = b.id',
        'SELECT a.id FROM (SELECT id FROM short UNION ALL SELECT n::snowflakeid FROM short_bigint) AS a LEFT JOIN (SELECT @ AS k FROM parent) AS b ON a.id = k AND k > timestamptz ''2026-01-15 UTC'''] LOOP
        query := format('SELECT count(*) FROM (%s) AS q WHERE %s', replace(query, '@', key), condition);
        EXECUTE query INTO answer;
        EXECUTE replace(query, 'WHERE id', 'WHERE snowflake_timestamp(id)') INTO by_times;
        IF answer <> by_times THEN RAISE EXCEPTION '% instead of %: %', answer, by_times, query; END IF;
        answers := concat_ws(' ', nullif(answers, ''), answer);
    END LOOP;
    DROP TABLE early, late, parent, child, temporary;
    RETURN answers;
END
$$;
SET client_min_messages = warning;
SELECT kind, exclusion, array_agg(DISTINCT before) AS before, array_agg(DISTINCT since) AS since, count(*) AS positions
FROM (VALUES ('snowflakeid'), ('bigint')) AS k (kind), (VALUES ('partition'), ('on'), ('off')) AS e (exclusion),
    LATERAL (SELECT set_config('constraint_exclusion', exclusion, false)) AS s (setting), generate_series(1, 12) AS place,
    LATERAL (SELECT pg_temp.at_position(place, kind, 'id < timestamptz ''2026-02-01 UTC''') AS before,
                    pg_temp.at_position(place, kind, 'id >= timestamptz ''2026-02-01 UTC''') AS since) AS a
GROUP BY kind, exclusion ORDER BY 1 DESC, 2;
RESET constraint_exclusion;
RESET client_min_messages;

-- CHECKs exclude, whatever the query's first relation makes of the column at that
-- position, and by whatever it groups.
CREATE TABLE early (a integer, id snowflakeid, n bigint, CHECK (id < timestamptz '2026-02-01 UTC'), CHECK (n::snowflakeid < timestamptz '2026-02-01 UTC'));
CREATE TABLE late (a integer, id snowflakeid, n bigint, CHECK (id >= timestamptz '2026-02-01 UTC'), CHECK (n::snowflakeid >= timestamptz '2026-02-01 UTC'));
SELECT pg_temp.scanned($$SELECT * FROM (SELECT id FROM early UNION ALL SELECT id FROM late) AS u WHERE id >= timestamptz '2026-03-01 UTC'$$);
SELECT pg_temp.scanned($$SELECT * FROM (SELECT 1, id FROM early UNION ALL SELECT 1, id FROM late UNION ALL SELECT n::int, n::snowflakeid FROM short_bigint) AS u WHERE id >= timestamptz '2026-03-01 UTC'$$);
SELECT pg_temp.scanned($$SELECT n::snowflakeid FROM (SELECT a, n FROM early UNION ALL SELECT a, n FROM late) AS u WHERE n::snowflakeid < timestamptz '2026-01-15 UTC'$$);
SET constraint_exclusion = on;
SELECT pg_temp.scanned($$SELECT count(*) FROM (SELECT 1, n::snowflakeid AS id FROM short_bigint UNION ALL SELECT 2, id FROM short) AS u, early WHERE early.id >= timestamptz '2026-03-01 UTC' AND u.id IS NOT NULL$$);
SELECT pg_temp.scanned($$SELECT n::snowflakeid FROM (SELECT n FROM short_bigint OFFSET 0) AS s, LATERAL (SELECT 1 FROM early WHERE early.id >= timestamptz '2026-03-01 UTC') AS e GROUP BY n::snowflakeid$$);
SELECT pg_temp.scanned($$SELECT short_bigint.n::snowflakeid FROM short_bigint, early WHERE early.id >= timestamptz '2026-03-01 UTC' GROUP BY ROLLUP (short_bigint.n::snowflakeid)$$);
RESET constraint_exclusion;

-- Simplified without a query: by casts of PL/pgSQL's, and domains.
CREATE FUNCTION is_new(snowflakeid) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 >= timestamptz '2026-02-01 UTC' $$;
CREATE FUNCTION is_new_number(bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1::snowflakeid >= timestamptz '2026-02-01 UTC' $$;
CREATE CAST (snowflakeid AS boolean) WITH FUNCTION is_new AS ASSIGNMENT;
CREATE CAST (bigint AS boolean) WITH FUNCTION is_new_number AS ASSIGNMENT;
CREATE FUNCTION pg_temp.by_cast(id snowflakeid, n bigint, OUT of_id boolean, OUT of_number boolean) LANGUAGE plpgsql AS $$
BEGIN
    of_id := id;
    of_number := n;
END
$$;
SELECT id, cast_to.* FROM short, pg_temp.by_cast(id, id::bigint) AS cast_to;
DROP CAST (snowflakeid AS boolean);
DROP CAST (bigint AS boolean);
DROP FUNCTION is_new, is_new_number, pg_temp.by_cast;
CREATE DOMAIN new_id AS snowflakeid CHECK (VALUE >= timestamptz '2026-02-01 UTC');
CREATE DOMAIN new_number AS bigint CHECK (VALUE::snowflakeid >= timestamptz '2026-02-01 UTC');
DO $$
DECLARE
    id new_id := snowflake_min('2026-03-01 UTC');
    n new_number := id;
BEGIN
    RAISE NOTICE '% %', id >= timestamptz '2026-03-01 UTC', n::snowflakeid < timestamptz '2026-03-01 UTC';
    n := 5;
EXCEPTION WHEN check_violation THEN
    RAISE NOTICE '%', sqlerrm;
END
$$;
DROP DOMAIN new_id, new_number;

DROP TABLE short, short_bigint, early, late;
