# The instance's own record: without a durable ceiling no ID, and a copy of the
# data directory never issues with the original's node.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $record = $node->data_dir . '/idgen/record';

my $first = slurp_file($record);
like($first, qr/\Aidgen record 1\n.*^node = [1-9]\d*\n.*^checksum = [0-9a-f]{8}\n\z/ms, 'a readable record');

# A restart starts at or above the ceiling that the record promised.
my $last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $id_node = instance($node, 'node');
$node->stop('immediate');
my ($ceiling) = slurp_file($record) =~ /^ceiling = (\d+)$/m;
$node->start;
my $next = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next >> 22, '>=', $ceiling, 'the first ID after a crash is at or above the recorded ceiling');
is(instance($node, 'node'), $id_node, 'with the same node');
$node->stop;

# However far the record is ahead of the clock: it starts there, and lets the
# wall clock catch up.
change_record($node, sub { my $text = $_[0]; $text =~ s/^ceiling = \K(\d+)/$ceiling = $1 + 600_000/me; return $text });
my $changed = time();
$node->start;
my $far = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($far >> 22, '>=', $ceiling, 'also when it is ten minutes ahead');
cmp_ok($far >> 22, '<', $ceiling + 10_000, 'and no further than it must');
is(instance($node, 'clock_state'), 'rollback', 'the clock holds');
my $still = 599 - (time() - $changed);
cmp_ok(instance($node, 'extract(epoch FROM clock_skew)'), '>', $still - 20, 'and shows by how much');
is(instance($node, "floor >= now() + interval '${still}s' - interval '20 s'"), 't', 'so does the floor');
my $skew = instance($node, 'clock_skew');
$node->poll_query_until('postgres', "SELECT clock_skew < interval '$skew' - interval '50ms' FROM snowflake_instance")
  or die 'the clock does not slew';
$node->poll_query_until('postgres', 'SELECT snowflake_timestamp(snowflake_nextval()) - clock_timestamp()'
      . " < interval '$skew' - interval '50ms'")
  or die 'issuing time does not slew';
pass('the wall clock catches up');
$next = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
$node->stop;

# Damage of every kind: nothing is issued, and it is said why.
my $good = slurp_file($record);
my %damage = (
    'truncated' => sub { return substr($_[0], 0, length($_[0]) / 2) },
    'empty' => sub { return '' },
    'a flipped bit' => sub { my $text = $_[0]; substr($text, 40, 1) ^= "\x01"; return $text },
    'a lower ceiling' => sub { my $text = $_[0]; $text =~ s/^ceiling = \d+/ceiling = 1/m; return $text },
    'trailing garbage' => sub { return $_[0] . "more\n" },
);
for my $kind (sort keys %damage) {
    change_record($node, $damage{$kind}, keep_checksum => 1);
    $node->start;
    wait_for_state($node, 'fenced');
    my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
    is($state, 'IDG01', "$kind: nothing is issued");
    like($message, qr/idgen\/record" is damaged/, "$kind: and the record is named");
    # Mended, it goes on by itself.
    change_record($node, sub { return $good }, keep_checksum => 1);
    wait_for_state($node);
    cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, "$kind: mended, it goes on");
    is(instance($node, 'last_error IS NULL AND last_error_at > state_since - interval \'1h\''), 't',
        "$kind: the error is history");
    $node->stop;
    $good = slurp_file($record);
}

# Damaged while the server runs: issuing goes on to the ceiling; when a worker
# must read it, the instance is fenced.
$node->start;
$node->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $damaged;
replace_worker(
    $node,
    sub {
        $good = slurp_file($record);
        change_record($node, $damage{truncated}, keep_checksum => 1);
        $damaged = slurp_file($record);
    },
    sub { return slurp_file($record) eq $damaged });
wait_for_state($node, 'fenced');
my ($why) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($why, 'IDG01', 'damaged while running: fenced at the ceiling');
change_record($node, sub { return $good }, keep_checksum => 1);
wait_for_state($node);
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, 'mended, it goes on');

# So if it is missing, as its marker says that there was one.
my $away = $node->data_dir . '/idgen.away';
replace_worker(
    $node,
    sub { rename($node->data_dir . '/idgen', $away) or die; mkdir($node->data_dir . '/idgen') or die },
    sub {
        return 1 if !-e $record;
        system_or_bail('rm', '-r', $away); # a worker that was writing made another
        return 0;
    });
wait_for_state($node, 'fenced');
($why, my $told) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($why, 'IDG01', 'missing while running: fenced at the ceiling');
like($told, qr/"idgen\/record" is missing/, 'and the error says so');
rmdir($node->data_dir . '/idgen') or die;
rename($away, $node->data_dir . '/idgen') or die;
wait_for_state($node);
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, 'put back, it goes on');
$node->stop;

# No node yet: callers wait for it; so does CREATE EXTENSION.
SKIP: {
    skip 'root reads everywhere', 6 if $> == 0;
    my $folder = $node->data_dir . '/idgen';
    chmod 0000, $folder;
    $node->start;
    my ($state, $message) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()");
    is($state, 'IDG03', 'no node yet: a caller gives up after idgen.max_wait');
    like($message, qr/no node has been acquired yet.*Permission denied/s, 'and says why');
    $node->safe_psql('postgres', 'CREATE DATABASE early');
    ($state, $message) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; CREATE EXTENSION idgen", dbname => 'early');
    is($state, 'IDG03', 'no database records a layout meanwhile');
    unlike($message, qr/snowflake_instance/, 'and no view is named that it does not have');
    my $one = $node->background_psql('postgres');
    $one->query_until(qr/asked/, "\\echo asked\nSELECT snowflake_nextval() > 0 AS issued;\n");
    my $two = $node->background_psql('early');
    $two->query_until(qr/asked/, "\\echo asked\nCREATE EXTENSION idgen;\n");
    $node->poll_query_until('postgres',
        "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = '" . wait_event($node, 'IdgenNode') . "' AND state = 'active'")
      or die 'nobody waits';
    is($node->safe_psql('postgres', 'SELECT waits_node > 0 FROM snowflake_stats WHERE scope IS NULL'), 't', 'the waits are counted');
    chmod 0700, $folder;
    like($one->query('SELECT 1'), qr/\At\n1/, 'a caller that waited is served');
    $one->quit;
    $two->quit;
    is($node->safe_psql('early', 'SELECT snowflake_nextval() IS NOT NULL'), 't', 'the extension was created');
    $node->safe_psql('postgres', 'DROP DATABASE early');
    $node->stop;
}

# The folder can't be written: no grant beyond the last durable ceiling.
SKIP: {
    skip 'root writes everywhere', 3 if $> == 0;
    $node->start;
    $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
    chmod 0555, $node->data_dir . '/idgen';
    $node->poll_query_until('postgres', "SELECT window_left = interval '0' FROM snowflake_instance")
      or die 'the ceiling was not reached';
    my ($state, $message) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()");
    is($state, 'IDG03', 'a record that cannot be written ends issuing at the ceiling');
    like($message, qr/could not \w+ file .*Permission denied/, 'and says why');
    chmod 0755, $node->data_dir . '/idgen';
    cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, 'writable again, it goes on');
    $node->stop;
}

# A copy of the directory, started beside the original.
$node->backup_fs_cold('copy');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'copy');
configure($copy);
$node->start;
$copy->start;
isnt(instance($copy, 'node'), $id_node, 'a copy takes another node');
$copy->wait_for_log(qr/is a copy of one that holds node $id_node; took node \d+ at random/);
my $files = PostgreSQL::Test::Utils::tempdir();
my $one = start_collector($node, '--clients', 2, '--ids', 300_000, '--save', "$files/node");
my $two = start_collector($copy, '--clients', 2, '--ids', 300_000, '--save', "$files/copy");
is((finish_collector($one))[0], 0, 'the original issues');
is((finish_collector($two))[0], 0, 'the copy issues');
my $out = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', "$files/node", "$files/copy" ], '>', \$out);
my $figures = figures($out);
cmp_ok($figures->{ids}, '>=', 600_000, 'both at once');
is($figures->{repeats}, 0, 'a clone never repeats an ID');
is($copy->safe_psql('postgres', 'SELECT snowflake_node(snowflake_nextval())'),
    $copy->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), 'IDs carry the new node');
my $copy_node = instance($copy, 'node');
$copy->restart;
is(instance($copy, 'node'), $copy_node, 'and it keeps it');

# Pinned to the original's shard while it runs, it is refused that and goes on
# with the node it has.
$copy->append_conf('postgresql.conf', "idgen.shard = $id_node\nidgen.lease_window = '500ms'\n");
$copy->reload;
$copy->wait_for_log(qr/the registry request failed: .* which idgen\.shard pins here too/);
my $refused_at = instance($copy, 'ceiling');
$copy->poll_query_until('postgres', "SELECT issuing_time > '$refused_at'::timestamptz + interval '1s' FROM snowflake_instance")
  or die 'the ceiling of before was not passed';
is($copy->safe_psql('postgres', 'SELECT snowflake_node(snowflake_nextval())'), $copy_node,
    'a copy that is pinned to the original\'s shard keeps its own');
like(instance($copy, 'last_error'), qr/idgen\.shard pins here too/, 'and goes on saying so');
$copy->append_conf('postgresql.conf', "idgen.shard = -1\n");
$copy->reload;
$copy->poll_query_until('postgres', 'SELECT last_error IS NULL FROM snowflake_instance')
  or die 'the error did not go';

# Pinned to the original's shard, a copy is refused.
$copy->stop;
$node->stop;
$node->backup_fs_cold('pinned');
my $pinned = PostgreSQL::Test::Cluster->new('pinned');
$pinned->init_from_backup($node, 'pinned');
configure($pinned, "idgen.shard = $id_node");
$pinned->start;
wait_for_state($pinned, 'fenced');
my ($state, $message) = sqlstate_of($pinned, 'SELECT snowflake_nextval()');
is($state, 'IDG01', 'a copy pinned to the original\'s shard issues nothing');
like($message, qr/is a copy of one that holds node $id_node, which idgen\.shard pins here too/, 'and says why');
$pinned->stop;

# A missing record is none, if there was one: the folder may be a mount of its own.
my $folder = $node->data_dir . '/idgen';
rename($folder, "$folder.away") or die;
mkdir($folder) or die;
$node->start;
wait_for_state($node, 'fenced');
($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG01', 'a folder that is not mounted: nothing is issued');
like($message, qr/"idgen\/record" is missing.*"idgen" is a mount of its own/, 'and the error says so');
is((sqlstate_of($node, 'CREATE DATABASE unmounted'))[0], 'none', 'the server runs');
is((sqlstate_of($node, 'CREATE EXTENSION idgen', dbname => 'unmounted'))[0], 'IDG01',
    'no layout is recorded meanwhile');
rmdir($folder) or die;
rename("$folder.away", $folder) or die;
wait_for_state($node);
is($node->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), $id_node, 'mounted: it goes on with its node');
$node->stop;

# Without the marker it is a first start.
unlink($record) or die "could not remove $record: $!";
unlink("$folder.marker") or die "could not remove $folder.marker: $!";
$node->start;
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'a missing record is a first start');
cmp_ok(instance($node, 'node'), '>', 0, 'with a node that is drawn');
$node->stop;
done_testing();
