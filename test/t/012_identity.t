# A pinned shard on a copied data directory: refused until an operator says that
# the original is gone.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $original = PostgreSQL::Test::Cluster->new('original');
$original->init(allows_streaming => 1);
configure($original, 'idgen.shard = 17');
$original->start;
$original->safe_psql('postgres', 'CREATE EXTENSION idgen; CREATE ROLE plain LOGIN');
is(instance($original, 'shard'), '17', 'pinned');
is($original->safe_psql('postgres', 'SELECT snowflake_confirm_copy()'), 'f', 'nothing to confirm');
my $last = $original->safe_psql('postgres', 'SELECT snowflake_nextval()');
$original->backup('base');

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($original, 'base', has_streaming => 1);
$copy->start;
wait_for_state($copy, 'fenced');
my ($state, $message) = sqlstate_of($copy, 'SELECT snowflake_nextval()');
is($state, 'IDG01', 'a copy pinned to its original\'s node is refused');
like($message, qr/idgen\.shard pins here too.*snowflake_confirm_copy\(\)/s, 'and says what to do');
$copy->restart;
wait_for_state($copy, 'fenced');
pass('a restart changes nothing');
is((sqlstate_of($copy, 'SELECT snowflake_confirm_copy()', extra_params => [ '-U', 'plain' ]))[0], '42501',
    'not everybody may confirm');

# The original is gone; also on a hot standby, which can't write.
my $window = 3;
$original->stop('immediate');
my $now = $copy->safe_psql('postgres', 'SELECT extract(epoch FROM clock_timestamp())');
is($copy->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'a standby');
is($copy->safe_psql('postgres', 'SELECT snowflake_confirm_copy()'), 't', 'confirmed');
is(instance($copy, 'shard'), '17', 'the node is held');
my $next = $copy->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next, '>', $last, 'IDs go on above the copied ceiling');
cmp_ok($copy->safe_psql('postgres', "SELECT extract(epoch FROM snowflake_timestamp($next))"), '>=', $now + $window,
    'and a window above the clock');
is($copy->safe_psql('postgres', 'SELECT snowflake_confirm_copy()'), 'f', 'nothing is left to confirm');
$copy->restart;
cmp_ok($copy->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $next, 'it holds after a restart');

# But not for a copy of it.
$copy->promote;
$copy->backup('again');
my $second = PostgreSQL::Test::Cluster->new('second');
$second->init_from_backup($copy, 'again');
$second->start;
wait_for_state($second, 'fenced');
is((sqlstate_of($second, 'SELECT snowflake_nextval()'))[0], 'IDG01', 'a copy of the copy is refused again');
# Another shard needs no confirmation.
reconfigure($second, 'shard', 18);
is(instance($second, 'shard'), '18', 'another shard is taken at once');
$second->stop;
$copy->stop;
done_testing();
