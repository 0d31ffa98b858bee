# Six loaded instances of a fleet and whatever can happen to them and to their
# registry, at random; every ID is kept and judged.
#
# The fleet is tight and half of its clocks are seconds ahead, so that nodes pass from
# one hand to another while their ceilings lie ahead of the next holder's clock, and
# from holders that are alive and frozen.
#
#   run_chaos(
#       registry => 'etcd://...',
#       seconds => 30,
#       faults => [ [ 'kill the leader' => sub { ... } ], ... ],   # of the registry
#       heal => sub { ... });   # undoes them; returns when the registry can serve
#
# The seed is printed; IDGEN_SEED=n plays the same choices again.
package FleetChaos;

use strict;
use warnings;

use Exporter 'import';
use IdgenTest;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(run_chaos);

my $instances = 6;
my $ttl = 3;          # idgen.lease_ttl, s
my $nodes = 15;       # that are handed out
my $served_in = soon(2);    # s, from a registry that can serve to IDs on every instance

sub run_chaos {
    my (%options) = @_;
    my $seed = $ENV{IDGEN_SEED} // int(rand(1_000_000));
    note("seed $seed");
    srand($seed);
    my $fleet = bless { %options, files => PostgreSQL::Test::Utils::tempdir(), members => [], seen => {} };
    for my $i (1 .. $instances) {
        my $node = new_node("i$i", $fleet->settings("i$i"));
        if ($i % 2) {
            faulty($node);
            set_clock($node, 1.5 * $i);
        }
        $fleet->start_instance($node);
    }
    my $until = Time::HiRes::time() + $options{seconds};
    my @always = (
        [ 'kill -9' => \&kill_one ], [ 'freeze' => \&freeze_one ], [ 'rotate' => \&rotate_one ],
        [ 'drain' => \&drain_one ], [ 'clone' => \&clone_one ]);
    # Each kind once, in a random order, then at random.
    my @due = shuffled(@always, @{ $options{faults} });
    while (@due || Time::HiRes::time() < $until) {
        my $event = shift @due // (@always, @{ $options{faults} })[ int(rand(@always + @{ $options{faults} })) ];
        my ($what, $action) = @$event;
        note(sprintf('%.1f s left: %s', $until - Time::HiRes::time(), $what));
        $fleet->{seen}{$what}++;
        $action->($fleet);
        $fleet->heal_registry if grep { $_ == $event } @{ $options{faults} };
        Time::HiRes::usleep(int(rand(1_000_000)));    # at no time that anything depends on
    }
    $fleet->judge;
    return;
}

sub shuffled { return map { $_->[0] } sort { $a->[1] <=> $b->[1] } map { [ $_, rand ] } @_ }

sub settings {
    my ($fleet, $name) = @_;
    return ("idgen.registry = '$fleet->{registry}'", "idgen.lease_ttl = '${ttl}s'", "idgen.lease_window = '2s'",
        "cluster_name = '$name'", 'fsync = off', 'shared_buffers = 16MB', "idgen.max_wait = '2s'",
        'wal_level = replica', 'max_wal_senders = 5', "idgen.layout = 'time:41 region:1 shard:4 sequence:12'");
}

sub any { my ($fleet) = @_; return $fleet->{members}[ int(rand(@{ $fleet->{members} })) ] }

# --- instances ------------------------------------------------------------------

sub start_instance {
    my ($fleet, $node) = @_;
    $node->start;
    # A coordinator that is busy may not have handed out a node in the first attempt.
    poll(sub { return (sqlstate_of($node, 'CREATE EXTENSION IF NOT EXISTS idgen'))[0] eq 'none' })
      or die 'the extension could not be made';
    wait_for_state($node);
    my $member = { node => $node, file => "$fleet->{files}/" . $node->name };
    $member->{load} = start_collector($node, '--clients', 2, '--ids', 1_000_000_000, '--batches', 1, 1, 10,
        '--pause', 1, '--retry', '--tolerate-disconnect', '--tolerate', 'IDG01', 'IDG03', 'IDG05', '57P03',
        '--save', $member->{file});
    push @{ $fleet->{members} }, $member;
    return;
}

sub issues { return ($_[0]->psql('postgres', 'SELECT snowflake_nextval()'))[0] == 0 }

# Those of them that don't issue, asked all at once: nine starts of psql, one after
# the other, take their time on a loaded machine.
sub mute {
    my (@nodes) = @_;
    my @asked = map {
        my ($out, $err) = ('', '');
        { node => $_, run => IPC::Run::start([ 'psql', '-XAtq', '-d', $_->connstr('postgres'), '-c', 'SELECT snowflake_nextval()' ],
            '<', \undef, '>', \$out, '2>', \$err) }
    } @nodes;
    $_->{run}->finish for @asked;
    return map { $_->{node} } grep { $_->{run}->result(0) != 0 } @asked;
}

sub kill_one {
    my ($fleet) = @_;
    my $node = $fleet->any->{node};
    kill_family($node);
    $node->start;
    ok(poll(sub { issues($node) }, soon(10)), $node->name . ' issues again after kill -9');
    return;
}

# For longer than three times the time it counts as alive. Meanwhile another takes its
# node, as soon as it can, for want of any other; both issue when it thaws. At first
# that is from the clock that is ahead most.
sub freeze_one {
    my ($fleet) = @_;
    my $node = $fleet->{seen}{freeze} == 1 ? $fleet->{members}[4]{node} : $fleet->any->{node};
    ok(poll(sub { issues($node) }, soon(10)), $node->name . ' issues before it is frozen');
    my @free = $fleet->free_nodes($node);
    my ($other) = $fleet->others($node);
    $other->psql('postgres', "SELECT snowflake_retire_node($_)") for @free;
    my $held = $node->safe_psql('postgres', 'SELECT node FROM snowflake_instance');
    my @family = family($node);
    my $thaw = Time::HiRes::time() + 3 * $ttl + 0.5;
    kill 'STOP', @family;
    $fleet->others_go_on($node);
    ok(poll(sub { $fleet->another_takes($node, $held) }, 30), "another takes node $held of the frozen " . $node->name);
    $other->psql('postgres', "SELECT snowflake_retire_node($_, false)") for @free;
    poll(sub { Time::HiRes::time() > $thaw }) or die;
    kill 'CONT', @family;
    ok(poll(sub { issues($node) }, soon(10)), $node->name . ' issues again after it was frozen');
    return;
}

# Those that nobody alive holds.
sub free_nodes {
    my ($fleet, $node) = @_;
    return split /\n/, $node->safe_psql('postgres', "SELECT n FROM generate_series(1, $nodes) AS n
        WHERE n NOT IN (SELECT node FROM snowflake_fleet WHERE state = 'held' AND alive)");
}

# The other instances, those with the right time first.
sub others {
    my ($fleet, $node) = @_;
    my @others = grep { $_ != $node } map { $_->{node} } @{ $fleet->{members} };
    return sort { defined $a->{idgen_clock} <=> defined $b->{idgen_clock} } @others;
}

# One of the others changes its node; true if it has that one then.
sub another_takes {
    my ($fleet, $node, $wanted) = @_;
    my ($code, $out) = ($fleet->others($node))[0]->psql('postgres', 'SELECT snowflake_rotate_node()');
    return $code == 0 && $out == $wanted;
}

sub others_go_on {
    my ($fleet, $node) = @_;
    my @others = $fleet->others($node);
    # On a busy machine one may have been late to renew its own lease.
    poll(sub { @others = mute(@others); return !@others }, soon(2));
    is(scalar(@others), 0, 'the others go on');
    return;
}

sub rotate_one {
    my ($fleet) = @_;
    my $node = $fleet->any->{node};
    my ($code, $out, $err);
    # What the last fault has left may still be in its way.
    poll(sub { ($code, $out, $err) = $node->psql('postgres', 'SELECT snowflake_rotate_node()'); return $code == 0 }, $served_in);
    is($code, 0, $node->name . ' rotates') or diag($err);
    return;
}

sub drain_one {
    my ($fleet) = @_;
    my $node = $fleet->any->{node};
    is($node->safe_psql('postgres', 'SELECT snowflake_drain()'), 't', $node->name . ' drains');
    is($node->safe_psql('postgres', 'SELECT snowflake_resume()'), 't', 'and resumes');
    return;
}

# A copy of one joins, for good; three at the most.
sub clone_one {
    my ($fleet) = @_;
    my $n = @{ $fleet->{members} } + 1;
    return if $n > $instances + 3;
    my $origin = $fleet->any->{node};
    my $clone = PostgreSQL::Test::Cluster->new("i$n");
    $origin->backup("for$n");
    $clone->init_from_backup($origin, "for$n");
    $clone->append_conf('postgresql.conf', "cluster_name = 'i$n'\n");
    $fleet->start_instance($clone);
    isnt($clone->safe_psql('postgres', 'SELECT node FROM snowflake_instance'),
        $origin->safe_psql('postgres', 'SELECT node FROM snowflake_instance'), 'a clone takes another node');
    return;
}

# --- the registry -----------------------------------------------------------------

sub heal_registry {
    my ($fleet) = @_;
    $fleet->{heal}->();
    my $begin = Time::HiRes::time();
    my @waiting = map { $_->{node} } @{ $fleet->{members} };
    poll(sub { @waiting = mute(@waiting); return !@waiting }, 2 * $served_in);
    my $took = Time::HiRes::time() - $begin;
    cmp_ok($took, '<', $served_in, sprintf('every instance issues %.1f s after the registry is back', $took));
    $fleet->{slowest} = $took if $took > ($fleet->{slowest} // 0);
    return;
}

# --- the judgement ------------------------------------------------------------------

sub judge {
    my ($fleet) = @_;
    my (@saved, $ids);
    for my $member (@{ $fleet->{members} }) {
        my ($code, $figures) = stop_collector($member->{load});
        is($code, 0, $member->{node}->name . ": 0 repeats, 0 inversions, restarts included, of $figures->{ids} IDs");
        push @saved, $member->{file};
        $ids += $figures->{ids};
    }
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    is(figures($out)->{repeats}, 0, "0 repeats in the whole fleet, of $ids IDs");
    cmp_ok($ids, '>', 10_000 * $fleet->{seconds} / 10, 'they were loaded');
    note("$_: $fleet->{seen}{$_} times") for sort keys %{ $fleet->{seen} };
    note(sprintf('slowest to issue after the registry was back: %.2f s', $fleet->{slowest}));
    $_->{node}->stop for @{ $fleet->{members} };
    return;
}

1;
