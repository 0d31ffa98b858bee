# The coordinator fails over to a standby that doesn't have all that was
# acknowledged, or that was never sure of it: no ID twice.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();

# A coordinator and a standby of it, and the setting that names both.
sub pair {
    my ($name) = @_;
    my $primary = new_coordinator("${name}_primary", allows_streaming => 1);
    $primary->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new("${name}_standby");
    $standby->init_from_backup($primary, 'base', has_streaming => 1);
    $standby->append_conf('postgresql.conf', "fsync = on\n");
    $standby->start;
    $primary->wait_for_catchup($standby);
    return ($primary, $standby, registry_of($primary, 'leaser', $standby));
}

# From now on nothing that the primary commits reaches the standby.
sub cut {
    my ($standby) = @_;
    $standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
    $standby->reload;
    $standby->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_wal_receiver") or die 'still connected';
    return;
}

sub generation { return $_[0]->safe_psql('postgres', 'SELECT generation FROM idgen_internal.fleet') }

sub issue {
    my ($node, $name, $ids) = @_;
    my ($code) = run_collector($node, '--clients', 4, '--ids', $ids, '--save', "$files/$name");
    is($code, 0, "$name: in order, without a repeat");
    return "$files/$name";
}

sub repeats {
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @_ ], '>', \$out);
    return figures($out)->{repeats};
}

# --- an asynchronous standby that has lost the last commits --------------------------

my ($primary, $standby, $registry) = pair('async');
my $one = new_node('one', "idgen.registry = '$registry'", "cluster_name = 'one'");
$one->start;
create_extension($one);
wait_for_state($one);
poll_log($one, qr/WARNING:  idgen: the coordinator has standbys, but no synchronous one/);
pass('a coordinator that may lose commits is warned about beforehand');
my $epoch = instance($one, 'node_epoch');
cut($standby);

# What only the old primary will know: a node that was taken, by an instance whose
# clock is ahead, as far as is allowed.
my $two = new_node('two', "idgen.registry = '$registry'", 'idgen.shard = 77', "cluster_name = 'two'");
faulty($two);
set_clock($two, 40);
$two->start;
create_extension($two);
my @saved = (issue($two, 'before the fail-over', 1_000_000));
is($standby->safe_psql('postgres', 'SELECT count(*) FROM idgen_internal.node WHERE node = 77'), '0', 'the standby never heard of that node');
$two->stop('immediate');

my $load = start_collector($one, '--clients', 2, '--ids', 100_000_000, '--save', "$files/across", '--tolerate', 'IDG01');
my $before = generation($primary);
my $extended = $primary->safe_psql('postgres', "SELECT max(revision) FROM idgen_internal.node WHERE name LIKE 'one %'");
$primary->poll_query_until('postgres', "SELECT max(revision) > $extended + 2 FROM idgen_internal.node WHERE name LIKE 'one %'") or die;
$primary->stop('immediate');
my $lost = time();
$standby->promote;
$standby->poll_query_until('postgres', "SELECT generation > $before FROM idgen_internal.fleet") or die 'no raise';
$one->poll_query_until('postgres', "SELECT state = 'active' AND node_epoch > $epoch FROM snowflake_instance") or die 'it did not take a node anew';
push @saved, "$files/across";
stop_collector($load);
is($one->safe_psql('postgres', "SELECT floor > to_timestamp($lost) + interval '1 min' FROM snowflake_instance"), 't',
    'and begins above all that can have been acknowledged');
is( $standby->safe_psql('postgres',
        "SELECT count(*) FROM idgen_internal.node, idgen_internal.fleet WHERE state = 'h' AND ceiling < base AND extended > clock_timestamp() - interval '1 s'"),
    '0', 'nobody extends below the raise');
like(
    (sqlstate_of($standby, "SELECT idgen_internal.fleet_write($before, 0, '{5}', '{0}', '{0}', true, 'h',
        gen_random_uuid(), 5, 5, 0, 0, '', 0, 0, 0, 0, 1)"))[0],
    qr/40001/, 'nor takes a node by what was known before it');

# Another takes the node that was lost, with a clock that is just behind what was
# issued with it: without the raise it would issue the same IDs.
my $three = new_node('three', "idgen.registry = '$registry'", 'idgen.shard = 77', "cluster_name = 'three'");
faulty($three);
set_clock($three, 38);
$three->start;
create_extension($three);
is(instance($three, 'node'), 77, 'it is handed out again');
push @saved, issue($three, 'after the fail-over', 1_000_000);
push @saved, issue($one, 'after the fail-over, the first', 100_000);
is(repeats(@saved), 0, 'asynchronous: 0 repeats');
is($three->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'holding', 'that its time was raised is no rollback');
unlike(slurp_file($_->logfile), qr/too far ahead/, 'nobody had to wait for the raise: ' . $_->name) for $one, $three;
$_->stop('immediate') for $one, $three, $standby;

# --- a synchronous standby, and a commit whose wait for it is cut short ------------------

($primary, $standby, $registry) = pair('sync');
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'\n");
$primary->reload;
$primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'") or die;
$one = new_node('held', "idgen.registry = '$registry'", "cluster_name = 'held'");
$one->start;
# Its own database is local.
create_extension($one);
wait_for_state($one);
unlike(slurp_file($one->logfile), qr/no synchronous one/, 'a synchronous standby is not warned about');
@saved = (issue($one, 'before the cut', 300_000));
my ($receiver) = $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
kill 'STOP', $receiver;
# Extensions are committed on the primary now, and nobody knows whether to stay.
poll(sub {
    $primary->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'leaser' AND wait_event = 'SyncRep'");
    return slurp_file($one->logfile) =~ /the commit is not known to be durable: canceling wait for synchronous replication/;
}) or die 'no commit wait was cut';
my $acknowledged = $one->safe_psql('postgres', "SELECT extract(epoch FROM ceiling) FROM snowflake_instance");
if ($acknowledged ne '') {
    my $written = $primary->safe_psql('postgres', "SELECT extract(epoch FROM ceiling_at) FROM idgen_internal.node WHERE name LIKE 'held %'");
    cmp_ok($written, '>', $acknowledged, 'a ceiling that only the primary has is not published');
} else {
    is($one->safe_psql('postgres', 'SELECT state FROM snowflake_instance'), 'fenced', 'a ceiling that only the primary has is not published');
}
$primary->stop('immediate');
kill 'CONT', $receiver;
$standby->promote;
wait_for_state($one);
push @saved, issue($one, 'after the promotion', 300_000);
is(repeats(@saved), 0, 'synchronous, the commit wait cut, promotion: 0 repeats');
$one->stop;
$standby->stop;

# --- the whole fleet is lost: it was made just before the fail-over ------------------------

($primary, $standby, $registry) = pair('young');
cut($standby);
$one = new_node('early', "idgen.registry = '$registry'", 'idgen.shard = 9', 'idgen.lease_window = 10s');
$one->start;
create_extension($one);
wait_for_state($one);
$primary->stop('immediate');
$lost = time();
$standby->promote;
my $late = new_node('late', "idgen.registry = '$registry'", 'idgen.shard = 9');
$late->start;
create_extension($late);
wait_for_state($late);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM idgen_internal.node'), '1', 'a coordinator that never heard of the fleet begins one');
is($late->safe_psql('postgres', "SELECT floor > to_timestamp($lost) + interval '1 min' FROM snowflake_instance"), 't',
    'above all that may still be issued of the one that was lost');
poll_log($one, qr/the registry is another than the one that was there before.*snowflake_raise_registry\(\)/);
$late->stop;    # the pinned node is free
$one->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
wait_for_state($one);
pass('those of the old one go on after a raise');
$_->stop for $one, $standby;
done_testing();
