# Coordinators that were restored from a backup, or lost altogether: nobody is
# given a node until an operator has raised all ceilings. And the configuration
# that docs/fleet.md shows works as it stands.
use strict;
use warnings;

use EtcdTest;
use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();
my @saved;

sub start_instance {
    my ($name, $registry, @lines) = @_;
    my $node = new_node($name, "idgen.registry = '$registry'", "cluster_name = '$name'", @lines);
    $node->start;
    create_extension($node);
    wait_for_state($node);
    return $node;
}

sub issue {
    my ($node) = @_;
    push @saved, "$files/" . @saved;
    is((run_collector($node, '--clients', 2, '--ids', 50_000, '--save', $saved[-1]))[0], 0, $node->name . ' issues in order');
    return;
}

# The instance refuses, says why, and asks for the raise; after it all is well.
sub refuses_until_raised {
    my ($what, $node, $why, $from) = @_;
    poll_log($node, $why, $from);
    $node->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance") or die;
    my ($state, $err) = sqlstate_of($node, 'SELECT snowflake_nextval()');
    is($state, 'IDG01', "$what: refused");
    like($err, qr/DETAIL: .*snowflake_raise_registry\(\)/, "$what: the error says what to do");
    my $raised = time();
    $node->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
    wait_for_state($node);
    is($node->safe_psql('postgres', "SELECT floor > to_timestamp($raised) + interval '1 min' FROM snowflake_instance"),
        't', "$what: raised, it goes on above all that may be in use");
    issue($node);
    return;
}

# --- PostgreSQL: a dump that is restored elsewhere -------------------------------------

my $coordinator = new_coordinator('coordinator');
my $one = start_instance('one', registry_of($coordinator, 'leaser'));
issue($one);
my $dump = "$files/dump.sql";
$coordinator->command_ok([ 'pg_dump', '-f', $dump, $coordinator->connstr('postgres') ], 'the coordinator is dumped');
like(slurp_file($dump), qr/COPY idgen_internal\.node/, 'its nodes are in the dump');
$coordinator->stop('immediate');
# At the same place.
my $restored = PostgreSQL::Test::Cluster->new('restored', port => $coordinator->port, own_host => 0);
$restored->init;
$restored->append_conf('postgresql.conf', slurp_file($coordinator->data_dir . '/postgresql.conf') =~ s/^(cluster_name|port|unix_socket|listen).*\n//mgr);
$restored->append_conf('postgresql.conf', 'port = ' . $coordinator->port . "\nunix_socket_directories = '" . $coordinator->host . "'\n");
my $from = -s $one->logfile;
$restored->start;
$restored->safe_psql('postgres', "CREATE ROLE leaser LOGIN");
$restored->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $restored->connstr('postgres') ], 'and restored in another cluster');
refuses_until_raised('a restored dump', $one, qr/the registry was made in another database or table/, $from);

# --- PostgreSQL: all is lost --------------------------------------------------------------

$from = -s $one->logfile;
$restored->safe_psql('postgres', 'DROP EXTENSION idgen CASCADE');
poll_log($one, qr/run CREATE EXTENSION idgen/, $from);
pass('without the extension the coordinator is refused, and the log says what it wants');
$restored->safe_psql('postgres', "CREATE EXTENSION idgen; SELECT snowflake_allow_leasing('leaser')");
refuses_until_raised('an empty coordinator', $one, qr/the registry is empty, although/, $from);
$one->stop;

# --- the example of docs/fleet.md -----------------------------------------------------------

my ($sql) = slurp_file("$ENV{IDGEN_SOURCE}/docs/fleet.md") =~ /```sql\n(.*?)```/s or die 'no example';
my ($ini) = slurp_file("$ENV{IDGEN_SOURCE}/docs/fleet.md") =~ /```ini\n(.*?)```/s or die 'no example';
$restored->safe_psql('postgres', $sql);
my $here = $restored->host =~ s{/}{%2F}gr . ':' . $restored->port;
is($ini =~ s/coordinator\.example/$here/, 1, 'the example names a coordinator');
my $example = new_node('example', $ini);
$example->start;
create_extension($example);
wait_for_state($example);
is($restored->safe_psql('postgres', "SELECT count(*) FROM snowflake_fleet WHERE alive AND holder LIKE 'example %'"), '1',
    'the configuration that the documentation shows leases a node');
issue($example);
$example->stop;
$restored->stop;

# --- etcd: a snapshot that is restored ---------------------------------------------------------

my $etcd = EtcdTest->new(members => 1);
$etcd->start;
@saved = ();
my $two = start_instance('two', $etcd->registry('fleet'));
my $three = start_instance('three', $etcd->registry('fleet'));
issue($_) for $two, $three;
my $snapshot = "$files/snapshot";
$etcd->ctl('--endpoints=http://' . ($etcd->endpoints)[0], 'snapshot', 'save', $snapshot);
$_->safe_psql('postgres', 'SELECT snowflake_rotate_node()') for $two, $three;
issue($_) for $two, $three;
$from = { map { $_->name => -s $_->logfile } $two, $three };
$etcd->restore_snapshot($snapshot);
my $restored_at = time();
refuses_until_raised('a restored etcd', $two, qr/the registry (was made on another cluster|has gone back in time)/, $from->{two});
# It is raised for all.
wait_for_state($three);
is($three->safe_psql('postgres', "SELECT floor > to_timestamp($restored_at) + interval '1 min' FROM snowflake_instance"), 't',
    'the others go on without a word, above it, too');
issue($three);

# The same once more, restored so that it has the cluster ID that it had: only its
# revisions tell, and they grow again.
$snapshot = "$files/another";
$etcd->ctl('--endpoints=http://' . ($etcd->endpoints)[0], 'snapshot', 'save', $snapshot);
$_->safe_psql('postgres', 'SELECT snowflake_rotate_node()') for $two, $three;
issue($_) for $two, $three;
$from = -s $two->logfile;
$etcd->restore_snapshot($snapshot, same_cluster => 1);
poll_log($two, qr/the registry (has gone back in time|has lost what it had acknowledged)/, $from);
$etcd->put('elsewhere', $_) for 1 .. 200;
$from = -s $two->logfile;
$two->restart;
refuses_until_raised('an etcd with its old cluster ID, whose revisions have grown', $two, qr/the registry has gone back in time/, $from);
wait_for_state($three);
issue($three);

my $out = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
is(figures($out)->{repeats}, 0, 'etcd: 0 repeats over the restore');
$_->stop for $two, $three;
$etcd->stop_all;
done_testing();
