# A wall clock that is set far back: policies rotate and stop; crashes while it
# is behind; whole instances that freeze.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $soak = $ENV{IDGEN_SOAK};
my $files = PostgreSQL::Test::Utils::tempdir();

sub next_id { return $_[0]->safe_psql('postgres', 'SELECT snowflake_nextval()') }

# Seconds by which the newest ID's time is ahead of the true clock as it is afterwards.
sub id_lead {
    my ($node) = @_;
    return next_id_time($node) - Time::HiRes::time();
}
sub next_id_time { return $_[0]->safe_psql('postgres', 'SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()))') }

sub check_files {
    my @saved = @_;
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    note($out);
    return figures($out);
}

# --- rotate: another node follows the wall clock -----------------------------

my $node = new_node('rotate', 'injection', "idgen.on_clock_rollback = 'rotate'");
faulty($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $old_node = instance($node, 'node');

# Callers that stand still between any two of their loads, from before the
# rotation until after it.
my $pause = $node->data_dir . '/idgen.pause';
append_to_file($pause, '');
my @callers = map {
    my $caller = $node->background_psql('postgres');
    $caller->query("SET idgen.injection_point = $_");
    $caller->query_until(qr/asked/, "\\echo asked\nSELECT 'id=' || snowflake_nextval();\n");
    $caller;
} 1 .. 4;
ok(poll(sub { my @marks = glob($node->data_dir . '/idgen.paused.*'); return @marks == 4 }),
    'rotate: four callers stand between their loads');

my $load = start_collector($node, gently(), '--clients', 4, '--ids', 1_000_000_000, '--save', "$files/rotate");
$node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
set_clock($node, -3600);
$node->poll_query_until('postgres', "SELECT node <> $old_node FROM snowflake_instance")
  or die 'no other node was taken';
wait_for_state($node);
my $ids = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
$node->poll_query_until('postgres', "SELECT ids > $ids + 1000 FROM snowflake_stats WHERE scope IS NULL") or die 'no load';
cmp_ok(abs(id_lead($node) + 3600), '<', 30, 'rotate: IDs carry the wall time');
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'synchronized', 'rotate: synchronized');
like(clock_events($node), qr/^rollback\nrotated$/m, 'rotate: in the ring');
like(slurp_file($node->logfile), qr/WARNING:  idgen: took another node to follow/, 'rotate: and in the log');

# Who stood still goes on now.
unlink($pause);
my @late;
for my $caller (@callers) {
    $caller->quit;
    push @late, $caller->{stdout} =~ /id=(\d+)/;
}
is(@late, 4, 'rotate: who stood still got an ID');
my ($code, $figures) = stop_collector($load);
isnt($code, 2, 'rotate: no client error');
write_calls("$files/late", map { [ 0, 9e18, $_ ] } @late);
is(check_files("$files/rotate", "$files/late")->{repeats}, 0, 'rotate: 0 repeats');

# The old node is remembered, and not taken back below its ceiling.
like(slurp_file(record_of($node)), qr/^left = .*\b$old_node@\d+/m, 'rotate: the record names the node that was left');
my @nodes = ($old_node, instance($node, 'node'));
for my $round (2 .. ($soak ? 20 : 3)) {
    set_clock($node, -3600 * $round);
    my ($id_node, $file) = ($nodes[-1], "$files/rotate$round");
    $node->poll_query_until('postgres', "SELECT state = 'active' AND node <> $id_node FROM snowflake_instance")
      or die 'no other node was taken';
    push @nodes, instance($node, 'node');
    run_collector($node, '--ids', 10_000, '--save', $file);
}
is(scalar(keys %{ { map { $_ => 1 } @nodes } }), scalar(@nodes), 'rotate: each time a node that was not held before');
# After a restart, too: an hour further back, the record names them all.
$node->stop('immediate');
set_clock($node, -3600 * 30);
$node->start;
my $id_node = $nodes[-1];
$node->poll_query_until('postgres', "SELECT state = 'active' AND node <> $id_node FROM snowflake_instance")
  or die 'no other node was taken';
my $now = instance($node, 'node');
is(scalar(grep { $_ == $now } @nodes), 0, 'rotate: nor after a restart');
run_collector($node, '--ids', 10_000, '--save', "$files/rotate_last");
is(check_files(glob("$files/rotate*"), "$files/late")->{repeats}, 0, 'rotate: 0 repeats in all of it');

# A pinned shard can't rotate: it holds on.
reconfigure($node, 'shard', 5);
$node->poll_query_until('postgres', 'SELECT node = 5 FROM snowflake_instance') or die 'not pinned';
set_clock($node, -3600 * 40);
$node->poll_query_until('postgres',
    "SELECT count(*) = 1 FROM snowflake_clock_events WHERE event = 'rotation refused'")
  or die 'the refusal is not in the ring';
is(instance($node, 'node'), '5', 'rotate: a pinned node is kept');
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'rollback', 'rotate: and holds on');
cmp_ok(next_id($node), '>', 0, 'rotate: issuing');
$node->stop('immediate');

# --- stop: the breaker -------------------------------------------------------

$node = new_node('stop', "idgen.on_clock_rollback = 'stop'");
faulty($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $last = next_id($node);
set_clock($node, -3600);
wait_for_state($node, 'breaker');
my ($state, $message, $took) = sqlstate_of($node, "SET idgen.max_wait = '1h'; SELECT snowflake_nextval()");
is($state, 'IDG02', 'stop: refused');
cmp_ok($took, '<', soon(1), 'stop: at once');
like($message, qr/59 min \d+ s behind issuing time/, 'stop: by how much');
like($message, qr/HINT:.*Set the system's clock right/, 'stop: and what to do');
$node->stop('immediate');
$node->start;
wait_for_state($node, 'breaker');
is((sqlstate_of($node, 'SELECT snowflake_nextval()'))[0], 'IDG02', 'stop: a restart changes nothing');
is($node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL'), '0', 'stop: not one ID in between');
set_clock($node, 0);
wait_for_state($node);
my $next = next_id($node);
cmp_ok($next, '>', $last, 'stop: goes on by itself when the clock is right again');
like(clock_events($node), qr/^stopped\n(?:.*\n)*resumed$/m, 'stop: in the ring');
set_clock($node, -3600);
wait_for_state($node, 'breaker');
reconfigure($node, 'on_clock_rollback', 'hold');
wait_for_state($node);
cmp_ok(next_id($node), '>', $next, 'stop: or when the policy is changed');

# The kernel's opinion, where it must be had.
reconfigure($node, 'require_clock_sync', 'on');
if ($node->safe_psql('postgres', 'SELECT kernel FROM snowflake_clock') eq 'synchronized') {
    cmp_ok(next_id($node), '>', 0, 'a kernel that is synchronized may issue');
} else {
    wait_for_state($node, 'breaker');
    ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
    is($state, 'IDG02', 'a kernel that is not synchronized may not issue');
    like($message, qr/require_clock_sync/, 'and says why');
    reconfigure($node, 'require_clock_sync', 'off');
    wait_for_state($node);
    cmp_ok(next_id($node), '>', 0, 'unless it needn\'t be');
}
# Nor may one that a filter of system calls hides.
bad_disk($node, 'adjtime');
reconfigure($node, 'require_clock_sync', 'on');
wait_for_state($node, 'breaker');
$node->poll_query_until('postgres', q{SELECT kernel = 'unknown' FROM snowflake_clock}) or die 'the state of the kernel is known';
($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG02', 'a kernel that does not tell may not issue');
like($message, qr/HINT:  The kernel does not let the server read the state of its clock\. Allow the system calls adjtimex/, 'and the hint says what helps');
bad_disk($node);
reconfigure($node, 'require_clock_sync', 'off');
wait_for_state($node);
$node->stop('immediate');

# --- crashes while the wall clock is behind ----------------------------------

for my $kind ('an hour behind', 'a minute further back each time') {
    my $loops = $soak ? 1000 : 10;
    my $started = Time::HiRes::time();
    $node = new_node($kind eq 'an hour behind' ? 'behind' : 'further');
    faulty($node);
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION idgen');
    my @saved;
    my $greatest = next_id($node);
    for my $loop (1 .. $loops) {
        set_clock($node, $kind eq 'an hour behind' ? -3600 : -60 * $loop);
        my $file = "$files/crash$loop";
        $load = start_collector($node, gently(), '--clients', 4, '--ids', 1_000_000_000, '--tolerate-disconnect', '--save', $file);
        $node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
        if ($loop % 2) {
            kill_family($node);
            is((finish_collector($load))[0], 0, "$kind, loop $loop: no error but the crash");
        } else {
            $node->stop('immediate');
            is((finish_collector($load))[0], 0, "$kind, loop $loop: no error but the stop");
        }
        $node->start;
        my $of_loop = check_files($file)->{greatest};
        $greatest = $of_loop if $of_loop > $greatest;
        $next = next_id($node);
        cmp_ok($next, '>', $greatest, "$kind, loop $loop: the first new ID is greater than the last one");
        $greatest = $next;
        push @saved, $file;
    }
    $figures = check_files(@saved);
    is($figures->{repeats}, 0, "$kind: 0 repeats over all loops");
    is($figures->{inversions}, 0, "$kind: 0 inversions over all loops");
    # Each start adds no more than its first window, 0.2 s, or a tenth of a longer life; while
    # the disk is slow, as much as four writes take.
    cmp_ok(id_lead($node), '<', 0.2 * ($loops + 1) + (Time::HiRes::time() - $started) / 4, "$kind: the lead stays within its bound");
    note("$kind: lead after $loops crashes: " . id_lead($node) . ' s');
    $node->stop('immediate');
}

# --- a whole instance that freezes -------------------------------------------

$node = new_node('frozen', "idgen.lease_window = '1s'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
$load = start_collector($node, gently(), '--clients', 4, '--ids', 1_000_000_000);
$node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
my @all = family($node);
kill 'STOP', @all;
sleep($soak ? 10 : 3);    # the time itself is the condition: three windows
kill 'CONT', @all;
my $before = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
$node->poll_query_until('postgres', "SELECT ids > $before + 10000 FROM snowflake_stats WHERE scope IS NULL") or die 'no load';
($code) = stop_collector($load);
is($code, 0, 'frozen as a whole and thawed: no error, no repeat, no inversion');
$node->stop;
done_testing();
