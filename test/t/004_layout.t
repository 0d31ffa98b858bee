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
$node->poll_query_until('postgres', "SELECT state = 'mismatch' FROM snowflake_instance")
  or die 'timed out waiting for the mismatch';
my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG06', 'settings that disagree with the record issue nothing');
($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
like($message, qr/time:41 region:3 shard:7 sequence:12/, 'the recorded layout is named');
like($message, qr/time:41 shard:8 sequence:14/, 'the configured one too');
is($node->safe_psql('postgres', "SELECT snowflake_decode($id)"), $decoded,
    'decoding goes on by the recorded layout');

# No database may record the wrong one.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
($state, $message) = sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'fresh');
is($state, 'IDG06', 'CREATE EXTENSION is refused meanwhile');
like($message, qr/the record says "time:41 region:3 shard:7 sequence:12/, 'and the record is named');

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
$node->append_conf('postgresql.conf', "idgen.epoch = '2025-01-01'\n");
$node->restart;

# A dump carries its layout: in a server with another one it decodes, and
# doesn't issue.
$node->safe_psql('postgres', 'CREATE TABLE t (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), v int)');
$node->safe_psql('postgres', 'INSERT INTO t (v) SELECT g FROM generate_series(1, 100) AS g');
my $rows = $node->safe_psql('postgres', 'SELECT id, snowflake_timestamp(id), v FROM t ORDER BY id');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');

my $other = new_node('other', "idgen.layout = 'time:41 shard:4 sequence:18'");
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE restored');
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('restored'), '-f', $dump ],
    'the dump is restored without an error');
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

$node->stop;
$other->stop;
done_testing();
