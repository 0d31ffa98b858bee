# A real etcd on the loopback: members that can be killed, paused and started
# again. They run as the test's user and end with the test, however that ends.
#
#   my $etcd = EtcdTest->new(members => 3);
#   $etcd->start;
#   $etcd->registry('fleet')      etcd://127.0.0.1:p0,127.0.0.1:p1,127.0.0.1:p2/fleet
#   my $led = $etcd->leader;      a member's index
#   $etcd->stop($led);            SIGSTOP; cont($led) is SIGCONT
#   $etcd->kill($_) for 0, 1;     SIGKILL; restart(0) starts it on what it had stored
#   $etcd->stop_all;
package EtcdTest;

use strict;
use warnings;

use HTTP::Tiny;
use IPC::Run ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes ();

# The test itself, not what it forks.
my $owner = $$;
my %running;    # process ids of members

# A cluster that isn't started. Options:
#   members    1 to 5, 3 unless said otherwise
#   arguments  more arguments of each member
#   tls        { cert, key, client_ca }: files, for the clients' port; with client_ca a
#              client must have a certificate. The tests' own questions go to a plain
#              port beside it
sub new {
    my ($class, %options) = @_;
    my $self = bless {
        arguments => $options{arguments} // [],
        tls => $options{tls},
        data => PostgreSQL::Test::Utils::tempdir('etcd'),
        token => "idgen-$$-" . int(rand(1_000_000)),
        members => [],
    }, $class;
    for my $i (0 .. ($options{members} // 3) - 1) {
        my %member = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } 'port', 'peer';
        $member{plain} = $self->{tls} ? PostgreSQL::Test::Cluster::get_free_port() : $member{port};
        push @{ $self->{members} }, { %member, name => "etcd$i" };
    }
    return $self;
}

# --- what tests say of it --------------------------------------------------------

# The setting idgen.registry; options as "tls=on&cacert=..." of src/network/etcd_url.h.
sub registry {
    my ($self, $prefix, %options) = @_;
    my $credentials = $options{user} ? "$options{user}:$options{password}@" : '';
    my $more = $options{options} ? "?$options{options}" : '';
    return 'etcd://' . $credentials . join(',', $self->endpoints) . "/$prefix$more";
}

# "127.0.0.1:port" of each member.
sub endpoints {
    my ($self) = @_;
    return map { "127.0.0.1:$_->{port}" } @{ $self->{members} };
}

sub port { return $_[0]{members}[ $_[1] ]{port} }
sub pid { return $_[0]{members}[ $_[1] ]{pid} }
sub data_dir { return "$_[0]{data}/$_[0]{members}[$_[1]]{name}" }
sub logfile { return "$PostgreSQL::Test::Utils::log_path/$_[0]{token}-$_[0]{members}[$_[1]]{name}.log" }

# All indexes.
sub members { return 0 .. $#{ $_[0]{members} } }

# --- lives and deaths --------------------------------------------------------------

# Starts all members; returns when they have a leader that answers.
sub start {
    my ($self) = @_;
    $self->launch($_) for $self->members;
    return $self->wait_for_leader;
}

# Starts a member that was ended, on the data that it has; returns when it answers
# as a part of the cluster (without, if "wait" is false: no majority may be up).
sub restart {
    my ($self, $i, %options) = @_;
    $self->kill($i) if $self->pid($i);
    $self->launch($i);
    return if exists $options{wait} && !$options{wait};
    until_true(sub { $self->healthy($i) }) or die "etcd $i did not come back; see " . $self->logfile($i);
    return;
}

# SIGKILL; returns when it is gone.
sub kill {
    my ($self, $i) = @_;
    my $pid = delete $self->{members}[$i]{pid} or return;
    CORE::kill('KILL', $pid);
    waitpid($pid, 0);
    delete $running{$pid};
    return;
}

sub stop { my ($self, $i) = @_; CORE::kill('STOP', $self->pid($i)); return }
sub cont { my ($self, $i) = @_; CORE::kill('CONT', $self->pid($i)); return }

# Of a cluster of one: ends it, and starts it on what a snapshot has.
sub restore_snapshot {
    my ($self, $snapshot, %options) = @_;
    my $member = $self->{members}[0];
    $self->{token} .= '-restored' unless $options{same_cluster};
    my $peer = "http://127.0.0.1:$member->{peer}";
    $self->kill(0);
    PostgreSQL::Test::Utils::system_or_bail('rm', '-r', $self->data_dir(0));
    local $ENV{ETCDCTL_API} = 3;
    PostgreSQL::Test::Utils::system_or_bail('etcdctl', 'snapshot', 'restore', $snapshot, '--name', $member->{name},
        '--data-dir', $self->data_dir(0), '--initial-cluster', "$member->{name}=$peer",
        '--initial-cluster-token', $self->{token}, '--initial-advertise-peer-urls', $peer);
    $self->restart(0);
    return;
}

sub stop_all {
    my ($self) = @_;
    $self->kill($_) for $self->members;
    return;
}

# --- who leads -----------------------------------------------------------------------

# The index of the leader, as the answering members with the highest term say;
# undef if there is none.
sub leader {
    my ($self) = @_;
    my (%index_of, $best);
    for my $i ($self->members) {
        my $status = $self->status($i) or next;
        $index_of{ $status->{header}{member_id} } = $i;
        $best = $status if !$best || $status->{raftTerm} > $best->{raftTerm};
    }
    return $best && $best->{leader} ? $index_of{ $best->{leader} } : undef;
}

# Waits for a leader that answers, optionally one that isn't "not"; its index.
sub wait_for_leader {
    my ($self, %options) = @_;
    my $leader;
    until_true(sub {
            $leader = $self->leader;
            return 0 if !defined $leader || (defined $options{not} && $leader == $options{not});
            return $self->healthy($leader);
        }) or die 'etcd has no leader; see ' . $self->logfile(0);
    return $leader;
}

# What a member says of itself; undef if it doesn't.
sub status {
    my ($self, $i) = @_;
    return $self->ask($i, '/v3/maintenance/status');
}

# Does the member reach a majority? etcd asks it for that.
sub healthy {
    my ($self, $i) = @_;
    return 0 unless $self->pid($i);
    my $reply = HTTP::Tiny->new(timeout => 1)->get("http://127.0.0.1:$self->{members}[$i]{plain}/health");
    return $reply->{success} && $reply->{content} =~ /"true"/ ? 1 : 0;
}

# A request to the JSON gateway of a member: the decoded answer, or undef.
sub ask {
    my ($self, $i, $path, $body) = @_;
    return unless $self->pid($i);
    my $reply = HTTP::Tiny->new(timeout => 1)->post(
        "http://127.0.0.1:$self->{members}[$i]{plain}$path", { content => JSON::PP::encode_json($body // {}) });
    return $reply->{success} ? JSON::PP::decode_json($reply->{content}) : undef;
}

# Writes a key of a cluster of one.
sub put {
    my ($self, $key, $value) = @_;
    $self->ask(0, '/v3/kv/put', { key => encode_base64($key, ''), value => encode_base64($value, '') }) or die "etcd did not take $key";
    return;
}

# etcdctl against all members (or those of "--endpoints"): its output. Dies if it fails.
sub ctl {
    my ($self, @arguments) = @_;
    local $ENV{ETCDCTL_API} = 3;
    my @where = grep(/^--endpoints/, @arguments)
      ? ()
      : ('--endpoints=' . join(',', map { "http://127.0.0.1:$_->{plain}" } @{ $self->{members} }));
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'etcdctl', @where, @arguments ], '<', \undef, '>', \$out, '2>', \$err)
      or die "etcdctl @arguments: $err";
    chomp $out;
    return $out;
}

# --- within ----------------------------------------------------------------------------

sub launch {
    my ($self, $i) = @_;
    my $member = $self->{members}[$i];
    my $client = ($self->{tls} ? 'https' : 'http') . "://127.0.0.1:$member->{port}";
    my $peer = "http://127.0.0.1:$member->{peer}";
    my @command = (
        'etcd', '--name', $member->{name}, '--data-dir', $self->data_dir($i), '--enable-v2=false',
        '--listen-client-urls', $self->{tls} ? "$client,http://127.0.0.1:$member->{plain}" : $client,
        '--advertise-client-urls', $client,
        '--listen-peer-urls', $peer, '--initial-advertise-peer-urls', $peer,
        '--initial-cluster', join(',', map { "$_->{name}=http://127.0.0.1:$_->{peer}" } @{ $self->{members} }),
        '--initial-cluster-token', $self->{token}, '--initial-cluster-state', 'new',
        '--logger', 'zap', '--log-level', 'warn', '--log-outputs', 'stderr',
        tls_arguments($self->{tls}), @{ $self->{arguments} });
    my $log = $self->logfile($i);
    my $pid = fork() // die "could not fork: $!";
    if ($pid == 0) {
        # A test that is killed takes it along: setpriv asks the kernel for that.
        open(STDIN, '<', '/dev/null');
        open(STDERR, '>>', $log);
        open(STDOUT, '>&', \*STDERR);
        { no warnings 'exec'; exec('setpriv', '--pdeathsig', 'KILL', @command) }
        POSIX::_exit(127);
    }
    $member->{pid} = $pid;
    $running{$pid} = 1;
    return;
}

sub tls_arguments {
    my ($tls) = @_;
    return () unless $tls;
    return ('--cert-file', $tls->{cert}, '--key-file', $tls->{key},
        $tls->{client_ca} ? ('--client-cert-auth', '--trusted-ca-file', $tls->{client_ca}) : ());
}

sub until_true {
    my ($condition) = @_;
    my $until = Time::HiRes::time() + $PostgreSQL::Test::Utils::timeout_default;
    while (Time::HiRes::time() < $until) {
        return 1 if $condition->();
        Time::HiRes::usleep(50_000);
    }
    return 0;
}

END {
    if ($$ == $owner) {
        # Not the test's verdict, which waitpid would overwrite.
        local $?;
        CORE::kill('KILL', keys %running);
        waitpid($_, 0) for keys %running;
    }
}

1;
