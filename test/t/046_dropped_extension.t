# The extension is dropped in one session while another waits for one of its tables:
# a plain error, or, if it has been created again, the answer.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('node');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($node);

# The error of a statement that has begun while the other session's transaction held
# the tables, as "SQLSTATE message"; the output if there was none.
sub beside {
    my ($transaction, $statement) = @_;
    $node->safe_psql('postgres', q{
        DROP EXTENSION IF EXISTS idgen CASCADE;
        CREATE EXTENSION idgen;
        SELECT snowflake_create_scope('orders')});
    my $other = $node->background_psql('postgres', on_error_stop => 1);
    $other->query_safe("BEGIN; $transaction");

    my ($out, $err) = ('', '');
    my $caller = IPC::Run::start(
        [ 'psql', '-X', '-A', '-t', '-q', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $statement ],
        '<', \undef, '>', \$out, '2>', \$err);
    $node->poll_query_until('postgres', q{
        SELECT count(*) = 1 FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
        WHERE a.wait_event_type = 'Lock' AND NOT l.granted AND l.locktype = 'relation'})
      or die 'the caller did not wait for the table';
    $other->query_safe('COMMIT');
    $other->quit;
    $caller->finish;
    return $err =~ /^ERROR:\s+(\w{5}): (.*)$/m ? "$1 $2" : $out =~ s/\s+\z//r;
}

my $drop = 'DROP EXTENSION idgen CASCADE';
my $again = "$drop; CREATE EXTENSION idgen; SELECT snowflake_create_scope('orders')";
my @decoding = ('SELECT snowflake_timestamp(154014842880000000::snowflakeid) IS NOT NULL',
    'SELECT 154014842880000000::bigint::snowflakeid < now()',
    q{SELECT snowflake_timestamp(1541815603606036480, 'twitter') IS NOT NULL});
for my $statement (@decoding) {
    is(beside($drop, $statement), '42P01 this database has no table of layouts', "$statement beside DROP EXTENSION");
    is(beside($again, $statement), 't', 'and if it is created again');
}
my @issuing = (q{SELECT snowflake_nextval('orders') > 0}, q{SELECT count(*) = 5 FROM snowflake_batch(5, 'orders')});
for my $statement (@issuing) {
    is(beside($drop, $statement), '42704 scope "orders" does not exist', "$statement beside DROP EXTENSION");
}
is(beside($again, $issuing[0]), 't', 'and if it is created again');

# A session that has used the tables before.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe($_) for @decoding, @issuing;
$node->safe_psql('postgres', $drop);
my ($answer) = $session->query(q{DO $$ BEGIN PERFORM snowflake_nextval('orders'); EXCEPTION WHEN undefined_function THEN RAISE NOTICE 'gone'; END $$; SELECT 'alive'});
like($answer, qr/alive/, 'a session goes on after the extension is gone');
$session->quit;
unlike(slurp_file($node->logfile), qr/could not open relation|cache lookup failed/, 'no internal error');
$node->stop;

done_testing();
