# Layouts that go on for longer than int64 holds nanoseconds, and an epoch that the
# clock will not reach: issuing time stays within bounds.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# 557 years and 17,433 years.
my %layouts = ('time:44 shard:4 sequence:5 tick:1ms' => 0.001, 'time:39 shard:4 sequence:5 tick:1s' => 1);
for my $layout (sort keys %layouts) {
    my $node = new_node('long_' . ($layout =~ /^time:(\d+)/)[0], "idgen.layout = '$layout'", "idgen.epoch = '1970-01-01'", "idgen.lease_window = '10s'");
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION idgen');
    wait_for_state($node);
    my $sql = qq{
        WITH i AS MATERIALIZED (SELECT clock_timestamp() AS before, snowflake_nextval() AS id)
        SELECT snowflake_timestamp(id) BETWEEN before - interval '2 s' AND clock_timestamp() + interval '20 s' FROM i};
    is($node->safe_psql('postgres', $sql), 't', "$layout issues IDs of now");
    is($node->safe_psql('postgres', 'SELECT count(DISTINCT id) FROM snowflake_batch(200) AS id'), '200', 'and batches');
    is($node->safe_psql('postgres', q{SELECT ceiling > now() - interval '1 s' AND ceiling < now() + interval '2 minutes' FROM snowflake_instance}), 't',
        'its ceiling is near');
    $node->restart;
    is($node->safe_psql('postgres', $sql), 't', 'it goes on after a restart');
    $node->stop;
}

my $node = new_node('future', "idgen.epoch = '9000-01-01'");
$node->start;
poll_log($node, qr/clock is before the epoch of the layout, 9000-01-01/);
is((sqlstate_of($node, 'CREATE EXTENSION idgen'))[0], 'IDG02', 'before the epoch nothing is issued');
$node->stop;

done_testing();
