-- Gives rows without an ID one for the time they were created, in one UPDATE.
--
-- Node 0 is never drawn by an instance, so it is free for IDs made by hand (pin
-- no instance to it). Each row takes the next free slot at or after its time: a
-- slot is a tick and a sequence number, 4,096 slots to a millisecond. The
-- n-th row by time gets slot n + max(slot of its time - n so far), so that
-- crowded milliseconds spill into the next ones and no slot is used twice.
--
-- Here: table pgbench_accounts, key aid, timestamp created, new column id.
UPDATE pgbench_accounts AS a
SET id = snowflake_encode(
        timestamptz 'epoch' + slot / 4096 * interval '1 ms', 0, (slot % 4096)::integer)
FROM (
    SELECT aid,
           n + max(tick * 4096 - n) OVER (ORDER BY n) AS slot
    FROM (
        SELECT aid,
               floor(extract(epoch FROM created) * 1000)::bigint AS tick,
               row_number() OVER (ORDER BY created, aid) AS n
        FROM pgbench_accounts
        WHERE id IS NULL
    ) AS by_time
) AS slots
WHERE a.aid = slots.aid;
