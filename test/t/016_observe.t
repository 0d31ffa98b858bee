# snowflake_observe(): what was caused by an ID of another instance gets greater
# ones, although the clock here is behind; and what can be done with it to do harm.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# --- logical replication from an instance whose clock is 20 s ahead ---------------------

my $ahead = PostgreSQL::Test::Cluster->new('ahead');
$ahead->init(allows_streaming => 'logical');
configure($ahead);
$ahead->start;
my $behind = new_node('behind', "idgen.lease_window = '1s'", "idgen.clock_interval = '20ms'", 'restart_after_crash = on');
faulty($behind);
set_clock($behind, -20);
$behind->start;
for my $node ($ahead, $behind) {
    $node->safe_psql('postgres', q{
        CREATE EXTENSION idgen;
        CREATE TABLE question (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), v integer);
        CREATE TABLE answer (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), question snowflakeid NOT NULL)});
    wait_for_state($node);
}
$ahead->safe_psql('postgres', 'CREATE PUBLICATION questions FOR TABLE question');
$behind->safe_psql('postgres', "CREATE SUBSCRIPTION questions CONNECTION '" . $ahead->connstr . " dbname=postgres' PUBLICATION questions");
$behind->wait_for_subscription_sync($ahead, 'questions');

# Inserts so many questions there; when they have come, an answer to each here.
sub ask {
    my ($count) = @_;
    $ahead->safe_psql('postgres', "INSERT INTO question (v) SELECT g FROM generate_series(1, $count) AS g");
    $ahead->wait_for_catchup('questions');
    return $behind->safe_psql('postgres', q{
        WITH answered AS (
            INSERT INTO answer (question)
                SELECT id FROM question WHERE id NOT IN (SELECT question FROM answer) RETURNING id > question AS later)
        SELECT count(*), count(*) FILTER (WHERE later) FROM answered});
}
is(ask(50), '50|0', 'without it, answers are smaller than what they answer');
# As the documentation has it.
$behind->safe_psql('postgres', q{
    CREATE FUNCTION observe_id() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
    BEGIN
        PERFORM snowflake_observe(NEW.id);
        RETURN NEW;
    END $$;
    CREATE TRIGGER observe BEFORE INSERT ON question FOR EACH ROW EXECUTE FUNCTION observe_id();
    ALTER TABLE question ENABLE REPLICA TRIGGER observe});
is(ask(50), '50|50', 'with it, they are greater');
is(ask(2000), '2000|2000', 'also when many come at once');
is($behind->safe_psql('postgres', "SELECT skew BETWEEN '10 s' AND '22 s', state FROM snowflake_clock"), 't|holding', 'issuing time was moved on');
is($behind->safe_psql('postgres', 'SELECT observations > 0 AND observations_ignored = 0 FROM snowflake_worker_stats'), 't', 'it is counted');
cmp_ok($behind->safe_psql('postgres', 'SELECT count(*) FROM snowflake_clock_events'), '<', 10, 'and no event for each');

# --- the ceiling was there before -----------------------------------------------------------

my $seen = $behind->safe_psql('postgres', q{SELECT snowflake_encode(clock_timestamp() + interval '50 s', 1023, 4095)});
is($behind->safe_psql('postgres', "SELECT snowflake_observe($seen), snowflake_nextval() > $seen"), 't|t', 'far ahead, within the bound');
kill_family($behind);
$behind->start;
wait_for_state($behind);
is($behind->safe_psql('postgres', "SELECT snowflake_nextval() > $seen"), 't', 'what was observed counts after a kill -9, too');

# --- attacks ----------------------------------------------------------------------------------

# Seconds by which the newest ID is ahead of this node's own wall clock.
sub lead { return $behind->safe_psql('postgres', 'SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()) - clock_timestamp())') }

is($behind->safe_psql('postgres', q{SELECT snowflake_observe(snowflake_encode(clock_timestamp() + interval '61 s', 0, 0)),
        snowflake_observe(snowflake_encode(clock_timestamp() + interval '10 years', 0, 0)), snowflake_observe(9223372036854775807)}),
    'f|f|f', 'beyond the bound: ignored');
is($behind->safe_psql('postgres', 'SELECT observations_ignored FROM snowflake_worker_stats'), 3, 'and counted');
$behind->safe_psql('postgres', 'SELECT snowflake_reset_stats()');
is($behind->safe_psql('postgres', 'SELECT observations, observations_ignored FROM snowflake_worker_stats'), '0|0', 'from 0 after a reset');
# (With a clock that is right: the postmaster, which restarts the worker, is not always
# told the false time.)
set_clock($behind, 0);
$behind->poll_query_until('postgres', "SELECT abs(extract(epoch FROM skew)) < 45 FROM snowflake_clock") or die 'the clock was not set';
# Again and again as far as it goes, from several sessions, under load, while the
# worker is stopped and comes back.
my $load = start_collector($behind, '--clients', 4, '--ids', 1_000_000_000, '--seconds', 4);
my @attackers = map { $behind->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
$_->query_until(qr/begun/, q{\echo begun
    DO $$
    BEGIN
        FOR i IN 1 .. 1000000 LOOP
            PERFORM snowflake_observe(snowflake_encode(clock_timestamp() + random() * interval '70 s', i % 1024, 0));
            PERFORM snowflake_observe((snowflake_nextval()::bigint + (59::bigint * 1000 << 22))::snowflakeid);
            EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'enough');
        END LOOP;
    END $$;
}) for @attackers;
my $worker = instance($behind, 'worker_pid');
$behind->poll_query_until('postgres', 'SELECT observations_ignored > 100 FROM snowflake_worker_stats') or die 'no attack';
kill 'TERM', $worker;
$behind->poll_query_until('postgres', "SELECT worker_pid <> $worker FROM snowflake_instance") or die 'the worker did not come back';
my ($code) = finish_collector($load);
is($code, 0, 'the order is kept');
cmp_ok(lead(), '<=', 61, 'issuing time is not ratcheted away');
$behind->safe_psql('postgres', 'CREATE TABLE enough ()');
$_->quit for @attackers;
isnt($behind->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'rollback', 'nor is it taken for a rollback');

# A wall clock that isn't believed is no bound.
my $fresh = new_node('suspect', "idgen.clock_interval = '20ms'");
faulty($fresh);
$fresh->start;
$fresh->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($fresh);
set_clock($fresh, 3600);
$fresh->poll_query_until('postgres', "SELECT state = 'suspect' FROM snowflake_clock") or die 'the clock is not suspect';
is($fresh->safe_psql('postgres', 'SELECT snowflake_observe(snowflake_encode(clock_timestamp(), 0, 0))'), 'f', 'a suspect clock makes no room');
is($fresh->safe_psql('postgres', q{SELECT snowflake_observe(snowflake_encode(clock_timestamp() - interval '59 min 30 s', 0, 0))}), 't',
    'but what is near to where it should be is observed');
cmp_ok($fresh->safe_psql('postgres', 'SELECT extract(epoch FROM snowflake_timestamp(snowflake_nextval()) - clock_timestamp())'), '<', -3500,
    'and issuing time stays there');

# Nor is it waited for a worker that doesn't answer, for longer than idgen.max_wait.
my $stopped = instance($fresh, 'worker_pid');
kill 'STOP', $stopped;
my ($state, $error) = sqlstate_of($fresh,
    q{SET idgen.max_wait = '200ms'; SELECT snowflake_observe(snowflake_encode(clock_timestamp() - interval '59 min 25 s', 0, 0))});
kill 'CONT', $stopped;
is($state, 'IDG03', 'a worker that does not answer: an error');
like($error, qr/could not move issuing time beyond the ID within 200 ms/, 'which says what was not done');

# Without a node nothing is issued, and nothing is promised.
$fresh->safe_psql('postgres', 'SELECT snowflake_drain()');
is((sqlstate_of($fresh, q{SELECT snowflake_observe(snowflake_encode(clock_timestamp() - interval '59 min 20 s', 0, 0))}))[0], 'IDG05',
    'drained: an error');

# Before the worker's first turn (it fails in that, and comes back after a second) nothing
# is known to be too far ahead: it is waited for the worker.
my $early = new_node('early', 'injection', "idgen.max_wait = '30s'");
$early->start;
$early->safe_psql('postgres', 'CREATE EXTENSION idgen');
$early->stop;
my $from = -s $early->logfile;
append_to_file($early->data_dir . '/idgen.fail_worker', '');
$early->start;
is($early->safe_psql('postgres', q{SELECT snowflake_observe(snowflake_encode(clock_timestamp() + interval '1 s', 0, 0))}), 't',
    'an ID is not ignored before the worker has begun');
like(substr(slurp_file($early->logfile), $from), qr/told to fail/, 'which it had not');
$early->stop;

# --- numbers that are IDs of no time ------------------------------------------------------------

# Ticks are long or the layout is narrow: what lies beyond all times is ignored, soon.
for my $layout ('js53', 'time:38 shard:6 sequence:5 tick:1s') {
    (my $name = $layout) =~ s/\W.*//;
    my $odd = new_node("odd_$name", "idgen.layout = '$layout'", 'idgen.lease_window = 5s');
    $odd->start;
    $odd->safe_psql('postgres', 'CREATE EXTENSION idgen');
    wait_for_state($odd);
    is($odd->safe_psql('postgres', q{SELECT snowflake_observe(id) FROM unnest(ARRAY[9223372036854775807, 3::bigint << 61, 1::bigint << 60, 1::bigint << 58, 0, -1]) AS id}),
        "f\nf\nf\nf\nt\nt", "$layout: numbers beyond all times");
    is($odd->safe_psql('postgres', 'SELECT observations_ignored FROM snowflake_worker_stats'), 4, "$layout: are counted");
}
done_testing();
