# The worker is in nobody's way: not of DDL, nor of a shutdown, nor of an idle
# machine.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = new_node('main', "idgen.lease_window = '1s'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($node);
my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000, '--tolerate-disconnect');
$node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
$node->safe_psql('doomed', 'CREATE EXTENSION idgen; SELECT snowflake_nextval()');
$node->safe_psql('postgres', 'DROP DATABASE doomed');
pass('DROP DATABASE with the worker up');
my ($code, undef, $err) = $node->psql('postgres', 'ALTER EXTENSION idgen UPDATE');
is($code, 0, 'ALTER EXTENSION UPDATE with the worker up');
like($err, qr/NOTICE/, 'there is nothing to update to');

# Measured: 0.1 to 0.4 s.
$node->safe_psql('postgres', 'CHECKPOINT');
my $begin = Time::HiRes::time();
$node->stop('fast');
my $took = Time::HiRes::time() - $begin;
cmp_ok($took, '<', soon(2), 'a fast shutdown after a CHECKPOINT, under load');
note("fast shutdown: $took s");
finish_collector($load);
$node->start;
# By the log, which also on a busy machine tells the worker's time from the rest.
my ($asked, $gone) = map { slurp_file($node->logfile) =~ /^(.*?) \[\d+\] .*$_/m } 'received fast shutdown request', 'background worker "idgen worker" .* exited';
is($node->safe_psql('postgres', "SELECT timestamptz '$gone' - timestamptz '$asked' < '5 s'"), 't', 'the worker goes at once');
$node->stop('smart');
pass('a smart shutdown');

# Idle: at most one small write per half window, and next to no CPU.
$node->start;
wait_for_state($node);
# Until the window is the one that is set, and the clocks have met.
$node->poll_query_until('postgres',
    "SELECT i.window_left > interval '0.8 s' AND c.state = 'synchronized' FROM snowflake_instance AS i, snowflake_clock AS c")
  or die 'the window did not grow';
my ($worker) = $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance');
sub cpu_seconds {
    my ($user, $system) = (split / /, slurp_file("/proc/$worker/stat") =~ s/^.*\) //r)[ 11, 12 ];
    return ($user + $system) / 100;
}
my $seconds = $ENV{IDGEN_SOAK} ? 60 : 5;
my ($writes, $inode, $cpu) = (0, 0, cpu_seconds());
$begin = Time::HiRes::time();
while (Time::HiRes::time() - $begin < $seconds) {
    my ($device, $now) = stat(record_of($node));
    if (defined $now && $now != $inode) {
        $writes++ if $inode;
        $inode = $now;
    }
    select(undef, undef, undef, 0.01);
}
$cpu = cpu_seconds() - $cpu;
$took = Time::HiRes::time() - $begin;
note("idle: $writes writes and $cpu s of CPU in $took s");
cmp_ok($writes, '<=', $took / 0.5 + 1, 'one write per half window at most');
cmp_ok($writes, '>', 0, 'which is seen');
cmp_ok(-s record_of($node), '<', 2048, 'a small one');
cmp_ok($cpu, '<=', 0.02 * $took, 'and next to no CPU');
$node->stop;

# Nor much while it slews, at a hundred samples a second.
$node = new_node('holding', "idgen.lease_window = '1s'");
faulty($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($node);
set_clock($node, -40);
$node->poll_query_until('postgres', "SELECT state = 'holding' FROM snowflake_clock") or die 'it does not hold';
($worker) = $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance');
($begin, $cpu) = (Time::HiRes::time(), cpu_seconds());
sleep($seconds);    # the time itself is what is measured
$cpu = cpu_seconds() - $cpu;
$took = Time::HiRes::time() - $begin;
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'holding', 'it holds throughout');
note("holding: $cpu s of CPU in $took s, under libfaketime");
cmp_ok($cpu, '<=', 0.05 * $took, 'and takes little CPU, libfaketime\'s included');
$node->stop;
done_testing();
