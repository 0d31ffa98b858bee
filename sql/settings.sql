-- Settings: their defaults, and wrong values refused when they are set.
-- (pg_regress runs with idgen.max_batch = 100000.)
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT name, boot_val, unit, vartype, context, min_val, max_val
FROM pg_settings WHERE name LIKE 'idgen.%' ORDER BY name COLLATE "C";
SHOW idgen.layout;
SHOW idgen.epoch;
SHOW idgen.registry;
SHOW idgen.max_wait;
SHOW idgen.lease_window;

-- By session.
SET idgen.max_wait = '2s';
SHOW idgen.max_wait;
RESET idgen.max_wait;
SET idgen.max_wait = '10 parsecs';
SET idgen.max_wait = 'long';

-- Not by session.
SET idgen.layout = 'time:41 shard:10 sequence:12';
SET idgen.registry = 'local';
SET idgen.shard = 5;
SET idgen.lease_window = '5s';
SET idgen.max_batch = 5;

-- Unknown: the prefix is ours.
SET idgen.nonsense = 1;

-- What the configuration file would get is checked, too.
ALTER SYSTEM SET idgen.layout = '';
ALTER SYSTEM SET idgen.layout = 'time:41';
ALTER SYSTEM SET idgen.layout = 'time:41 shard:10 sequence:4';
ALTER SYSTEM SET idgen.layout = 'time:42 shard:10 sequence:12';
ALTER SYSTEM SET idgen.layout = 'shard:10 time:41 sequence:12';
ALTER SYSTEM SET idgen.layout = 'time:41 node:10 sequence:12';
ALTER SYSTEM SET idgen.layout = 'time:41 shard:10 shard:5 sequence:12';
ALTER SYSTEM SET idgen.layout = 'time:41 shard:ten sequence:12';
ALTER SYSTEM SET idgen.layout = 'time:41 shard:10 sequence:12 tick:1year';
ALTER SYSTEM SET idgen.epoch = 'yesterday';
ALTER SYSTEM SET idgen.epoch = '2025-02-30';
ALTER SYSTEM SET idgen.epoch = '2025-01-01T00:00:00+02';
ALTER SYSTEM SET idgen.epoch = '1969-12-31';
ALTER SYSTEM SET idgen.registry = 'zookeeper://me:secret@localhost';
-- Without a prefix it would be the fleet of all that leave it out.
ALTER SYSTEM SET idgen.registry = 'etcd://me:secret@etcd1:2379,etcd2:2379';
ALTER SYSTEM SET idgen.registry = 'etcd://etcd1:2379/?tls=on';
ALTER SYSTEM SET idgen.lanes = 3;
ALTER SYSTEM SET idgen.shard = 128;
ALTER SYSTEM SET idgen.shard = -2;
ALTER SYSTEM SET idgen.region = 8;
ALTER SYSTEM SET idgen.region = -1;
ALTER SYSTEM SET idgen.max_batch = 0;
ALTER SYSTEM SET idgen.on_clock_rollback = 'panic';
ALTER SYSTEM SET idgen.require_clock_sync = 'perhaps';
-- Nor what is outside of the ranges above. (How a range with a unit is worded differs
-- by version.)
\set VERBOSITY sqlstate
SET idgen.max_wait = -1;
ALTER SYSTEM SET idgen.lease_ttl = '999ms';
ALTER SYSTEM SET idgen.lease_window = '9ms';
ALTER SYSTEM SET idgen.lease_window = '2h';
ALTER SYSTEM SET idgen.max_lead = 0;
ALTER SYSTEM SET idgen.max_lead = '11s';
ALTER SYSTEM SET idgen.clock_interval = '5ms';
ALTER SYSTEM SET idgen.clock_interval = '11s';
ALTER SYSTEM SET idgen.max_clock_skew = '99ms';
ALTER SYSTEM SET idgen.clock_confirm = '999ms';
\set VERBOSITY default
-- All of them were refused.
SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' AND name LIKE 'idgen.%';
