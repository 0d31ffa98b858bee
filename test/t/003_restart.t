# Whatever ends the server or one of its processes, the next ID is greater than
# every one issued before, and none comes twice.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $loops = $ENV{IDGEN_SOAK} ? 200 : 20;
my $node = new_node('main', 'restart_after_crash = on', "idgen.lease_window = '5min'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');

my $files = PostgreSQL::Test::Utils::tempdir();
my @saved;
my $greatest = 0;
my $started = Time::HiRes::time();
my @ways = ('restart', 'immediate stop', 'kill -9 of a backend');

for my $loop (1 .. $loops) {
    my $way = $ways[ $loop % @ways ];
    my $file = "$files/$loop";
    my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000,
        '--tolerate-disconnect', '--save', $file);
    # Every loop ends under load: some IDs must be out first.
    $node->poll_query_until('postgres', 'SELECT ids > 20000 FROM snowflake_stats WHERE scope IS NULL')
      or die 'the load did not start';
    if ($way eq 'restart') {
        $node->restart;
    } elsif ($way eq 'immediate stop') {
        $node->stop('immediate');
        $node->start;
    } else {
        my $victim = $node->safe_psql('postgres',
            "SELECT pid FROM pg_stat_activity WHERE query LIKE '%snowflake_%' AND pid <> pg_backend_pid() LIMIT 1");
        my $incarnation = $node->safe_psql('postgres', 'SELECT incarnation FROM snowflake_instance');
        kill 'KILL', $victim;
        $node->poll_query_until('postgres',
            "SELECT incarnation <> '$incarnation' FROM snowflake_instance")
          or die 'the server did not come back';
    }
    my ($code, $figures) = finish_collector($load);
    is($code, 0, "loop $loop: 0 repeats, 0 inversions before the $way");
    push @saved, $file;
    $greatest = $figures->{greatest} if $figures->{greatest} > $greatest;
    my $next = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
    cmp_ok($next, '>', $greatest, "loop $loop: the next ID after the $way is greater");
    $greatest = $next;
}

my $out = '';
my $ok = IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
ok($ok, 'all loops judged as one: no repeat, no inversion');
my $figures = figures($out);
note($out);
is($figures->{repeats}, 0, 'no ID twice across restarts');
is($figures->{inversions}, 0, 'no ID out of order across restarts');
cmp_ok($figures->{ids}, '>', 20_000 * $loops, 'the loops were loaded');

# Issuing time must not have run away from the clock: each start begins at the
# ceiling of the one before, so that full windows would have taken it hours ahead.
my $lead = $node->safe_psql('postgres',
    'SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()) - clock_timestamp())');
# Each start adds the 0.2 s of a first window at most, or a tenth of a longer life; while
# the disk is slow, as much as four writes take.
my $lived = Time::HiRes::time() - $started;
cmp_ok($lead, '<', 0.2 * $loops + $lived / 4, sprintf('issuing time stays near the wall clock (%.1f s, after %.0f s)', $lead, $lived));
cmp_ok($node->safe_psql('postgres', "SELECT window_left < interval '60s' FROM snowflake_instance"), 'eq', 't',
    'and so does the ceiling');

# A fast shutdown isn't held up by the worker.
$node->safe_psql('postgres', 'CHECKPOINT');
my $begin = Time::HiRes::time();
$node->stop('fast');
cmp_ok(Time::HiRes::time() - $begin, '<', soon(5), 'fast shutdown');
done_testing();
