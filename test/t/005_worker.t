# The worker: its death is survived, its silence fences the instance, a pinned
# shard is taken on reload, binary upgrade has none.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', "idgen.lease_window = '1s'", 'restart_after_crash = on');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');

sub worker_pid { return $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance') }

# The load has begun: IDs were issued since.
sub wait_for_load {
    my $before = shift;
    $node->poll_query_until('postgres', "SELECT ids > $before + 1000 FROM snowflake_stats WHERE scope IS NULL")
      or die 'the load did not begin';
    return;
}
sub ids_so_far { return $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL') }

# What the view says.
is(instance($node, 'floor <= issuing_time AND issuing_time < ceiling AND ceiling = issuing_time + window_left'),
    't', 'floor, issuing time, ceiling');
is(instance($node, "state_since BETWEEN pg_postmaster_start_time() AND clock_timestamp() AND epoch = '2010-01-01 UTC'"),
    't', 'since when, from when on');
my ($words) = slurp_file(record_of($node)) =~ /^incarnation = (\w+)$/m;
is(instance($node, "replace(incarnation::text, '-', '')"), $words, 'the incarnation is the record\'s');
is(instance($node, 'last_error IS NULL AND last_error_at IS NULL'), 't', 'no error yet');

# Terminated under load: restarted, and nobody notices.
for my $round (1 .. 2) {
    my $pid = worker_pid();
    my ($floor, $since) = split /\|/, instance($node, 'floor, state_since');
    my $before = ids_so_far();
    my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
    wait_for_load($before);
    kill 'TERM', $pid;
    $node->poll_query_until('postgres', 'SELECT worker_pid IS NULL FROM snowflake_instance')
      or die 'the worker did not go';
    $node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM snowflake_instance")
      or die 'the worker did not come back';
    ok($load->{handle}->pumpable, "round $round: under load");
    my ($code, $figures) = stop_collector($load);
    is($code, 0, "round $round: no client error, no repeat while the worker restarts");
    is(instance($node, 'floor, state_since'), "$floor|$since", 'the grant stayed');
}
# Or, where a write takes more than a quarter of it, longer.
is($node->safe_psql('postgres', q{SELECT window_left <= greatest('1 s', 8 * renewal_longest) FROM snowflake_instance, snowflake_worker_stats}),
    't', 'the window is what is set');

# Frozen: issuing stops at the ceiling, with the reason; thawed: it goes on.
my $pid = worker_pid();
my $files = PostgreSQL::Test::Utils::tempdir();
my $frozen;
{
    # Callers that give up soon, so that the freeze ends them all.
    local $ENV{PGOPTIONS} = '-c idgen.max_wait=300ms';
    $frozen = start_collector($node, '--clients', 4, '--ids', 1_000_000_000, '--tolerate', 'IDG03', '--save', "$files/frozen");
    wait_for_load(ids_so_far());
}
kill 'STOP', $pid;
my $ceiling = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
$node->poll_query_until('postgres', 'SELECT window_left = interval \'0\' FROM snowflake_instance')
  or die 'the ceiling was not reached';
my ($frozen_code, $figures) = finish_collector($frozen);
is($frozen_code, 0, 'a frozen worker: callers end with IDG03, no other error');
cmp_ok($figures->{ids}, '>', 1000, 'a frozen worker: under load');
is($node->safe_psql('postgres', "SELECT snowflake_timestamp($figures->{greatest}::bigint::snowflakeid) < '$ceiling'"), 't',
    'and no ID at or above the ceiling');
my ($state, $message, $took) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()");
is($state, 'IDG03', 'a frozen worker fences the instance at its ceiling');
like($message, qr/durable ceiling/, 'and the reason is said');
cmp_ok($took, '<', soon(1), 'after idgen.max_wait');
is($node->safe_psql('postgres', 'SELECT waits_ceiling > 0 FROM snowflake_stats WHERE scope IS NULL'), 't', 'the wait is counted');
($state, undef, $took) = sqlstate_of($node,
    "SET idgen.max_wait = '1h'; SET statement_timeout = '100ms'; SELECT snowflake_nextval()");
is($state, '57014', 'who waits can be cancelled');
cmp_ok($took, '<', soon(1), 'at once');
# Thawed, it goes on: who waits is woken. The best of three freezes counts: one
# alone may meet a busy disk.
my $best;
for my $round (1 .. 3) {
    kill 'STOP', $pid if $round > 1;
    $node->poll_query_until('postgres', 'SELECT window_left = interval \'0\' FROM snowflake_instance')
      or die 'the ceiling was not reached';
    my $waiter = $node->background_psql('postgres');
    $waiter->query("SET idgen.max_wait = '1h'");
    $waiter->query_until(qr/asked/, "\\echo asked\nSELECT snowflake_nextval() > 0;\n");
    $node->poll_query_until('postgres',
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT snowflake_nextval() > 0%' AND wait_event = '" . wait_event($node, 'IdgenCeiling') . "' AND state = 'active'")
      or die 'nobody waits';
    my $begin = time();
    kill 'CONT', $pid;
    $waiter->quit;
    my $needed = time() - $begin;
    $best = $needed if !defined $best || $needed < $best;
    note(sprintf 'went on %.3f s after SIGCONT', $needed);
}
cmp_ok($best, '<', soon(1), 'a grant wakes who waits for it, for an hour if need be, soon after SIGCONT');
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'thawed, it goes on');

# The record is gone and the worker, too: the next one draws a node afresh, but
# never starts below what this instance was promised.
reconfigure($node, 'lease_window', '30s');
$node->poll_query_until('postgres', "SELECT window_left > interval '500ms' FROM snowflake_instance")
  or die 'the window did not grow';
replace_worker(
    $node,
    sub {
        $ceiling = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
        unlink(record_of($node), $node->data_dir . '/idgen.marker') == 2 or die 'no record, or no marker';
    },
    sub { return !-e record_of($node) });
$node->poll_query_until('postgres', "SELECT floor >= '$ceiling' FROM snowflake_instance")
  or die 'the floor is below the ceiling that was granted before';
pass('without a record the instance\'s own ceiling is the floor');

# Killed: the server re-initialises; a new incarnation; the next ID is greater.
my $killed = start_collector($node, '--clients', 4, '--ids', 1_000_000_000, '--tolerate-disconnect', '--save', "$files/before");
wait_for_load(ids_so_far());
my $last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $incarnation = $node->safe_psql('postgres', 'SELECT incarnation FROM snowflake_instance');
kill 'KILL', worker_pid();
$node->poll_query_until('postgres', "SELECT incarnation <> '$incarnation' FROM snowflake_instance")
  or die 'the server did not come back';
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last,
    'a killed worker costs a re-initialisation, never an ID');
is((finish_collector($killed))[0], 0, 'but for the disconnect, no error');
run_collector($node, '--clients', 4, '--ids', 10_000, '--save', "$files/after");
my $judged = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', "$files/before", "$files/after" ], '>', \$judged);
$figures = figures($judged);
cmp_ok($figures->{ids}, '>', 11_000, 'killed under load');
is("$figures->{repeats} $figures->{inversions}", '0 0', 'no repeat, no inversion across the re-initialisation');

# A pinned shard is taken on reload; order holds across the change.
$last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $before = ids_so_far();
my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
wait_for_load($before);
$node->append_conf('postgresql.conf', "idgen.shard = 77\n");
$node->reload;
$node->poll_query_until('postgres', 'SELECT node = 77 FROM snowflake_instance')
  or die 'the pinned shard was not taken';
ok($load->{handle}->pumpable, 'under load');
my ($code) = stop_collector($load);
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

# Up to 15 the postmaster may miss that it has to restart the worker. If the worker ends just
# before the postmaster's select(), the postmaster sleeps for a minute, unless a client connects.
# Calls that wait remind it.
SKIP: {
    skip 'the postmaster waits without a gap from 16 on', 4 if $node->pg_version >= 16;
    my $asleep = new_node('asleep', "idgen.lease_window = '1s'", 'autovacuum = off');
    faulty($asleep);
    $asleep->start;
    $asleep->safe_psql('postgres', 'CREATE EXTENSION idgen');
    my $session = $asleep->background_psql('postgres');
    for my $call ('snowflake_nextval() IS NOT NULL', 'NOT snowflake_accept_clock()') {
        my $pid = $session->query('SELECT worker_pid FROM snowflake_instance');
        bad_disk($asleep, 'select');
        my $held = $asleep->{idgen_bad_disk} . '.held';
        poll(sub { $asleep->reload; return -e $held }) or die 'the postmaster was not held';
        kill 'TERM', $pid;
        poll(sub { return !kill(0, $pid) }) or die 'the worker did not go';
        bad_disk($asleep);
        poll(sub { return !-e $held }) or die 'the postmaster was not let go';
        # Longer than a restart takes.
        is($session->query('SELECT pg_sleep(2); SELECT worker_pid IS NULL AND window_left = interval \'0\' FROM snowflake_instance'), "\nt", 'the postmaster is asleep');
        is($session->query("SELECT $call"), 't', "a call has it start the worker: $call");
    }
    $session->quit;
    $asleep->stop;
}

# Single-user mode: no worker either.
my ($out, $err) = ('', '');
IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ],
    '<', \"SELECT snowflake_nextval();\nSELECT snowflake_accept_clock();\n", '>', \$out, '2>', \$err);
is(() = $err =~ /ERROR:  no IDs are issued in single-user mode/g, 2, 'single-user mode issues nothing');

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
