# What the TAP tests share: nodes with idgen preloaded from the staged build,
# the collector of IDs, the log.
package IdgenTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node configure sqlstate_of start_collector finish_collector run_collector
  figures);

# scripts/test says where the build is staged and where the collector lies.
my $settings = $ENV{IDGEN_STAGE_SETTINGS} // die 'run the tests by "make test"';
my $collector = $ENV{IDGEN_COLLECTOR};

# A node that has been initialised and configured, not started. Lines are added
# to its postgresql.conf.
sub new_node {
    my ($name, @lines) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init;
    configure($node, @lines);
    return $node;
}

# Preloads idgen in a node that was made otherwise (from a backup).
sub configure {
    my ($node, @lines) = @_;
    $node->append_conf('postgresql.conf', slurp_file($settings));
    $node->append_conf('postgresql.conf', "$_\n") for @lines;
    return;
}

# Runs a statement that must fail: (SQLSTATE, whole message).
sub sqlstate_of {
    my ($node, $sql, %options) = @_;
    my ($code, $out, $err) = $node->psql(
        $options{dbname} // 'postgres',
        $sql,
        extra_params => [ '-v', 'VERBOSITY=verbose', @{ $options{extra_params} // [] } ]);
    return ('none', $out) if $code == 0;
    my ($state) = $err =~ /(?:ERROR|FATAL):\s+(\w{5}):/;
    return ($state // 'unknown', $err);
}

# Starts the collector against a node; returns a handle for finish_collector.
sub start_collector {
    my ($node, @options) = @_;
    my $run = { out => '', err => '' };
    my $conninfo = $node->connstr('postgres');
    $run->{handle} = IPC::Run::start([ $collector, 'run', '--conninfo', $conninfo, @options ],
        '<', \undef, '>', \$run->{out}, '2>', \$run->{err});
    return $run;
}

# Waits for it: (exit code, its figures as a hash).
sub finish_collector {
    my ($run) = @_;
    $run->{handle}->finish;
    my $code = $run->{handle}->result(0);
    diag($run->{err}) if $run->{err} ne '';
    return ($code, figures($run->{out}));
}

sub run_collector {
    return finish_collector(start_collector(@_));
}

# The figures that the collector prints: "ids 100 repeats 0 ..." as a hash.
sub figures {
    my ($text) = @_;
    my %figures = $text =~ /([a-z]+) (-?[\d.]+)/g;
    return \%figures;
}


1;
