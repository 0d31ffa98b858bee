# An etcd fills up, as one does that nobody compacts: how full it is shows, and warns,
# before it stops the fleet; the error says what to do; and once there is room again, the
# fleet comes back without anybody touching it.
use strict;
use warnings;

use EtcdTest;
use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $quota = 4 << 20;
my $etcd = EtcdTest->new(members => 1, arguments => [ "--quota-backend-bytes=$quota" ]);
$etcd->start;
my $node = new_node('instance', "idgen.registry = '" . $etcd->registry('space') . "'", "idgen.lease_window = '1s'",
    "idgen.lease_ttl = '2s'");
$node->start;
create_extension($node);
my $space = sub { return $node->safe_psql('postgres', "SELECT $_[0] FROM snowflake_registry_space") };

# At the start of a session.
poll(sub { return $space->('count(*)') eq '1' }) or die 'the database was not looked at';
is($space->('member'), ($etcd->endpoints)[0], 'the member is named');
is($space->('quota'), $quota, 'its quota is known');
is($space->('quota_known'), 't', 'and not assumed');
is($space->('size BETWEEN 1 AND quota / 2 AND in_use BETWEEN 1 AND size AND abs(used - size::float8 / quota) < 1e-9 AND NOT is_full'),
    't', 'so is how full it is');
is($space->("read_at BETWEEN now() - interval '1 min' AND clock_timestamp()"), 't', 'and when that was read');
unlike(slurp_file($node->logfile), qr/of its quota/, 'it is far from full: no warning');

# Half full: the next session warns.
my $value = 'x' x 100_000;
my $put = sub {
    my $reply = $etcd->ask(0, '/v3/kv/put', { key => 'Zg==', value => $value });
    return defined $reply;
};
my $filled = sub { return ($etcd->status(0) // {})->{dbSize} // 0 };
$put->() while $filled->() < 0.55 * $quota;
my $from = -s $node->logfile;
$node->restart;
poll_log($node, qr/WARNING:  idgen: etcd at 127\.0\.0\.1:\d+ has used \d\d % of its quota/, $from);
my $log = substr(slurp_file($node->logfile), $from);
like($log, qr/DETAIL:  Its database takes \d MB, of which \d MB are in use; the quota is 4 MB\./, 'with the figures');
like($log, qr/HINT:  Make room in etcd: compact .* defragment .* alarm .* --auto-compaction-retention/, 'and what to do');
cmp_ok($space->('used'), '>=', 0.5, 'the view says so, too');
is($node->safe_psql('postgres', 'SELECT snowflake_nextval() IS NOT NULL'), 't', 'IDs are issued as before');

# Full: the fleet stops.
$from = -s $node->logfile;
1 while $put->();
wait_for_state($node, 'fenced');
my ($out, $err);
$node->psql('postgres', 'SELECT snowflake_nextval()', stdout => \$out, stderr => \$err, extra_params => [ '--set', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  IDG01: this instance holds no node/, 'no ID can be issued');
like($err, qr/DETAIL:  .*mvcc: database space exceeded/, 'the reason is etcd\'s');
like($err, qr/HINT:  Make room in etcd: compact .*etcdctl compact.* defragment .*etcdctl defrag.* alarm .*etcdctl alarm disarm/,
    'the hint is what helps');
poll(sub { return $space->('is_full') eq 't' }) or die 'the view does not show that it is full';
poll_log($node, qr/WARNING:  idgen: etcd at 127\.0\.0\.1:\d+ has exceeded its quota and refuses writes/, $from);

# As the hint says.
my $before = $node->safe_psql('postgres', 'SELECT starts FROM snowflake_worker_stats');
$etcd->ctl('compact', $etcd->status(0)->{header}{revision});
$etcd->ctl('defrag');
$etcd->ctl('alarm', 'disarm');
wait_for_state($node);
is($node->safe_psql('postgres', 'SELECT snowflake_nextval() IS NOT NULL'), 't', 'with room it goes on');
is($node->safe_psql('postgres', 'SELECT starts FROM snowflake_worker_stats'), $before, 'by the same worker');
poll(sub { return $space->('NOT is_full AND used < 0.5') eq 't' }) or die 'the view does not show the room';
pass('and the view shows the room');

# Another registry has no such thing.
reconfigure($node, 'registry', 'local');
$node->safe_psql('postgres', 'SELECT snowflake_confirm_local()');
is($space->('count(*)'), 0, 'nothing is shown of a registry that is left');

$node->stop;
$etcd->stop_all;
done_testing();
