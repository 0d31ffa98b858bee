# The layout is chosen once. Settings that disagree with what is recorded issue
# nothing; decoding goes on by the record; a restored dump brings its own.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $id = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $decoded = $node->safe_psql('postgres', "SELECT snowflake_decode($id)");

# Another layout in the settings.
$node->append_conf('postgresql.conf', "idgen.layout = 'time:41 shard:8 sequence:14'\n");
$node->restart;
wait_for_state($node, 'mismatch');
my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG06', 'settings that disagree with the record issue nothing');
like($message, qr/time:41 region:3 shard:7 sequence:12/, 'the recorded layout is named');
like($message, qr/time:41 shard:8 sequence:14/, 'the configured one too');
is($node->safe_psql('postgres', "SELECT snowflake_decode($id)"), $decoded,
    'decoding goes on by the recorded layout');

# No database may record the wrong one.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
($state, $message) = sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'fresh');
is($state, 'IDG06', 'CREATE EXTENSION is refused meanwhile');
like($message, qr/the record says "time:41 region:3 shard:7 sequence:12/, 'and the record is named');

# Nor while it is drained as well.
$node->safe_psql('postgres', 'SELECT snowflake_drain()');
wait_for_state($node, 'drained');
is((sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'fresh'))[0], 'IDG05',
    'CREATE EXTENSION is refused while drained, too');
($state) = sqlstate_of($node, "SET idgen.max_wait = '100ms'; SELECT snowflake_resume()");
is($state, 'IDG06', 'nor does it issue when it is resumed');

# Set right again.
$node->append_conf('postgresql.conf', "idgen.layout = 'time:41 region:3 shard:7 sequence:12'\n");
$node->restart;
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $id,
    'issuing goes on when the settings are right again');

# The epoch is part of it.
$node->append_conf('postgresql.conf', "idgen.epoch = '2024-01-01'\n");
$node->restart;
($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG06', 'another epoch is another layout');
($state, $message) = sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'fresh');
is($state, 'IDG06', 'to the record, too');
like($message, qr/the record says "time:41 region:3 .* epoch 2010-01-01T/, 'which is named');
$node->append_conf('postgresql.conf', "idgen.epoch = '2010-01-01'\n");
$node->restart;

# What is not set is what the record says: a cluster goes on in its layout, whatever
# the defaults of a later version are.
my $older = new_node('older', "idgen.epoch = '2025-01-01'", "idgen.layout = 'time:41 shard:8 sequence:14'");
$older->start;
$older->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $first = $older->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $shown = q{SELECT current_setting('idgen.layout'), current_setting('idgen.epoch')};
$older->stop;
my $configuration = $older->data_dir . '/postgresql.conf';
(my $unset = slurp_file($configuration)) =~ s/^idgen\.(epoch|layout).*\n//mg;
append_to_file("$configuration.new", $unset);
rename("$configuration.new", $configuration) or die;
$older->start;
is($older->safe_psql('postgres', $shown), 'time:41 shard:8 sequence:14 tick:1ms|2025-01-01T00:00:00Z',
    'settings that are not set are what the record says');
cmp_ok($older->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $first, 'and issuing goes on');
$older->reload;
is($older->safe_psql('postgres', $shown), 'time:41 shard:8 sequence:14 tick:1ms|2025-01-01T00:00:00Z', 'after a reload, too');
# Without the record they are the defaults, and a new record is written with those. The way out
# is in docs/operations.md.
my $lost = sub { $older->stop; unlink(record_of($older), $older->data_dir . '/idgen.marker') == 2 or die 'no record, or no marker'; $older->start };
$lost->();
wait_for_state($older);
($state, $message) = sqlstate_of($older, 'SELECT snowflake_nextval()');
is($state, 'IDG06', 'a record that is lost takes the layout along that no setting names');
like($message, qr/The database records "time:41 shard:8 sequence:14 tick:1ms", epoch 2025-/, 'but the database has it');
$older->append_conf('postgresql.conf', "idgen.layout = 'time:41 shard:8 sequence:14'\nidgen.epoch = '2025-01-01'\n");
$lost->();
wait_for_state($older);
cmp_ok($older->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $first, 'set, and without the new record, it issues again');
$older->append_conf('postgresql.conf', "idgen.epoch = '2026-01-01'\n");
$older->restart;
($state, $message) = sqlstate_of($older, 'SELECT snowflake_nextval()');
is($state, 'IDG06', 'a setting that is set is not passed over');
$older->safe_psql('postgres', 'CREATE DATABASE fresh');
$older->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$older->stop;
(my $plain = slurp_file($configuration)) =~ s/^idgen\..*\n//mg;
append_to_file("$configuration.new", $plain);
rename("$configuration.new", $configuration) or die;
$older->start;
is($older->safe_psql('fresh', "CREATE EXTENSION idgen; SELECT definition, epoch FROM snowflake_layouts WHERE name = 'idgen'"),
    'time:41 shard:8 sequence:14 tick:1ms|2025-01-01T00:00:00Z', 'without preloading, CREATE EXTENSION takes them from the record');
$older->stop;

# A dump carries its layout: in a server with another one it decodes, and
# doesn't issue.
$node->safe_psql('postgres', 'CREATE TABLE t (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), v int)');
$node->safe_psql('postgres', 'INSERT INTO t (v) SELECT g FROM generate_series(1, 100) AS g');
# In a schema that is dumped before idgen's own tables, with what is computed
# from IDs as rows are restored; and a layout of the user's.
$node->safe_psql('postgres', q{
    INSERT INTO idgen_internal.layout (name, definition, epoch, note)
    VALUES ('ours', 'time:41 shard:10 sequence:12', '2020-01-01', 'old application');
    CREATE SCHEMA app;
    CREATE TABLE app.computed (
        id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(),
        at timestamptz GENERATED ALWAYS AS (snowflake_timestamp(id)) STORED,
        CHECK (snowflake_timestamp(id) > '2026-01-01 UTC'));
    CREATE INDEX ON app.computed (snowflake_timestamp(id));
    CREATE TABLE app.parted (id snowflakeid DEFAULT snowflake_nextval()) PARTITION BY RANGE (snowflake_timestamp(id));
    CREATE TABLE app.new PARTITION OF app.parted FOR VALUES FROM ('2026-01-01 UTC') TO (MAXVALUE);
    INSERT INTO app.computed SELECT snowflake_nextval() FROM generate_series(1, 50);
    INSERT INTO app.parted SELECT snowflake_nextval() FROM generate_series(1, 50);
});
my $all_of_app = q{SELECT 'computed', id, at = snowflake_timestamp(id)
    FROM app.computed UNION ALL SELECT 'parted', id, true FROM app.parted ORDER BY 1, 2};
my $app = $node->safe_psql('postgres', $all_of_app);
my $rows = $node->safe_psql('postgres', 'SELECT id, snowflake_timestamp(id), v FROM t ORDER BY id');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');

# In a server with the same settings everything is restored as it was.
my $same = new_node('same');
$same->start;
$same->safe_psql('postgres', 'CREATE DATABASE restored');
my ($status, $out, $err) = $same->psql('restored', "\\i $dump\n", on_error_stop => 1);
is($status, 0, 'restored where the settings are the same');
unlike($err, qr/WARNING|ERROR/, 'without a word');
is($same->safe_psql('restored', $all_of_app), $app, 'what was computed is what it was');
is($same->safe_psql('restored', "SELECT definition, note FROM snowflake_layouts WHERE name = 'ours'"),
    'time:41 shard:10 sequence:12|old application', 'a layout of the user\'s is restored');

# Where generated columns use a layout of the user's by name, it comes first.
$node->safe_psql('postgres', q{
    ALTER TABLE app.computed ADD COLUMN old timestamptz GENERATED ALWAYS AS (snowflake_timestamp(id, 'ours')) STORED});
my $archive = "$dump.archive";
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('postgres'), '-f', $archive ], 'pg_dump -Fc');
$same->safe_psql('postgres', 'CREATE DATABASE by_section');
for my $step ([ '--section=pre-data' ], [ '--data-only', '--schema=idgen_internal', '--table=layout' ],
    [ '--section=data', '--section=post-data' ]) {
    $same->command_ok([ 'pg_restore', '--exit-on-error', '-d', $same->connstr('by_section'), @$step, $archive ],
        "pg_restore @$step");
}
is($same->safe_psql('by_section', $all_of_app), $app, 'restored section by section, too');
is($same->safe_psql('by_section', "SELECT count(*) FROM app.computed WHERE old IS DISTINCT FROM snowflake_timestamp(id, 'ours')"),
    '0', 'with what the user\'s layout computes');
$same->stop;

# Elsewhere the dump's layout wins, with a warning.
$node->safe_psql('postgres', 'DROP SCHEMA app CASCADE');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump without the schema');
my $other = new_node('other', "idgen.layout = 'time:41 shard:4 sequence:18'");
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE restored');
($status, $out, $err) = $other->psql('restored', "\\i $dump\n", on_error_stop => 1);
is($status, 0, 'the dump is restored without an error');
like($err, qr/WARNING:\s+layout "idgen" is now "time:41 region:3.*Restore again where idgen\.layout/s, 'but with a warning');
is($other->safe_psql('restored', 'SELECT id, snowflake_timestamp(id), v FROM t ORDER BY id'),
    $rows, 'a restored dump decodes by the layout it was issued in');
is($other->safe_psql('restored', "SELECT definition FROM snowflake_layouts WHERE name = 'idgen'"),
    'time:41 region:3 shard:7 sequence:12 tick:1ms', 'the restored row won');
($state, $message) = sqlstate_of($other, 'INSERT INTO t (v) VALUES (0)', dbname => 'restored');
is($state, 'IDG06', 'but the server does not issue in it');
like($message, qr/time:41 region:3.*time:41 shard:4/s, 'both layouts are named');

# In a server with the same layout it goes on. Dumped again, it is the same.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ],
    'the dump is restored where it came from');
cmp_ok($node->safe_psql('restored', 'INSERT INTO t (v) VALUES (0) RETURNING id'), '>', $id, 'and goes on');
my $again = "$dump.again";
$other->command_ok([ 'pg_dump', '-d', $other->connstr('restored'), '-f', $again ], 'pg_dump of the restored');
$other->safe_psql('postgres', 'CREATE DATABASE restored_again');
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('restored_again'), '-f', $again ],
    'a dump of a restored database can be restored');
is($other->safe_psql('restored_again', 'SELECT id, snowflake_timestamp(id), v FROM t ORDER BY id'),
    $rows, 'with the same meaning');

$other->stop;

# 53 bits, by name: every ID is exact as a JavaScript number.
my $js53 = new_node('js53', "idgen.layout = 'js53'", "idgen.shard = 15");
$js53->start;
$js53->safe_psql('postgres', 'CREATE EXTENSION idgen; CREATE TABLE ids AS SELECT id FROM snowflake_batch(10000) AS id');
is($js53->safe_psql('postgres', 'SELECT count(DISTINCT id::double precision::bigint) FILTER (WHERE id::double precision::bigint = id) FROM (SELECT id::bigint FROM ids) AS i'),
    '10000', 'as doubles, IDs of js53 are still what they were, and different');
is($js53->safe_psql('postgres', q{SELECT count(*), bool_and(id < 9007199254740992 AND id >= now() - interval '1 hour' AND id < now() + interval '2 minutes'
        AND snowflake_timestamp(id) = snowflake_timestamp(id, 'js53')) FROM ids}), '10000|t', 'they are below 2^53, and know their time');
is($js53->safe_psql('postgres', "SELECT definition FROM snowflake_layouts WHERE name = 'idgen'"),
    'time:41 shard:4 sequence:8 tick:1ms', 'what is recorded is the layout, not its name');
$js53->restart;
is($js53->safe_psql('postgres', 'SELECT snowflake_nextval() > max(id) FROM ids'), 't', 'and it goes on after a restart');
$js53->stop;

# Logical replication of all tables: each database keeps its own layouts.
$node->append_conf('postgresql.conf', "wal_level = logical\nmax_wal_senders = 10\n");
$node->restart;
my $subscriber = new_node('subscriber', "idgen.layout = 'time:41 shard:4 sequence:18'");
$subscriber->start;
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
$subscriber->safe_psql('postgres', 'CREATE EXTENSION idgen; CREATE TABLE t (id snowflakeid PRIMARY KEY, v int)');
my $publisher = $node->connstr('postgres') =~ s/'/''/gr;
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '$publisher' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($node, 's');
is($subscriber->safe_psql('postgres', 'SELECT count(*), min(id) FROM t'),
    $node->safe_psql('postgres', 'SELECT count(*), min(id) FROM t'), 'the table is copied');
is($subscriber->safe_psql('postgres', "SELECT definition, kind FROM idgen_internal.layout WHERE name = 'idgen'"),
    'time:41 shard:4 sequence:18 tick:1ms|f', 'the subscriber keeps its own layout');
is($subscriber->safe_psql('postgres', "SELECT definition FROM snowflake_layouts WHERE name = 'ours'"),
    'time:41 shard:10 sequence:12', 'and has the publisher\'s others');
my $new = $node->safe_psql('postgres', 'INSERT INTO t (v) VALUES (1) RETURNING id');
$node->safe_psql('postgres', "INSERT INTO idgen_internal.layout (name, definition, epoch) VALUES ('late', 'time:41 shard:5', '2020-01-01')");
$node->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM t WHERE id = $new"), '1', 'replication goes on');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM snowflake_layouts WHERE name = 'late'"), '1', 'also of layouts');
is($subscriber->safe_psql('postgres', 'SELECT snowflake_nextval() < snowflake_nextval()'), 't', 'the subscriber issues');
$subscriber->stop;
$node->stop;
done_testing();
