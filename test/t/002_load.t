# Concurrent clients: no ID twice, none out of order, and callers wait rather
# than fail right after a start.
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
my $counted = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats');
cmp_ok($counted, '>=', $figures->{ids}, 'the statistics count every ID');
my ($calls, $batches) = split /\|/, $node->safe_psql('postgres', 'SELECT calls, batches FROM snowflake_stats');
is($calls + $batches, $figures->{calls}, 'and every call');

# Single callers find room beside a session that asks without pause.
my $before = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($before, '>', $figures->{greatest}, 'the next ID is greater than all of them');

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
$node->safe_psql('postgres', "ALTER SYSTEM SET idgen.max_batch = 2000000000; SELECT pg_reload_conf()");
$node->poll_query_until('postgres', "SELECT current_setting('idgen.max_batch') = '2000000000'")
  or die 'the setting did not arrive';
my $start = time();
my ($state) = sqlstate_of($node,
    "SET statement_timeout = '200ms'; SELECT count(*) FROM (SELECT snowflake_batch(2000000000)) AS b");
is($state, '57014', 'a long batch can be cancelled');
cmp_ok(time() - $start, '<', 30, 'and does not run to its end first');

# The same while a caller waits for a clock that is far behind.
($code) = run_collector($node, '--clients', 2, '--ids', 100_000);
is($code, 0, 'and others go on');
$node->stop;
done_testing();
