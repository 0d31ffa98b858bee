# A server that doesn't preload idgen decodes and says what to add; one that does
# starts only with settings that make sense.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

# Not preloaded.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, '55000', 'without preload issuing is refused');
like($message, qr/shared_preload_libraries = 'idgen'/, 'and the line to add is named');
($state) = sqlstate_of($node, 'SELECT snowflake_batch(3)');
is($state, '55000', 'without preload a batch is refused');
is($node->safe_psql('postgres', "SELECT node FROM snowflake_decode(1541815603606036480, 'twitter')"),
    '378', 'without preload decoding works');
is($node->safe_psql('postgres', 'SELECT count(*) FROM snowflake_instance'),
    '0', 'without preload the instance view is empty');

# A database that is made meanwhile records what the configuration file says.
$node->append_conf('postgresql.conf', "idgen.layout = 'time:41 shard:4 sequence:8'\nidgen.epoch = '2024-01-01'\n");
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION idgen');
is($node->safe_psql('other', "SELECT definition, epoch FROM snowflake_layouts WHERE name = 'idgen'"),
    'time:41 shard:4 sequence:8 tick:1ms|2024-01-01T00:00:00Z', 'without preload the layout is that of the file');
$node->append_conf('postgresql.conf', "idgen.layout = 'time:41 region:3 shard:7 sequence:12'\nidgen.epoch = '2010-01-01'\n");

# Preloaded now.
configure($node);
$node->restart;
ok($node->safe_psql('postgres', 'SELECT snowflake_nextval() < snowflake_nextval()') eq 't',
    'with preload the same database issues');
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_instance'), 'active', 'the node is held');
# The preloading server issues in one layout only.
($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()', dbname => 'other');
is($state, 'IDG06', 'a database that recorded another layout issues nothing');
like($message, qr/this database's layout .*time:41 shard:4.*time:41 region:3/s, 'and both are named');

# Wrong settings stop the start and name what is allowed.
my @wrong = (
    [ "idgen.layout = 'time:41 region:3 shard:7 sequence:3'", qr/at least 5 bits of sequence/ ],
    [ "idgen.layout = 'time:41 machine:10 sequence:12'", qr/names allowed are time, region/ ],
    [ "idgen.layout = 'time:42 region:3 shard:7 sequence:12'", qr/at most 63 bits/ ],
    [ "idgen.layout = 'sequence:12 time:41 shard:10'", qr/only in the order time, region, shard/ ],
    [ "idgen.layout = 'time:41 sequence:12'", qr/at least one bit of region or shard/ ],
    [ "idgen.epoch = 'yesterday'", qr/date and time in UTC/ ],
    [ "idgen.epoch = '20250101'", qr/date and time in UTC/ ],
    [ "idgen.layout = 'time:48 shard:4 sequence:11 tick:3ms'\nidgen.epoch = '9990-01-01'", qr/end after the year/ ],
    [ "idgen.region = 8", qr/0 to 7 are allowed/ ],
    [ "idgen.shard = 128", qr/0 to 127 are allowed/ ],
    [ "idgen.layout = 'time:31 shard:10 sequence:20 tick:1s'\nidgen.lease_window = '3s'", qr/at least 4 ticks/ ],
    [ "idgen.lease_window = 'soon'", qr/idgen\.lease_window/ ],
    [ "idgen.max_lead = 0", qr/idgen\.max_lead/ ],
    [ "idgen.registry = 'zookeeper'", qr/A registry is "local", or a URL/ ],
);
$node->stop;
for my $wrong (@wrong) {
    my ($line, $pattern) = @$wrong;
    my $conf = $node->data_dir . '/postgresql.conf';
    my $before = slurp_file($conf);
    $node->append_conf('postgresql.conf', "$line\n");
    my $offset = -s $node->logfile;
    ok(!$node->start(fail_ok => 1), "refused at start: $line");
    like(slurp_file($node->logfile, $offset), $pattern, 'and what is allowed is said');
    open(my $file, '>', $conf) or die "could not write $conf: $!";
    print $file $before;
    close($file);
}

# Wrong values are refused when they are set, too.
$node->start;
for my $wrong ([ 'shard', '128' ], [ 'region', '8' ], [ 'lease_window', "'2ms'" ], [ 'layout', "'time:41'" ],
    [ 'epoch', "'never'" ], [ 'epoch', "'2025'" ], [ 'max_batch', '0' ], [ 'max_wait', '-1' ], [ 'registry', "'x'" ]) {
    my ($name, $value) = @$wrong;
    ($state) = sqlstate_of($node, "ALTER SYSTEM SET idgen.\"$name\" = $value");
    is($state, '22023', "ALTER SYSTEM refuses idgen.$name = $value");
}
($state) = sqlstate_of($node, 'SET idgen.no_such_setting = 1');
isnt($state, 'none', 'an unknown setting is refused');

# A pinned shard that doesn't fit the lanes: refused when it is set, and the nodes that
# are held are extended as before.
my $wide = new_node('wide', 'idgen.lanes = 4', "idgen.max_wait = '1s'");
$wide->start;
$wide->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $wide_node = instance($wide, 'node');
($state, $message) = sqlstate_of($wide, 'ALTER SYSTEM SET idgen.shard = 5');
is($state, '22023', 'a shard that is no multiple of the lanes is refused');
like($message, qr/A pinned shard is the first of its block: a multiple of idgen\.lanes, which is 4/, 'and why');
$wide->append_conf('postgresql.conf', "idgen.shard = 5\n");
my $ceiling = instance($wide, 'ceiling');
$wide->reload;
$wide->wait_for_log(qr/invalid value for parameter "idgen.shard": 5/);
$wide->poll_query_until('postgres', "SELECT issuing_time > '$ceiling' FROM snowflake_instance") or die;
is((sqlstate_of($wide, 'SELECT snowflake_nextval()'))[0], 'none', 'on reload, too: IDs go on above the ceiling of then');
is(instance($wide, 'node, last_error IS NULL'), "$wide_node|t", 'with the same nodes, without an error');
$wide->append_conf('postgresql.conf', 'idgen.shard = ' . ($wide_node == 8 ? 16 : 8) . "\n");
$wide->reload;
$wide->poll_query_until('postgres', "SELECT node <> $wide_node FROM snowflake_instance") or die;
pass('a shard that fits is taken');
$wide->stop;

# No slot for the worker: the server says so at its start, and each call does.
my $crowded = new_node('crowded');
$crowded->start;
$crowded->safe_psql('postgres', 'CREATE DATABASE late; CREATE EXTENSION idgen');
$crowded->append_conf('postgresql.conf', "max_worker_processes = 0\nmax_logical_replication_workers = 0\n");
$crowded->restart;
like(slurp_file($crowded->logfile), qr/WARNING:  idgen: there is no slot for the worker.*\n.*max_worker_processes is 0/,
    'no slot for the worker: a warning at the start names max_worker_processes');
my $took;
for my $statement ('CREATE EXTENSION idgen', 'SELECT snowflake_nextval()', 'SELECT snowflake_batch(2)', 'SELECT snowflake_drain()', "SELECT snowflake_observe('1')") {
    ($state, $message, $took) = sqlstate_of($crowded, $statement, dbname => $statement =~ /^CREATE/ ? 'late' : 'postgres');
    is($state, 'IDG01', "$statement fails");
    like($message, qr/max_worker_processes is 0.*HINT:  Raise max_worker_processes/s, 'and says what to raise');
    cmp_ok($took, '<', 9, 'without a wait');
}
$crowded->stop;

# What depends on the layout: ticks of 10 ms need longer windows.
my $coarse = new_node('coarse', "idgen.layout = 'time:38 region:4 shard:6 sequence:14 tick:10ms'", 'idgen.region = 9');
$coarse->start;
$coarse->safe_psql('postgres', 'CREATE EXTENSION idgen');
($state, $message) = sqlstate_of($coarse, q{ALTER SYSTEM SET idgen.lease_window = '30ms'});
is($state, '22023', 'a window of less than 4 ticks is refused');
like($message, qr/at least 4 ticks/, 'and what is allowed is said');
$coarse->append_conf('postgresql.conf', "idgen.lease_window = '30ms'\n");
$coarse->reload;
$coarse->wait_for_log(qr/invalid value for parameter "idgen.lease_window": 30/);
is($coarse->safe_psql('postgres', "SELECT current_setting('idgen.lease_window')"), '3s', 'also on reload');
$coarse->safe_psql('postgres', q{ALTER SYSTEM SET idgen.lease_window = '40ms'});
pass('4 ticks are enough');

# A region: the node is of it, before and after a change.
is($coarse->safe_psql('postgres', 'SELECT snowflake_region(snowflake_nextval())'), '9', 'IDs carry the region');
is(instance($coarse, 'region, node >> 6'), '9|9', 'the node is of the region');
my $coarse_node = instance($coarse, 'node');
$coarse->restart;
is(instance($coarse, 'node'), $coarse_node, 'and is kept');
$coarse->append_conf('postgresql.conf', "idgen.region = 3\n");
$coarse->restart;
is(instance($coarse, 'region, node >> 6'), '3|3', 'another region, another node');
$coarse->stop;

# A region that has node 0 only.
my $none = new_node('none', "idgen.layout = 'time:41 region:5 sequence:12'");
$none->start;
wait_for_fence($none, qr/the only candidate is node 0, which is never assigned automatically; set idgen\.region, or pin node 0/);
$none->append_conf('postgresql.conf', "idgen.shard = 0\n");
$none->reload;
is(instance($none, 'node'), '0', 'pinned, node 0 is held');
$none->stop;

# CREATE EXTENSION is what makes the view: the log tells meanwhile.
sub wait_for_fence {
    my ($server, $pattern) = @_;
    $server->wait_for_log($pattern);
    my ($code) = sqlstate_of($server, 'CREATE EXTENSION idgen');
    is($code, 'IDG01', 'no database records a layout that is not known to be the record\'s');
    $server->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
    $server->restart;
    $server->safe_psql('postgres', 'CREATE EXTENSION idgen');
    configure($server);
    $server->restart;
    wait_for_state($server, 'fenced');
    ($code, my $text) = sqlstate_of($server, 'SELECT snowflake_nextval()');
    is($code, 'IDG01', 'no node, no ID');
    like($text, $pattern, 'and it is said what to set');
    return;
}

# An epoch before which the clock stands: the breaker, not a wrong ID.
my $future = new_node('future', "idgen.epoch = '2100-01-01'");
$future->start;
($state, $message) = sqlstate_of($future, 'CREATE EXTENSION idgen');
is($state, 'IDG02', 'a clock before the epoch: no database records that epoch');
like($message, qr/before the epoch of the layout, 2100-01-01/, 'and it is said why');
$future->stop;

# The same on an instance that has issued before.
$node->append_conf('postgresql.conf', "idgen.epoch = '2100-01-01'\n");
$node->restart;
wait_for_state($node, 'breaker');
$node->safe_psql('postgres', 'CREATE DATABASE fresh_epoch');
($state) = sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'fresh_epoch');
is($state, 'IDG02', 'nor does one where the record has another epoch');
$node->append_conf('postgresql.conf', "idgen.epoch = '2010-01-01'\n");
$node->restart;
is($node->safe_psql('postgres', 'SELECT snowflake_nextval() < snowflake_nextval()'), 't', 'set right, it goes on');

# A layout whose time has run out: refused, never wrapped.
my $past = new_node('past', "idgen.layout = 'time:20 shard:10 sequence:12'", "idgen.epoch = '2020-01-01'");
$past->start;
$past->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($past, 'exhausted');
($state, $message) = sqlstate_of($past, 'SELECT snowflake_nextval()');
is($state, 'IDG04', 'an exhausted time field issues nothing');
$past->stop;

# One whose time runs out while it issues; and the warning, two years before.
sub layout_that_ends_in {
    my ($seconds) = @_;
    return ("idgen.layout = 'time:36 shard:10 sequence:12'",
        'idgen.epoch = ' . int(1000 * (time() + $seconds) - 2**36));
}
my $ending;
for my $seconds (6, 20, 60) {    # longer where the machine was too slow to issue before the end
    $ending = new_node("ending_$seconds", layout_that_ends_in($seconds));
    $ending->start;
    my ($failed) = sqlstate_of($ending, 'CREATE EXTENSION idgen; SELECT snowflake_nextval()');
    last if $failed eq 'none';
    is($failed, 'IDG04', "the time field ran out within $seconds s, before the first ID");
    $ending->stop;
}
$ending->wait_for_log(qr/WARNING: .*the time field of the layout ends at/);
wait_for_state($ending, 'exhausted');
($state) = sqlstate_of($ending, 'SELECT snowflake_nextval()');
is($state, 'IDG04', 'the time field runs out: refused, never wrapped');
$ending->stop;
my $warning = new_node('warning');
$warning->append_conf('postgresql.conf', join("\n", layout_that_ends_in(2 * 365 * 86400 + 5), ''));
$warning->start;
is($warning->safe_psql('postgres', 'CREATE EXTENSION idgen; SELECT state FROM snowflake_instance'), 'active', 'issues');
unlike(slurp_file($warning->logfile), qr/the time field of the layout ends at/, 'no warning more than two years before');
$warning->wait_for_log(qr/WARNING: .*the time field of the layout ends at/);
pass('a warning from two years before, without a restart');
$warning->stop;

$node->stop;
done_testing();
