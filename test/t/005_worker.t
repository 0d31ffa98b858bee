# The worker: its death is survived, its silence fences the instance, a pinned
# shard is taken on reload, binary upgrade has none.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', "idgen.window = '1s'", 'restart_after_crash = on');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');

sub worker_pid { return $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance') }

# Terminated under load: restarted, nobody notices.
for my $round (1 .. 3) {
    my $pid = worker_pid();
    my $load = start_collector($node, '--clients', 4, '--ids', 2_000_000);
    kill 'TERM', $pid;
    $node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM snowflake_instance")
      or die 'the worker did not come back';
    my ($code, $figures) = finish_collector($load);
    is($code, 0, "round $round: no client error, no repeat while the worker restarts");
    is($node->safe_psql('postgres', 'SELECT state FROM snowflake_instance'), 'active', 'the grant stayed');
}

# Frozen: issuing stops at the ceiling, with the reason; thawed: it goes on.
my $pid = worker_pid();
my $ceiling = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
kill 'STOP', $pid;
$node->poll_query_until('postgres', 'SELECT window_left = interval \'0\' FROM snowflake_instance')
  or die 'the ceiling was not reached';
my ($state, $message) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()");
is($state, 'IDG03', 'a frozen worker fences the instance at its ceiling');
like($message, qr/durable ceiling/, 'and the reason is said');
is($node->safe_psql('postgres', 'SELECT waits_ceiling > 0 FROM snowflake_stats'), 't', 'the wait is counted');
kill 'CONT', $pid;
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'thawed, it goes on');

# Killed: the server re-initialises; a new incarnation; the next ID is greater.
my $last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $incarnation = $node->safe_psql('postgres', 'SELECT incarnation FROM snowflake_instance');
kill 'KILL', worker_pid();
$node->poll_query_until('postgres', "SELECT incarnation <> '$incarnation' FROM snowflake_instance")
  or die 'the server did not come back';
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last,
    'a killed worker costs a re-initialisation, never an ID');

# A pinned shard is taken on reload; order holds across the change.
$last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $load = start_collector($node, '--clients', 4, '--ids', 4_000_000);
$node->append_conf('postgresql.conf', "idgen.shard = 77\n");
$node->reload;
$node->poll_query_until('postgres', 'SELECT node = 77 FROM snowflake_instance')
  or die 'the pinned shard was not taken';
my ($code) = finish_collector($load);
is($code, 0, 'a change of node under load: no error, no repeat, no inversion');
is($node->safe_psql('postgres', 'SELECT snowflake_node(snowflake_nextval())'), '77', 'IDs carry the pinned node');

# Also one that is set while the worker is away.
kill 'TERM', worker_pid();
$node->append_conf('postgresql.conf', "idgen.shard = 78\n");
$node->reload;
$node->poll_query_until('postgres', 'SELECT node = 78 FROM snowflake_instance')
  or die 'the pinned shard was not taken';
pass('a shard that is pinned while the worker is away is taken');

# DROP DATABASE isn't held up: the worker has no connection.
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
$node->safe_psql('doomed', 'CREATE EXTENSION idgen; SELECT snowflake_nextval()');
$node->safe_psql('postgres', 'DROP DATABASE doomed');
pass('DROP DATABASE with the worker up');
$node->stop;

# Binary upgrade: no worker, so no grant.
my $upgrade = new_node('upgrade');
$upgrade->start;
$upgrade->safe_psql('postgres', 'CREATE EXTENSION idgen; SELECT snowflake_nextval()');
$upgrade->stop;
my $record = slurp_file($upgrade->data_dir . '/idgen/record');
command_ok([ 'pg_ctl', '-w', '-D', $upgrade->data_dir, '-l', $upgrade->logfile, '-o', '-b --cluster-name=upgrade', 'start' ],
    'starts in binary upgrade mode');
is($upgrade->safe_psql('postgres', 'SELECT worker_pid IS NULL, state FROM snowflake_instance'),
    't|acquiring', 'binary upgrade has no worker');
command_ok([ 'pg_ctl', '-w', '-D', $upgrade->data_dir, '-m', 'fast', 'stop' ], 'stops');
is(slurp_file($upgrade->data_dir . '/idgen/record'), $record, 'and the record is untouched');
done_testing();
