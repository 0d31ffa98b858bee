# pgbouncer in front of the coordinator: instances lease through connections that they
# share with other clients, and leave no setting of theirs behind on them.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();
my $coordinator = new_coordinator('coordinator');
my $pgbouncer = -x '/usr/sbin/pgbouncer' ? '/usr/sbin/pgbouncer' : 'pgbouncer';

# A test that dies leaves none behind.
my $running;
END {
    local $?;
    $running->kill_kill if $running;
}

# One connection to the server, which all clients share.
sub start_pgbouncer {
    my ($mode) = @_;
    my $bouncer = { port => PostgreSQL::Test::Cluster::get_free_port(), folder => "$files/$mode" };
    mkdir($bouncer->{folder}, 0700);
    append_to_file("$bouncer->{folder}/users", qq("leaser" ""\n));
    append_to_file("$bouncer->{folder}/ini", <<"END");
[databases]
postgres = host=${\ $coordinator->host } port=${\ $coordinator->port }
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer->{port}
unix_socket_dir =
auth_type = trust
auth_file = $bouncer->{folder}/users
pool_mode = $mode
default_pool_size = 1
END
    $running = $bouncer->{handle} = IPC::Run::start([ $pgbouncer, "$bouncer->{folder}/ini" ], '<', \undef, '>', "$bouncer->{folder}/log", '2>&1');
    poll(sub { return -s "$bouncer->{folder}/log" && slurp_file("$bouncer->{folder}/log") =~ /process up/ }) or die 'pgbouncer did not start';
    return $bouncer;
}

my $settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN
    ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'default_transaction_isolation', 'default_transaction_read_only',
     'synchronous_commit', 'client_min_messages')";
# What a client of that role finds that shares its connection with nobody.
my $untouched = $coordinator->safe_psql('postgres', $settings, extra_params => [ '-U', 'leaser' ]);

for my $mode ('transaction', 'statement') {
    my $bouncer = start_pgbouncer($mode);
    my $by_bouncer = "host=127.0.0.1 port=$bouncer->{port} user=leaser dbname=postgres";
    my @instances;
    for my $name ("one_$mode", "two_$mode") {
        my $node = new_node($name, "idgen.registry = 'postgresql://leaser\@127.0.0.1:$bouncer->{port}/postgres'", "idgen.lease_window = '10s'");
        $node->start;
        # It needs a node once, which a busy machine may be late with.
        poll(sub { return $node->psql('postgres', 'CREATE EXTENSION idgen') == 0 }) or die 'no node';
        wait_for_state($node);
        push @instances, $node;
    }
    my @held = map { instance($_, 'node') } @instances;
    isnt($held[0], $held[1], "$mode: two instances lease");
    my @saved = map { "$files/$mode" . $_->name } @instances;
    my @runs = map { start_collector($instances[$_], '--clients', 1, '--ids', 50_000, '--save', $saved[$_]) } 0, 1;
    is((finish_collector($_))[0], 0, "$mode: and issue in order") for @runs;
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    is(figures($out)->{repeats}, 0, "$mode: 0 repeats");

    # On the very connection that the instances use.
    $instances[0]->safe_psql('postgres', 'SELECT count(*) FROM snowflake_fleet');
    my ($seen, $err) = ('', '');
    IPC::Run::run([ 'psql', '-X', '-A', '-t', '-q', '-d', $by_bouncer, '-c', $settings ], '>', \$seen, '2>', \$err);
    is($seen, "$untouched\n", "$mode: another client finds the role's own settings") or diag($err);
    is($coordinator->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename = 'leaser'"), '1', "$mode: all by one connection");
    $_->stop for @instances;
    $bouncer->{handle}->signal('TERM');
    $bouncer->{handle}->finish;
    $running = undef;
}
$coordinator->stop;
done_testing();
