-- Gives rows that have no ID one for the time they were created, in one UPDATE:
--
--   psql -v table=orders -v key=order_id -v created=created_at -v id=id -f backfill.sql
--
--   table    the table, with its schema if that is not on the search path
--   key      a column whose values are unique, which is not the ID column
--   created  a timestamptz column; a row whose value is NULL gets no ID
--   id       the ID column, snowflakeid or bigint; a row that has an ID keeps it
--   width    if given, how many sequence numbers in each tick are used (64)
--   node     if given, the node of the IDs, which no instance may hold (0)
--
-- The caller needs EXECUTE on snowflake_backfill_slots(). That function hands out slots of
-- a node (0 is one that no instance draws), and never the same slots twice. So the IDs of several
-- tables, and of several runs, do not collide within this database. A slot is a tick and
-- a sequence number. The n-th row by time gets slot n + max(slot of its time - n so far):
-- rows that crowd one tick spill into the next ones, and no slot is used twice.
\set ON_ERROR_STOP on
\if :{?table} \else \warn 'set the variable table' \quit \endif
\if :{?key} \else \warn 'set the variable key' \quit \endif
\if :{?created} \else \warn 'set the variable created' \quit \endif
\if :{?id} \else \warn 'set the variable id' \quit \endif
SELECT :'key' = :'id' AS same \gset
\if :same \warn 'key and id are the same column' \quit \endif
\if :{?width} \else \set width 64 \endif
\if :{?node} \else \set node 0 \endif

WITH todo AS MATERIALIZED (
    SELECT t.:"key" AS key, t.:"created" AS created
    FROM :table AS t
    WHERE t.:"id" IS NULL AND t.:"created" IS NOT NULL
), slots AS MATERIALIZED (
    SELECT s.*
    FROM (SELECT min(created) AS first, max(created) AS last, count(*) AS rows FROM todo) AS r,
         snowflake_backfill_slots(r.first, r.last, r.rows, :width, :node) AS s
    WHERE r.rows > 0
), by_time AS (
    SELECT key, row_number() OVER (ORDER BY created, key) AS n,
           floor(extract(epoch FROM created - first_tick) / extract(epoch FROM tick))::bigint * :width AS wanted
    FROM todo, slots
), given AS (
    SELECT key, n + max(wanted - n) OVER (ORDER BY n) AS slot FROM by_time
)
UPDATE :table AS t
SET :"id" = snowflake_encode(first_tick + slot / :width * tick, :node, first_sequence + slot % :width)
FROM given, slots
WHERE t.:"key" = given.key AND t.:"id" IS NULL;
