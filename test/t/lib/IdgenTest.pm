# What the TAP tests share: nodes with idgen preloaded from the staged build,
# their records, the collector of IDs.
package IdgenTest;

use strict;
use warnings;

use Compress::Zlib ();
use DBI ();
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(new_node configure create_extension wait_for_state wait_event instance reconfigure sqlstate_of record_of
  new_coordinator registry_of past_guard poll_log poll soon family kill_family
  change_record replace_worker faulty set_clock bad_disk clock_events gently start_collector finish_collector stop_collector run_collector figures write_calls);

# scripts/test says where the build is staged and where the collector lies.
my $settings = $ENV{IDGEN_STAGE_SETTINGS} // die 'run the tests by "make test"';
my $collector = $ENV{IDGEN_COLLECTOR};
my @collectors;    # those that were started

# A node that has been initialised and configured, not started. Lines are added
# to its postgresql.conf; "injection" takes the build with injection points.
sub new_node {
    my ($name, @lines) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init;
    configure($node, @lines);
    return $node;
}

# What a wait of ours is called in pg_stat_activity: by its name from 17 on.
sub wait_event {
    my ($node, $name) = @_;
    return $node->pg_version >= 17 ? $name : 'Extension';
}

# Preloads idgen in a node that was made otherwise (from a backup). Callers
# wait for longer than by default: a slow machine is no failure, but a stall is
# one. What is about waiting sets idgen.max_wait itself.
sub configure {
    my ($node, @lines) = @_;
    # The build with injection points, if a line asks for it.
    my $build = (grep { $_ eq 'injection' } @lines) ? $ENV{IDGEN_INJECTION_SETTINGS} : $settings;
    $node->append_conf('postgresql.conf', slurp_file($build));
    $node->append_conf('postgresql.conf', "$_\n")
      for "idgen.max_wait = '10s'", 'log_statement = none', grep { $_ ne 'injection' } @lines;
    return;
}

# CREATE EXTENSION in an instance of a fleet, which may not have got its first node at the
# first attempt: the coordinator may be busy. Until then only the fleet knows the layout.
sub create_extension {
    my ($node) = @_;
    my ($state, $message);
    poll(sub { ($state, $message) = sqlstate_of($node, 'CREATE EXTENSION idgen'); return $state !~ /^IDG/ });
    die $message if $state ne 'none';
    return;
}

# A coordinator of a fleet, started: a plain server that doesn't preload idgen. The
# role "leaser" may lease, and nothing else; its password is never asked for.
sub new_coordinator {
    my ($name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(%options);
    my $build = slurp_file($settings) =~ s/^shared_preload_libraries.*\n//mr;
    $node->append_conf('postgresql.conf', $build);
    # What PostgreSQL::Test::Cluster turns off.
    $node->append_conf('postgresql.conf', "fsync = on\nrestart_after_crash = on\nlog_statement = none\n");
    $node->start;
    $node->safe_psql('postgres', q{
        CREATE EXTENSION idgen;
        CREATE ROLE leaser LOGIN PASSWORD 'pencil';
        SELECT snowflake_allow_leasing('leaser')});
    return $node;
}

# The setting idgen.registry for coordinators: one, or several that are tried.
sub registry_of {
    my ($first, $user, @more) = @_;
    my @all = ($first, @more);
    return "postgresql://$user:pencil\@/postgres?host=" . join(',', map { $_->host } @all)
      . '&port=' . join(',', map { $_->port } @all);
}

# The statements of a transaction that writes nodes past their guard, as no instance would.
# The fleet is locked first: an instance locks a row before it needs the table's lock, which
# changing a trigger takes, and the two would wait for each other.
sub past_guard {
    my ($statements) = @_;
    return "LOCK TABLE idgen_internal.fleet IN EXCLUSIVE MODE;
        ALTER TABLE idgen_internal.node DISABLE TRIGGER node_guard;
        $statements;
        ALTER TABLE idgen_internal.node ENABLE ALWAYS TRIGGER node_guard;";
}

# Waits until the condition holds; false if that takes longer than usual, or than
# so many seconds.
sub poll {
    my ($condition, $seconds) = @_;
    my $until = Time::HiRes::time() + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
    while (Time::HiRes::time() < $until) {
        return 1 if $condition->();
        Time::HiRes::usleep(50_000);
    }
    return 0;
}

# The limit for what takes so many seconds at most on a quiet machine. The long form of the
# tests, which has the machine for itself, takes it literally. Otherwise the machine may be
# busy, and only a stall is a failure.
sub soon {
    my ($seconds) = @_;
    return $ENV{IDGEN_SOAK} ? $seconds : $seconds + 20;
}

# Waits until the node's log has it, from a position on.
sub poll_log {
    my ($node, $pattern, $from) = @_;
    poll(sub { return substr(slurp_file($node->logfile), $from // 0) =~ $pattern })
      or die 'timed out waiting for ' . $node->name . "'s log to have $pattern";
    return;
}

# A node's processes: the postmaster and its children.
sub family {
    my ($node) = @_;
    my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    return ($pid, split /\n/, `pgrep -P $pid`);
}

# kill -9 of the postmaster. Its children notice and go, and only then may it start
# again.
sub kill_family {
    my ($node) = @_;
    my @family = family($node);
    $node->kill9;
    poll(sub { return !grep { kill(0, $_) } @family }) or die 'the family did not go';
    return;
}

# Waits until the instance is in that state ("active" unless said).
sub wait_for_state {
    my ($node, $state) = @_;
    $state //= 'active';
    $node->poll_query_until('postgres', "SELECT state = '$state' FROM snowflake_instance")
      or die "timed out waiting for the state $state";
    return;
}

# An expression over snowflake_instance, of an instance that has its node.
sub instance {
    my ($node, $expression) = @_;
    wait_for_state($node);
    return $node->safe_psql('postgres', "SELECT $expression FROM snowflake_instance");
}

# Changes a setting while the server runs; returns when it is in effect.
sub reconfigure {
    my ($node, $name, $value) = @_;
    $node->append_conf('postgresql.conf', "idgen.$name = '$value'\n");
    $node->reload;
    $node->poll_query_until('postgres', "SELECT current_setting('idgen.$name') = '$value'")
      or die "the setting idgen.$name did not arrive";
    return;
}

# Runs a statement that must fail: (SQLSTATE, whole message, seconds it took).
sub sqlstate_of {
    my ($node, $sql, %options) = @_;
    my $begin = Time::HiRes::time();
    my ($code, $out, $err) = $node->psql(
        $options{dbname} // 'postgres',
        $sql,
        extra_params => [ '-v', 'VERBOSITY=verbose', @{ $options{extra_params} // [] } ]);
    my $took = Time::HiRes::time() - $begin;
    return ('none', $out, $took) if $code == 0;
    my ($state) = $err =~ /(?:ERROR|FATAL):\s+(\w{5}):/;
    return ($state // 'unknown', $err, $took);
}

# The path of a node's own record.
sub record_of {
    my ($node) = @_;
    return $node->data_dir . '/idgen/record';
}

# Rewrites the record in place: its inode stays, so that it doesn't count as a
# copy. The change is a function from the old text to the new one; the checksum
# is made to fit unless told otherwise.
sub change_record {
    my ($node, $change, %options) = @_;
    my $path = record_of($node);
    my $text = $change->(slurp_file($path));
    unless ($options{keep_checksum}) {
        $text =~ s/^checksum = .*\n\z//m;
        $text .= sprintf("checksum = %08x\n", Compress::Zlib::crc32($text));
    }
    open(my $file, '+<', $path) or die "could not open $path: $!";
    truncate($file, 0);
    print $file $text;
    close($file);
    return;
}

# Ends the worker with the record changed behind its back, so that the next one
# finds it so. It may be caught while it writes the record; then the change is
# lost ($kept is false), and it is done again.
sub replace_worker {
    my ($node, $change, $kept) = @_;
    for my $attempt (1 .. 10) {
        $node->poll_query_until('postgres', 'SELECT worker_pid IS NOT NULL FROM snowflake_instance')
          or die 'there is no worker';
        my $pid = $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance');
        kill 'STOP', $pid;
        $change->();
        kill 'TERM', $pid;
        kill 'CONT', $pid;
        $node->poll_query_until('postgres', "SELECT worker_pid IS DISTINCT FROM $pid FROM snowflake_instance")
          or die 'the worker did not go';
        return if $kept->();
        note("the worker was writing its record, attempt $attempt");
    }
    die 'the worker wrote its record each time';
}

# From its next start on the node runs under libfaketime, which fakes its wall
# clock alone, and on a disk that can be told to fail. Call it once, before start.
sub faulty {
    my ($node) = @_;
    my $base = $node->basedir;
    $node->{idgen_clock} = "$base/clock";
    $node->{idgen_bad_disk} = "$base/bad_disk";
    set_clock($node, 0);
    bad_disk($node);
    return;
}

# Only the server is faulty, not the clients: the environment of a function.
sub with_faults {
    my ($node, $action) = @_;
    local $ENV{LD_PRELOAD} = join(':', $ENV{IDGEN_FAKETIME}, $ENV{IDGEN_BAD_DISK_LIBRARY});
    local $ENV{FAKETIME_TIMESTAMP_FILE} = $node->{idgen_clock};
    local $ENV{FAKETIME_NO_CACHE} = 1;
    local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
    local $ENV{NO_FAKE_STAT} = 1;    # newer ones fake when a file was made, too
    local $ENV{IDGEN_BAD_DISK} = $node->{idgen_bad_disk};
    return $action->();
}

{
    # pg_ctl start passes its environment on to the server; every way to start a
    # node ends there.
    no warnings 'redefine';
    my $start = \&PostgreSQL::Test::Cluster::start;
    *PostgreSQL::Test::Cluster::start = sub {
        my ($node, @rest) = @_;
        return $start->($node, @rest) unless $node->{idgen_clock};
        return with_faults($node, sub { $start->($node, @rest) });
    };
    my $restart = \&PostgreSQL::Test::Cluster::restart;
    *PostgreSQL::Test::Cluster::restart = sub {
        my ($node, @rest) = @_;
        return $restart->($node, @rest) unless $node->{idgen_clock};
        return with_faults($node, sub { $restart->($node, @rest) });
    };
}

# Waits until the query gives what is expected ('t' unless said), as
# PostgreSQL::Test::Cluster's own does; that one starts a psql for each look.
sub poll_query_until {
    my ($node, $dbname, $query, $expected) = @_;
    $expected //= 't';
    my %options = (AutoCommit => 1, PrintError => 0, PrintWarn => 0, pg_bool_tf => 1, pg_server_prepare => 0);
    my ($session, $seen, $error);
    return 1 if poll(sub {
        $session //= DBI->connect('dbi:Pg:host=' . $node->host . ';port=' . $node->port . ";dbname=$dbname", undef, undef, \%options);
        my $row = $session && $session->selectrow_arrayref($query, { pg_direct => 1 });
        ($seen, $error) = ($row ? join('|', map { $_ // '' } @$row) : '', $DBI::errstr);
        undef $session if $error;
        return !$error && $seen eq $expected;
    });
    diag("timed out waiting for '$expected' of: $query\nlast seen: '$seen'; error: " . ($error // 'none'));
    return 0;
}
{
    no warnings 'redefine';
    *PostgreSQL::Test::Cluster::poll_query_until = \&poll_query_until;
}

# Sets the node's wall clock to so many seconds off the true time.
sub set_clock {
    my ($node, $seconds) = @_;
    my $path = $node->{idgen_clock};
    append_to_file("$path.new", sprintf("%+.6f\n", $seconds));
    rename("$path.new", $path) or die "could not set the clock: $!";
    return;
}

# What fails of the node's disk from now on: words of test/load/bad_disk.cpp.
sub bad_disk {
    my ($node, @words) = @_;
    my $path = $node->{idgen_bad_disk};
    append_to_file("$path.new", join('', map { "$_\n" } @words));
    rename("$path.new", $path) or die "could not set the faults: $!";
    return;
}

# The events of the clock since that number, as one line each.
sub clock_events {
    my ($node, $after) = @_;
    return $node->safe_psql('postgres',
        'SELECT event FROM snowflake_clock_events WHERE number > ' . ($after // 0) . ' ORDER BY number');
}

# Starts the collector against a node; returns a handle for finish_collector.
sub start_collector {
    my ($node, @options) = @_;
    my $run = { out => '', err => '' };
    my $conninfo = $node->connstr('postgres');
    push @collectors, $run;
    $run->{handle} = IPC::Run::start([ $collector, 'run', '--conninfo', $conninfo, @options ],
        '<', \undef, '>', \$run->{out}, '2>', \$run->{err});
    return $run;
}

# A test that dies leaves none behind.
END {
    local $?;
    $_->{handle}->kill_kill for grep { !$_->{finished} } @collectors;
}

# Waits for it: (exit code, its figures as a hash).
sub finish_collector {
    my ($run) = @_;
    $run->{handle}->finish;
    $run->{finished} = 1;
    my $code = $run->{handle}->result(0);
    diag($run->{err}) if $run->{err} ne '';
    return ($code, figures($run->{out}));
}

# Ends it: (exit code, its figures).
sub stop_collector {
    my ($run) = @_;
    $run->{handle}->signal('TERM');
    return finish_collector($run);
}

# For a load that goes on beside what a test is about: at full speed in the long form of
# the tests alone.
sub gently { return $ENV{IDGEN_SOAK} ? () : ('--pause', 1) }

sub run_collector {
    return finish_collector(start_collector(@_));
}

# The figures that the collector prints: "ids 100 repeats 0 ..." as a hash.
sub figures {
    my ($text) = @_;
    my %figures = $text =~ /([a-z]+) (-?[\d.]+)/g;
    return \%figures;
}

# Writes a file as the collector saves one: calls of [start, end, ids...].
sub write_calls {
    my ($path, @calls) = @_;
    open(my $file, '>:raw', $path) or die "could not write $path: $!";
    for my $call (@calls) {
        my ($start, $end, @ids) = @$call;
        print $file pack('q<*', $start, $end, scalar(@ids), @ids);
    }
    close($file);
    return;
}

1;
