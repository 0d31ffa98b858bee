# The same six instances on a PostgreSQL coordinator that is restarted and killed.
use strict;
use warnings;

use FleetChaos;
use IdgenTest;
use Test::More;
use Time::HiRes;

my $coordinator = new_coordinator('coordinator');
run_chaos(
    registry => registry_of($coordinator, 'leaser'),
    seconds => $ENV{IDGEN_SOAK} ? 600 : 30,
    faults => [
        [ 'the coordinator is restarted' => sub { $coordinator->stop } ],
        [ 'the coordinator is stopped at once' => sub { $coordinator->stop('immediate') } ],
        [ 'the coordinator is killed' => sub { kill_family($coordinator) } ],
        [ 'a backend of it is killed' => sub {
            kill 'KILL', $coordinator->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE usename = 'leaser' LIMIT 1");
            poll(sub { ($coordinator->psql('postgres', 'SELECT 1'))[0] == 0 }) or die;
        } ],
        [ 'the coordinator is gone for longer than a window' => sub {
            $coordinator->stop;
            Time::HiRes::usleep(2_500_000);    # the time itself is the fault
        } ],
        [ 'the coordinator freezes' => sub {
            my @family = family($coordinator);
            kill 'STOP', @family;
            Time::HiRes::usleep(1_500_000);    # so here
            kill 'CONT', @family;
        } ],
    ],
    heal => sub { $coordinator->start if !$coordinator->{_pid} });
$coordinator->stop;
done_testing();
