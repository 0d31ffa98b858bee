-- An ID compared with a time: what it means, and that it is answered from the
-- index of the ID.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET jit = off; -- which scans that are discouraged would set off

-- Either side, both types of column, every operator.
SELECT op, id, ts
FROM (VALUES ('<'), ('<='), ('>'), ('>=')) AS o (op),
     LATERAL (SELECT CASE op WHEN '<' THEN id < t WHEN '<=' THEN id <= t WHEN '>' THEN id > t ELSE id >= t END AS id,
                     CASE op WHEN '<' THEN t < id WHEN '<=' THEN t <= id WHEN '>' THEN t > id ELSE t >= id END AS ts
              FROM (VALUES (snowflake_encode('2026-01-01 UTC', 1, 1), timestamptz '2026-01-01 UTC')) AS v (id, t)) AS c;
SELECT 5::bigint::snowflakeid < now() AS cast_bigint, '5'::snowflakeid < timestamp '2025-06-01' AS timestamp, '5'::snowflakeid < date '2025-06-01' AS date;
SELECT 5::bigint < now();
SELECT '5'::snowflakeid = now();
SELECT '5'::snowflakeid >= '2026-01-01';
SELECT '5'::snowflakeid >= 'yesterday';
SELECT NULL::snowflakeid < now() AS id, '5'::snowflakeid < NULL::timestamptz AS ts;

-- The functions as they are, without the planner's support; what is planned; and
-- snowflake_timestamp(), wherever that has an answer: all say the same of every
-- number and every time. The greatest number counts as later than every time.
CREATE FUNCTION plain_lt(snowflakeid, timestamptz) RETURNS boolean AS 'idgen', 'idgen_id_lt_time' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_le(snowflakeid, timestamptz) RETURNS boolean AS 'idgen', 'idgen_id_le_time' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_gt(snowflakeid, timestamptz) RETURNS boolean AS 'idgen', 'idgen_id_gt_time' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_ge(snowflakeid, timestamptz) RETURNS boolean AS 'idgen', 'idgen_id_ge_time' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_lt(timestamptz, snowflakeid) RETURNS boolean AS 'idgen', 'idgen_time_lt_id' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_le(timestamptz, snowflakeid) RETURNS boolean AS 'idgen', 'idgen_time_le_id' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_gt(timestamptz, snowflakeid) RETURNS boolean AS 'idgen', 'idgen_time_gt_id' LANGUAGE C IMMUTABLE STRICT;
CREATE FUNCTION plain_ge(timestamptz, snowflakeid) RETURNS boolean AS 'idgen', 'idgen_time_ge_id' LANGUAGE C IMMUTABLE STRICT;
CREATE TABLE numbers (id snowflakeid PRIMARY KEY);
INSERT INTO numbers
SELECT DISTINCT (n + d)::snowflakeid
FROM unnest(ARRAY[0, 132271570944000000, 250510213499645953, 9223372036850581504, -132271570944000000, 4611686018427387904]) AS n,
     unnest(ARRAY[0, 1, -1, 4194303, 4194304, -4194304, -4194305]) AS d
WHERE n < 9223372036850581504 OR d BETWEEN -4194305 AND 4194302;
INSERT INTO numbers VALUES ('9223372036854775807'), ('-9223372036854775808'), ('-9223372036854775807');
CREATE TABLE times (ts timestamptz);
INSERT INTO times
SELECT t + d * interval '1 us'
FROM unnest(ARRAY['2025-01-01 UTC', '2026-01-01 UTC', '2026-11-23 06:51:14.113 UTC', '2094-09-07 15:47:35.551 UTC', '2094-09-07 15:47:35.552 UTC',
                  '1955-04-27 08:12:24.448 UTC', '2000-01-01 UTC', '1970-01-01 UTC', '2024-01-01 UTC']::timestamptz[]) AS t,
     unnest(ARRAY[0, 1, -1, 999, 1000, -1000, -1001]) AS d;
INSERT INTO times VALUES ('infinity'), ('-infinity'), ('4713-01-01 BC UTC'), ('294276-12-31 UTC'), ('294240-01-01 UTC'), ('1900-01-01 UTC'), ('2200-01-01 UTC'), (NULL);
ANALYZE numbers, times;
SELECT count(*) AS pairs,
    count(*) FILTER (WHERE (id < ts) IS DISTINCT FROM plain_lt(id, ts) OR (id <= ts) IS DISTINCT FROM plain_le(id, ts)
        OR (id > ts) IS DISTINCT FROM plain_gt(id, ts) OR (id >= ts) IS DISTINCT FROM plain_ge(id, ts)
        OR (ts > id) IS DISTINCT FROM plain_gt(ts, id) OR (ts >= id) IS DISTINCT FROM plain_ge(ts, id)
        OR (ts < id) IS DISTINCT FROM plain_lt(ts, id) OR (ts <= id) IS DISTINCT FROM plain_le(ts, id)) AS planned_otherwise,
    count(*) FILTER (WHERE (id < ts) IS DISTINCT FROM (ts > id) OR (id <= ts) IS DISTINCT FROM (ts >= id)
        OR (id > ts) IS DISTINCT FROM (ts < id) OR (id >= ts) IS DISTINCT FROM (ts <= id)
        OR (id < ts) IS DISTINCT FROM NOT (id >= ts) OR (id <= ts) IS DISTINCT FROM NOT (id > ts)
        OR (id < ts) AND NOT (id <= ts) OR (id > ts) AND NOT (id >= ts)) AS not_an_order
FROM numbers, times;
CREATE VIEW meant AS
    SELECT id, ts, CASE WHEN id >= 0 THEN snowflake_timestamp(id) END AS t FROM numbers, times
    WHERE id >= 0 AND id < 9223372036854775807;
SELECT count(*) AS pairs,
    count(*) FILTER (WHERE (id < ts) IS DISTINCT FROM (t < ts) OR (id <= ts) IS DISTINCT FROM (t <= ts)
        OR (id > ts) IS DISTINCT FROM (t > ts) OR (id >= ts) IS DISTINCT FROM (t >= ts)) AS unlike_the_time
FROM meant;
-- Negative ones go on evenly, before the epoch.
SELECT count(*) AS pairs, count(*) FILTER (WHERE (id < ts) IS DISTINCT FROM (t < ts) OR (id > ts) IS DISTINCT FROM (t > ts)) AS uneven
FROM (SELECT id, ts, timestamptz '2025-01-01 UTC' + (id::bigint >> 22) * interval '1 ms' AS t FROM numbers, times WHERE id < 0) AS n;
SELECT '9223372036854775807'::snowflakeid > 'infinity'::timestamptz AS after_all, '-9223372036854775808'::snowflakeid > '-infinity'::timestamptz AS at_the_start,
       '9223372036854775806'::snowflakeid < timestamptz '2095-01-01 UTC' AS last;

-- Constants are folded, parameters are not; an index, or none: the same rows.
CREATE FUNCTION pg_temp.differs(how text) RETURNS TABLE (ts timestamptz, op text, got bigint, meant bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR ts IN SELECT times.ts FROM times LOOP
        FOREACH op IN ARRAY ARRAY['<', '<=', '>', '>='] LOOP
            IF how = 'constant' THEN
                EXECUTE format('SELECT count(*) FROM numbers WHERE id %s %L::timestamptz', op, ts) INTO got;
            ELSE
                EXECUTE format('SELECT count(*) FROM numbers WHERE id %s $1', op) INTO got USING ts;
            END IF;
            EXECUTE format('SELECT count(*) FROM numbers WHERE plain_%s(id, $1)',
                CASE op WHEN '<' THEN 'lt' WHEN '<=' THEN 'le' WHEN '>' THEN 'gt' ELSE 'ge' END) INTO meant USING ts;
            IF got <> meant THEN RETURN NEXT; END IF;
        END LOOP;
    END LOOP;
END
$$;
SET enable_bitmapscan = off;
SET enable_seqscan = off;
SELECT * FROM pg_temp.differs('constant');
SET plan_cache_mode = force_generic_plan;
SELECT * FROM pg_temp.differs('parameter');
RESET plan_cache_mode;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT * FROM pg_temp.differs('constant');
RESET enable_indexscan;
RESET enable_indexonlyscan;
DROP VIEW meant;

-- EXPLAIN, for plans that need what is discouraged: from 18 on they would say so.
CREATE FUNCTION pg_temp.plan(query text) RETURNS TABLE ("QUERY PLAN" text) LANGUAGE plpgsql AS $$
BEGIN
    FOR "QUERY PLAN" IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF "QUERY PLAN" !~ 'Disabled: true' THEN RETURN NEXT; END IF;
    END LOOP;
END
$$;

-- The index of a snowflakeid: constants, stable expressions, parameters, either
-- side, negated, a domain, the other spelling of the cast.
CREATE TABLE ids (id snowflakeid PRIMARY KEY, v integer);
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= timestamptz '2026-01-01 UTC' AND id < timestamptz '2026-01-02 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id > timestamptz '2026-01-01 UTC' AND id <= timestamptz '2026-01-02 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id BETWEEN timestamptz '2026-01-01 UTC' AND timestamptz '2026-01-02 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE NOT id < timestamptz '2026-01-01 UTC' AND timestamptz '2026-01-02 UTC' > id;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= now() - interval '1 hour';
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id::bigint::snowflakeid < current_date;
SELECT * FROM pg_temp.plan($$SELECT * FROM ids WHERE id < clock_timestamp()$$);
PREPARE since (timestamptz) AS SELECT * FROM ids WHERE id >= $1;
EXPLAIN (COSTS OFF) EXECUTE since ('2026-01-01 UTC');
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE since ('2026-01-01 UTC');
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= NULL::timestamptz;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= '2026-01-01 UTC'::timestamptz ORDER BY id DESC LIMIT 1;
EXPLAIN (COSTS OFF) UPDATE ids SET v = 1 WHERE id < timestamptz '2025-02-01 UTC';
EXPLAIN (COSTS OFF) DELETE FROM ids WHERE id < now() - interval '90 days';
CREATE DOMAIN event_id AS snowflakeid;
CREATE TABLE of_domain (id event_id PRIMARY KEY);
EXPLAIN (COSTS OFF) SELECT * FROM of_domain WHERE id >= timestamptz '2026-01-01 UTC';
-- The times of another table.
CREATE TABLE shifts (starts timestamptz, ends timestamptz);
SELECT * FROM pg_temp.plan($$SELECT * FROM shifts JOIN ids ON ids.id >= starts AND ids.id < ends$$);

-- The index of a bigint that is cast, by pg_catalog's operators.
CREATE TABLE plain (id bigint PRIMARY KEY, v integer);
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC' AND timestamptz '2026-01-02 UTC' >= id::snowflakeid;
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE id::snowflakeid >= now() - interval '1 hour';
PREPARE plain_since (timestamptz) AS SELECT * FROM plain WHERE id::snowflakeid >= $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE plain_since ('2026-01-01 UTC');
RESET plan_cache_mode;
CREATE DOMAIN plain_id AS bigint;
CREATE TABLE of_plain_domain (id plain_id PRIMARY KEY);
EXPLAIN (COSTS OFF) SELECT * FROM of_plain_domain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC';
DROP TABLE of_domain, of_plain_domain;
DROP DOMAIN event_id, plain_id;

-- With nothing of ours on the search path, and something else in front of it.
CREATE SCHEMA regress_idgen_trap;
CREATE FUNCTION regress_idgen_trap.bound_not_before(timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE OPERATOR regress_idgen_trap.>= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8lt);
CREATE VIEW recent AS SELECT * FROM ids WHERE id >= timestamptz '2026-01-01 UTC';
SET search_path = pg_catalog;
EXPLAIN (COSTS OFF) SELECT * FROM public.recent;
EXPLAIN (COSTS OFF) SELECT * FROM public.ids WHERE id OPERATOR(public.>=) (now() - interval '1 hour');
EXPLAIN (COSTS OFF) SELECT * FROM public.plain WHERE id::public.snowflakeid OPERATOR(public.<) timestamptz '2026-01-01 UTC';
SET search_path = regress_idgen_trap, public, pg_catalog;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= timestamptz '2026-01-01 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC';
RESET search_path;
DROP VIEW recent;
DROP SCHEMA regress_idgen_trap CASCADE;

-- Of a subquery's column, the condition is taken below as it is and becomes one of
-- numbers there: pg_catalog's, where a bigint is cast.
CREATE VIEW casting WITH (security_barrier) AS SELECT id::snowflakeid AS id, v FROM plain WHERE v > 0;
EXPLAIN (COSTS OFF) SELECT * FROM casting WHERE id >= timestamptz '2026-01-01 UTC' AND id < now();
CREATE VIEW united AS SELECT id::snowflakeid AS id, v FROM plain UNION ALL SELECT id, v FROM ids;
EXPLAIN (COSTS OFF) SELECT * FROM united WHERE id >= timestamptz '2026-01-01 UTC';
CREATE VIEW grouped AS SELECT id::snowflakeid AS id, max(v) FROM plain GROUP BY id::snowflakeid;
EXPLAIN (COSTS OFF) SELECT * FROM grouped WHERE timestamptz '2026-01-01 UTC' > id;
SELECT * FROM pg_temp.plan($$SELECT * FROM (SELECT * FROM casting LIMIT 1) AS c WHERE id >= timestamptz '2026-01-01 UTC'$$);
-- A join's condition stays as it is, in each branch; the index takes it up.
CREATE TABLE spans (starts timestamptz, ends timestamptz);
SELECT * FROM pg_temp.plan($$SELECT * FROM spans JOIN united ON id >= starts AND ends > id$$);
SELECT * FROM pg_temp.plan($$SELECT * FROM spans JOIN united ON NOT id < starts AND id <= ends$$);
BEGIN;
INSERT INTO spans SELECT h, h + interval '1 hour' FROM generate_series('2025-12-31 20:00 UTC'::timestamptz, '2026-01-01 UTC', '30 min') AS h;
INSERT INTO plain SELECT snowflake_min('2025-12-31 20:00 UTC'::timestamptz + g * interval '10 min')::bigint, g FROM generate_series(1, 30) AS g;
INSERT INTO ids SELECT id, v FROM plain WHERE v % 3 > 0;
SELECT starts, count(*), count(*) FILTER (WHERE v % 3 = 0) AS plain_alone FROM spans JOIN united ON id >= starts AND ends > id GROUP BY starts ORDER BY 1;
SELECT starts, count(*), count(*) FILTER (WHERE v % 3 = 0) AS plain_alone FROM spans JOIN united ON snowflake_timestamp(id) >= starts AND ends > snowflake_timestamp(id) GROUP BY starts ORDER BY 1;
ROLLBACK;
-- Where each branch has an ID, it is one of numbers at once.
CREATE VIEW doubled AS SELECT id, v FROM ids UNION ALL SELECT id, v + 1 FROM ids;
EXPLAIN (COSTS OFF) SELECT * FROM doubled WHERE id >= timestamptz '2026-01-01 UTC';
SELECT * FROM pg_temp.plan($$SELECT * FROM spans JOIN doubled ON id >= starts AND id < ends$$);

-- Where the query groups by a cast, there is no bigint above the grouping: what is
-- NULL there is not compared. A condition below has the index all the same.
CREATE TABLE few (id bigint PRIMARY KEY, v int);
INSERT INTO few VALUES (snowflake_min('2026-01-01 UTC')::bigint, 1), (snowflake_min('2026-01-02 UTC')::bigint, 1), (snowflake_min('2026-02-02 UTC')::bigint, 2);
CREATE DOMAIN some_id AS snowflakeid;
CREATE DOMAIN some_number AS bigint;
CREATE TABLE few_domains AS SELECT id::snowflakeid::some_id AS id, id::some_number AS n FROM few;
SELECT v, id::snowflakeid AS id, id::snowflakeid < timestamptz '2026-02-01 UTC' AS before, timestamptz '2026-02-01 UTC' <= id::snowflakeid AS since, count(*)
FROM few GROUP BY GROUPING SETS ((v), (id::snowflakeid), ()) ORDER BY 1, 2;
SELECT id::snowflakeid, count(*) FROM few GROUP BY ROLLUP (id::snowflakeid) HAVING id::snowflakeid < timestamptz '2027-02-01 UTC' ORDER BY 1;
SET enable_hashagg = off;
SELECT id::snowflakeid, count(*) FROM few GROUP BY ROLLUP (id::snowflakeid) HAVING id::snowflakeid < timestamptz '2027-02-01 UTC' ORDER BY 1;
RESET enable_hashagg;
SELECT id::snowflakeid, id::snowflakeid < timestamptz '2027-02-01 UTC' AS before FROM few_domains GROUP BY ROLLUP (id::snowflakeid) ORDER BY 1;
SELECT n::snowflakeid, n::snowflakeid < timestamptz '2027-02-01 UTC' AS before FROM few_domains GROUP BY ROLLUP (n::snowflakeid) ORDER BY 1;
SELECT id::snowflakeid, id::snowflakeid < timestamptz '2027-02-01 UTC' AS before FROM few FULL JOIN (SELECT id FROM few) AS f USING (id) GROUP BY ROLLUP (id::snowflakeid) ORDER BY 1;
-- By an outer query's column: whatever the version makes of NULLs there, the same as of numbers.
SELECT v, (SELECT string_agg(coalesce(b::text, 'null'), ' ' ORDER BY b) FROM (SELECT few.id::snowflakeid < timestamptz '2026-02-01 UTC' AS b FROM few_domains GROUP BY ROLLUP (few.id::snowflakeid)) AS q)
    = (SELECT string_agg(coalesce(b::text, 'null'), ' ' ORDER BY b) FROM (SELECT few.id + 0 < snowflake_min('2026-02-01 UTC')::bigint AS b FROM few_domains GROUP BY ROLLUP (few.id + 0)) AS q) AS same
FROM spans RIGHT JOIN few ON false ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT id::snowflakeid, count(*) FROM plain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC' GROUP BY id::snowflakeid;
EXPLAIN (COSTS OFF) SELECT id::snowflakeid, count(*) FROM plain GROUP BY id::snowflakeid HAVING id::snowflakeid >= timestamptz '2026-01-01 UTC';
-- By another one: of no concern.
EXPLAIN (COSTS OFF) SELECT v::bigint::snowflakeid, count(*) FROM plain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC' GROUP BY 1;
EXPLAIN (COSTS OFF) SELECT date_trunc('day', snowflake_timestamp(id::snowflakeid)), count(*) FROM plain WHERE id::snowflakeid >= timestamptz '2026-01-01 UTC' GROUP BY 1;
DROP TABLE few, few_domains;
DROP DOMAIN some_id, some_number;
DROP VIEW casting, united, grouped, doubled;
DROP TABLE spans;

-- Views with a barrier and row security keep the index.
CREATE ROLE regress_idgen_reader;
CREATE VIEW fenced WITH (security_barrier) AS SELECT * FROM ids WHERE v > 0;
ALTER TABLE ids ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON ids USING (v % 2 = 1);
GRANT SELECT ON ids, fenced TO regress_idgen_reader;
EXPLAIN (COSTS OFF) SELECT * FROM fenced WHERE id >= timestamptz '2026-01-01 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM fenced WHERE id >= now() - interval '1 hour';
SET ROLE regress_idgen_reader;
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE id >= timestamptz '2026-01-01 UTC';
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE since ('2026-01-01 UTC');
RESET plan_cache_mode;
RESET ROLE;
DROP VIEW fenced;
DROP TABLE ids, plain;
DROP ROLE regress_idgen_reader;

-- Partitions: constants prune when it is planned, and where a range ends, the
-- next partition is out; what is known later prunes when it is executed.
CREATE TABLE parts (id snowflakeid, v integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (snowflake_min('2026-01-01 UTC')) TO (snowflake_min('2026-02-01 UTC'));
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (snowflake_min('2026-02-01 UTC')) TO (snowflake_min('2026-03-01 UTC'));
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (snowflake_min('2026-03-01 UTC')) TO (MAXVALUE);
CREATE TABLE plain_parts (id bigint, v integer) PARTITION BY RANGE (id);
CREATE TABLE plain_parts_1 PARTITION OF plain_parts FOR VALUES FROM (snowflake_min('2026-01-01 UTC')::bigint) TO (snowflake_min('2026-02-01 UTC')::bigint);
CREATE TABLE plain_parts_2 PARTITION OF plain_parts FOR VALUES FROM (snowflake_min('2026-02-01 UTC')::bigint) TO (MAXVALUE);
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT * FROM parts WHERE id >= timestamptz '2026-02-01 UTC' AND id < timestamptz '2026-03-01 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM parts WHERE timestamptz '2026-02-01 UTC' > id;
EXPLAIN (COSTS OFF) SELECT * FROM parts WHERE id > timestamptz '2026-02-28 23:59:59.999 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM plain_parts WHERE id::snowflakeid < timestamptz '2026-02-01 UTC';
PREPARE united_since (timestamptz) AS SELECT * FROM (SELECT id FROM parts UNION ALL SELECT id FROM parts) AS u WHERE id >= $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE united_since ('2026-02-01 UTC');
RESET plan_cache_mode;
DEALLOCATE united_since;
-- With a cast in a branch, for constants alone; with the cast in the condition, as ever.
EXPLAIN (COSTS OFF) SELECT * FROM (SELECT id FROM parts UNION ALL SELECT id::snowflakeid FROM plain_parts) AS u WHERE id >= timestamptz '2026-02-01 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM (SELECT id::snowflakeid AS id FROM plain_parts UNION ALL SELECT id::snowflakeid FROM plain_parts) AS u WHERE id >= now() + interval '30 years';
EXPLAIN (COSTS OFF) SELECT * FROM (SELECT id FROM plain_parts UNION ALL SELECT id FROM plain_parts) AS u WHERE id::snowflakeid >= now() + interval '30 years';
CREATE VIEW casting WITH (security_barrier) AS SELECT id::snowflakeid AS id FROM plain_parts;
EXPLAIN (COSTS OFF) SELECT * FROM casting WHERE id < timestamptz '2026-02-01 UTC';
DROP VIEW casting;
EXPLAIN (COSTS OFF) SELECT * FROM parts WHERE id >= now() + interval '30 years';
EXPLAIN (COSTS OFF) SELECT * FROM plain_parts WHERE id::snowflakeid >= now() + interval '30 years';
PREPARE parts_since (timestamptz) AS SELECT * FROM parts WHERE id >= $1;
EXPLAIN (COSTS OFF) EXECUTE parts_since ('2026-03-01 UTC');
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE parts_since ('2026-03-01 UTC');
RESET plan_cache_mode;
DROP TABLE parts, plain_parts;

-- BRIN, both classes; the index finds what a scan finds.
CREATE TABLE log (id snowflakeid, v integer) WITH (autovacuum_enabled = off);
INSERT INTO log SELECT snowflake_encode('2026-01-01 UTC'::timestamptz + g * interval '10 s', g % 1024, 0), g FROM generate_series(0, 19999) AS g;
CREATE INDEX log_brin ON log USING brin (id) WITH (pages_per_range = 4);
ANALYZE log;
SET enable_seqscan = off;
RESET enable_bitmapscan;
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE id >= timestamptz '2026-01-02 UTC' AND id < timestamptz '2026-01-02 01:00 UTC';
SELECT count(*) FROM log WHERE id >= timestamptz '2026-01-02 UTC' AND id < timestamptz '2026-01-02 01:00 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE id = 132271570944000000;
SELECT count(*) FROM log WHERE id = 132271570944000000;
DROP INDEX log_brin;
CREATE INDEX log_brin ON log USING brin (id snowflakeid_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 4);
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE id >= timestamptz '2026-01-02 UTC' AND id < timestamptz '2026-01-02 01:00 UTC';
SELECT count(*) FROM log WHERE id >= timestamptz '2026-01-02 UTC' AND id < timestamptz '2026-01-02 01:00 UTC';
SELECT count(*) FROM log WHERE id = 132271570944000000::bigint;
DROP INDEX log_brin;
RESET enable_seqscan;

-- A partial index and a CHECK that are written with times.
CREATE INDEX log_new ON log (v) WHERE id >= timestamptz '2026-01-03 UTC';
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE v = 5 AND id >= timestamptz '2026-01-03 UTC';
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE v = 5 AND id > timestamptz '2026-01-03 12:00 UTC';
RESET enable_seqscan;
ALTER TABLE log ADD CHECK (id >= timestamptz '2026-01-01 UTC' AND id < timestamptz '2026-02-01 UTC');
INSERT INTO log VALUES (snowflake_encode('2026-02-01 UTC', 0, 0), 1);
SET constraint_exclusion = on;
EXPLAIN (COSTS OFF) SELECT * FROM log WHERE id >= timestamptz '2026-02-01 UTC';
CREATE VIEW logged AS SELECT * FROM log;
EXPLAIN (COSTS OFF) SELECT * FROM logged WHERE id >= timestamptz '2026-02-01 UTC';
DROP VIEW logged;
RESET constraint_exclusion;
DROP TABLE log, numbers, times;
DROP FUNCTION plain_lt(snowflakeid, timestamptz), plain_le(snowflakeid, timestamptz), plain_gt(snowflakeid, timestamptz), plain_ge(snowflakeid, timestamptz),
    plain_lt(timestamptz, snowflakeid), plain_le(timestamptz, snowflakeid), plain_gt(timestamptz, snowflakeid), plain_ge(timestamptz, snowflakeid);

-- Estimates: 200,000 rows, ten days of them up to now. Every row is sampled, so
-- what is off is off by the method.
CREATE TABLE many (id snowflakeid PRIMARY KEY, plain bigint) WITH (autovacuum_enabled = off);
INSERT INTO many SELECT id, id::bigint
FROM (SELECT snowflake_encode(now() - g * interval '4.32 s', g % 1024, g % 4096) AS id FROM generate_series(0, 199999) AS g) AS ids;
CREATE INDEX ON many (plain);
ALTER TABLE many ALTER id SET STATISTICS 1000, ALTER plain SET STATISTICS 1000;
ANALYZE many;
CREATE FUNCTION pg_temp.estimate(condition text, OUT estimated numeric, OUT truth bigint) LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM many WHERE ' || condition INTO plan;
    EXECUTE 'SELECT count(*) FROM many WHERE ' || condition INTO truth;
    estimated := plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;
-- Windows that begin some time ago and are so wide, the last one open; written
-- with constants and with now().
CREATE TABLE windows AS
SELECT width, begins, kind, col, replace(CASE kind
    WHEN 'constant' THEN format('# > %L::timestamptz AND # <= %L::timestamptz', now() - begins, now() - begins + width)
    WHEN 'stable' THEN format('# >= now() - interval %1$L AND # < now() - interval %1$L + interval %2$L', begins, width)
    ELSE format('# >= now() - interval %L', width) END, '#', col) AS condition
FROM unnest(ARRAY['1 day', '1 hour', '10 minutes']::interval[]) AS width, unnest(ARRAY['id', 'plain::snowflakeid']) AS col,
    unnest(ARRAY['10 days', '5 days', NULL]::interval[]) AS b, LATERAL (SELECT coalesce(b, width)) AS l (begins),
    unnest(ARRAY['constant', 'stable', 'open']) AS kind
WHERE kind <> 'open' OR b IS NULL;
CREATE TABLE estimates AS SELECT w.*, e.* FROM windows AS w, pg_temp.estimate(condition) AS e;
SELECT count(*) AS windows, count(*) FILTER (WHERE truth < 100) AS too_few FROM estimates;
SELECT width, begins, kind, col, estimated, truth FROM estimates WHERE abs(estimated - truth) > 0.2 * truth;
-- What isn't known is estimated as ever.
SELECT (pg_temp.estimate('id >= clock_timestamp()')).estimated;
DROP TABLE many, windows, estimates;
