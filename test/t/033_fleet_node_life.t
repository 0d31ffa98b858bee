# The life of a node in a fleet where things go wrong: releases that fail, a rotation and
# a drain at once, settings that name no registry, or none that answers. On PostgreSQL and
# on etcd.
use strict;
use warnings;

use EtcdTest;
use IPC::Run ();
use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $coordinator = new_coordinator('coordinator');
my $registry = registry_of($coordinator, 'leaser');
my $one = new_node('one', "idgen.registry = '$registry'", "cluster_name = 'one'");
$one->start;
create_extension($one);
wait_for_state($one);

# --- operators' functions return when what they wait for is there -----------------------

# Runs a statement that may wait for a minute; the seconds that it took.
sub seconds_of {
    my ($sql, $node) = @_;
    my $begin = Time::HiRes::time();
    ($node // $one)->safe_psql('postgres', "SET idgen.max_wait = '60s'; $sql");
    return Time::HiRes::time() - $begin;
}

for my $sql ('SELECT snowflake_drain()', 'SELECT snowflake_resume()', 'SELECT snowflake_rotate_node()') {
    cmp_ok(seconds_of($sql), '<', 25, "$sql doesn't wait for idgen.max_wait");
}

# Accepting a clock waits for the ceiling; without a node for nothing.
my $alone = new_node('alone');
faulty($alone);
$alone->start;
create_extension($alone);
wait_for_state($alone);
for my $hours (1, 2) {
    set_clock($alone, 3600 * $hours);
    $alone->poll_query_until('postgres', "SELECT state = 'suspect' FROM snowflake_clock") or die;
    cmp_ok(seconds_of('SELECT snowflake_accept_clock()', $alone), '<', 25, 'accepting a clock doesn\'t, either');
    cmp_ok(seconds_of('SELECT snowflake_drain()', $alone), '<', 25, 'nor does draining a single instance');
}
$alone->stop;

# --- many look at the fleet, and an operator still gets a turn -------------------------------

# A longer window waits longer for a coordinator whose disk is slow.
reconfigure($one, 'lease_window', '20s');
$one->safe_psql('postgres', 'CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor');
is($one->safe_psql('postgres', 'SELECT count(DISTINCT read_at) FROM (SELECT read_at FROM snowflake_fleet UNION ALL SELECT read_at FROM snowflake_fleet) AS twice'),
    '1', 'the fleet is read once in a second');

sub start_psql {
    my ($user, $sql) = @_;
    my $run = { out => '', err => '' };
    $run->{handle} = IPC::Run::start([ 'psql', '-XAtq', '-U', $user, '-d', $one->connstr('postgres'), '-c', "SET idgen.max_wait = '60s'", '-c', $sql ],
        '<', \undef, '>', \$run->{out}, '2>', \$run->{err});
    return $run;
}
sub wait_for_waiting {
    my ($n) = @_;
    my $event = wait_event($one, 'IdgenOperation');
    $one->poll_query_until('postgres', "SELECT count(*) = $n FROM pg_stat_activity WHERE wait_event = '$event' AND query ~ '^SELECT snowflake_|snowflake_fleet' AND pid <> pg_backend_pid()")
      or die "no $n wait";
    return;
}
my $worker = instance($one, 'worker_pid');
my $read = Time::HiRes::time();
poll(sub { return Time::HiRes::time() > $read + 1.2 }) or die;    # what was read then is old
kill 'STOP', $worker;
my @readers = map { start_psql('monitor', 'SELECT count(*) FROM snowflake_fleet') } 1 .. 20;
wait_for_waiting(20);
my $operator = start_psql($one->safe_psql('postgres', 'SELECT current_user'), 'SELECT snowflake_rotate_node()');
wait_for_waiting(21);
kill 'CONT', $worker;
$_->{handle}->finish for @readers, $operator;
like($operator->{out}, qr/^\d+$/, 'twenty that look at the fleet leave a ticket to an operator') or diag($operator->{err});
is(scalar(grep { $_->{out} =~ /^\d+$/ && $_->{err} eq '' } @readers), 20, 'and all are answered');

# A caller that sleeps while others need the place of its answer doesn't take theirs.
kill 'STOP', $worker;
my $late = start_psql($one->safe_psql('postgres', 'SELECT current_user'), 'SELECT snowflake_accept_clock()');
wait_for_waiting(1);
my $asleep = $one->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT snowflake_accept_clock()'");
kill 'STOP', $asleep;
kill 'CONT', $worker;
$one->safe_psql('postgres', 'SELECT snowflake_accept_clock()') for 1 .. 20;
kill 'CONT', $asleep;
$late->{handle}->finish;
like($late->{err}, qr/the answer of the idgen worker was missed/, 'an answer that was missed is not another\'s');
reconfigure($one, 'lease_window', '3s');

# --- releases ---------------------------------------------------------------------------

# The coordinator's nodes that count as held.
sub held { return $coordinator->safe_psql('postgres', "SELECT count(*) FROM idgen_internal.node WHERE state = 'h'") }

my $old = instance($one, 'node');
# Releases take longer than an instance waits for them; what takes and extends nodes does not.
$coordinator->safe_psql('postgres', q{
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE UPDATE ON idgen_internal.node
        FOR EACH ROW WHEN (NEW.state = 'f') EXECUTE FUNCTION slow()});
my $new = $one->safe_psql('postgres', 'SELECT snowflake_rotate_node()');
isnt($new, $old, 'rotates while the old node can\'t be released');
poll_log($one, qr/a node that was left could not be released/);
# The connection whose release is given up on ends with it.
my $newest;
poll(sub { return $one->psql('postgres', 'SELECT snowflake_rotate_node()', stdout => \$newest) == 0 }) or die 'not rotated';
isnt($newest, $new, 'and again');
cmp_ok(held(), '>', 1, 'nothing is forgotten meanwhile');
$coordinator->safe_psql('postgres', 'DROP TRIGGER slow ON idgen_internal.node; DROP FUNCTION slow()');
$coordinator->poll_query_until('postgres', "SELECT count(*) = 1 FROM idgen_internal.node WHERE state = 'h'") or die;
pass('a release that failed is tried again, and so is each');
$one->safe_psql('postgres', 'SELECT snowflake_rotate_node(); SELECT snowflake_drain()');
is(held(), 0, 'rotated and drained at once: nothing is held');
$one->safe_psql('postgres', 'SELECT snowflake_resume()');

# --- a setting that is wrong --------------------------------------------------------------

my ($node, $epoch) = split /\|/, instance($one, 'node, node_epoch');

# Changes the setting (undef: its line is dropped) and reloads; the node must be held on to.
sub holds_on {
    my ($wrong, $reason, $what) = @_;
    my $from = -s $one->logfile;
    $one->adjust_conf('postgresql.conf', 'idgen.registry', defined $wrong ? "'$wrong'" : undef);
    my $ceiling = instance($one, 'ceiling');
    $one->reload;
    poll_log($one, qr/WARNING:  idgen: idgen\.registry was changed, and the new one cannot be used yet\n.*$reason/, $from);
    $one->poll_query_until('postgres', "SELECT issuing_time > '$ceiling' FROM snowflake_instance") or die;
    is((sqlstate_of($one, 'SELECT snowflake_nextval()'))[0], 'none', "$what: IDs go on above the ceiling of then");
    is(instance($one, 'node, node_epoch'), "$node|$epoch", 'with the same node');
    like(instance($one, 'last_error'), qr/the new one cannot be used yet: .*$reason/, 'and the view says what is wrong');
    like(instance($one, 'registry'), qr/^postgresql:/, 'and which registry is in use');
    return;
}

my $load = start_collector($one, '--clients', 2, '--ids', 1_000_000_000, '--pause', 1);
holds_on("postgresql://leaser:pencil\@[host", qr/idgen\.registry|connection string/, 'a URL that is none');
holds_on("postgresql://leaser:pencil\@/postgres?host=/nowhere&port=1", qr/nowhere/, 'a coordinator that isn\'t there');
holds_on("postgresql://stranger\@/postgres?host=" . $coordinator->host . '&port=' . $coordinator->port, qr/stranger/, 'a role that isn\'t there');
holds_on(undef, qr/snowflake_confirm_local\(\)/, 'a line that is dropped');
unlike(slurp_file($one->logfile), qr/pencil/, 'no password is logged');
$one->append_conf('postgresql.conf', "idgen.registry = '$registry'\n");
$one->reload;
$one->poll_query_until('postgres', 'SELECT last_error IS NULL FROM snowflake_instance') or die;
is(instance($one, 'node, node_epoch'), "$node|$epoch", 'right again: nothing has happened');

# And one that is right is gone over to, without a failed call.
my $other = new_coordinator('other');
$one->adjust_conf('postgresql.conf', 'idgen.registry', "'" . registry_of($other, 'leaser') . "'");
$one->reload;
$other->poll_query_until('postgres', "SELECT count(*) = 1 FROM idgen_internal.node WHERE state = 'h'") or die;
is((stop_collector($load))[0], 0, 'under load: no failed call, no repeat, in order');
like(slurp_file($one->logfile), qr/idgen: the registry is now "postgresql:/, 'and the log says so');
my $from = -s $one->logfile;
$one->adjust_conf('postgresql.conf', 'idgen.registry', "'local'");
$one->reload;
poll_log($one, qr/the new one cannot be used yet\n.*snowflake_confirm_local/, $from);
is($one->safe_psql('postgres', 'SELECT snowflake_confirm_local()'), 't', 'to local when somebody says so');
is(instance($one, 'registry'), 'local', 'and then at once');
$one->stop;

# A new registry that answers, but gives no node, and then hangs; and the old one takes its
# node back and has no other. The new one is used as soon as it can be.
my $three = new_node('three', "idgen.registry = '$registry'");
$three->start;
create_extension($three);
wait_for_state($three);
my $locker = $other->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE idgen_internal.fleet IN EXCLUSIVE MODE');
$from = -s $three->logfile;
$three->adjust_conf('postgresql.conf', 'idgen.registry', "'" . registry_of($other, 'leaser') . "'");
$three->reload;
poll_log($three, qr/the new one cannot be used yet\n.*no answer within/, $from);
my @hanging = family($other);
kill('STOP', @hanging);
my $hung = Time::HiRes::time();
poll(sub { return Time::HiRes::time() > $hung + 3 }) or die;    # it is asked again meanwhile
$coordinator->safe_psql('postgres', 'BEGIN; ' . past_guard(q{
    INSERT INTO idgen_internal.node AS n (node, revision, epoch, state, ceiling, log2_lanes)
        SELECT g, 1, 1, 'r', 0, 0 FROM generate_series(0, 127) AS g
        ON CONFLICT (node) DO UPDATE SET state = 'r', revision = n.revision + 1}) . ' COMMIT');
wait_for_state($three, 'fenced');
kill('CONT', @hanging);
$locker->quit;
wait_for_state($three);
like(instance($three, 'registry'), qr/${\$other->port}/, 'a new registry that hung is gone over to when it answers');
$three->stop;

# --- etcd: all nodes of an instance are alive by one lease ------------------------------------

my $etcd = EtcdTest->new(members => 1);
$etcd->start;
my $two = new_node('two', "idgen.registry = '" . $etcd->registry('life') . "'", "idgen.lease_ttl = '3s'");
$two->start;
create_extension($two);
wait_for_state($two);
my $held = "SELECT count(*) FROM snowflake_fleet WHERE state = 'held'";
$two->safe_psql('postgres', 'SELECT snowflake_rotate_node(); SELECT snowflake_drain(); SELECT snowflake_resume()');
$two->poll_query_until('postgres', "SELECT ($held) = 1") or die;
pass('etcd: rotated, drained and resumed at once: one node is held');
$etcd->stop(0);
my ($state, $why) = sqlstate_of($two, "SET idgen.max_wait = '2s'; SELECT snowflake_drain()");
is($state, 'IDG03', 'with etcd stopped a drain is not done');
like($why, qr/releasing the node took longer/, 'and says so');
$etcd->cont(0);
$two->poll_query_until('postgres', "SELECT ($held) = 0") or die;
pass('and is done when it goes on: nothing is held');
$two->safe_psql('postgres', 'SELECT snowflake_resume()');
wait_for_state($two);
$two->poll_query_until('postgres', "SELECT ($held AND alive) = 1") or die;
pass('resumed: one node is alive');
$two->stop;
$etcd->stop_all;
$_->stop for $coordinator, $other;
done_testing();
