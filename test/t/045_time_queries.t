# Random queries with `id OP time`, against `snowflake_timestamp(id) OP time`: the same
# answers, and no crash. TimeQueries.pm makes them from a seed, which is printed:
#   IDGEN_TIME_SEED=5 IDGEN_TIME_QUERIES=2000 PROVE_TESTS=045_time_queries.t scripts/test tap
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TimeQueries;

my $seed = $ENV{IDGEN_TIME_SEED} || 1 + int(rand(1_000_000));
my $queries = $ENV{IDGEN_TIME_QUERIES} || ($ENV{IDGEN_SOAK} ? 100_000 : 1_500);
my $batch = 500;    # a session each
note("seed $seed, $queries queries");

my $node = new_node('node', 'fsync = off', 'autovacuum = off');
$node->start;
my $file = $node->basedir . '/seeds';
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
$node->safe_psql('postgres', schema($file));

my %ended;          # how many queries gave rows, none, or an error
my @wrong;
my %errors;
for (my $first = 1; $first <= $queries && @wrong < 10; $first += $batch) {
    my $last = $first + $batch - 1 < $queries ? $first + $batch - 1 : $queries;
    my $script = session_schema() . ";\n" . join('', map { 'SELECT ' . query_pair($seed, $_, $file) . ";\n" } $first .. $last);
    my ($code, $out, $err) = $node->psql('postgres', $script, on_error_stop => 1);
    my $reached = $first - 1;
    for my $line (split /\n/, $out) {
        next unless $line =~ /^(\d+) (\w+)(.*)/;
        $reached = $1;
        ++$ended{$2};
        ++$errors{$3} if $2 eq 'error';
        push @wrong, "query $line\n" . query_pair($seed, $1, $file) if $2 eq 'differs';
    }
    next if $code == 0 && $reached == $last;
    push @wrong, 'query ' . ($reached + 1) . " ended the session: $err\n" . query_pair($seed, $reached + 1, $file);
    last;
}
note(join(', ', map { "$_: $ended{$_}" } sort keys %ended) . '; errors' . join(',', map { "$_: $errors{$_}" } sort keys %errors));
is(join("\n", @wrong), '', "seed $seed: no crash, no difference in $queries queries");
# It asks what can be answered.
cmp_ok($ended{same} // 0, '>', 0.4 * $queries, 'many queries give rows');
cmp_ok($ended{error} // 0, '<', 0.05 * $queries, 'few end in an error');
$node->stop;

done_testing();
