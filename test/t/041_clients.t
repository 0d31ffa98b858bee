# What clients see of snowflakeids: a C program in the binary format, node-postgres,
# psql. Every digit arrives, whatever the client makes of numbers.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = $ENV{IDGEN_SOURCE} // die 'run the tests by "make test"';

my $node = new_node('server');
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION idgen;
    CREATE TABLE items (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), parent snowflakeid REFERENCES items, list snowflakeid[])});

# A client that prints a line for each promise that it checks: so many of them.
sub keeps_promises {
    my ($name, $promises, @command) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);
    is($? >> 8, 0, "$name: it ends well") or diag($out, $err);
    my @kept = $out =~ /^ok (.+)$/mg;
    ok(1, "$name: $_") for @kept;
    fail("$name: $_") for $out =~ /^not ok (.+)$/mg;
    is(scalar @kept, $promises, "$name: all that was promised");
    return;
}

keeps_promises('libpq in binary', 22, $ENV{IDGEN_BINARY_CLIENT}, $node->connstr('postgres'));
keeps_promises('node-postgres', 18, 'node', "$source/test/clients/node_pg.js",
    $node->host, $node->port, 'postgres', scalar getpwuid($>));

# psql, by the lines that matter.
my ($described) = run_command([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', '\d items' ]);
like($described, qr/^ id +\| snowflakeid +\| +\| not null +\| snowflake_nextval\(\)$/m, '\d: the column, its type and default');
like($described, qr/^ list +\| snowflakeid\[\] +\|/m, 'an array');
like($described, qr/^    "items_pkey" PRIMARY KEY, btree \(id\)$/m, 'the key, of the default class');
like($described, qr/FOREIGN KEY \(parent\) REFERENCES items\(id\)/, 'the foreign key');

like($node->safe_psql('postgres', '\dT+ snowflakeid'),
    qr/^public\|snowflakeid\|snowflakeid\|8\|\|[^|]+\|[^|]*=U\/[^|]*\|64-bit ID: time, node and sequence in one number$/, '\dT+: eight bytes and a comment');
is($node->safe_psql('postgres', '\dT'), 'public|snowflakeid|64-bit ID: time, node and sequence in one number', '\dT: the only type');
my %meaning = ('=' => 'equal', '<>' => 'not equal', '<' => 'less than', '<=' => 'less than or equal', '>' => 'greater than',
    '>=' => 'greater than or equal');
my @operators;
for my $symbol (sort keys %meaning) {
    push @operators, "public|$symbol|$_|boolean|$meaning{$symbol}" for 'bigint|snowflakeid', 'snowflakeid|bigint', 'snowflakeid|snowflakeid',
      'idgen_internal.any_numeric|snowflakeid', 'snowflakeid|idgen_internal.any_numeric';
}
my %times = ('<' => 'before', '<=' => 'not after', '>' => 'after', '>=' => 'not before');
for my $symbol (sort keys %times) {
    push @operators, "public|$symbol|snowflakeid|timestamp with time zone|boolean|time of the ID is $times{$symbol}",
      "public|$symbol|timestamp with time zone|snowflakeid|boolean|time is $times{$symbol} the time of the ID";
}
is(join("\n", sort split /\n/, $node->safe_psql('postgres', '\do')), join("\n", sort @operators),
    '\do: six comparisons, with bigint and numeric on either side, four with times, and no others');
is($node->safe_psql('postgres', '\do = snowflakeid bigint'), 'public|=|snowflakeid|bigint|boolean|equal', '\do of one');
is($node->safe_psql('postgres', '\dC snowflakeid'), join("\n",
        'bigint|snowflakeid|(binary coercible)|in assignment', 'integer|snowflakeid|from_int4|in assignment',
        'numeric|snowflakeid|from_numeric|in assignment', 'smallint|snowflakeid|from_int2|in assignment',
        'snowflakeid|bigint|(binary coercible)|in assignment'),
    '\dC: no cast is implicit');
like($node->safe_psql('postgres', '\dAc * snowflakeid'), qr/^btree\|snowflakeid\|\|snowflakeid_ops\|yes\nhash\|snowflakeid\|\|snowflakeid_ops\|yes$/m,
    '\dAc: the default classes');
is($node->safe_psql('postgres', 'SELECT id, list, id::bigint AS plain FROM items \gdesc'),
    "id|snowflakeid\nlist|snowflakeid[]\nplain|bigint", '\gdesc: the type of a result');

$node->stop;
done_testing();
