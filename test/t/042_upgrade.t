# ALTER EXTENSION idgen UPDATE: an extension that was made as 0.1.0 and updated is
# the same as a fresh one, row for row of the catalogue; and what depends on it,
# objects and data, stays and goes on.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $catalogue = slurp_file(($ENV{IDGEN_SOURCE} // die 'run the tests by "make test"') . '/test/t/lib/catalogue.sql');
# $ENV{IDGEN_SOURCE}/idgen.control isn't staged; the version is the fresh extension's.
my $schema = 'ids';

# What the catalogue says of the extension, by row.
sub catalogue_of {
    my ($node, $database) = @_;
    return split /\n/, $node->safe_psql($database, $catalogue);
}

# No row is in one of them alone; those that are show by name.
sub same_rows {
    my ($updated, $fresh, $name) = @_;
    my (%only_updated, %only_fresh);
    $only_updated{$_}++ for @$updated;
    for (@$fresh) { $only_updated{$_} ? $only_updated{$_}-- : $only_fresh{$_}++ }
    my @differences = sort { substr($a, 14) cmp substr($b, 14) }
      ((map { "only updated: $_" } grep { $only_updated{$_} } keys %only_updated), map { "only fresh:   $_" } keys %only_fresh);
    ok(!@differences, $name) or diag(scalar(@differences) . " rows differ (object | name | property | value):\n" . join("\n", @differences));
    return;
}

my $node = new_node('updated');
$node->start;

# --- the catalogue, with nothing that depends on it --------------------------------

for my $database ('plain_updated', 'plain_fresh') {
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, "CREATE SCHEMA $schema");
}
$node->safe_psql('plain_updated', "CREATE EXTENSION idgen SCHEMA $schema VERSION '0.1.0'");
my @before = catalogue_of($node, 'plain_updated');
$node->safe_psql('plain_updated', 'ALTER EXTENSION idgen UPDATE');
$node->safe_psql('plain_fresh', "CREATE EXTENSION idgen SCHEMA $schema");
my @fresh = catalogue_of($node, 'plain_fresh');
cmp_ok(scalar(grep { /^function\|/ } @fresh), '>', 1000, 'the catalogue has functions, row by row');
for my $what ('aggregate', 'cast', 'class', 'column', 'constraint', 'dependency', 'extension', 'family', 'index', 'initial privileges',
    'layout', 'member', 'operator', 'part', 'relation', 'rule', 'schema', 'trigger', 'type') {
    ok(scalar(grep { /^$what\|/ } @fresh), "and rows of each $what");
}
isnt(join("\n", @before), join("\n", @fresh), 'the update changes it');
same_rows([ catalogue_of($node, 'plain_updated') ], \@fresh, 'an updated extension is what a fresh one is');

# --- with objects of every kind that depend on it, and data ------------------------

my $objects = q{
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2024-01-01', 'our first IDs');
    SELECT snowflake_create_scope('orders');
    CREATE DOMAIN order_id AS snowflakeid CHECK (VALUE > 0::bigint);
    CREATE TYPE pair AS (a snowflakeid, b bigint);
    CREATE TABLE events (
        id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval() CHECK (id >= timestamptz '2025-01-01 UTC'),
        parent snowflakeid REFERENCES events,
        legacy bigint REFERENCES events,
        list snowflakeid[],
        pair pair,
        scoped snowflakeid DEFAULT snowflake_nextval('orders'),
        run snowflakeid DEFAULT snowflake_reserve_run(2),
        node integer GENERATED ALWAYS AS (snowflake_node(id)) STORED,
        made snowflakeid GENERATED ALWAYS AS (snowflake_encode('2026-01-01 UTC', 5, 6)) STORED,
        own integer GENERATED ALWAYS AS (snowflake_sequence(id, 'mine')) STORED,
        CONSTRAINT small CHECK (snowflake_node_of(1, 2) < 1024 AND snowflake_region(id) IS NOT NULL),
        CONSTRAINT apart EXCLUDE USING btree (scoped WITH =));
    CREATE INDEX events_hash ON events USING hash (id);
    CREATE INDEX events_brin ON events USING brin (id);
    CREATE INDEX events_multi ON events USING brin (id snowflakeid_minmax_multi_ops);
    CREATE INDEX events_time ON events (snowflake_timestamp(id));
    CREATE INDEX events_text ON events (snowflake_to_base32(id));
    CREATE INDEX events_encoded ON events (snowflake_encode('2026-01-01 UTC', node, 1));
    CREATE INDEX events_masked ON events (snowflake_mask(id, '0123456789abcdef'));
    CREATE INDEX events_recent ON events (id) WHERE id > snowflake_min('2025-01-01 UTC');
    CREATE STATISTICS events_statistics ON id, parent FROM events;
    CREATE TABLE by_domain (id order_id PRIMARY KEY);
    -- 0.1.0 could put no row into that one.
    CREATE TABLE ranged (id order_id);
    CREATE INDEX ranged_brin ON ranged USING brin (id);
    CREATE TABLE by_range (id snowflakeid PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE by_range_old PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO (snowflake_min('2026-01-01 UTC'));
    CREATE TABLE by_range_new PARTITION OF by_range FOR VALUES FROM (snowflake_min('2026-01-01 UTC')) TO (MAXVALUE);
    CREATE TABLE by_hash (id snowflakeid PRIMARY KEY) PARTITION BY HASH (id);
    CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE by_list (id snowflakeid) PARTITION BY LIST (snowflake_node(id));
    CREATE TABLE by_list_all PARTITION OF by_list DEFAULT;
    CREATE VIEW decoded AS SELECT e.id, d.* FROM events AS e, snowflake_decode(e.id) AS d;
    CREATE VIEW issuing AS SELECT b.id, snowflake_nextval() AS next FROM snowflake_batch(3) AS b (id);
    CREATE VIEW reserving AS SELECT sum(count) AS n FROM snowflake_reserve(100);
    CREATE VIEW instances AS SELECT state, layout FROM snowflake_instance;
    CREATE VIEW fleets AS SELECT node, state FROM snowflake_fleet;
    CREATE VIEW scopes AS SELECT name FROM snowflake_scopes;
    CREATE VIEW layouts AS SELECT name FROM snowflake_layouts WHERE name = 'mine';
    CREATE VIEW counted AS SELECT scope FROM snowflake_stats WHERE scope = 'default';
    CREATE VIEW clocks AS SELECT state FROM snowflake_clock;
    CREATE MATERIALIZED VIEW newest AS SELECT max(id) AS id, min(id) AS oldest FROM events;
    CREATE FUNCTION bound(ts timestamptz) RETURNS snowflakeid LANGUAGE sql IMMUTABLE RETURN snowflake_min(ts);
    CREATE FUNCTION issued() RETURNS SETOF snowflakeid LANGUAGE sql BEGIN ATOMIC SELECT * FROM snowflake_batch(2); END;
    CREATE FUNCTION by_text(n integer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM snowflake_batch(n)';
    CREATE FUNCTION checked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.parent := NEW.id; RETURN NEW; END $$;
    CREATE TRIGGER checked BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.id > 0::bigint AND NEW.id < timestamptz '2090-01-01 UTC') EXECUTE FUNCTION checked();
    CREATE POLICY recent ON events USING (id >= timestamptz '2025-01-01 UTC' AND id <> 5::bigint);
    CREATE RULE ignored AS ON DELETE TO by_list WHERE OLD.id > 0::bigint DO INSTEAD NOTHING;
    CREATE AGGREGATE newest_of(snowflakeid) (SFUNC = idgen_internal.larger, STYPE = snowflakeid);
    CREATE OPERATOR === (LEFTARG = snowflakeid, RIGHTARG = snowflakeid, FUNCTION = idgen_internal.eq);
    CREATE ROLE may_add; CREATE ROLE may_not;
    GRANT EXECUTE ON FUNCTION snowflake_create_layout(text, text, text, text), snowflake_drain() TO may_add;
    GRANT SELECT ON snowflake_instance TO may_add;
    GRANT EXECUTE ON FUNCTION idgen_internal.instance() TO may_add;
    REVOKE EXECUTE ON FUNCTION snowflake_batch(integer), snowflake_nextval() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION snowflake_batch(integer), snowflake_nextval() TO may_add;
    INSERT INTO events (id, list) SELECT id, ARRAY[id] FROM snowflake_batch(200) AS id;
    INSERT INTO by_domain SELECT id FROM events;
    INSERT INTO by_range SELECT id FROM events UNION SELECT 1::snowflakeid;
    INSERT INTO by_hash SELECT id FROM events;
    INSERT INTO by_list SELECT id FROM events;
    REFRESH MATERIALIZED VIEW newest;
    ANALYZE;
};
# All of it, as text. Each of the indexes is asked.
my $contents = q{
    SELECT name, definition, epoch, note, kind FROM idgen_internal.layout ORDER BY name;
    SELECT name FROM idgen_internal.scope;
    SELECT * FROM events ORDER BY id;
    SELECT tableoid::regclass, id FROM by_range ORDER BY id;
    SELECT tableoid::regclass, id FROM by_hash ORDER BY id;
    SELECT tableoid::regclass, id FROM by_list ORDER BY id;
    SELECT * FROM decoded ORDER BY id;
    SELECT * FROM newest;
    SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relfilenode <> 0 ORDER BY relname;
    SET enable_seqscan = off;
    SELECT count(*), count(id) FROM events WHERE id IN (SELECT id FROM by_hash);
    SELECT count(*) FROM events WHERE snowflake_timestamp(id) > '2025-01-01 UTC';
    SELECT count(*) FROM events WHERE id > snowflake_min('2025-01-01 UTC');
    SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid::regclass::text !~ '^pg_' ORDER BY 1;
};

$node->safe_psql('postgres', "CREATE DATABASE $_") for 'used', 'unused';
$node->safe_psql('unused', 'CREATE EXTENSION idgen');
$node->safe_psql('used', "CREATE EXTENSION idgen VERSION '0.1.0'");
$node->safe_psql('used', $objects);
my $contents_before = $node->safe_psql('used', $contents);
my ($code, undef, $err) = $node->psql('used', 'ALTER EXTENSION idgen UPDATE');
is($code, 0, 'a database that uses it is updated') or diag($err);
is($node->safe_psql('used', $contents), $contents_before, 'rows, files and indexes are what they were');

# The rights that were granted and revoked stay; all else is as if fresh.
my @used = catalogue_of($node, 'used');
my @unused = catalogue_of($node, 'unused');
my $touched = qr/^(?:relation|function)\|(?:public\.)?(?:snowflake_instance|idgen_internal\.instance\(\)|snowflake_create_layout\(text,text,text,text\)|snowflake_drain\(\)|(?:idgen_internal\.)?snowflake_batch\((?:integer|bigint)\)|snowflake_nextval\(\)|snowflake_id\(\))\|rights\|/;
same_rows([ grep { !/$touched/ } @used ], [ grep { !/$touched/ } @unused ], 'and so is all of the extension but the rights that were given and taken');
sub may {
    my ($role, $function) = @_;
    return $node->safe_psql('used', "SELECT has_function_privilege('$role', '$function', 'EXECUTE')");
}
is(may('may_add', 'snowflake_create_layout(text, text, text, text)'), 't', 'what was granted stays granted');
is(may('may_add', 'snowflake_drain()'), 't', 'of operations, too');
is($node->safe_psql('used', 'SET ROLE may_add; SELECT count(*) FROM snowflake_instance'), '1', 'and of views, with what they call');
is(may('may_not', 'snowflake_nextval()'), 'f', 'what was revoked stays revoked');
for my $form ('snowflake_batch(bigint)', 'idgen_internal.snowflake_batch(integer)') {
    is(may('may_add', $form), 't', "$form: also where a function has a new form");
    is(may('may_not', $form), 'f', "$form: in both directions");
}
is(may('may_not', 'snowflake_batch(bigint, text)'), 't', 'and nothing else is closed');

# The objects go on.
($code, my $out, $err) = $node->psql('used', q{
    INSERT INTO events DEFAULT VALUES RETURNING parent = id, node = snowflake_node(id), made = snowflake_encode('2026-01-01 UTC', 5, 6), run > 0::bigint;
    INSERT INTO by_range SELECT i FROM issued() AS i;
    INSERT INTO by_domain SELECT snowflake_nextval();
    INSERT INTO ranged SELECT id FROM by_domain;
    SET enable_seqscan = off;
    SELECT count(*) FROM ranged WHERE id > 5;
    SELECT count(*), bool_and(next > id) FROM issuing;
    SELECT n FROM reserving;
    SELECT state FROM instances;
    SELECT count(*) FROM fleets;
    SELECT name FROM scopes;
    SELECT name FROM layouts;
    SELECT scope FROM counted;
    SELECT count(*) FROM clocks;
    REFRESH MATERIALIZED VIEW newest;
    SELECT bound('2026-01-01 UTC') = snowflake_min('2026-01-01 UTC'), by_text(4);
    SELECT newest_of(id) = max(id), bool_and(id === id) FROM events;
    DELETE FROM by_list;
    SELECT count(*) FROM by_list;
    SELECT snowflake_nextval('orders') > max(scoped) FROM events;
    REINDEX TABLE events;
    ALTER TABLE events VALIDATE CONSTRAINT small;
}, on_error_stop => 1);
is($code, 0, 'objects of before go on') or diag($err);
is($out, join("\n", 't|t|t|t', '201', '3|t', '100', 'active', '0', 'orders', 'mine', 'default', '1', 't|4', 't|t', '200', 't'), 'as they did');
is((sqlstate_of($node, 'INSERT INTO by_domain VALUES (-1)', extra_params => [ '-d', $node->connstr('used') ]))[0], '23514', 'a domain goes on checking');

# A dump of it is restored into a fresh extension.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('used') ], 'it is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('restored', q{CREATE EXTENSION idgen;
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2024-01-01', 'our first IDs')});
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'and restored where a fresh one is');
is($node->safe_psql('restored', 'SELECT * FROM events ORDER BY id'), $node->safe_psql('used', 'SELECT * FROM events ORDER BY id'), 'with its rows');
is($node->safe_psql('restored', 'SELECT count(*) FROM issuing'), '3', 'and the forms that its views were made with');
is($node->safe_psql('restored', q{SELECT has_function_privilege('may_add', 'snowflake_drain()', 'EXECUTE'), has_function_privilege('may_not', 'snowflake_batch(bigint)', 'EXECUTE')}),
    't|f', 'and the rights that were given and taken');

# Dropped, nothing is left.
$node->safe_psql('used', 'DROP EXTENSION idgen CASCADE');
is($node->safe_psql('used', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'idgen_internal'}), '0', 'dropped, nothing is left of it');

# --- made under default privileges that give and take ------------------------------

$node->safe_psql('postgres', 'CREATE ROLE given; CREATE ROLE plain; CREATE DATABASE defaults');
$node->safe_psql('defaults', q{
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO given;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO given;
    CREATE EXTENSION idgen VERSION '0.1.0'});
my $closed = q{
    SELECT string_agg(p.oid::regprocedure::text, ' ' ORDER BY 1) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE has_function_privilege('given', p.oid, 'EXECUTE') AND provolatile <> 'i' AND (proname ~ '^(fleet_|.*_guard$|snowflake_(drain|rotate|retire|raise|create|drop|allow|observe))')
      AND EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e');
    SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY 1) FROM pg_class AS c
    WHERE relkind IN ('r', 'v') AND (relnamespace = 'idgen_internal'::regnamespace OR relname ~ '^snowflake_') AND has_table_privilege('given', c.oid, 'INSERT')};
isnt($node->safe_psql('defaults', $closed), "\n", 'with 0.1.0, default privileges opened what is closed');
is($node->safe_psql('defaults', q{SELECT has_function_privilege('plain', 'idgen_internal.eq(snowflakeid, bigint)', 'EXECUTE')}), 'f', 'and closed what is open');
$node->safe_psql('defaults', 'GRANT EXECUTE ON FUNCTION snowflake_drain() TO plain; ALTER EXTENSION idgen UPDATE');
is($node->safe_psql('defaults', $closed), "\n", 'an update closes it');
is($node->safe_psql('defaults', q{SELECT has_function_privilege('plain', 'idgen_internal.eq(snowflakeid, bigint)', 'EXECUTE')}), 't', 'and opens what operators need');
is($node->safe_psql('defaults', q{SELECT has_function_privilege('plain', 'snowflake_drain()', 'EXECUTE')}), 't', 'but keeps what was granted afterwards');

# --- a coordinator's fleet ---------------------------------------------------------

my $coordinator = new_coordinator('coordinator');
my ($definition, $epoch) = split /\|/, $node->safe_psql('plain_fresh', "SELECT definition, epoch FROM idgen_internal.layout WHERE name = 'idgen'");
$coordinator->safe_psql('postgres', qq{
    DROP EXTENSION idgen;
    CREATE EXTENSION idgen VERSION '0.1.0';
    SELECT snowflake_allow_leasing('leaser');
    SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000007', '$definition', '$epoch', 1, 0, 0);
    INSERT INTO idgen_internal.node (node, revision, epoch, state, holder, ceiling, log2_lanes, system, name, ceiling_at, since, extended)
        VALUES (5, 3, 2, 'f', '00000000-0000-0000-0000-000000000001', 1000, 0, 7, 'gone', '2026-01-01 UTC', '2026-01-01 UTC', '2026-01-01 UTC'),
            (6, 1, 1, 'r', NULL, 9000000000000, 0, NULL, NULL, NULL, NULL, NULL)});
# Instances of this version lease from a coordinator that is still the old one.
my $early = new_node('early', "idgen.registry = '" . registry_of($coordinator, 'leaser') . "'");
$early->start;
ok(poll(sub { return ($early->psql('postgres', 'CREATE EXTENSION IF NOT EXISTS idgen'))[0] == 0 }), 'before the update an instance gets a node, too');
cmp_ok($early->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'and issues');
my $fleet_rows = q{
    SELECT id, layout, epoch, generation, base, raised, system, timeline FROM idgen_internal.fleet;
    SELECT node, revision, epoch, state, holder, ceiling, log2_lanes, system, name, ceiling_at, since, extended, alive_until FROM idgen_internal.node WHERE node IN (5, 6) ORDER BY node};
# As someone has written it by hand.
$coordinator->safe_psql('postgres', q{INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes, name)
    VALUES (900, 1, 1, 'f', 0, 100, repeat('x', 1000)), (901, 1, 1, 'f', 0, -1, NULL), (-1, 1, 1, 'f', 0, 0, NULL), (1099511627776, 1, 1, 'f', 0, 0, NULL)});
my $fleet_before = $coordinator->safe_psql('postgres', $fleet_rows);
# Behind a dump it does not wait for longer than instances can.
my $reader = $coordinator->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM idgen_internal.node');
my $load = start_collector($early, gently(), '--clients', 2, '--ids', 1_000_000_000, '--tolerate', 'IDG01', '--retry');
is((sqlstate_of($coordinator, 'ALTER EXTENSION idgen UPDATE'))[0], '55P03', 'while a dump reads the fleet, the update gives up');
$reader->quit;
is($coordinator->safe_psql('postgres', "BEGIN; SET LOCAL lock_timeout = '7s'; ALTER EXTENSION idgen UPDATE; SHOW lock_timeout; COMMIT"), '7s', 'then it updates');
is($coordinator->safe_psql('postgres', $fleet_rows), $fleet_before, 'a fleet and its nodes are kept');
my $renewed = instance($early, 'ceiling');
ok(poll(sub { return instance($early, "state = 'active' AND ceiling > '$renewed'") eq 't' }), 'the instance goes on');
# On a busy machine the update takes longer than the window, which is short so soon.
is((stop_collector($load))[0], 0, 'each ID above the ones before');
$early->stop;
my $member = new_node('member', "idgen.registry = '" . registry_of($coordinator, 'leaser') . "'");
$member->start;
ok(poll(sub { return ($member->psql('postgres', 'CREATE EXTENSION IF NOT EXISTS idgen'))[0] == 0 }), 'an instance gets a node of it');
wait_for_state($member);
cmp_ok($member->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'and instances lease from it, by the rights that were given before');
isnt(instance($member, 'node'), 6, 'none takes a node that is retired');
$coordinator->safe_psql('postgres', 'CREATE DATABASE fresh');
$coordinator->safe_psql('fresh', q{CREATE EXTENSION idgen; SELECT snowflake_allow_leasing('leaser')});
same_rows([ catalogue_of($coordinator, 'postgres') ], [ catalogue_of($coordinator, 'fresh') ], 'a coordinator that is updated is what a fresh one is');
# From now on it notices that it was put elsewhere in its cluster.
$member->stop;
my $place = q{SELECT idgen_internal.fleet_read(0, 0) -> 'fleet' ->> 'same_place'};
is($coordinator->safe_psql('postgres', $place), 'true', 'it is where it was made');
$coordinator->safe_psql('fresh', 'CREATE DATABASE restored TEMPLATE postgres');
is($coordinator->safe_psql('restored', $place), 'false', 'what is made of it is not');
# Rows that 0.1.0 had of another cluster still wait for an operator.
$coordinator->safe_psql('postgres', 'CREATE DATABASE foreign_rows');
$coordinator->safe_psql('foreign_rows', qq{
    CREATE EXTENSION idgen VERSION '0.1.0';
    SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000007', '$definition', '$epoch', 1, 0, 0);
    UPDATE idgen_internal.fleet SET system = system + 1;
    ALTER EXTENSION idgen UPDATE});
is($coordinator->safe_psql('foreign_rows', $place), 'false', 'nor are rows of another cluster that 0.1.0 had');

done_testing();
