# Nodes are claimed in real registries by many at once, by the worker's own code:
# exactly one gets the last one, and none is handed out below its old ceiling.
use strict;
use warnings;

use EtcdTest;
use IdgenTest;
use IPC::Run ();
use Test::More;

my $starts = $ENV{IDGEN_SOAK} ? 20_000 : 1_000;
my $rounds = $ENV{IDGEN_SOAK} ? 2_000 : 100;

my $etcd = EtcdTest->new(members => 3);
$etcd->start;
# A fleet has one layout: each run has a fleet of its own.
my @fleets = (
    [ 'etcd', $etcd->registry('race'), $etcd->registry('churn') ],
    [ 'PostgreSQL', map { registry_of(new_coordinator($_), 'leaser') } 'race', 'churn' ]);

sub claim {
    my ($what, @arguments) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ $ENV{IDGEN_CLAIMANT}, @arguments ], '>', \$out, '2>', \$err);
    is($?, 0, $what) or diag($err);
    note($out);
    return figures($out);
}

for my $fleet (@fleets) {
    my ($kind, $race, $churn) = @$fleet;
    my $figures = claim("$kind: two claim the last free node, $rounds times", 'race', '--registry', $race, '--rounds', $rounds);
    is($figures->{rounds}, $rounds, "$kind: each time");
    is($figures->{nobody}, 0, "$kind: one gets it");
    is($figures->{both}, 0, "$kind: and one only");

    $figures = claim("$kind: $starts starts and releases on a region of 8 nodes",
        'churn', '--registry', $churn, '--starts', $starts, '--deadline', soon(10));
    is($figures->{below}, 0, "$kind: no node is handed out below its old ceiling");
    is($figures->{late}, 0, "$kind: never exhausted for longer than the deadline");
    is($figures->{nodes}, 7, "$kind: all nodes are used, but for 0");
    cmp_ok($figures->{longest}, '<', soon(10), "$kind: the longest wait is within it");
}
$etcd->stop_all;
done_testing();
