# Volume: more than there is room for, beside callers that want single IDs; lanes; no
# WAL; a warning before it runs out.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = new_node('main', 'idgen.max_batch = 2000000000');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($node);

# --- one asks for as many as the layout has, the others still find room -----------------------

# Single callers that don't wait at all need a worker that is in time: windows begin at
# 0.2 s and are a tenth of the time since the start.
$node->poll_query_until('postgres', "SELECT window_left > '1.2 s' FROM snowflake_instance") or die 'the window did not grow';

my $files = PostgreSQL::Test::Utils::tempdir();
# The single callers are not ready to wait at all.
sub without_waiting {
    local $ENV{PGOPTIONS} = '-c idgen.max_wait=0';
    return start_collector(@_);
}
my @loads = (
    start_collector($node, '--clients', 1, '--batches', 5_000_000, '--ids', 10_000_000, '--reserve', '--save', "$files/runs"),
    start_collector($node, '--clients', 1, '--batches', 200_000, '--ids', 2_000_000, '--save', "$files/batches"),
    without_waiting($node, '--clients', 4, '--batches', 1, '--ids', 1_000_000_000, '--seconds', 2, '--save', "$files/singles"));
my @done = map { [ finish_collector($_) ] } @loads;
is(join(' ', map { $_->[0] } @done), '0 0 0', 'long requests and single ones at once: no error');
my $out = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', "$files/runs", "$files/batches", "$files/singles" ], '>', \$out);
my $figures = figures($out);
is("$figures->{repeats} $figures->{inversions}", '0 0', "no repeat and no inversion among $figures->{ids}");
cmp_ok($done[2][1]{ids}, '>', 50, 'single callers, who may not wait, get theirs meanwhile');
is($node->safe_psql('postgres', q{SELECT waits_clock > 0 AND peak_use = 1 FROM snowflake_stats WHERE scope = 'default'}), 't', 'all was used');

# Nor beside whole ticks at once, which those who have waited for one don't get any further
# ahead than the others.
my @whole = ('pgbench', '-h', $node->host, '-p', $node->port, '-n', '-c', 16, '-j', 1, '-T', 3600, '-f', "$files/whole.sql", 'postgres');
PostgreSQL::Test::Utils::append_to_file("$files/whole.sql", 'SELECT snowflake_reserve_run(4096)');
my $batches = "SELECT batches FROM snowflake_stats WHERE scope = 'default'";
my $had = $node->safe_psql('postgres', $batches);
my $whole = IPC::Run::start(\@whole, '>', \my $ran, '2>', \my $ran_wrong);
$node->poll_query_until('postgres', "SELECT ($batches) > $had + 100") or die 'no load';
my ($beside_whole) = finish_collector(without_waiting($node, '--clients', 2, '--batches', 1, '--ids', 1_000_000_000, '--seconds', 2));
is($beside_whole, 0, 'single callers beside 16 that ask for whole ticks: none has to wait');
ok($whole->pumpable, 'those get them, one after the other') or diag("$ran$ran_wrong");
unlike($ran_wrong, qr/error/i, 'without an error');
$whole->kill_kill;

# Nor where IDs may run ahead as far as the ceiling.
reconfigure($node, 'max_lead', '10s');
my $long = start_collector($node, '--clients', 1, '--batches', 40_000_000, '--ids', 40_000_000, '--reserve');
$node->poll_query_until('postgres', "SELECT lead > '10 ms' FROM snowflake_stats WHERE scope = 'default'") or die 'no load';
my ($no_error) = finish_collector(without_waiting($node, '--clients', 2, '--batches', 1, '--ids', 1_000_000_000, '--seconds', 2));
is($no_error, 0, 'with a long lead neither');
finish_collector($long);
reconfigure($node, 'max_lead', '10ms');
$node->poll_query_until('postgres', "SELECT lead < '5 ms' FROM snowflake_stats WHERE scope = 'default'") or die 'the lead stays';

# --- it can be cancelled -------------------------------------------------------------------------

my ($state, undef, $took) = sqlstate_of($node, "SET statement_timeout = '300ms'; SELECT count(*) FROM snowflake_reserve(2000000000)");
is($state, '57014', 'a request for 2,000,000,000 is cancelled');
cmp_ok($took, '<', soon(2), 'soon');
cmp_ok($node->safe_psql('postgres', q{SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()) - clock_timestamp())}), '<', 0.1,
    'and has left no hole in time');

# --- a warning, not a flood -----------------------------------------------------------------------

# Four seconds' worth. With a long lead it is all used, also where the caller is kept from
# it for a while.
reconfigure($node, 'max_lead', '1s');
$node->safe_psql('postgres', 'SELECT count(*) FROM snowflake_reserve(4096000 * 4)');
my @warnings = slurp_file($node->logfile) =~ /^(\S+ \S+) .*WARNING:  idgen: scope "default" used (\d+) % of what this instance can issue/mg;
my @percent = @warnings[ grep { $_ % 2 } 0 .. $#warnings ];
my @at = @warnings[ grep { $_ % 2 == 0 } 0 .. $#warnings ];
cmp_ok(scalar(@at), '>', 0, 'a warning');
my $times = join(', ', map { "timestamptz '$_'" } @at);
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT at, lag(at) OVER (ORDER BY at) AS before FROM unnest(ARRAY[$times]) AS at) AS t
    WHERE at - before < '59.9 s'"), 0, 'and at least a minute to the next, of two such times: ' . scalar(@at));
is(scalar(grep { $_ < 80 } @percent), 0, 'of more than 80 % (which are printed without decimals): ' . join(' ', @percent));
reconfigure($node, 'max_lead', '10ms');

# --- no WAL ------------------------------------------------------------------------------------------

# Of three times the best: the server may write for itself, the first change of a page
# after a checkpoint as 8 kB.
my $least = 1e9;
for (1 .. 3) {
    $node->safe_psql('postgres', 'CHECKPOINT');
    my $before = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
    my $began = Time::HiRes::time();
    is($node->safe_psql('postgres', 'SELECT sum(count) FROM snowflake_reserve(10000000)'), 10_000_000, '10,000,000 IDs');
    $node->safe_psql('postgres', 'SELECT count(snowflake_nextval()) FROM generate_series(1, 1000000)');
    my $bytes = $node->safe_psql('postgres', "SELECT pg_current_wal_insert_lsn() - '$before'");
    my $rate = $bytes / (Time::HiRes::time() - $began);
    $least = $rate if $rate < $least;
    last if $least < 1024;
}
cmp_ok($least, '<', 1024, 'less than 1 kB of WAL a second');
$node->stop;

# --- lanes -----------------------------------------------------------------------------------------------

my $wide = new_node('wide', 'idgen.lanes = 64', 'idgen.max_batch = 2000000000');
$wide->start;
$wide->safe_psql('postgres', 'CREATE EXTENSION idgen');
is(instance($wide, 'lanes || \' \' || node % 64'), '64 0', 'an aligned block of 64 nodes, by the own record alone');
is($wide->safe_psql('postgres', q{
        SELECT sum(count), bool_and(last::bigint - first::bigint = count - 1), bool_and(snowflake_timestamp(first) = snowflake_timestamp(last)),
            bool_and(snowflake_node(first) / 64 = i.node / 64 AND snowflake_node(last) / 64 = i.node / 64), max(count)
        FROM snowflake_reserve(3000000), snowflake_instance AS i}),
    '3000000|t|t|t|262144', 'runs of 262,144 consecutive integers in one tick, of its nodes alone');
is($wide->safe_psql('postgres', q{SELECT lo - (lo & 4095) = lo, snowflake_node(lo), snowflake_node(lo + 262143) - snowflake_node(lo)
        FROM (SELECT snowflake_reserve_run(262144)::bigint AS lo) AS r, snowflake_instance AS i}),
    't|' . instance($wide, 'node') . '|63', 'a whole tick of them');
is((sqlstate_of($wide, 'SELECT snowflake_reserve_run(262145)'))[0], '22023', 'not more');
my ($code, $fast) = run_collector($wide, '--clients', 4, '--batches', 1, 1000, 50_000, '--ids', 20_000_000, '--reserve');
is($code, 0, "strictly in order across 64 nodes: $fast->{ids} IDs");
my $held = instance($wide, 'node');
$wide->restart;
is(instance($wide, 'node'), $held, 'kept across a restart');
# Other lanes: other nodes, and nothing below what was promised.
my $last = $wide->safe_psql('postgres', 'SELECT snowflake_nextval()');
for my $lanes (1, 16, 2) {
    $wide->append_conf('postgresql.conf', "idgen.lanes = $lanes\n");
    $wide->restart;
    is(instance($wide, "lanes || ' ' || node % lanes"), "$lanes 0", "$lanes lanes");
    my $id = $wide->safe_psql('postgres', 'SELECT snowflake_nextval()');
    cmp_ok($id, '>', $last, 'above all before');
    $last = $id;
}
done_testing();
