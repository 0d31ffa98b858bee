# Whatever the wall clock does, no ID repeats and none is out of order, and
# nobody gets an error. libfaketime moves the server's wall clock under load; the
# monotonic clock is true, and so are the clients'.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $soak = $ENV{IDGEN_SOAK};
my $turns = $soak ? 30 : 2;    # extensions of the ceiling after each step
# In the long form minutes of IDs are kept in memory: small calls only.
my @calls = $soak ? ('--batches', 1, 1, 1, 10) : ();

# A node under load; steps of its clock; every ID judged. Returns the node, still
# running with its clock as the last step left it, and the figures.
sub under_steps {
    my ($name, $steps, @lines) = @_;
    my $node = new_node($name, @lines);
    faulty($node);
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION idgen');
    wait_for_state($node);
    my $load = start_collector($node, gently(), '--clients', 4, '--ids', 1_000_000_000, @calls);
    $node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
    for my $step (@$steps) {
        set_clock($node, $step);
        # The worker has seen it (it samples before each extension), and issuing
        # goes on for a while.
        for my $turn (1 .. $turns) {
            my ($ids, $ceiling) =
              split /\|/, $node->safe_psql('postgres', 'SELECT ids, ceiling FROM snowflake_stats, snowflake_instance WHERE scope IS NULL');
            $node->poll_query_until('postgres',
                "SELECT ids > $ids + 1000 AND ceiling <> '$ceiling' FROM snowflake_stats, snowflake_instance WHERE scope IS NULL")
              or die "nothing is issued after the step to $step";
        }
    }
    ok($load->{handle}->pumpable, "$name: under load");
    my ($code, $figures) = stop_collector($load);
    is($code, 0, "$name: no client error, no repeat, no inversion");
    is($figures->{repeats}, 0, "$name: 0 repeats");
    is($figures->{inversions}, 0, "$name: 0 inversions");
    cmp_ok($figures->{ids}, '>', 1_000 * @$steps, "$name: under steps of the clock");
    return ($node, $figures);
}

# An expression over snowflake_clock.
sub clock_of {
    my ($node, $expression) = @_;
    return $node->safe_psql('postgres', "SELECT $expression FROM snowflake_clock");
}

# The true time that the newest ID says, in seconds off the true clock as it is after
# the ID was issued: what a busy machine adds is no lead.
sub id_lead {
    my ($node) = @_;
    my $time = $node->safe_psql('postgres', 'SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()))');
    return $time - Time::HiRes::time();
}

# Small steps, either way.
my ($node) = under_steps('small', [ -0.001, 0, 0.001, -1, 0, 1, 0, 1, -1 ]);
is(clock_of($node, "state IN ('holding', 'synchronized')"), 't', 'small: within bounds');
$node->stop('immediate');

# Far back: 5 minutes, then an hour. Policy hold: issuing time goes on.
($node) = under_steps('back', [ -300, -3600 ]);
is(clock_of($node, 'state'), 'rollback', 'back: shown as a rollback');
cmp_ok(clock_of($node, 'extract(epoch FROM skew)'), '>', 3500, 'back: the skew is a level');
cmp_ok(abs(id_lead($node)), '<', 30, 'back: IDs carry the time as it was');
is(clock_of($node, 'issuing_time - wall_time = skew'), 't', 'back: the view adds up');
my @log = slurp_file($node->logfile) =~ /WARNING:  idgen: the wall clock is further behind/g;
is(@log, 1, 'back: logged once, not at each sample');
like(clock_events($node), qr/^rollback$/m, 'back: and in the ring');
my ($step) = $node->safe_psql('postgres',
    "SELECT extract(epoch FROM step) FROM snowflake_clock_events WHERE event IN ('holding', 'rollback') ORDER BY number LIMIT 1");
cmp_ok(abs($step + 300), '<', 2, 'back: with the step');
# Right again: issuing time and the wall clock meet.
set_clock($node, 0);
$node->poll_query_until('postgres', "SELECT state = 'synchronized' FROM snowflake_clock")
  or die 'the clocks did not meet';
pass('back: and right again');

# A crash while the wall clock is an hour behind.
set_clock($node, -3600);
$node->poll_query_until('postgres', "SELECT state = 'rollback' FROM snowflake_clock") or die 'no rollback';
my $last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
$node->stop('immediate');
$node->start;
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last,
    'a start with the wall clock an hour behind goes on at the ceiling');
is(clock_of($node, 'state'), 'rollback', 'and shows it');
$node->stop('immediate');

# Ten steps of -50 s: each is within max_clock_skew, their sum isn't.
($node) = under_steps('ten', [ map { -50 * $_ } 1 .. 10 ]);
is(clock_of($node, 'state'), 'rollback', 'ten: the level counts, not the step');
$node->stop('immediate');

# Far ahead: not believed until it has lasted.
($node) = under_steps('ahead', [ 86400, 31536000, 0, 31536000, 360000000 ],
    "idgen.clock_confirm = '1h'");
is(clock_of($node, 'state'), 'suspect', 'ahead: suspect');
cmp_ok(id_lead($node), '<', 61, 'ahead: no ID carries a time more than max_clock_skew ahead');
like(slurp_file($node->logfile), qr/WARNING:  idgen: the wall clock is further ahead/, 'ahead: logged');
set_clock($node, 31536000);
$node->poll_query_until('postgres', "SELECT skew BETWEEN '-366 days' AND '-364 days' FROM snowflake_clock")
  or die 'the step was not seen';
# Until the operator accepts it.
is($node->safe_psql('postgres', 'SELECT snowflake_accept_clock()'), 't', 'ahead: an operator accepts');
cmp_ok(abs(id_lead($node) - 31536000), '<', 30, 'ahead: and IDs follow');
is(clock_of($node, 'state'), 'synchronized', 'ahead: synchronized');
is($node->safe_psql('postgres', 'SELECT snowflake_accept_clock()'), 'f', 'ahead: nothing more to accept');
# What max_clock_skew allows is followed at once.
reconfigure($node, 'max_clock_skew', '10min');
set_clock($node, 31536000 + 300);
$node->poll_query_until('postgres',
    "SELECT count(*) = 1 FROM snowflake_clock_events WHERE event = 'followed' AND step > interval '299s'")
  or die 'the step was not followed';
cmp_ok(abs(id_lead($node) - 31536300), '<', 30, 'ahead: max_clock_skew is what is set');
# Who may not, can't accept.
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
is((sqlstate_of($node, 'SELECT snowflake_accept_clock()', extra_params => [ '-U', 'plain' ]))[0], '42501',
    'ahead: not everybody accepts');
$node->stop;

# A start a year ahead, after a run in the same boot at the right time: the
# machine has not been up for a year.
$node = new_node('start', "idgen.clock_confirm = '1h'");
faulty($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen; SELECT snowflake_nextval()');
$node->stop;
set_clock($node, 31536000);
$node->start;
wait_for_state($node);
is(clock_of($node, 'state'), 'suspect', 'start: a year ahead of the record is suspect');
cmp_ok(id_lead($node), '<', 61, 'start: and not followed');
# And until it has lasted for clock_confirm.
reconfigure($node, 'clock_confirm', '4s');
$node->poll_query_until('postgres', "SELECT state = 'synchronized' FROM snowflake_clock")
  or die 'it was not confirmed';
like(clock_events($node), qr/^confirmed$/m, 'start: confirmed after clock_confirm');
$node->poll_query_until('postgres',
    "SELECT snowflake_timestamp(snowflake_nextval()) > now() - interval '1 min'")
  or die 'IDs did not follow';
pass('start: and then it is followed');
$node->stop;

# Before the epoch.
set_clock($node, -20 * 31536000);
$node->start;
my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG02', 'start before the epoch, with a record: refused');
like($message, qr/before the epoch/, 'with the reason');
set_clock($node, 31536000);
wait_for_state($node);
cmp_ok($node->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'and right again by itself');
$node->stop;

# Without a record there is nothing to judge by.
unlink(record_of($node), $node->data_dir . '/idgen.marker') == 2 or die 'no record, or no marker';
set_clock($node, -20 * 31536000);
$node->start;
is((sqlstate_of($node, 'SELECT snowflake_nextval()'))[0], 'IDG02', 'before the epoch, without a record: refused');
set_clock($node, 31536000);
wait_for_state($node);
is(clock_of($node, 'state'), 'synchronized', 'a first start a year ahead can only be believed');
cmp_ok(abs(id_lead($node) - 31536000), '<', 30, 'and IDs say so');
$node->stop;

# To 2038 and beyond.
($node) = under_steps('far', [ 2_000_000_000 - time(), 2_200_000_000 - time(), 0 ]);
is(clock_of($node, "state IN ('holding', 'synchronized')"), 't', 'far: and back');
$node->stop('immediate');
done_testing();
