-- Gives rows without an ID one for the time they were created, in one UPDATE.
--
-- Node 0 is never drawn by an instance, so it is free for IDs made by hand (pin
-- no instance to it). Each row takes the next free slot at or after its time: a
-- slot is a tick and a sequence number, 4,096 slots to a millisecond. The
-- n-th row by time gets slot n + max(slot of its time - n so far), so that
-- crowded milliseconds spill into the next ones and no slot is used twice. Slots
-- up to the last one in the table (of an earlier run) are taken.
--
-- Here: table pgbench_accounts, key aid, timestamp created, new column id.
UPDATE pgbench_accounts AS a
SET id = snowflake_encode(
        timestamptz 'epoch' + slot / 4096 * interval '1 ms', 0, (slot % 4096)::integer)
FROM (
    SELECT aid,
           n + max(greatest(tick * 4096, free) - n) OVER (ORDER BY n) AS slot
    FROM (
        SELECT aid,
               floor(extract(epoch FROM created) * 1000)::bigint AS tick,
               row_number() OVER (ORDER BY created, aid) AS n
        FROM pgbench_accounts
        WHERE id IS NULL AND created IS NOT NULL
    ) AS by_time, (
        SELECT coalesce(floor(extract(epoch FROM snowflake_timestamp(max(id))) * 1000)::bigint * 4096
                        + snowflake_sequence(max(id)) + 1, 0) AS free
        FROM pgbench_accounts
        WHERE snowflake_node(id) = 0
    ) AS used
) AS slots
WHERE a.aid = slots.aid;
