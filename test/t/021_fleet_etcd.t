# Six instances on an etcd of three members: members, the leader too, are killed,
# stopped and restarted; instances are killed, frozen, cloned, rotated and drained.
use strict;
use warnings;

use EtcdTest;
use FleetChaos;
use IdgenTest;
use Test::More;

my $etcd = EtcdTest->new(members => 3);
$etcd->start;
my (@killed, @stopped);

sub kill_member { my ($i) = @_; $etcd->kill($i); push @killed, $i; return }
sub stop_member { my ($i) = @_; $etcd->stop($i); push @stopped, $i; return }

run_chaos(
    registry => $etcd->registry('chaos'),
    seconds => $ENV{IDGEN_SOAK} ? 600 : 30,
    faults => [
        [ 'etcd: a member is killed' => sub { kill_member(int(rand(3))) } ],
        [ 'etcd: the leader is killed' => sub { kill_member($etcd->leader) } ],
        [ 'etcd: the leader is stopped' => sub { stop_member($etcd->leader) } ],
        [ 'etcd: a majority is killed' => sub { kill_member($_) for 0, 1; Time::HiRes::usleep(2_500_000) } ],    # longer than a window
        [ 'etcd: a member is stopped' => sub { stop_member(int(rand(3))) } ],
    ],
    heal => sub {
        # A quorum with a leader; then who was missing comes back, too.
        if (@killed > 1) { $etcd->restart($_, wait => 0) for splice @killed }
        $etcd->wait_for_leader;
        $etcd->cont($_) for splice @stopped;
        $etcd->restart($_, wait => 0) for splice @killed;
    });
$etcd->stop_all;
done_testing();
