# A primary and its hot standby lease from one coordinator, each for itself: in
# recovery, through promotion, and when the old primary comes back as a standby.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ids = $ENV{IDGEN_SOAK} ? 1_000_000 : 200_000;
my $files = PostgreSQL::Test::Utils::tempdir();
my @saved;

my $coordinator = new_coordinator('coordinator');
my $registry = registry_of($coordinator, 'leaser');

# What an instance holds, and in which life of which instance.
sub held_by { return instance($_[0], "concat_ws(' ', node, node_epoch, incarnation)") }
sub id_node { return instance($_[0], 'node') }

# The same, once its window isn't short any more, as it is soon after a start: so that
# a stall of the coordinator, whose disk others use, too, doesn't count as a loss.
sub settled {
    my ($node) = @_;
    $node->poll_query_until('postgres', "SELECT window_left > interval '1.25 s' FROM snowflake_instance") or die 'no window';
    return held_by($node);
}

# A load that goes on until stop_collector; its calls are saved.
sub start_load {
    my ($node, @options) = @_;
    push @saved, "$files/" . @saved;
    my $run = start_collector($node, gently(), '--clients', 4, '--ids', 1_000_000_000, '--batches', 1, 1, 10, '--save', $saved[-1], @options);
    goes_on($node);
    return $run;
}

# Waits until the node has issued more, in whatever state it is now.
sub goes_on {
    my ($node) = @_;
    my $issued = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
    $node->poll_query_until('postgres', "SELECT ids > $issued + 5000 FROM snowflake_stats WHERE scope IS NULL") or die $node->name . ' issues nothing';
    return;
}

# Every ID that any call has returned so far differs from all others.
sub nothing_in_common {
    my ($what) = @_;
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    is(figures($out)->{repeats}, 0, "$what: 0 IDs in common");
    return figures($out)->{ids};
}

# All nodes issue so many IDs at once.
sub issue_together {
    my ($what, @nodes) = @_;
    my $before = nothing_in_common("before $what");
    my @loads;
    for my $node (@nodes) {
        push @saved, "$files/" . @saved;
        push @loads, start_collector($node, '--clients', 4, '--ids', $ids, '--save', $saved[-1]);
    }
    is((finish_collector($_))[0], 0, "$what: issues in order") for @loads;
    cmp_ok(nothing_in_common($what) - $before, '>=', $ids * @nodes, "$what: of all of them");
    return;
}

# Each instance is alive at the coordinator, under its own incarnation, with a node
# that is nobody else's.
sub distinct_while_alive {
    my ($what, @nodes) = @_;
    my @want = sort map { held_by($_) } @nodes;
    my %nodes = map { (split / /)[0] => 1 } @want;
    is(keys %nodes, @nodes, "$what: all nodes differ");
    my $rows = join(', ', map { "'" . (split / /)[2] . "'" } @want);
    my $held = "SELECT concat_ws(' ', node, node_epoch, incarnation) FROM snowflake_fleet WHERE state = 'held' AND alive AND incarnation IN ($rows)";
    is(join("\n", sort split /\n/, $coordinator->safe_psql('postgres', $held)), join("\n", @want), "$what: each is held by its incarnation");
    return;
}

sub make_standby {
    my ($name, $primary) = @_;
    my $standby = PostgreSQL::Test::Cluster->new($name);
    $primary->backup("for_$name");
    $standby->init_from_backup($primary, "for_$name", has_streaming => 1);
    return $standby;
}

# --- a standby made while the primary issues ----------------------------------------

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
configure($primary, "idgen.registry = '$registry'", "idgen.lease_window = '20s'", "wal_keep_size = '1GB'");
$primary->start;
create_extension($primary);
$primary->safe_psql('postgres', 'CREATE TABLE item (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval())');
my $of_primary = settled($primary);
my $during = start_load($primary);
my $standby = make_standby('standby', $primary);
my ($named) = slurp_file(record_of($standby)) =~ /^node = (\d+)$/m;
is($named, id_node($primary), 'the record in the backup names the primary\'s node');
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the standby is in recovery');
my $of_standby = settled($standby);
isnt(id_node($standby), $named, 'and has another node');
isnt((split / /, $of_standby)[2], (split / /, $of_primary)[2], 'and an incarnation of its own');
is(held_by($primary), $of_primary, 'the primary keeps its node, its epoch and its incarnation');
goes_on($primary);
is((stop_collector($during))[0], 0, 'and issues throughout');
distinct_while_alive('standby', $primary, $standby);
is( $standby->safe_psql('postgres', 'SELECT node FROM snowflake_fleet WHERE state = \'held\' ORDER BY node'),
    $coordinator->safe_psql('postgres', 'SELECT node FROM snowflake_fleet WHERE state = \'held\' ORDER BY node'),
    'a standby shows the fleet');

my $last = $standby->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($standby->safe_psql('postgres', 'BEGIN READ ONLY; SELECT snowflake_nextval()'), '>', $last, 'a standby issues read-only');
is($standby->safe_psql('postgres', "SELECT DISTINCT snowflake_node(id) FROM snowflake_batch(1000) AS id"),
    id_node($standby), 'IDs of its node');
issue_together('a hot standby and its primary', $primary, $standby);

# --- promotion, the old primary still issuing ----------------------------------------

my @across = map { start_load($_) } $primary, $standby;
$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
$standby->reload;
$standby->promote;
is($standby->safe_psql('postgres', 'WITH new AS (INSERT INTO item DEFAULT VALUES RETURNING id) SELECT snowflake_node(id) FROM new'),
    id_node($standby), 'a promoted standby issues to its tables');
goes_on($_) for $primary, $standby;
is((stop_collector(pop @across))[0], 0, 'promotion under load: no error on the standby\'s clients, in order');
is((stop_collector(pop @across))[0], 0, 'nor on the primary\'s');
nothing_in_common('promotion');
is(held_by($standby), $of_standby, 'promotion leaves node, epoch and incarnation');
is(held_by($primary), $of_primary, 'and the old primary\'s');
issue_together('two primaries', $primary, $standby);

# --- a primary that was killed comes back as a standby -----------------------------------

# The configuration comes along with what is rewound.
sub rewind {
    my ($target, $source) = @_;
    my $conf = slurp_file($target->data_dir . '/postgresql.conf');
    command_ok([ 'pg_rewind', '--target-pgdata', $target->data_dir, '--source-server', $source->connstr('postgres') ],
        $target->name . ' is rewound to ' . $source->name);
    open(my $file, '>', $target->data_dir . '/postgresql.conf') or die "could not write the configuration: $!";
    print $file $conf;
    close($file);
    $target->append_conf('postgresql.conf', "primary_conninfo = '" . $source->connstr . ' application_name=' . $target->name . "'");
    $target->set_standby_mode;
    return;
}

# First the one that went on after the promotion.
$primary->stop;
$standby->safe_psql('postgres', 'CHECKPOINT');
rewind($primary, $standby);
$primary->start;
$standby->wait_for_catchup($primary);
distinct_while_alive('rewound', $primary, $standby);
issue_together('rewound', $primary, $standby);

# Then the new primary is killed under load, and fail-over goes the other way.
$of_primary = settled($primary);
@across = (start_load($primary), start_load($standby, '--tolerate-disconnect'));
kill_family($standby);
is((stop_collector(pop @across))[0], 0, 'what a killed primary had returned was in order');
$primary->promote;
$primary->safe_psql('postgres', 'INSERT INTO item DEFAULT VALUES; CHECKPOINT');
goes_on($primary);
is(held_by($primary), $of_primary, 'fail-over leaves the new primary\'s node');
rewind($standby, $primary);
my %named = map { $_ => 1 } slurp_file(record_of($standby)) =~ /^node = (\d+)$/m;
ok($named{ id_node($primary) }, 'the record that came with the rewind names the new primary\'s node');
$standby->start;
my $third = make_standby('third', $primary);
$third->start;
$primary->wait_for_catchup($_) for $standby, $third;
is(held_by($primary), $of_primary, 'standbys that come back leave it, too');
is((stop_collector(pop @across))[0], 0, 'no error on its clients across all that');
distinct_while_alive('all three', $primary, $standby, $third);
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the one that was killed is a standby');
issue_together('all three', $primary, $standby, $third);
is($coordinator->safe_psql('postgres', "SELECT count(*) - count(DISTINCT incarnation) FROM snowflake_fleet WHERE alive AND state = 'held'"),
    0, 'no instance holds two nodes');

# --- one that was stopped in order has its node back ------------------------------------------

$of_standby = held_by($standby);
$standby->stop;
$standby->start;
isnt(held_by($standby), $of_standby, 'a restart is another incarnation');
is((split / /, held_by($standby))[0], (split / /, $of_standby)[0], 'of the same instance, with the same node');
distinct_while_alive('restarted', $primary, $standby, $third);
$_->stop for $third, $standby, $primary, $coordinator;
done_testing();
