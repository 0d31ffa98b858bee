# The registry goes away and comes back: how long issuing goes on, how it stops,
# how it goes on again; and how often it is written to while all is well.
use strict;
use warnings;

use EtcdTest;
use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

# Windows are a tenth of the time since the start, until idgen.lease_window: the long form
# waits for as long as "20 s ride out 9 s" takes.
my $window = $ENV{IDGEN_SOAK} ? 20 : 2;
my $etcd = EtcdTest->new(members => 3);
$etcd->start;
my $coordinator = new_coordinator('coordinator');
my %registries = (
    postgresql => {
        url => registry_of($coordinator, 'leaser'),
        stop => sub { $coordinator->stop('immediate') },
        start => sub { $coordinator->start },
        writes => sub { $coordinator->safe_psql('postgres', 'SELECT sum(revision) FROM idgen_internal.node') },
    },
    etcd => {
        url => $etcd->registry('outage'),
        stop => sub { $etcd->kill($_) for $etcd->members },
        start => sub { $etcd->restart($_, wait => 0) for $etcd->members; $etcd->wait_for_leader },
        writes => sub { $etcd->status($etcd->leader)->{header}{revision} },
    });
for my $kind (sort keys %registries) {
    my $node = $registries{$kind}{node} = new_node($kind, "idgen.registry = '$registries{$kind}{url}'",
        "idgen.lease_window = '${window}s'", "cluster_name = '$kind'");
    $node->start;
    create_extension($node);
}
my $started = Time::HiRes::time();
poll(sub { Time::HiRes::time() - $started > 10 * $window + 1 }, 20 * $window) or die;

for my $kind (sort keys %registries) {
    my ($node, $registry) = @{ $registries{$kind} }{ 'node', 'url' };
    my $value = sub { return $node->safe_psql('postgres', "SELECT $_[0] FROM snowflake_instance") };

    # Steady state.
    my $epoch = $value->('node_epoch');
    my ($begin, $before, $ceiling) = (Time::HiRes::time(), $registries{$kind}{writes}->(), $value->('ceiling'));
    poll(sub { Time::HiRes::time() - $begin > 3 * $window }, 4 * $window) or die;
    my $writes = $registries{$kind}{writes}->() - $before;
    my $spans = (Time::HiRes::time() - $begin) / ($window / 2);
    isnt($value->('ceiling'), $ceiling, "$kind: the ceiling is extended");
    cmp_ok($writes, '>=', 2, "$kind: by writes to the registry");
    cmp_ok($writes, '<=', $spans + 1, "$kind: at most one in half a window");
    note(sprintf('%s: %d writes in %.1f half windows', $kind, $writes, $spans));
    is($value->('node_epoch'), $epoch, "$kind: of a node that is held all the time");

    # It goes away. Clients go on for at least half a window, but for the time that the
    # last renewals took.
    my $load = start_collector($node, '--clients', 2, '--ids', 100_000_000, '--tolerate', 'IDG01');
    my $gone = $value->('issuing_time');
    $registries{$kind}{stop}->();
    poll(sub { return ($node->psql('postgres', 'SELECT snowflake_nextval()'))[0] != 0 }) or die "$kind: it did not stop";
    my ($code, $figures) = finish_collector($load);
    is($code, 0, "$kind: 0 repeats until then, and IDG01 after that");
    my ($went_on, $enough) = split /\|/, $node->safe_psql('postgres', "SELECT on_for, on_for > $window * interval '0.5 s' - renewal_longest - '0.1 s'
        FROM (SELECT snowflake_timestamp($figures->{greatest}::bigint) - '$gone' AS on_for) AS t, snowflake_worker_stats");
    is($enough, 't', "$kind: without its registry it goes on for half a window");
    note("$kind: went on for $went_on, window $window s");

    # Each call fails at once, and says why.
    is($value->('state'), 'fenced', "$kind: then it is fenced");
    my $times = $node->safe_psql('postgres', q{
        DO $$
        DECLARE
            began timestamptz; took interval[]; state text; detail text; hint text;
        BEGIN
            FOR i IN 1 .. 100 LOOP
                began := clock_timestamp();
                BEGIN
                    PERFORM snowflake_nextval();
                EXCEPTION WHEN OTHERS THEN
                    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                END;
                took := took || (clock_timestamp() - began);
            END LOOP;
            -- Most calls: a busy machine may keep some of them waiting.
            PERFORM set_config('test.seen', format('%s|%s|%s|%s', state,
                (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) < '10 ms' FROM unnest(took) AS t), detail, hint), false);
        END $$;
        SELECT current_setting('test.seen')});
    like($times, qr/^IDG01\|t\|The worker says: the registry request failed: .*\|Issuing goes on automatically/,
        "$kind: a call fails with IDG01 in less than 10 ms, naming the registry's last error");

    # It comes back.
    $registries{$kind}{start}->();
    my $back = Time::HiRes::time();
    poll(sub { return ($node->psql('postgres', 'SELECT snowflake_nextval()'))[0] == 0 }) or die "$kind: it did not come back";
    my $took = Time::HiRes::time() - $back;
    cmp_ok($took, '<', soon(1), "$kind: soon after its return it issues again");
    note(sprintf('%s: back after %.2f s', $kind, $took));
    ok($node->poll_query_until('postgres', 'SELECT last_error IS NULL FROM snowflake_instance'), "$kind: and the error is over");
}
$registries{$_}{node}->stop for keys %registries;
$coordinator->stop;
$etcd->stop_all;
done_testing();
