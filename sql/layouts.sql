-- The table of layouts: this database's own and others', append-only.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

SELECT name, definition, epoch FROM snowflake_layouts ORDER BY name;

-- Never changed or removed; not by replication either.
SET session_replication_role = replica;
DELETE FROM idgen_internal.layout WHERE name = 'discord';
TRUNCATE idgen_internal.layout;
RESET session_replication_role;
UPDATE idgen_internal.layout SET note = 'mine' WHERE name = 'idgen';
UPDATE idgen_internal.layout SET definition = 'time:41' WHERE name = 'twitter';
DELETE FROM idgen_internal.layout WHERE name = 'discord';
DELETE FROM idgen_internal.layout;
TRUNCATE idgen_internal.layout;
SELECT count(*) FROM idgen_internal.layout;

-- Added to, by whoever owns it; checked.
BEGIN;
INSERT INTO idgen_internal.layout (name, definition, epoch, note)
VALUES ('fallen', 'sign:1 time:41 shard:10 sequence:12', '1288834974657', 'like leaf');
SELECT name, kind FROM idgen_internal.layout WHERE name = 'fallen';
SELECT * FROM snowflake_decode(2006515713438658569, 'fallen');
UPDATE idgen_internal.layout SET note = 'other' WHERE name = 'fallen';
ROLLBACK;
SELECT * FROM snowflake_decode(2006515713438658569, 'fallen');
-- Names that begin alike; names that are too long to be one.
BEGIN;
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES
    ('leaf_one', 'sign:1 time:41 shard:10 sequence:12', '2020-01-01'), ('leaf_two', 'sign:1 time:41 shard:9 sequence:13', '2020-01-01'),
    (repeat('l', 63), 'sign:1 time:41 shard:8 sequence:14', '2020-01-01');
SELECT snowflake_shard(8192, 'leaf_one') AS one, snowflake_shard(8192, 'leaf_two') AS two, snowflake_shard(16384, repeat('l', 63)) AS long;
SELECT snowflake_shard(16384, repeat('l', 64));
ROLLBACK;
-- Fields in another order; ticks of 10 ms.
SELECT * FROM snowflake_decode(600114305433927938, 'sonyflake_v1');
SELECT snowflake_encode('2026-01-01 UTC', 258, 5, 'sonyflake_v1');

-- By the function that is for it: the epoch as a date or as milliseconds.
BEGIN;
SELECT snowflake_create_layout('ours', 'time:41 shard:10 sequence:12', '2020-01-01T00:00:00Z', 'the old application');
SELECT snowflake_create_layout('theirs', 'sign:1 time:39 sequence:8 shard:16 tick:10ms', 1409529600000);
SELECT name, definition, epoch, note, kind FROM idgen_internal.layout WHERE kind = 'u' ORDER BY name;
SELECT d.*, snowflake_encode(d.ts, d.node, d.sequence, d.layout) FROM snowflake_decode(600114305433927938, 'theirs') AS d;
SAVEPOINT s;
SELECT snowflake_create_layout('ours', 'time:41 shard:10 sequence:12', '2020-01-01T00:00:00Z');
ROLLBACK TO s;
SELECT snowflake_create_layout('idgen', 'time:41 shard:10 sequence:12', '2020-01-01T00:00:00Z');
ROLLBACK TO s;
SELECT snowflake_create_layout('twitter', 'time:41 shard:10 sequence:12', '2020-01-01T00:00:00Z');
ROLLBACK TO s;
SELECT snowflake_create_layout(repeat('l', 64), 'time:41 shard:10 sequence:12', 0);
ROLLBACK TO s;
SELECT snowflake_create_layout('', 'time:41 shard:10 sequence:12', 0);
ROLLBACK TO s;
SELECT snowflake_create_layout(NULL, 'time:41 shard:10 sequence:12', 0);
ROLLBACK TO s;
SELECT snowflake_create_layout('x', NULL, 0);
ROLLBACK TO s;
SELECT snowflake_create_layout('x', 'time:41', NULL::text);
ROLLBACK TO s;
SELECT snowflake_create_layout('x', 'time:41 node:10', '2020-01-01');
ROLLBACK TO s;
SELECT snowflake_create_layout('x', 'time:41 shard:10', '2020-01-01 00:00:00+02');
ROLLBACK TO s;
SELECT snowflake_create_layout('x', 'time:41 shard:10', -5);
ROLLBACK TO s;
SET TRANSACTION READ ONLY;
SELECT snowflake_create_layout('x', 'time:41 shard:10', 0);
ROLLBACK;
SELECT count(*) FROM snowflake_layouts WHERE name IN ('ours', 'theirs', 'x');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41 shard', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41 node:10', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41 time:2', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:63', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:60 shard:5', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41 tick:1d', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'shard:5', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:60 tick:1s', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', '', '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41', 'yesterday');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', 'time:41', '-1');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('a', NULL, '0');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('twitter', 'time:41 shard:10', '0');

-- Rows that are there already are not replaced by a user's.
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('idgen', 'time:41 shard:4 sequence:8', '2024-01-01');
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('idgen', 'time:41 shard:4 sequence:8', '2024-01-01')
ON CONFLICT DO NOTHING;
INSERT INTO idgen_internal.layout VALUES ('a', 'time:41 shard:4', '2024-01-01', 'mine', 'p');
INSERT INTO idgen_internal.layout VALUES ('a', 'time:41 shard:4', '2024-01-01', 'mine', 'x');
SELECT name, definition, kind FROM idgen_internal.layout WHERE name IN ('a', 'idgen');

-- A dump's row, which has a kind, is passed over when it says what is known...
BEGIN;
INSERT INTO idgen_internal.layout VALUES ('twitter', 'time:41 region:5 shard:5 sequence:12', '1288834974657', 'the same', 'u');
SELECT name, note, kind FROM idgen_internal.layout WHERE name = 'twitter';
-- ... wins over a preset of the same name...
INSERT INTO idgen_internal.layout VALUES ('twitter', 'time:41 shard:10 sequence:12', '2010-01-01', 'ours', 'u');
SELECT name, definition, epoch, note, kind FROM idgen_internal.layout WHERE name = 'twitter';
SELECT snowflake_region(4096, 'twitter') IS NULL AS no_region;
-- ... but not over another user's.
INSERT INTO idgen_internal.layout VALUES ('twitter', 'time:41 shard:11 sequence:11', '2010-01-01', 'other', 'u');
ROLLBACK;
SELECT definition, kind FROM idgen_internal.layout WHERE name = 'twitter';

-- The own row, as CREATE EXTENSION made it, gives way once: to a dump's.
SELECT kind FROM idgen_internal.layout WHERE name = 'idgen';
BEGIN;
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 region:3 shard:7 sequence:12 tick:1ms', '2025-01-01T00:00:00Z', 'the same', 'f');
SELECT count(*), min(kind) FROM idgen_internal.layout WHERE name = 'idgen';
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 shard:4 sequence:8 tick:1ms', '2024-01-01T00:00:00Z', 'restored', 'f');
SELECT name, definition, epoch, note, kind FROM idgen_internal.layout WHERE name = 'idgen';
SELECT * FROM snowflake_decode(4097);
SELECT snowflake_encode('2024-01-01 00:00:00.001 UTC', 0, 1);
SAVEPOINT restored;
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 shard:5 sequence:8 tick:1ms', '2024-01-01T00:00:00Z', 'again', 'f');
ROLLBACK TO restored;
-- The server issues in another layout than this database's: it refuses.
SELECT snowflake_nextval();
ROLLBACK TO restored;
SELECT * FROM snowflake_batch(5);
ROLLBACK;
-- Also where only the epoch, or only the nodes, differ.
BEGIN;
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 region:3 shard:7 sequence:12', '2024-01-01', 'restored', 'f');
SELECT snowflake_nextval();
ROLLBACK;
BEGIN;
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 region:4 shard:6 sequence:12', '2025-01-01', 'restored', 'f');
SELECT snowflake_nextval();
ROLLBACK;
-- Plans that were made by the layout of before are made anew; also those that name no
-- table, PL/pgSQL's, and the checks of domains.
CREATE TABLE planned AS SELECT snowflake_encode('2025-06-01 UTC'::timestamptz + g * interval '1 hour', 1, 1) AS id FROM generate_series(1, 1000) AS g;
SELECT snowflake_min('2025-06-10 UTC') AS june \gset
PREPARE since AS SELECT count(*) FROM planned WHERE id >= timestamptz '2025-06-20 UTC';
PREPARE is_since(snowflakeid) AS SELECT $1 >= timestamptz '2025-06-20 UTC';
CREATE FUNCTION is_since(i snowflakeid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN i >= timestamptz '2025-06-20 UTC'; END $$;
CREATE DOMAIN since AS snowflakeid CHECK (VALUE >= timestamptz '2025-06-20 UTC');
CREATE FUNCTION is_in_domain(i snowflakeid) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM i::since; RETURN true; EXCEPTION WHEN check_violation THEN RETURN false; END $$;
SET plan_cache_mode = force_generic_plan;
EXECUTE since;
EXECUTE is_since(:'june');
SELECT is_since(:'june'), is_in_domain(:'june');
BEGIN;
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:41 region:3 shard:7 sequence:12', '2025-01-15', 'restored', 'f');
EXECUTE since;
SELECT count(*) FROM planned WHERE snowflake_timestamp(id) >= timestamptz '2025-06-20 UTC';
EXECUTE is_since(:'june');
SELECT is_since(:'june'), is_in_domain(:'june');
ROLLBACK;
EXECUTE since;
EXECUTE is_since(:'june');
SELECT is_since(:'june'), is_in_domain(:'june');
RESET plan_cache_mode;
DEALLOCATE since;
DEALLOCATE is_since;
DROP FUNCTION is_since, is_in_domain;
DROP DOMAIN since;
DROP TABLE planned;
-- It is always one that an instance can issue in.
INSERT INTO idgen_internal.layout VALUES ('idgen', 'shard:10 time:41 sequence:12', '2024-01-01', 'restored', 'f');
INSERT INTO idgen_internal.layout VALUES ('idgen', 'time:42 shard:10 sequence:12', '2024-01-01', 'restored', 'f');
SELECT definition, epoch, kind FROM idgen_internal.layout WHERE name = 'idgen';
SELECT * FROM snowflake_decode(4097);
SELECT snowflake_nextval() IS NOT NULL AS issued;

-- Its guard is no trigger for other tables.
CREATE TABLE odd (a integer, b integer, c integer, d integer, e integer, f integer);
CREATE TRIGGER guard BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION idgen_internal.layout_guard();
CREATE TABLE short (a integer);
CREATE TRIGGER guard BEFORE INSERT ON short FOR EACH STATEMENT EXECUTE FUNCTION idgen_internal.layout_guard();
DO $$
BEGIN
    BEGIN
        INSERT INTO odd VALUES (1, 2, 3, 4, 5, 6);
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'refused on rows of another table';
    END;
    BEGIN
        INSERT INTO short VALUES (1);
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'refused on statements';
    END;
END
$$;
DROP TABLE odd, short;
