# A hot standby issues IDs of its own node, in recovery; promotion changes
# nothing.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
configure($primary);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION idgen');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'in recovery');
my $primary_node = instance($primary, 'node');
my $standby_node = instance($standby, 'node');
isnt($standby_node, $primary_node, 'a standby has a node of its own');

my $files = PostgreSQL::Test::Utils::tempdir();
my $one = start_collector($primary, '--clients', 2, '--ids', 300_000, '--save', "$files/primary");
my $two = start_collector($standby, '--clients', 2, '--ids', 300_000, '--save', "$files/standby");
is((finish_collector($one))[0], 0, 'the primary issues');
is((finish_collector($two))[0], 0, 'the standby issues in recovery');
my $out = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', "$files/primary", "$files/standby" ], '>', \$out);
is(figures($out)->{repeats}, 0, 'no ID in common');

# The layout of a database is known on the standby.
my $id = $primary->safe_psql('postgres', 'SELECT snowflake_nextval()');
is($standby->safe_psql('postgres', "SELECT snowflake_decode($id)"),
    $primary->safe_psql('postgres', "SELECT snowflake_decode($id)"), 'a standby decodes as its primary does');

my $last = $standby->safe_psql('postgres', 'SELECT snowflake_nextval()');
$standby->promote;
my $next = $standby->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next, '>', $last, 'promotion keeps the order');
is(instance($standby, 'node'), $standby_node, 'and the node');
$standby->stop;
$primary->stop;
done_testing();
