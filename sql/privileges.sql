-- Who may do what.
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_idgen_plain;
CREATE ROLE regress_idgen_monitor IN ROLE pg_monitor;

-- Everybody issues and decodes.
SET ROLE regress_idgen_plain;
SELECT snowflake_nextval() IS NOT NULL AS issued;
SELECT count(*) FROM snowflake_batch(10);
SELECT sum(count) FROM snowflake_reserve(10);
SELECT snowflake_reserve_run(10) IS NOT NULL AS issued;
SELECT count(*) FROM snowflake_scopes;
SELECT sequence FROM snowflake_decode(4097);
SELECT snowflake_node(4097::bigint), snowflake_encode('2025-01-01 UTC', 1, 1);
SELECT snowflake_unmask(snowflake_mask(4097, sha256('k')), sha256('k'));
SELECT count(*) > 0 AS listed FROM snowflake_layouts;
SET idgen.max_wait = '500ms';
RESET idgen.max_wait;

-- Not the instance's state, nor what lies behind the views.
SELECT state FROM snowflake_instance;
SELECT scope FROM snowflake_stats;
SELECT turns FROM snowflake_worker_stats;
SELECT used FROM snowflake_registry_space;
SELECT state FROM snowflake_clock;
SELECT event FROM snowflake_clock_events;
SELECT * FROM idgen_internal.instance();
SELECT * FROM idgen_internal.clock();
SELECT * FROM idgen_internal.clock_events();
SELECT * FROM idgen_internal.stats();
SELECT * FROM idgen_internal.worker_stats();
SELECT * FROM idgen_internal.registry_space();
SELECT * FROM idgen_internal.configured_layout();
\set VERBOSITY sqlstate
SHOW idgen.registry;
\set VERBOSITY default

-- Nor may they operate.
SELECT snowflake_accept_clock();
SELECT snowflake_confirm_copy();
SELECT snowflake_confirm_local();
SELECT snowflake_rotate_node();
SELECT snowflake_drain();
SELECT snowflake_resume();
SELECT snowflake_raise_registry();
SELECT snowflake_retire_node(5);
SELECT snowflake_allow_leasing('regress_idgen_plain');
SELECT snowflake_create_layout('mine', 'time:41', '0');
SELECT snowflake_create_layout('mine', 'time:41', 0);
SELECT snowflake_create_scope('mine');
SELECT snowflake_drop_scope('mine');
SELECT snowflake_observe(4097::bigint);
SELECT snowflake_observe(4097::bigint::snowflakeid);
SELECT snowflake_reset_stats();

-- Nor see the fleet that is coordinated here, nor lease from it.
SELECT * FROM snowflake_fleet;
SELECT * FROM idgen_internal.coordinated_fleet();
SELECT * FROM idgen_internal.leased_fleet();
SELECT * FROM idgen_internal.fleet;
SELECT * FROM idgen_internal.node;
SELECT idgen_internal.fleet_read(0, 1);
SELECT idgen_internal.fleet_write(1, 0, '{1}', '{0}', '{0}', true, 'h', '00000000000000000000000000000001', 5, 5, 0, 0, '', 0, 0, 0, 0, 0);
SELECT idgen_internal.fleet_create('00000000000000000000000000000001', '', '', 1, 0, 0);
SELECT idgen_internal.fleet_raise(1, 0, 2, 5, 0, '{}', '{}', '{}');

-- Nor does anybody write layouts.
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('mine', 'time:41', '0');
INSERT INTO snowflake_layouts (name, definition, epoch) VALUES ('mine', 'time:41', '0');
UPDATE idgen_internal.layout SET note = '';
DELETE FROM idgen_internal.layout;
TRUNCATE idgen_internal.layout;
CREATE TABLE idgen_internal.mine (a integer);
CREATE TABLE pg_temp.odd (a integer);
CREATE TRIGGER guard BEFORE INSERT ON pg_temp.odd FOR EACH ROW EXECUTE FUNCTION idgen_internal.layout_guard();
RESET ROLE;

-- Unless they are let: by that function, and in no other way.
GRANT EXECUTE ON FUNCTION snowflake_create_layout(text, text, bigint, text), snowflake_create_layout(text, text, text, text) TO regress_idgen_plain;
SET ROLE regress_idgen_plain;
BEGIN;
SELECT snowflake_create_layout('mine', 'time:41 shard:10', 0);
SELECT name, kind FROM idgen_internal.layout WHERE name = 'mine';
ROLLBACK;
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('mine', 'time:41', '0');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION snowflake_create_layout(text, text, bigint, text), snowflake_create_layout(text, text, text, text) FROM regress_idgen_plain;

-- Monitoring does.
SET ROLE regress_idgen_monitor;
SELECT state, registry, lanes, layout FROM snowflake_instance;
SELECT state, kernel IS NOT NULL AS kernel FROM snowflake_clock;
SELECT event FROM snowflake_clock_events WHERE number = 1;
SELECT snowflake_accept_clock();
SELECT scope, ids > 0 AS issued, calls > 0 AS called, batches > 0 AS batched FROM snowflake_stats;
SELECT starts, turns > 0 AS works, acquisitions, renewals > 0 AS renewed, failures, losses,
       renewal_time > '0' AND renewal_mean > '0' AND renewal_longest >= renewal_mean AS timed FROM snowflake_worker_stats;
SELECT last_turn BETWEEN now() - interval '1 min' AND clock_timestamp() AS is_alive FROM snowflake_worker_stats;
SELECT * FROM snowflake_registry_space; -- of an etcd alone
SELECT snowflake_reset_stats();
INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('mine', 'time:41', '0');
RESET ROLE;

-- Nobody but superusers installs it.
CREATE SCHEMA AUTHORIZATION regress_idgen_plain;
DROP EXTENSION idgen;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_idgen_plain', current_database()); END $$;
SET ROLE regress_idgen_plain;
CREATE EXTENSION idgen SCHEMA regress_idgen_plain;
RESET ROLE;
DROP OWNED BY regress_idgen_plain;
DROP ROLE regress_idgen_plain, regress_idgen_monitor;
CREATE EXTENSION idgen;
