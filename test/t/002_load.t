# Concurrent clients: no ID twice, none out of order; callers that wait for the
# clock; long batches.
use strict;
use warnings;

use IdgenTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');

my ($code, $figures) = run_collector($node, '--clients', 8, '--ids', 10_000_000);
is($code, 0, 'the clients were served');
cmp_ok($figures->{ids}, '>=', 10_000_000, 'all IDs were collected');
is($figures->{repeats}, 0, 'eight clients never get an ID twice');
is($figures->{inversions}, 0, 'an ID is greater than every one returned before its call began');

# The counters agree with what the clients got.
my $counted = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
cmp_ok($counted, '>=', $figures->{ids}, 'the statistics count every ID');
my ($calls, $batches) = split /\|/, $node->safe_psql('postgres', 'SELECT calls, batches FROM snowflake_stats WHERE scope IS NULL');
is($calls + $batches, $figures->{calls}, 'and every call');

my $before = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($before, '>', $figures->{greatest}, 'the next ID is greater than all of them');

# Batches are served beside a session that takes every ID the clock allows, one
# by one, and single callers beside one that does so by batches.
reconfigure($node, 'max_batch', '2000000000');
for my $greedy (
    'SELECT count(id) FROM (SELECT snowflake_nextval() AS id, generate_series(1, 2000000000)) AS s',
    'SELECT count(*) FROM (SELECT snowflake_batch(2000000000)) AS b') {
    my $hog = $node->background_psql('postgres', on_error_stop => 0);
    my $hog_pid = $hog->query('SELECT pg_backend_pid()');
    my $waits = 'SELECT waits_clock FROM snowflake_stats WHERE scope IS NULL';
    my $so_far = $node->safe_psql('postgres', $waits);
    $hog->query_until(qr/begun/, "\\echo begun\n$greedy;\n");
    $node->poll_query_until('postgres', "SELECT ($waits) > $so_far + 20") or die 'the clock was never reached';
    is($node->safe_psql('postgres', "SELECT count(*) FROM snowflake_batch($_)"), $_, "a batch of $_ is served")
      for 2, 64, 65, 2000;
    is($node->safe_psql('postgres', 'SELECT count(snowflake_nextval()) FROM generate_series(1, 100)'),
        100, 'and single callers are');
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($hog_pid, 10000)");
    $hog->{run}->finish;
}

# A parallel query may issue.
my $parallel = $node->safe_psql('postgres', q{
    CREATE TABLE wide AS SELECT g FROM generate_series(1, 200000) AS g;
    ALTER TABLE wide SET (parallel_workers = 2);
    SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    CREATE TABLE ids AS SELECT snowflake_nextval() AS id FROM wide;
    SELECT count(*) = count(DISTINCT id) FROM ids;
});
is($parallel, 't', 'parallel workers never get an ID twice');

# A long batch ends at once when it is cancelled.
my $start = time();
my ($state) = sqlstate_of($node,
    "SET statement_timeout = '200ms'; SELECT count(*) FROM (SELECT snowflake_batch(2000000000)) AS b");
is($state, '57014', 'a long batch can be cancelled');
cmp_ok(time() - $start, '<', 30, 'and does not run to its end first');

($code) = run_collector($node, '--clients', 2, '--ids', 100_000);
is($code, 0, 'and others go on');

# With a long lead the same batch does not wait for the clock.
my $batch = 'SELECT sum(count) FROM snowflake_reserve(4000000); SELECT waits_clock, waits_ceiling FROM snowflake_stats WHERE scope IS NULL';
my $waited = $node->safe_psql('postgres', 'SELECT waits_clock FROM snowflake_stats WHERE scope IS NULL');
$node->safe_psql('postgres', $batch);
cmp_ok($node->safe_psql('postgres', 'SELECT waits_clock FROM snowflake_stats WHERE scope IS NULL'), '>', $waited, 'a long batch waits for the clock');
is($node->safe_psql('postgres', "SELECT waits_clock_time > interval '0' FROM snowflake_stats WHERE scope IS NULL"), 't', 'and the time is counted');
reconfigure($node, 'lease_window', '1min');
reconfigure($node, 'max_lead', '10s');
$node->poll_query_until('postgres', "SELECT window_left > interval '4s' FROM snowflake_instance")
  or die 'the window did not grow';
$waited = $node->safe_psql('postgres', 'SELECT waits_clock FROM snowflake_stats WHERE scope IS NULL');
$node->safe_psql('postgres', $batch);
is($node->safe_psql('postgres', 'SELECT waits_clock FROM snowflake_stats WHERE scope IS NULL'), $waited, 'with a long lead it does not');
$node->stop;
done_testing();
