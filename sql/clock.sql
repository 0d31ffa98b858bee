-- The clock: what is seen of it and said about it.
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT state, issuing_time - wall_time = skew AS skew_is_the_level,
       skew BETWEEN '-1s' AND '10s' AS near, wall_time - clock_timestamp() BETWEEN '-1s' AND '1s' AS now,
       kernel IN ('synchronized', 'unsynchronized', 'unknown') AS kernel,
       last_sample BETWEEN clock_timestamp() - interval '10s' AND clock_timestamp() AS sampled
FROM snowflake_clock WHERE state IN ('synchronized', 'holding') \gset seen_
SELECT :'seen_skew_is_the_level' AS skew, :'seen_near' AS near, :'seen_now' AS now,
       :'seen_kernel' AS kernel, :'seen_sampled' AS sampled;
SELECT number, event, state, step FROM snowflake_clock_events WHERE number = 1;
SELECT bool_and(at BETWEEN pg_postmaster_start_time() AND clock_timestamp()) AS at,
       count(*) = max(number) AS whole
FROM snowflake_clock_events;

-- Nothing is suspect, nothing is a copy.
SELECT snowflake_accept_clock();
SELECT snowflake_confirm_copy();

-- Also where nothing may be written.
BEGIN READ ONLY;
SELECT snowflake_accept_clock(), snowflake_confirm_copy();
ROLLBACK;
