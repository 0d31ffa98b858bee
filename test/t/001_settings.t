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

# Preloaded now.
configure($node);
$node->restart;
ok($node->safe_psql('postgres', 'SELECT snowflake_nextval() < snowflake_nextval()') eq 't',
    'with preload the same database issues');
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_instance'), 'active', 'the node is held');

# Wrong settings stop the start and name what is allowed.
my @wrong = (
    [ "idgen.layout = 'time:41 region:3 shard:7 sequence:3'", qr/at least 5 bits of sequence/ ],
    [ "idgen.layout = 'time:41 machine:10 sequence:12'", qr/names allowed are time, region/ ],
    [ "idgen.layout = 'time:42 region:3 shard:7 sequence:12'", qr/at most 63 bits/ ],
    [ "idgen.layout = 'sequence:12 time:41 shard:10'", qr/only in the order time, region, shard/ ],
    [ "idgen.layout = 'time:41 sequence:12'", qr/at least one bit of region or shard/ ],
    [ "idgen.epoch = 'yesterday'", qr/date and time in UTC/ ],
    [ "idgen.region = 8", qr/0 to 7 are allowed/ ],
    [ "idgen.shard = 128", qr/0 to 127 are allowed/ ],
    [ "idgen.layout = 'time:31 shard:10 sequence:20 tick:1s'\nidgen.window = '3s'", qr/at least 4 ticks/ ],
    [ "idgen.window = 'soon'", qr/idgen\.window/ ],
    [ "idgen.max_lead = 0", qr/idgen\.max_lead/ ],
    [ "idgen.registry = 'zookeeper'", qr/registry allowed is "local"/ ],
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
for my $wrong ([ 'shard', '128' ], [ 'window', "'2ms'" ], [ 'layout', "'time:41'" ],
    [ 'epoch', "'never'" ], [ 'max_batch', '0' ], [ 'max_wait', '-1' ], [ 'registry', "'x'" ]) {
    my ($name, $value) = @$wrong;
    ($state) = sqlstate_of($node, "ALTER SYSTEM SET idgen.\"$name\" = $value");
    is($state, '22023', "ALTER SYSTEM refuses idgen.$name = $value");
}
($state) = sqlstate_of($node, 'SET idgen.no_such_setting = 1');
isnt($state, 'none', 'an unknown setting is refused');

# An epoch before which the clock stands: the breaker, not a wrong ID.
my $future = new_node('future', "idgen.epoch = '2100-01-01'");
$future->start;
$future->safe_psql('postgres', 'CREATE EXTENSION idgen');
$future->poll_query_until('postgres', "SELECT state = 'breaker' FROM snowflake_instance")
  or die 'timed out waiting for the breaker';
($state, $message) = sqlstate_of($future, 'SELECT snowflake_nextval()');
is($state, 'IDG02', 'a clock before the epoch issues nothing');
like($message, qr/before the epoch/, 'and says why');
$future->stop;

# A layout whose time has run out: refused, never wrapped.
my $past = new_node('past', "idgen.layout = 'time:20 shard:10 sequence:12'", "idgen.epoch = '2020-01-01'");
$past->start;
$past->safe_psql('postgres', 'CREATE EXTENSION idgen');
$past->poll_query_until('postgres', "SELECT state NOT IN ('acquiring', 'active') FROM snowflake_instance")
  or die 'timed out waiting for the end of time';
($state, $message) = sqlstate_of($past, 'SELECT snowflake_nextval()');
is($state, 'IDG04', 'an exhausted time field issues nothing');
$past->stop;

$node->stop;
done_testing();
