# A fleet whose nodes are leased from a PostgreSQL coordinator: one instance's
# life, from the first lease to the last, and what its operators see and do.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $coordinator = new_coordinator('coordinator');
my $registry = registry_of($coordinator, 'leaser');

my $one = new_node('one', "idgen.registry = '$registry'", "cluster_name = 'one'");
$one->start;
create_extension($one);
wait_for_state($one);

# --- what is leased, and what shows of it ------------------------------------------

my $node = instance($one, 'node');
cmp_ok($node, '>', 0, 'holds a node, not 0');
is(instance($one, 'node_epoch'), 1, 'taken for the first time');
like(instance($one, 'registry'), qr/^postgresql:/, 'the registry shows');
is($coordinator->safe_psql('postgres', "SELECT name LIKE 'one (%:' || '" . $one->port . "' || ')', state, epoch FROM idgen_internal.node WHERE node = $node"),
    't|h|1', 'the coordinator has a row of it');
for my $where ($one, $coordinator) {
    is( $where->safe_psql('postgres', "SELECT node, state, alive, split_part(holder, ' ', 1), node_epoch, ceiling > clock_timestamp() - interval '1 s' FROM snowflake_fleet"),
        "$node|held|t|one|1|t", 'snowflake_fleet on ' . $where->name);
}
is( $one->safe_psql('postgres', 'SELECT incarnation FROM snowflake_fleet'),
    $one->safe_psql('postgres', 'SELECT incarnation FROM snowflake_instance'), 'by incarnation');
my ($code) = run_collector($one, '--clients', 4, '--ids', 200_000);
is($code, 0, 'issues in order, without a repeat');

# No libpq or libcurl where it has no business.
my $worker = instance($one, 'worker_pid');
my $backend = $one->background_psql('postgres');
my $backend_pid = $backend->query('SELECT pg_backend_pid() FROM snowflake_nextval()');
my $postmaster = (split /\n/, slurp_file($one->data_dir . '/postmaster.pid'))[0];
sub mapped { return slurp_file("/proc/$_[0]/maps") =~ /lib(pq|curl)[.-]/ ? 1 : 0 }
is(mapped($worker), 1, 'the worker has loaded libpq');
is(mapped($postmaster), 0, 'the postmaster has not');
is(mapped($backend_pid), 0, 'a backend has not');
$backend->quit;

# Credentials are for superusers.
$one->safe_psql('postgres', 'CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody LOGIN');
my $shown = "SELECT concat_ws(' ', setting, reset_val, boot_val, current_setting(name)) FROM pg_settings WHERE name = 'idgen.registry'";
is($one->safe_psql('postgres', $shown), 'postgresql://*** postgresql://*** local postgresql://***', 'its credentials are shown to nobody');
is($one->safe_psql('postgres', $shown, extra_params => [ '-U', 'monitor' ]), 'postgresql://*** postgresql://*** local postgresql://***',
    'who may monitor sees that there is one');
my ($state) = sqlstate_of($one, 'SHOW idgen.registry', extra_params => [ '-U', 'nobody' ]);
is($state, '42501', 'the setting is not shown to everybody');
is($one->safe_psql('postgres', "SELECT registry ~ 'pencil' FROM snowflake_instance", extra_params => [ '-U', 'monitor' ]),
    'f', 'what is shown has no password');
for my $function ('snowflake_rotate_node()', 'snowflake_drain()', 'snowflake_resume()', 'snowflake_raise_registry()',
    'snowflake_retire_node(5)', 'snowflake_confirm_local()') {
    is((sqlstate_of($one, "SELECT $function", extra_params => [ '-U', 'monitor' ]))[0], '42501', "$function is not for everybody");
}
# The role that leases needs nothing else, and can do nothing else.
my @as_leaser = (extra_params => [ '-U', 'leaser' ]);
is((sqlstate_of($coordinator, 'SELECT * FROM idgen_internal.node', @as_leaser))[0], '42501', 'it reads no table');
is((sqlstate_of($coordinator, 'UPDATE idgen_internal.node SET ceiling = 0', @as_leaser))[0], '42501', 'nor writes one');
$coordinator->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
is((sqlstate_of($coordinator, 'SELECT idgen_internal.fleet_read(0, 5)', extra_params => [ '-U', 'stranger' ]))[0],
    '42501', 'who is not let does not lease');

$one->safe_psql('postgres', "SET log_statement = 'all'; ALTER SYSTEM SET idgen.registry = 'etcd://leaser:pencil\@127.0.0.1:1/nowhere'");
sqlstate_of($one, "SET log_min_error_statement = 'error'; ALTER SYSTEM SET idgen.registry = 'pencil://leaser:pencil'");
sqlstate_of($one, "SET log_statement = 'all'; $_") for "ALTER SYSTEM SET IDGEN.Registry = 'host=here password=pencil'",
  "ALTER SYSTEM SET \"idgen\".registry TO 'postgresql://leaser:pencil\@here/%zz?bogus=1'";
$one->safe_psql('postgres', "ALTER SYSTEM SET idgen.registry = 'etcd://leaser:pencil\@127.0.0.1:1/nowhere'");
$one->reload;
poll_log($one, qr/parameter "idgen.registry" changed to "etcd:\/\/\n/);
$one->safe_psql('postgres', 'ALTER SYSTEM RESET idgen.registry');
$one->reload;
$one->poll_query_until('postgres', "SELECT state = 'active' AND last_error IS NULL FROM snowflake_instance") or die;
unlike(slurp_file($_->logfile), qr/pencil/, 'no password is logged by ' . $_->name) for $one, $coordinator;

# --- lanes, and a clock that can't be trusted -----------------------------------------

my $wide = new_node('wide', "idgen.registry = '$registry'", 'idgen.lanes = 4', 'idgen.auto_drain = on');
faulty($wide);
$wide->start;
create_extension($wide);
is(instance($wide, 'node % 4 = 0 AND lanes = 4'), 't', 'lanes: an aligned block is held');
is($coordinator->safe_psql('postgres', "SELECT count(*), count(DISTINCT ceiling) FROM idgen_internal.node WHERE name LIKE 'wide %' AND state = 'h'"),
    '4|1', 'all of it, up to one ceiling');
is((run_collector($wide, '--clients', 4, '--ids', 200_000))[0], 0, 'and issued from in order, without a repeat');
is($wide->safe_psql('postgres', 'SELECT count(DISTINCT snowflake_node(id)) FROM snowflake_batch(100000) AS id'), '4', 'with all its nodes');
is($wide->safe_psql('postgres', "SELECT count(*), bool_and(lanes = 4) FROM snowflake_fleet WHERE holder LIKE 'wide %'"), '4|t', 'the view shows them');
set_clock($wide, -3600);
wait_for_state($wide, 'drained');
($state, my $why) = sqlstate_of($wide, 'SELECT snowflake_nextval()');
is($state, 'IDG05', 'auto_drain: with a clock that went back far it is drained');
like($why, qr/idgen\.auto_drain is on, and the system's clock cannot be trusted: its state is rollback/, 'and says why');
$coordinator->poll_query_until('postgres', "SELECT count(*) = 0 FROM idgen_internal.node WHERE name LIKE 'wide %' AND state = 'h'") or die;
set_clock($wide, 0);
is(instance($wide, 'lanes'), 4, 'with the clock right again it goes on by itself');
$wide->stop;

# --- rotation -----------------------------------------------------------------------

my $load = start_collector($one, '--clients', 4, '--ids', 100_000_000);
$one->poll_query_until('postgres', 'SELECT ids > 300000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
my %held = ($node => 1);
for (1 .. 5) {
    my $new = $one->safe_psql('postgres', 'SELECT snowflake_rotate_node()');
    isnt($new, $node, 'rotates to another node');
    is(instance($one, 'node'), $new, 'and holds it');
    $coordinator->poll_query_until('postgres', "SELECT state = 'f' FROM idgen_internal.node WHERE node = $node")
      or die 'the old node was not released';
    $held{$new} = 1;
    $node = $new;
}
is((stop_collector($load))[0], 0, 'under load: no failed call, no repeat, in order');

# --- drain and resume ---------------------------------------------------------------

is($one->safe_psql('postgres', 'SELECT snowflake_drain(), snowflake_drain()'), 't|f', 'drains, once');
($state, my $drained) = sqlstate_of($one, 'SELECT snowflake_nextval()');
is($state, 'IDG05', 'drained: IDG05');
is((sqlstate_of($one, 'SELECT snowflake_rotate_node()'))[0], 'IDG05', 'for a rotation, too');
like($drained, qr/HINT:  snowflake_resume\(\) puts it back/, 'which says what to do');
is($one->safe_psql('postgres', 'SELECT state FROM snowflake_instance'), 'drained', 'the state says so');
is($coordinator->safe_psql('postgres', "SELECT count(*) FROM idgen_internal.node WHERE state = 'h'"), '0', 'nothing is held');
is($one->safe_psql('postgres', 'SELECT snowflake_resume(), snowflake_resume()'), 't|f', 'resumes, once');
is(instance($one, 'node'), $node, 'the node is had again');

# --- restarts -----------------------------------------------------------------------

my $last = $one->safe_psql('postgres', 'SELECT snowflake_nextval()');
$one->stop;
is($coordinator->safe_psql('postgres', "SELECT count(*) FROM idgen_internal.node WHERE state = 'h'"), '0',
    'a server that shuts down releases its node');
$one->start;
is(instance($one, 'node'), $node, 'and gets it back');
for my $how ('kill -9', 'an immediate stop') {
    $how eq 'kill -9' ? kill_family($one) : $one->stop('immediate');
    $one->start;
    is(instance($one, 'node'), $node, "after $how, too, without waiting for its own liveness to end");
}
my $next = $one->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next, '>', $last, 'in order');

# A worker that is ended alone: its node stays, and is gone on with. Not so where the
# coordinator is too busy to answer before the ceiling is reached: then once more.
my ($epoch, $failed);
for (1 .. 10) {
    my $log = -s $one->logfile;
    $epoch = instance($one, 'node_epoch');
    $load = start_collector($one, '--clients', 2, '--ids', 100_000_000);
    for (1 .. 2) {
        my $pid = instance($one, 'worker_pid');
        kill 'TERM', $pid;
        $one->poll_query_until('postgres', "SELECT worker_pid IS DISTINCT FROM $pid AND worker_pid IS NOT NULL FROM snowflake_instance")
          or die 'no other worker came';
    }
    $one->poll_query_until('postgres', 'SELECT window_left > interval \'100 ms\' AND last_error IS NULL FROM snowflake_instance') or die;
    ($failed) = stop_collector($load);
    last unless substr(slurp_file($one->logfile), $log) =~ /no answer within/;
}
is($failed, 0, 'workers come and go under load: no failed call');
is(instance($one, 'node_epoch'), $epoch, 'and the node was not taken anew');

# --- a node that is lost --------------------------------------------------------------

$coordinator->safe_psql('postgres', 'BEGIN; ' . past_guard("UPDATE idgen_internal.node SET holder = gen_random_uuid(), epoch = epoch + 1,
    revision = revision + 1, name = 'usurper', alive_until = clock_timestamp() + interval '1 min' WHERE node = $node") . ' COMMIT');
$one->poll_query_until('postgres', "SELECT node <> $node FROM snowflake_instance") or die 'the loss was not noticed';
like(slurp_file($one->logfile), qr/the node was lost: node $node was taken by "usurper"/, 'a lost node is left, and the log says to whom');
is($one->safe_psql('postgres', 'SELECT losses FROM snowflake_worker_stats'), 1, 'and counted');
delete $held{$node};
$node = instance($one, 'node');

# --- the layout of the fleet -----------------------------------------------------------

my $two = new_node('two', "idgen.registry = '$registry'", "idgen.layout = 'time:41 region:2 shard:8 sequence:12'");
$two->start;
poll_log($two, qr/the settings name another layout than the fleet's registry/);
pass('another layout than the fleet\'s is noticed');
($state, my $err) = sqlstate_of($two, 'CREATE EXTENSION idgen');
is($state, 'IDG06', 'and refused');
like($err, qr/the fleet's registry says "time:41 region:3 shard:7 sequence:12 tick:1ms epoch 2010-01-01T00:00:00Z"/, 'naming it');
$two->stop;

# --- operators of the fleet ----------------------------------------------------------------

my $lost = (sort { $a <=> $b } grep { $_ != $node } keys %held)[0];
$one->safe_psql('postgres', "SELECT snowflake_retire_node($lost)");
is($one->safe_psql('postgres', "SELECT state FROM snowflake_fleet WHERE node = $lost"), 'retired', 'a node is retired');
($state, $err) = sqlstate_of($one, "SELECT snowflake_retire_node($node)");
is($state, '55000', 'one whose holder is alive is not');
like($err, qr/is held by "one \([^"]*\)", which is alive/, 'and the error says why');
is((sqlstate_of($one, 'SELECT snowflake_retire_node(1024)'))[0], '22003', 'no such node');

is((sqlstate_of($one, "SELECT snowflake_raise_registry('$_')"))[0], '22008', "no raise to $_") for '2009-12-31', '2099-01-01', '294276-12-31', 'infinity';
($state, $err) = sqlstate_of($one, "SELECT snowflake_raise_registry(now() + interval '2 days')");
is($state, '22023', 'nor by a slip to far ahead');
like($err, qr/HINT:  If this is intended, pass force => true/, 'but by force');

$last = $one->safe_psql('postgres', 'SELECT snowflake_nextval()');
my $generation = $coordinator->safe_psql('postgres', 'SELECT generation FROM idgen_internal.fleet');
$one->safe_psql('postgres', "SELECT snowflake_raise_registry(clock_timestamp() + interval '5 min')");
cmp_ok($coordinator->safe_psql('postgres', 'SELECT generation FROM idgen_internal.fleet'), '>', $generation, 'a raise is a new generation');
$one->poll_query_until('postgres', "SELECT floor > clock_timestamp() + interval '4 min' FROM snowflake_instance") or die 'not raised';
cmp_ok($one->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'it goes on above, in order');
is($one->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'holding', 'that is no rollback of its clock');
is($one->safe_psql('postgres', "SELECT count(*) FROM snowflake_fleet WHERE ceiling < clock_timestamp() + interval '4 min'"), '0',
    'all ceilings were raised');
is( $coordinator->safe_psql('postgres', "SELECT count(*) FROM snowflake_fleet WHERE ceiling < clock_timestamp() + interval '4 min'"),
    '0', 'the coordinator shows the same');

# Nodes can be changed and had again meanwhile, however far ahead all of them are.
like($one->safe_psql('postgres', 'SELECT snowflake_rotate_node()'), qr/^\d+$/, 'it rotates');
kill_family($one);
$one->start;
wait_for_state($one);
unlike(slurp_file($one->logfile), qr/too far ahead/, 'nothing is refused for what a raise has done');

# --- what a coordinator may lose, and what it may not --------------------------------------

# A crash takes what was not flushed: seen by nobody, and no loss.
my $writer = $coordinator->background_psql('postgres');
$writer->query_until(qr/begun/, "BEGIN; CREATE TABLE bulk AS SELECT g FROM generate_series(1, 20000) AS g;\n\\echo begun\n");
my $log = -s $one->logfile;
like($one->safe_psql('postgres', 'SELECT count(*) FROM snowflake_fleet'), qr/^\d+$/, 'the fleet is read meanwhile');
kill_family($coordinator);
$coordinator->start;
$coordinator->poll_query_until('postgres', "SELECT max(extended) > pg_postmaster_start_time() FROM idgen_internal.node WHERE name LIKE 'one %'") or die;
wait_for_state($one);
unlike(substr(slurp_file($one->logfile), $log), qr/gone back|lost what it had/, 'a coordinator that crashed is the one that it was');
eval { $writer->quit };

# Acknowledged is durable, whatever a pooler has made of the session.
is($coordinator->safe_psql('postgres', "BEGIN; SET synchronous_commit = off; SELECT FROM idgen_internal.fleet_read(0, 1); SHOW synchronous_commit; COMMIT"),
    "on", 'the steps commit synchronously');

# A database can be made ready while there is no node, as long as the layout is known.
$coordinator->stop;
wait_for_state($one, 'fenced');
$one->safe_psql('postgres', 'CREATE DATABASE late');
is($one->psql('late', 'CREATE EXTENSION idgen'), 0, 'CREATE EXTENSION needs no node');
$coordinator->start;
wait_for_state($one);

# --- from registry to registry --------------------------------------------------------------

$last = $one->safe_psql('postgres', 'SELECT snowflake_nextval()');
reconfigure($one, 'registry', 'local');
poll_log($one, qr/the new one cannot be used yet\n.*snowflake_confirm_local\(\)/);
is((sqlstate_of($one, 'SELECT snowflake_nextval()'))[0], 'none', 'from a fleet to local: it goes on with its node');
like(instance($one, 'registry'), qr/^postgresql:/, 'of the fleet, until somebody says so');
is($one->safe_psql('postgres', 'SELECT snowflake_confirm_local()'), 't', 'somebody does');
cmp_ok($one->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'and it goes on above');
$last = $one->safe_psql('postgres', 'SELECT snowflake_nextval()');
$one->append_conf('postgresql.conf', "idgen.registry = '$registry'\n");
$one->reload;
$one->poll_query_until('postgres', "SELECT registry LIKE 'postgresql:%' AND state = 'active' FROM snowflake_instance") or die;
cmp_ok($one->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'and back, in order');

($state, $err) = sqlstate_of($one, q{ALTER SYSTEM SET idgen.registry = 'postgres:secret@host'});
is($state, '22023', 'what is no registry is refused');
unlike($err =~ s/STATEMENT:.*//sr, qr/secret/, 'without showing what may be a password');
$one->append_conf('postgresql.conf', "idgen.registry = 'postgresql://u:secret\@[host'\n");
$one->reload;
poll_log($one, qr/idgen\.registry is not a valid libpq connection string/);
is((sqlstate_of($one, 'SELECT snowflake_nextval()'))[0], 'none', 'what libpq does not take is left alone by the worker');

# --- registry gone -------------------------------------------------------------------------

$one->append_conf('postgresql.conf', "idgen.registry = '$registry'\nidgen.lease_window = '20s'\n");
$one->restart;
$one->poll_query_until('postgres', "SELECT state = 'active' FROM snowflake_instance") or die;
$coordinator->stop('immediate');
poll_log($one, qr/the registry request failed: .*(refused|server closed|terminat|No such file|not accept)/i);
$one->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance") or die 'not fenced';
# The best of 20 calls: a busy machine may keep some of them waiting.
($state, $err) = sqlstate_of($one, "DO \$\$ DECLARE t timestamptz; BEGIN
    FOR i IN 1 .. 20 LOOP t := clock_timestamp();
    BEGIN PERFORM snowflake_nextval(); EXCEPTION WHEN SQLSTATE 'IDG01' THEN
    IF clock_timestamp() - t <= interval '10 ms' THEN RAISE; END IF; END; END LOOP; RAISE 'too slow'; END \$\$");
is($state, 'IDG01', 'cut off: IDG01 in less than 10 ms');
like($err, qr/DETAIL:  The worker says: the registry request failed: /, 'naming the last error');
$coordinator->start;
my $begin = Time::HiRes::time();
$one->poll_query_until('postgres', "SELECT state = 'active' FROM snowflake_instance") or die;
cmp_ok(Time::HiRes::time() - $begin, '<', soon(1), 'soon after the registry\'s return it issues again');

# --- a coordinator that can't be trusted ------------------------------------------------------

$coordinator->append_conf('postgresql.conf', 'fsync = off');
$coordinator->reload;
poll_log($one, qr/the coordinator runs with fsync = off/);
pass('a coordinator without fsync is refused');

$one->stop;
$coordinator->stop;
done_testing();
