# Copies of a data directory, and promotion: never an ID in common.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ids = $ENV{IDGEN_SOAK} ? 1_000_000 : 200_000;
my $files = PostgreSQL::Test::Utils::tempdir();
my $rounds = 0;

sub id_node { return instance($_[0], 'node') }
sub nodes_named {
    my ($text) = @_;
    my %named = map { $_ => 1 } $text =~ /^node = (\d+)$/m,
      ($text =~ /^former = (.*)$/m ? map { s/@.*//r } split(/ /, $1) : ()),
      ($text =~ /^left = (.*)$/m ? $1 =~ /(\d+)@/g : ());
    return \%named;
}

# All nodes issue at once; every ID of this and of what was saved before differs.
sub issue_together {
    my ($what, $saved, @nodes) = @_;
    my @loads;
    for my $node (@nodes) {
        my $file = "$files/" . $rounds++;
        push @loads, start_collector($node, '--clients', 4, '--ids', $ids, '--save', $file);
        push @$saved, $file;
    }
    is((finish_collector($_))[0], 0, "$what: issues in order") for @loads;
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @$saved ], '>', \$out);
    is(figures($out)->{repeats}, 0, "$what: 0 IDs in common");
    cmp_ok(figures($out)->{ids}, '>=', $ids * @$saved, "$what: of all of them");
    return;
}

sub copy_directory {
    my ($from, $to) = @_;
    system_or_bail('cp', '-a', $from, $to);
    return;
}

sub follow {
    my ($standby, $primary) = @_;
    $standby->append_conf('postgresql.auto.conf', "primary_conninfo = '" . $primary->connstr . " application_name=" . $standby->name . "'\n");
    $standby->set_standby_mode;
    return;
}

# --- a base backup, started beside its living origin --------------------------

my $origin = PostgreSQL::Test::Cluster->new('origin');
$origin->init(allows_streaming => 1, extra => ['--data-checksums']);
configure($origin, 'wal_log_hints = on', "wal_keep_size = '1GB'");
faulty($origin);
$origin->start;
$origin->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($origin);
my $during = start_collector($origin, gently(), '--clients', 4, '--ids', 1_000_000_000, '--save', "$files/during");
$origin->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
$origin->backup('base');
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($origin, 'base');
my $named = nodes_named(slurp_file(record_of($clone)));
$clone->start;
wait_for_state($clone);
ok(!$named->{ id_node($clone) }, 'a clone holds no node that the copied record names');
ok($named->{ id_node($origin) }, 'which names its origin\'s');
like(slurp_file($clone->logfile), qr/DETAIL:  The registry: this data directory is a copy of one that holds node \d+; took node \d+ at random, .* chance of 1 in \d+\./,
    'and says so, with the chance of a collision');
my @saved;
issue_together('clone', \@saved, $origin, $clone);
is((stop_collector($during))[0], 0, 'the origin goes on throughout');
push @saved, "$files/during";

# A copy of the copy; a copy of a server that is down.
$clone->stop;
my $second = PostgreSQL::Test::Cluster->new('second');
copy_directory($clone->data_dir, $second->data_dir);
$second->append_conf('postgresql.conf', 'port = ' . $second->port . "\n");
$named = nodes_named(slurp_file(record_of($second)));
$clone->start;
$second->start;
ok(!$named->{ id_node($second) }, 'a copy of a copy holds a node that neither has named');
isnt(id_node($clone), id_node($origin), 'the clone keeps its own');
issue_together('copy of a copy', \@saved, $origin, $clone, $second);
$second->stop;

# A restored backup in the place of the clone, which is gone.
my $clone_node = id_node($clone);
my $last = $clone->safe_psql('postgres', 'SELECT snowflake_nextval()');
$clone->stop('immediate');
rename($clone->data_dir, $clone->data_dir . '.gone') or die;
copy_directory($clone->data_dir . '.gone', $clone->data_dir);
$clone->start;
isnt(id_node($clone), $clone_node, 'what is restored takes another node');
cmp_ok($clone->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'and starts above what it was copied with');
issue_together('restored', \@saved, $origin, $clone);
$clone->stop;

# --- a standby promoted, the old primary still issuing, ahead of its clock ----

$origin->backup('streaming');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($origin, 'streaming', has_streaming => 1);
$standby->start;
$origin->wait_for_catchup($standby);
set_clock($origin, -3600);
$origin->poll_query_until('postgres', "SELECT state = 'rollback' FROM snowflake_clock") or die 'no rollback';
issue_together('standby', \@saved, $origin, $standby);
my $standby_node = id_node($standby);
my @across;
for my $each ($origin, $standby) {
    my $file = "$files/across" . @across;
    push @across, start_collector($each, gently(), '--clients', 4, '--ids', 1_000_000_000, '--save', $file);
    push @saved, $file;
}
my $issued = $standby->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
$standby->poll_query_until('postgres', "SELECT ids > $issued + 100000 FROM snowflake_stats WHERE scope IS NULL") or die 'no load';
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$standby->reload;
$standby->promote;
$issued = $standby->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
$standby->poll_query_until('postgres', "SELECT ids > $issued + 100000 FROM snowflake_stats WHERE scope IS NULL") or die 'no load';
is((stop_collector($_))[0], 0, 'under load across the promotion: no error') for @across;
is(id_node($standby), $standby_node, 'promotion changes nothing');
issue_together('promoted, the old primary still issuing', \@saved, $origin, $standby);
set_clock($origin, 0);

# --- pg_rewind, there and back ------------------------------------------------

sub rewind {
    my ($target, $source) = @_;
    $target->stop;
    my $conf = slurp_file($target->data_dir . '/postgresql.conf');
    command_ok([ 'pg_rewind', '--target-pgdata', $target->data_dir, '--source-server', $source->connstr('postgres') ],
        'pg_rewind ' . $target->name . ' to ' . $source->name);
    # It brought the other's configuration along.
    open(my $file, '>', $target->data_dir . '/postgresql.conf') or die;
    print $file $conf;
    close($file);
    follow($target, $source);
    $named = nodes_named(slurp_file(record_of($target)));
    $target->start;
    $source->wait_for_catchup($target);
    ok(!$named->{ id_node($target) }, 'what is rewound holds a node that the record it got doesn\'t name');
    return;
}
$standby->safe_psql('postgres', 'CHECKPOINT');
rewind($origin, $standby);
issue_together('rewound', \@saved, $origin, $standby);
$origin->promote;
$origin->safe_psql('postgres', 'CHECKPOINT');
rewind($standby, $origin);
issue_together('and back', \@saved, $origin, $standby);
$standby->stop;
$origin->stop;
done_testing();
