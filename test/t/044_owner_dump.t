# A database's owner, who is no superuser, dumps it and restores it: with layouts and
# scopes of its own, and where it is a fleet's coordinator.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('owner', 'fsync = on');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN; CREATE ROLE stranger LOGIN');
my $folder = PostgreSQL::Test::Utils::tempdir();

sub new_database {
    my ($name) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name OWNER app_owner");
    $node->safe_psql($name, 'CREATE EXTENSION idgen');
    return;
}
sub as_owner { return $node->connstr($_[0]) . " user='app_owner'" }

new_database('app');
$node->safe_psql('app', q{
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2024-01-01', 'our first IDs');
    SELECT snowflake_create_scope('orders')});
$node->safe_psql('app', q{
    CREATE TABLE events (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval('orders'), at timestamptz);
    INSERT INTO events SELECT id, snowflake_timestamp(id, 'mine') FROM snowflake_batch(100, 'orders') AS id;
    CREATE INDEX ON events (snowflake_timestamp(id, 'mine'))}, extra_params => [ '-U', 'app_owner' ]);
my $contents = q{
    SELECT * FROM events ORDER BY id;
    SELECT name, definition, epoch, note FROM idgen_internal.layout WHERE name IN ('idgen', 'mine') ORDER BY name;
    SELECT name FROM idgen_internal.scope};
my $before = $node->safe_psql('app', $contents);

for my $format ('plain', 'custom') {
    my $file = "$folder/$format";
    command_ok([ 'pg_dump', '--format', $format, '--no-comments', '-f', $file, as_owner('app') ], "$format: the owner dumps");
    new_database("app_$format");
    if ($format eq 'plain') {
        command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', as_owner("app_$format"), '-f', $file ], 'plain: and restores');
    } else {
        command_ok([ 'pg_restore', '--exit-on-error', '-d', as_owner("app_$format"), $file ], 'custom: and restores');
    }
    is($node->safe_psql("app_$format", $contents), $before, "$format: rows, layouts and scopes are there");
    cmp_ok($node->safe_psql("app_$format", 'INSERT INTO events DEFAULT VALUES RETURNING id', extra_params => [ '-U', 'app_owner' ]), '>', 0, "$format: and the owner goes on");
}

# A coordinator's nodes are in its owner's dump.
new_database('coordinator');
$node->safe_psql('coordinator', q{
    SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000007', definition, epoch, 1, 0, 0) FROM idgen_internal.layout WHERE name = 'idgen'});
command_ok([ 'pg_dump', '--no-comments', '-f', "$folder/coordinator", as_owner('coordinator') ], 'a coordinator, too');
like(slurp_file("$folder/coordinator"), qr/^COPY idgen_internal\.node /m, 'with its nodes');
new_database('coordinator_restored');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', as_owner('coordinator_restored'), '-f', "$folder/coordinator" ], 'and restores it');
is($node->safe_psql('coordinator_restored', 'SELECT id FROM idgen_internal.fleet'), '00000000-0000-0000-0000-000000000007', 'with its fleet');

# Nobody else's business.
for my $table ('fleet', 'node', 'layout', 'scope') {
    is($node->safe_psql('app', "SELECT has_table_privilege('stranger', 'idgen_internal.$table', 'INSERT, UPDATE, DELETE, TRUNCATE')"), 'f', "a stranger writes no $table");
    is($node->safe_psql('app', "SELECT has_table_privilege('app_owner', 'idgen_internal.$table', 'UPDATE, DELETE, TRUNCATE, TRIGGER')"), 'f', "the owner changes no $table");
}
is($node->safe_psql('app', "SELECT has_table_privilege('stranger', 'idgen_internal.node', 'SELECT')"), 'f', 'a stranger reads no nodes');
is($node->safe_psql('app', q{SELECT has_function_privilege('app_owner', 'snowflake_drain()', 'EXECUTE')}), 'f', 'and the owner is no operator');

done_testing();
