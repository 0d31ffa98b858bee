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
my $id_node = $node->safe_psql('postgres', 'SELECT node FROM snowflake_instance');
$node->stop('immediate');
my ($ceiling) = slurp_file($record) =~ /^ceiling = (\d+)$/m;
$node->start;
my $next = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next >> 22, '>=', $ceiling, 'the first ID after a crash is at or above the recorded ceiling');
is($node->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), $id_node, 'with the same node');
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
    rewrite($record, $damage{$kind}->($good));
    $node->start;
    $node->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance")
      or die 'timed out waiting for the fence';
    my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
    is($state, 'IDG01', "$kind: nothing is issued");
    like($message, qr/idgen\/record" is damaged/, "$kind: and the record is named");
    # Mended, it goes on by itself.
    rewrite($record, $good);
    $node->poll_query_until('postgres', "SELECT state = 'active' FROM snowflake_instance")
      or die 'issuing did not go on';
    cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, "$kind: mended, it goes on");
    $node->stop;
    $good = slurp_file($record);
}

# Keeps the file's inode, so that it doesn't count as a copy.
sub rewrite {
    my ($path, $text) = @_;
    open(my $file, '+<', $path) or die "could not open $path: $!";
    truncate($file, 0);
    print $file $text;
    close($file);
    return;
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
    like($message, qr/could not create file .*Permission denied/, 'and says why');
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
isnt($copy->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), $id_node, 'a copy takes another node');
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
my $copy_node = $copy->safe_psql('postgres', 'SELECT node FROM snowflake_instance');
$copy->restart;
is($copy->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), $copy_node, 'and it keeps it');

# Pinned to the original's shard, a copy is refused.
$copy->stop;
$node->stop;
$node->backup_fs_cold('pinned');
my $pinned = PostgreSQL::Test::Cluster->new('pinned');
$pinned->init_from_backup($node, 'pinned');
configure($pinned, "idgen.shard = $id_node");
$pinned->start;
$pinned->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance")
  or die 'timed out waiting for the fence';
my ($state, $message) = sqlstate_of($pinned, 'SELECT snowflake_nextval()');
is($state, 'IDG01', 'a copy pinned to the original\'s shard issues nothing');
like($message, qr/is a copy of one that holds node $id_node, which idgen\.shard pins here too/, 'and says why');
$pinned->stop;

# A missing record is a first start.
unlink($record) or die "could not remove $record: $!";
$node->start;
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', 0, 'a missing record is a first start');
isnt($node->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), '0', 'which never draws node 0');
$node->stop;
done_testing();
