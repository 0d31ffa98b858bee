# A primary and a standby under Patroni, with a real etcd for both Patroni and
# idgen: a planned switchover and a fail-over while clients insert by a DEFAULT.
use strict;
use warnings;

use EtcdTest;
use IPC::Open3 ();
use IdgenTest;
use PatroniTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $rounds = $ENV{IDGEN_SOAK} ? 10 : 1;
my $writers = 3;
my $files = PostgreSQL::Test::Utils::tempdir();

my $etcd = EtcdTest->new;
$etcd->start;
my $patroni = PatroniTest->new(
    etcd => $etcd,
    parameters => {
        'idgen.registry' => $etcd->registry('idgen'),
        'idgen.lease_window' => '20s',    # rides out an etcd on a busy machine
        fsync => 'off',
        log_line_prefix => '%m [%p] ',
    });

# --- clients ------------------------------------------------------------------------

sub now_ns { return int(Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) * 1e9) }

# A session: psql at the other end of two pipes. What it complains about goes to $log.
sub session {
    my ($connstr, $log) = @_;
    open(my $errors, '>>', $log) or die "could not write $log: $!";
    my %session;
    $session{pid} = IPC::Open3::open3($session{to}, $session{from}, '>&' . fileno($errors),
        'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $connstr, '-f', '-');
    $session{to}->autoflush(1);
    return \%session;
}

# The lines that a statement returns, none if it fails; undef if the session is over.
sub ask {
    my ($session, $sql) = @_;
    print { $session->{to} } "$sql\n\\echo .\n" or return;
    my @lines;
    while (defined(my $line = readline($session->{from}))) {
        chomp $line;
        return \@lines if $line eq '.';
        push @lines, $line;
    }
    return;
}

sub close_session {
    my ($session) = @_;
    close($session->{$_}) for 'to', 'from';
    waitpid($session->{pid}, 0);
    return;
}

my $owner = $$;
my %helpers;

# Runs a function in a process of its own, which ends with it, or with the test.
sub in_background {
    my ($function) = @_;
    my $pid = fork() // die "could not fork: $!";
    if ($pid == 0) {
        local $SIG{PIPE} = 'IGNORE';
        local $SIG{TERM} = 'DEFAULT';
        eval { $function->(); 1 } or diag($@);
        POSIX::_exit(0);
    }
    $helpers{$pid} = 1;
    return $pid;
}

sub finish {
    my ($pid) = @_;
    waitpid($pid, 0);
    delete $helpers{$pid};
    return;
}

END {
    if ($$ == $owner) {
        local $?;
        kill 'KILL', keys %helpers;
        waitpid($_, 0) for keys %helpers;
    }
}

# A client that inserts at whoever is the primary until the file "stop" is there, one
# row at a time or twenty. It keeps each INSERT that was committed, by the member that
# it went to, with its time.
sub write_rows {
    my ($number) = @_;
    my (%calls, $session, $member);
    for (my $turn = 0; !-e "$files/stop" && getppid() == $owner; ++$turn) {
        if (!$session) {
            $session = session($patroni->connstr, "$files/errors$number");
            my $port = ask($session, '\echo :PORT');
            ($member) = grep { $port && $port->[0] eq $patroni->port($_) } $patroni->members;
        }
        my $rows = $turn % 4 ? 1 : 20;
        my $start = now_ns();
        my $ids = defined $member && ask($session, "INSERT INTO item (body) SELECT 'of $number' FROM generate_series(1, $rows) RETURNING id;");
        my $end = now_ns();
        if ($ids && @$ids == $rows) {
            push @{ $calls{$member} }, [ $start, $end, @$ids ];
            append_to_file("$files/reached$member", '') if @{ $calls{$member} } % 50 == 1;
            Time::HiRes::usleep(1000);    # leaves the machine to others
        }
        else {
            close_session($session);
            undef $session;
            Time::HiRes::usleep(10_000);
        }
    }
    close_session($session) if $session;
    write_calls("$files/calls$_.$number", @{ $calls{$_} }) for keys %calls;
    return;
}

# Waits until clients get IDs from a member.
sub reaches {
    my ($member) = @_;
    unlink "$files/reached$member";
    poll(sub { return -e "$files/reached$member" }) or die "no client inserts at member $member";
    return;
}

# Asks a standby until it isn't one any more, then inserts there: seconds from the
# last answer that it was one until the INSERT was committed, and how many failed.
sub first_insert {
    my ($member, $file) = @_;
    my $session = session($patroni->connstr($member), "$files/probe_errors");
    my $since;
    while (1) {
        my $asked = now_ns();
        my $answer = ask($session, 'SELECT pg_is_in_recovery();') // die 'the session at the standby ended';
        last if @$answer && $answer->[0] eq 'f';
        append_to_file("$file.begun", '') unless $since;
        $since = $asked;
        Time::HiRes::usleep(1000);
    }
    my $failed = 0;
    while (1) {
        my $id = ask($session, "INSERT INTO item (body) VALUES ('first') RETURNING id;") // die 'the session at the primary ended';
        last if @$id;
        ++$failed;
    }
    append_to_file($file, sprintf("seconds %.3f failed %d\n", (now_ns() - $since) / 1e9, $failed));
    close_session($session);
    return;
}

# --- what members hold ------------------------------------------------------------------

# The node, and in which life of the instance. Not the epoch: soon after its start the
# window is short, and while etcd is slow it may run out and be taken anew.
sub held_by {
    my ($member) = @_;
    $patroni->wait_for($member, "SELECT state = 'active' FROM snowflake_instance");
    return $patroni->sql($member, "SELECT concat_ws(' ', node, incarnation) FROM snowflake_instance");
}
sub id_node { return (split / /, held_by($_[0]))[0] }

# One becomes the primary by what $how does; what it held it still holds.
sub becomes_primary {
    my ($what, $new, $how) = @_;
    my $held = held_by($new);
    unlink "$files/probe", "$files/probe.begun";
    my $probe = in_background(sub { first_insert($new, "$files/probe") });
    poll(sub { return -e "$files/probe.begun" }) or die 'nobody asks the standby';
    $how->();
    $patroni->wait_for_primary($new);
    finish($probe);
    my $figures = -e "$files/probe" ? slurp_file("$files/probe") : 'nothing';
    note("$what: $figures");
    my %figure = %{ figures($figures) };
    cmp_ok($figure{seconds} // 1000, '<', soon(1), "$what: the new primary issues soon after it accepts writes");
    is($figure{failed}, 0, "$what: its first INSERT by DEFAULT works");
    is(held_by($new), $held, "$what: with the node and incarnation that the standby had");
    reaches($new);
    return;
}

sub distinct_nodes {
    my ($what) = @_;
    isnt(id_node(0), id_node(1), "$what: both have nodes of their own");
    for my $member ($patroni->members) {
        my $known = q{SELECT f.node FROM snowflake_fleet AS f JOIN snowflake_instance USING (incarnation) WHERE f.state = 'held' AND f.alive};
        is($patroni->sql($member, $known), id_node($member), "$what: as etcd knows of member $member");
    }
    return;
}

# --- a primary and its standby ------------------------------------------------------------

$patroni->start(0);
$patroni->wait_for_primary(0);
# Its first attempt to get a node may fail: etcd may be busy.
poll(sub { return eval { $patroni->sql(0, 'CREATE EXTENSION idgen'); 1 } }) or die "no extension: $@";
$patroni->sql(0, 'CREATE TABLE item (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(), body text)');
my @writing = map { my $number = $_; in_background(sub { write_rows($number) }) } 1 .. $writers;
reaches(0);
my $held = held_by(0);
$patroni->start(1);
$patroni->wait_for_standby(1, 0);
distinct_nodes('a standby made under load');
is(held_by(0), $held, 'which leaves the primary what it holds');

for my $round (1 .. $rounds) {
    becomes_primary('switchover', 1, sub {
        my ($done, $answer) = $patroni->switchover(0, 1);
        ok($done, 'a planned switchover') or diag($answer);
    });
    $patroni->wait_for_standby(0, 1);
    distinct_nodes('switchover');

    becomes_primary('fail-over', 0, sub { $patroni->kill(1) });
    $held = held_by(0);
    $patroni->start(1);
    $patroni->wait_for_standby(1, 0);
    distinct_nodes('the killed primary is back');
    is(held_by(0), $held, 'which leaves the new primary what it holds');
    reaches(0);
}

# --- what the clients got --------------------------------------------------------------------

append_to_file("$files/stop", '');
finish($_) for @writing;

sub check {
    my @saved = @_;
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    note("@saved: $out");
    return figures($out);
}
my $all = check(glob "$files/calls*");
is($all->{repeats}, 0, 'every INSERT that was committed: 0 repeats among all IDs');
my $rows = $patroni->sql(0, 'SELECT count(*) FROM item');
is($patroni->sql(0, 'SELECT count(DISTINCT id::bigint) FROM item'), $rows, '0 repeats in the table');
note("$all->{ids} IDs returned, $rows rows");
for my $member ($patroni->members) {
    my $figures = check(glob "$files/calls$member.*");
    cmp_ok($figures->{ids}, '>', 100, "member $member: has issued");
    is($figures->{inversions}, 0, "member $member: each ID is greater than all that had been returned before");
}
my $errors = join('', map { -e $_ ? slurp_file($_) : '' } glob("$files/errors*"), "$files/probe_errors");
note($errors);
# Soon after a start the window is short. On a busy machine etcd may take longer than that to
# answer; an error that says so is no error of idgen's.
$errors =~ s/^.*ERROR:  IDG01: .*\nDETAIL:  .*(?:timed out after|no answer within) \d+ .*\n//mg;
unlike($errors, qr/IDG\d\d/, 'no client was refused an ID');
unlike($errors, qr/23505/, 'nor got one that was there');
unlike($errors, qr/ERROR:/, 'nor any other error than that its server went away');

$patroni->stop_all;
$etcd->stop_all;
done_testing();
