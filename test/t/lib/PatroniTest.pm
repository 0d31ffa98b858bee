# A PostgreSQL cluster under Patroni, on the loopback, with idgen preloaded from the
# staged build. Patroni and what it starts run as the test's user and end with the
# test, however that ends.
#
#   my $patroni = PatroniTest->new(members => 2, etcd => $etcd, parameters => { ... });
#   $patroni->start($_) for $patroni->members;
#   $patroni->switchover(0, 1);
#   $patroni->kill(1);            Patroni and its PostgreSQL: SIGKILL
package PatroniTest;

use strict;
use warnings;

use HTTP::Tiny;
use IdgenTest ();
use JSON::PP ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $owner = $$;
my %running;    # process ids of Patroni => its PostgreSQL's data directory

# A cluster that isn't started. The first member that is started is its first
# primary. Options:
#   members     how many, 2 unless said otherwise
#   etcd        an EtcdTest that runs: where Patroni keeps its state
#   parameters  of PostgreSQL, as { name => value }
sub new {
    my ($class, %options) = @_;
    my $self = bless {
        etcd => $options{etcd},
        folder => PostgreSQL::Test::Utils::tempdir('patroni'),
        sockets => PostgreSQL::Test::Utils::tempdir_short(),
        password => sprintf('%08x', rand(2**32)),
        parameters => { staged(), %{ $options{parameters} // {} } },
        log_name => $0 =~ s/.*\///r =~ s/\.t$//r,
        members => [],
    }, $class;
    for my $i (0 .. ($options{members} // 2) - 1) {
        my %ports = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } 'port', 'rest';
        push @{ $self->{members} }, { %ports, name => "patroni$i", data => "$self->{folder}/data$i" };
        $self->write_configuration($i);
    }
    return $self;
}

# All indexes.
sub members { return 0 .. $#{ $_[0]{members} } }
sub name { return $_[0]{members}[ $_[1] ]{name} }
sub port { return $_[0]{members}[ $_[1] ]{port} }
sub data_dir { return $_[0]{members}[ $_[1] ]{data} }

# Of Patroni and of its PostgreSQL.
sub logfile { return "$PostgreSQL::Test::Utils::log_path/$_[0]{log_name}-$_[0]{members}[$_[1]]{name}.log" }

# The connection string of a member; without one, of whoever is the primary.
sub connstr {
    my ($self, $i) = @_;
    my @ports = map { $_->{port} } defined $i ? $self->{members}[$i] : @{ $self->{members} };
    return 'host=' . join(',', ('127.0.0.1') x @ports) . ' port=' . join(',', @ports)
      . " user=postgres password=$self->{password} dbname=postgres connect_timeout=5"
      . (defined $i ? '' : ' target_session_attrs=read-write');
}

# The value that a statement returns at a member; undef if it fails.
sub ask {
    my ($self, $i, $sql) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $self->connstr($i), '-c', $sql ],
        '<', \undef, '>', \$out, '2>', \$err) or return;
    chomp $out;
    return $out;
}

# The same, of a statement that has to work.
sub sql {
    my ($self, $i, $sql) = @_;
    return $self->ask($i, $sql) // die $self->name($i) . " refused: $sql";
}

# Waits until the condition, a query, is true at a member.
sub wait_for {
    my ($self, $i, $sql) = @_;
    IdgenTest::poll(sub { return ($self->ask($i, $sql) // '') eq 't' })
      or die 'timed out at ' . $self->name($i) . " waiting for: $sql; see " . $self->logfile($i);
    return;
}

sub wait_for_primary { return $_[0]->wait_for($_[1], 'SELECT NOT pg_is_in_recovery()') }

# Waits until a member follows the other as a standby.
sub wait_for_standby {
    my ($self, $i, $primary) = @_;
    $self->wait_for($i, 'SELECT pg_is_in_recovery()');
    $self->wait_for($primary,
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '" . $self->name($i) . "'");
    return;
}

# --- lives and deaths --------------------------------------------------------------

sub start {
    my ($self, $i) = @_;
    my $member = $self->{members}[$i];
    my $log = $self->logfile($i);
    my $pid = fork() // die "could not fork: $!";
    if ($pid == 0) {
        # A group of its own: with it end its tools, as pg_basebackup.
        POSIX::setpgid(0, 0);
        # If the test is killed, the kernel tells Patroni, which then stops PostgreSQL.
        open(STDIN, '<', '/dev/null');
        open(STDERR, '>>', $log);
        open(STDOUT, '>&', \*STDERR);
        { no warnings 'exec'; exec('setpriv', '--pdeathsig', 'TERM', 'patroni', "$self->{folder}/$member->{name}.yml") }
        POSIX::_exit(127);
    }
    POSIX::setpgid($pid, $pid);
    $member->{pid} = $pid;
    $running{$pid} = $member->{data};
    return;
}

# The process ids of a data directory's server: the postmaster first, then its children.
sub server_of {
    my ($data) = @_;
    open(my $file, '<', "$data/postmaster.pid") or return;
    my $pid = int(<$file> // 0);
    close($file);
    # The file of a server that was killed stays; its process id may be another's now.
    return unless $pid > 1 && (readlink("/proc/$pid/cwd") // '') eq $data;
    return ($pid, split /\n/, `pgrep -P $pid`);
}

# A fail-over's cause: SIGKILL of Patroni, then of its PostgreSQL.
sub kill {
    my ($self, $i) = @_;
    my $pid = delete $self->{members}[$i]{pid} or return;
    end($pid);
    return;
}

sub stop_all {
    my ($self) = @_;
    $self->kill($_) for $self->members;
    return;
}

sub end {
    my ($pid) = @_;
    CORE::kill('KILL', -$pid);
    waitpid($pid, 0);
    my @server = server_of(delete $running{$pid});
    CORE::kill('KILL', @server);
    IdgenTest::poll(sub { return !grep { CORE::kill(0, $_) && !zombie($_) } @server });
    return;
}

# Nobody may be there to wait for what was Patroni's.
sub zombie {
    my ($pid) = @_;
    open(my $file, '<', "/proc/$pid/stat") or return 1;
    return <$file> =~ /\) Z /;
}

# A planned switchover, by Patroni's own interface; returns when it says that it's done.
sub switchover {
    my ($self, $from, $to) = @_;
    my $reply = HTTP::Tiny->new(timeout => $PostgreSQL::Test::Utils::timeout_default)->post(
        "http://127.0.0.1:$self->{members}[$from]{rest}/switchover",
        { content => JSON::PP::encode_json({ leader => $self->name($from), candidate => $self->name($to) }) });
    return ($reply->{success}, $reply->{content});
}

# --- within ----------------------------------------------------------------------------

# What scripts/test says of the staged build.
sub staged {
    return slurp_file($ENV{IDGEN_STAGE_SETTINGS}) =~ /^(\w+) = '(.*)'$/mg;
}

# Patroni reads YAML, which JSON is.
sub write_configuration {
    my ($self, $i) = @_;
    my $member = $self->{members}[$i];
    my @bin = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--bindir' ]);
    my %configuration = (
        scope => 'cluster',
        name => $member->{name},
        restapi => { listen => "127.0.0.1:$member->{rest}", connect_address => "127.0.0.1:$member->{rest}" },
        etcd3 => { hosts => [ $self->{etcd}->endpoints ] },
        bootstrap => {
            # Short, so that fail-over is; newer versions of Patroni raise ttl to 20.
            dcs => {
                ttl => 9, loop_wait => 1, retry_timeout => 4, maximum_lag_on_failover => 100_000_000,
                postgresql => { use_pg_rewind => JSON::PP::true, parameters => $self->{parameters} },
            },
            initdb => [ 'data-checksums', { encoding => 'UTF8' }, { locale => 'C' }, { 'auth-host' => 'scram-sha-256' } ],
        },
        postgresql => {
            listen => "127.0.0.1:$member->{port}",
            connect_address => "127.0.0.1:$member->{port}",
            data_dir => $member->{data},
            bin_dir => $bin[0],
            basebackup => [ { checkpoint => 'fast' } ],
            pgpass => "$self->{folder}/$member->{name}.pgpass",
            authentication => {
                superuser => { username => 'postgres', password => $self->{password} },
                replication => { username => 'replicator', password => $self->{password} },
            },
            pg_hba => [ map { "host $_ all 127.0.0.1/32 scram-sha-256" } 'all', 'replication' ],
            parameters => { unix_socket_directories => $self->{sockets}, logging_collector => 'off' },
        },
    );
    open(my $file, '>', "$self->{folder}/$member->{name}.yml") or die "could not write Patroni's configuration: $!";
    print $file JSON::PP::encode_json(\%configuration);
    close($file);
    return;
}

END {
    if ($$ == $owner) {
        local $?;
        end($_) for keys %running;
    }
}

1;
