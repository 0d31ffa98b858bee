# Scopes that are dropped and made again under load, that share too few places, that
# are met on standbys, in dumps and after crashes: none ever repeats an ID.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{IDGEN_SOAK} ? 120 : 6;
my $files = PostgreSQL::Test::Utils::tempdir();

sub check_files {
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @_ ], '>', \$out);
    note($out);
    return figures($out);
}

# --- too few places, for scopes that come and go -------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
configure($node, 'injection', 'idgen.max_scopes = 3', 'restart_after_crash = on', 'max_prepared_transactions = 4');
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION idgen;
    SELECT snowflake_create_scope(s) FROM unnest(ARRAY['a', 'b', 'c', 'd']) AS s});

# One client in each scope that isn't there, or has no place, asks again. Two more
# scopes than fit are dropped and made again by turns, in one transaction or two,
# and now and then that is rolled back.
my %loads = map { $_ => start_collector($node, '--scope', $_, '--clients', 2, '--ids', 1_000_000_000,
        '--tolerate', '42704', '--tolerate', '53400', '--retry', '--save', "$files/$_") } 'a' .. 'd';
my $churn = $node->background_psql('postgres', on_error_stop => 0);
my $turns = 0;
for (my $until = time() + $seconds; time() < $until || $turns < 100; ++$turns) {
    my $scope = ('a' .. 'd')[ $turns % 4 ];
    my $drop = "SELECT snowflake_drop_scope('$scope')";
    my $create = "SELECT snowflake_create_scope('$scope')";
    $churn->query($turns % 3 == 0 ? "BEGIN; $drop; $create; COMMIT" : $turns % 3 == 1 ? "BEGIN; $drop; ROLLBACK" : "$drop; $create");
}
$churn->quit;
note("dropped and made again $turns times");
for my $scope (sort keys %loads) {
    my ($code, $figures) = stop_collector($loads{$scope});
    is($code, 0, "scope $scope: no repeat, no inversion, no other error");
    cmp_ok($figures->{ids}, '>', 1_000, "scope $scope: it was busy");
}
is($node->safe_psql('postgres', 'SELECT count(*) <= 3 FROM snowflake_stats WHERE database IS NOT NULL'), 't', 'three places at most');

# --- who stands still while his scope is dropped and its place becomes another's ---------

$node->safe_psql('postgres', "SELECT snowflake_drop_scope(name) FROM snowflake_scopes");
$node->safe_psql('postgres', "SELECT snowflake_create_scope('still'); SELECT snowflake_nextval('still')");
my $pause = $node->data_dir . '/idgen.pause';
append_to_file($pause, '');
my @callers = map {
    my $caller = $node->background_psql('postgres');
    $caller->query("SELECT snowflake_nextval('still'); SET idgen.injection_point = $_");
    $caller->query_until(qr/asked/, "\\echo asked\nSELECT 'id=' || snowflake_nextval('still');\n");
    $caller;
} 1 .. 4;
ok(poll(sub { my @marks = glob($node->data_dir . '/idgen.paused.*'); return @marks == 4 }),
    'four callers stand between their loads');
my @ids;
for my $round (1 .. 5) {
    $node->safe_psql('postgres', "SELECT snowflake_drop_scope('still')");
    # Its place is a stranger's now, and it has another.
    $node->safe_psql('postgres', "SELECT snowflake_create_scope('stranger$round'); SELECT snowflake_nextval('stranger$round')");
    $node->safe_psql('postgres', "SELECT snowflake_create_scope('still')");
    push @ids, split /\n/, $node->safe_psql('postgres', "SELECT snowflake_batch(1000, 'still')");
    $node->safe_psql('postgres', "SELECT snowflake_drop_scope('stranger$round')");
}
unlink($pause);
for my $caller (@callers) {
    $caller->quit;
    push @ids, $caller->{stdout} =~ /id=(\d+)/;
}
is(scalar(@ids), 5004, 'who stood still got an ID');
my %seen;
is(scalar(grep { $seen{$_}++ } @ids), 0, 'and none was issued before');

# --- rotation: all scopes go to the other node, and keep their order ----------------------

$node->safe_psql('postgres', "SELECT snowflake_drop_scope(name) FROM snowflake_scopes");
$node->safe_psql('postgres', "SELECT snowflake_create_scope(s) FROM unnest(ARRAY['x', 'y']) AS s");
%loads = map { $_ => start_collector($node, '--scope', $_, '--clients', 2, '--ids', 1_000_000_000) } 'x', 'y';
$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM snowflake_stats WHERE scope IN ('x', 'y') AND ids > 1000") or die 'no load';
for my $round (1 .. 3) {
    my $new = $node->safe_psql('postgres', 'SELECT snowflake_rotate_node()');
    is($node->safe_psql('postgres', "SELECT snowflake_node(snowflake_nextval('x')), snowflake_node(snowflake_nextval('y'))"), "$new|$new",
        "rotation $round: both scopes have the new node");
}
for my $scope ('x', 'y') {
    my ($code) = stop_collector($loads{$scope});
    is($code, 0, "scope $scope: order is kept across rotations");
}

# --- crashes ---------------------------------------------------------------------------

my $before = start_collector($node, '--scope', 'x', '--clients', 4, '--ids', 1_000_000_000, '--tolerate-disconnect', '--save', "$files/before");
$node->poll_query_until('postgres', "SELECT ids > 10000 FROM snowflake_stats WHERE scope = 'x'") or die 'no load';
my $counted = $node->safe_psql('postgres', "SELECT ids FROM snowflake_stats WHERE scope = 'x'");
$node->poll_query_until('postgres', "SELECT ids > $counted + 10000 FROM snowflake_stats WHERE scope = 'x'") or die 'no load';
kill_family($node);
is((finish_collector($before))[0], 0, 'kill -9: no repeat before');
$node->start;
is((run_collector($node, '--scope', 'x', '--clients', 4, '--ids', 100_000, '--save', "$files/after"))[0], 0, 'nor after');
my $figures = check_files("$files/before", "$files/after");
is("$figures->{repeats} $figures->{inversions}", '0 0', 'nor across, and the order is kept');

# --- transactions that are prepared -----------------------------------------------------

$node->safe_psql('postgres', "BEGIN; SELECT snowflake_create_scope('two_phase'); SELECT snowflake_nextval('two_phase'); PREPARE TRANSACTION 'make'");
is((sqlstate_of($node, "SELECT snowflake_nextval('two_phase')"))[0], '42704', 'prepared: not there yet');
$node->safe_psql('postgres', "COMMIT PREPARED 'make'");
my $id = $node->safe_psql('postgres', "SELECT snowflake_nextval('two_phase')");
$node->safe_psql('postgres', "BEGIN; SELECT snowflake_drop_scope('two_phase'); PREPARE TRANSACTION 'drop'");
cmp_ok($node->safe_psql('postgres', "SELECT snowflake_nextval('two_phase')"), '>', $id, 'prepared: still there');
$node->safe_psql('postgres', "COMMIT PREPARED 'drop'");
is((sqlstate_of($node, "SELECT snowflake_nextval('two_phase')"))[0], '42704', 'gone');

# --- databases ----------------------------------------------------------------------------

# Three places, of which another database has two; a place whose scope went with a
# prepared transaction is used again, and what is left of a database that was dropped.
$node->safe_psql('postgres', "SELECT snowflake_drop_scope(name) FROM snowflake_scopes; CREATE DATABASE other");
$node->safe_psql('other', q{
    CREATE EXTENSION idgen;
    SELECT snowflake_create_scope(s) FROM unnest(ARRAY['p', 'q']) AS s;
    SELECT snowflake_nextval(s) FROM unnest(ARRAY['p', 'q']) AS s});
$node->safe_psql('postgres', "SELECT snowflake_create_scope(s) FROM unnest(ARRAY['p', 'q']) AS s; SELECT snowflake_nextval('p')");
my ($state, $message) = sqlstate_of($node, "SELECT snowflake_nextval('q')");
is($state, '53400', 'places are those of all databases');
like($message, qr/DETAIL:  On this server 3 can be in use within a minute.*HINT:  .*idgen\.max_scopes/s, 'it says what can be done');
is($node->safe_psql('postgres', q{SELECT string_agg(database || '.' || scope, ' ' ORDER BY database, scope) FROM snowflake_stats WHERE database IS NOT NULL}),
    'other.p other.q postgres.p', 'the view tells whose they are');
# What isn't used (for 3 s, in the build that this test runs) gives way; to its next
# user it is a scope without a place, and goes on.
my $p = $node->safe_psql('other', "SELECT snowflake_nextval('p')");
$node->safe_psql('other', "SELECT snowflake_nextval('q')");
ok(poll(sub { return (sqlstate_of($node, "SELECT snowflake_nextval('q')"))[0] eq 'none' }), 'idle places of another database give way');
ok(poll(sub { return (sqlstate_of($node, "SELECT snowflake_nextval('p')", dbname => 'other'))[0] eq 'none' }), 'and are made again');
cmp_ok($node->safe_psql('other', "SELECT snowflake_nextval('p')"), '>', $p, 'above all that was issued');
$node->safe_psql('postgres', 'DROP DATABASE other');
# All three at once, before any is idle.
is($node->safe_psql('postgres', q{
        SELECT snowflake_create_scope('n');
        SELECT count(snowflake_nextval(s)) FROM unnest(ARRAY['p', 'q', 'n']) AS s}),
    "\n3", "a dropped database's places are used again");
# So are those of rows that went without anybody's telling.
$node->safe_psql('postgres', 'DROP EXTENSION idgen');
$node->safe_psql('postgres', q{
    CREATE EXTENSION idgen;
    SELECT snowflake_create_scope(s) FROM unnest(ARRAY['r', 's', 't']) AS s});
is($node->safe_psql('postgres', "SELECT count(snowflake_nextval(s)) FROM unnest(ARRAY['r', 's', 't']) AS s"), 3, "and those of an extension that was dropped");

# --- dumps: the catalogue is the truth ------------------------------------------------------

$node->safe_psql('postgres', q{
    SELECT snowflake_drop_scope(name) FROM snowflake_scopes;
    SELECT snowflake_create_scope('orders');
    CREATE TABLE orders (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval('orders'), v integer);
    INSERT INTO orders (v) SELECT g FROM generate_series(1, 1000) AS g});
my $dump = "$files/dump.sql";
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restored');
is($node->safe_psql('restored', 'SELECT name FROM snowflake_scopes'), 'orders', 'the scope came with it');
is($node->safe_psql('restored', 'INSERT INTO orders (v) VALUES (0) RETURNING id > (SELECT max(id) FROM orders)'), 't', 'and goes on above its rows');
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('restored'), '-c', "COPY idgen_internal.scope FROM PROGRAM 'printf orders'" ],
    'a second dump with the same scope does no harm');

# A copy of a database has copies of its rows: far ahead of the clock, too, its scopes
# go on above them.
reconfigure($node, 'max_lead', '10s');
$node->safe_psql('postgres', q{
    SELECT snowflake_drop_scope(name) FROM snowflake_scopes;
    SELECT snowflake_create_scope('orders')});
$node->poll_query_until('postgres', "SELECT window_left > '2 s' FROM snowflake_instance") or die 'the window did not grow';
my $far = $node->safe_psql('postgres', "SELECT max(last) FROM snowflake_reserve(1000000, 'orders')");
$node->safe_psql('template1', 'CREATE DATABASE twin TEMPLATE postgres');
cmp_ok($node->safe_psql('twin', "SELECT snowflake_nextval('orders')"), '>', $far, 'a copied database goes on above its rows');
$node->safe_psql('postgres', 'DROP DATABASE twin');
reconfigure($node, 'max_lead', '10ms');

# --- standbys ---------------------------------------------------------------------------------

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
wait_for_state($standby);
cmp_ok($standby->safe_psql('postgres', "SELECT snowflake_nextval('orders')"), '>', 0, 'first used on a standby, in recovery');
$node->safe_psql('postgres', "SELECT snowflake_create_scope('late')");
$node->wait_for_catchup($standby);
my $session = $standby->background_psql('postgres', on_error_stop => 0);
like($session->query("SELECT snowflake_nextval('late')"), qr/^\d+$/, 'made later, it is there');
$node->safe_psql('postgres', "SELECT snowflake_drop_scope('late')");
$node->wait_for_catchup($standby);
is($session->query("SELECT snowflake_nextval('late')"), '', 'dropped, it is gone for a session that has used it');
is((sqlstate_of($standby, "SELECT snowflake_nextval('late')"))[0], '42704', 'and for others');
$session->quit;
my @loads = map { start_collector($_->[0], '--scope', 'orders', '--clients', 2, '--ids', 1_000_000_000, '--tolerate-disconnect', '--save', $_->[1]) }
  [ $node, "$files/primary" ], [ $standby, "$files/standby" ];
$_->poll_query_until('postgres', "SELECT ids > 10000 FROM snowflake_stats WHERE scope = 'orders' AND database = 'postgres'") or die 'no load' for $node, $standby;
kill_family($node);
$standby->promote;
$counted = $standby->safe_psql('postgres', "SELECT ids FROM snowflake_stats WHERE scope = 'orders' AND database = 'postgres'");
$standby->poll_query_until('postgres', "SELECT ids > $counted + 10000 FROM snowflake_stats WHERE scope = 'orders' AND database = 'postgres'") or die 'no load';
is((finish_collector($loads[0]))[0], 0, 'on the primary, killed: no repeat');
is((stop_collector($loads[1]))[0], 0, 'on the standby, promoted: no repeat');
is(check_files("$files/primary", "$files/standby")->{repeats}, 0, 'nor between the two');
$standby->stop;
done_testing();
