# Active-active: one table, replicated logically both ways between two instances
# of a fleet, both inserting. Keys made by snowflake_nextval() never conflict.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# pgbench runs at each site so often, and until it is told to stop. A transaction
# inserts 3 rows one by one, and a batch of 20.
my $runs = $ENV{IDGEN_SOAK} ? 80 : 4;
my $transactions = 250;
my $clients = 4;
my $rows_each = 23;

my $coordinator = new_coordinator('coordinator');
my $registry = registry_of($coordinator, 'leaser');
my %site = map { $_ => PostgreSQL::Test::Cluster->new("site_$_") } 'a', 'b';
my %other = (a => 'b', b => 'a');

my %begun;    # where the logs of the sites are then
for my $name (sort keys %site) {
    my $node = $site{$name};
    $node->init(allows_streaming => 'logical');
    configure($node, "idgen.registry = '$registry'");
    $node->start;
    create_extension($node);
    $begun{$name} = -s $node->logfile;
    # The site has a column of its own: filters take built-in types and functions only.
    $node->safe_psql('postgres', qq{
        CREATE TABLE item (
            id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(),
            site text NOT NULL DEFAULT '$name',
            body text NOT NULL)});
}

# What came from the other site is not sent back: from 16 on the subscription says
# so, on 15 the publication sends what was inserted at its own site.
my $has_origin = $site{a}->pg_version >= 16;
for my $name (sort keys %site) {
    my $filter = $has_origin ? '' : "WHERE (site = '$name')";
    $site{$name}->safe_psql('postgres', "CREATE PUBLICATION inserted FOR TABLE item $filter WITH (publish = 'insert')");
}
for my $name (sort keys %site) {
    my $from = $site{ $other{$name} }->connstr . ' dbname=postgres';
    my $options = 'copy_data = false' . ($has_origin ? ', origin = none' : '');
    $site{$name}->safe_psql('postgres', "CREATE SUBSCRIPTION from_$other{$name} CONNECTION '$from' PUBLICATION inserted WITH ($options)");
    $site{$name}->wait_for_subscription_sync;
}

# Rows at a site; those that were inserted at a site.
sub rows { return $_[0]->safe_psql('postgres', 'SELECT count(*) FROM item') }
sub inserted_at {
    my ($node, $name) = @_;
    return $node->safe_psql('postgres', "SELECT count(*) FROM item WHERE site = '$name'");
}

# "node,node" of the rows that were inserted at a site.
sub nodes_at {
    my ($node, $name) = @_;
    return $node->safe_psql('postgres',
        "SELECT string_agg(DISTINCT snowflake_node(id)::text, ',' ORDER BY snowflake_node(id)::text) FROM item WHERE site = '$name'");
}
sub apply_errors {
    return $_[0]->safe_psql('postgres', 'SELECT sum(apply_error_count) FROM pg_stat_subscription_stats');
}

# A conflict stops a subscription and is tried again for ever.
sub conflicts { return apply_errors($site{a}) + apply_errors($site{b}) }

# --- both insert, at once ----------------------------------------------------------

my $files = PostgreSQL::Test::Utils::tempdir();
my $script = "$files/insert.sql";
append_to_file($script, <<'SQL');
INSERT INTO item (body) VALUES ('first of ' || :client_id) RETURNING id;
INSERT INTO item (body) VALUES ('second'), ('third');
INSERT INTO item (id, body) SELECT id, 'batch' FROM snowflake_batch(20) AS id;
SQL

my %load;
for my $name (sort keys %site) {
    my $node = $site{$name};
    $load{$name} = { out => '', err => '' };
    my @pgbench = ($node->installed_command('pgbench'), '-n', '-c', $clients, '-t', $transactions, '-f', $script, $node->connstr('postgres'));
    my $loop = 'stop=$1; runs=$2; shift 2; n=0; until [ $n -ge $runs ] && [ -e "$stop" ]; do "$@" || exit 1; n=$((n + 1)); done';
    $load{$name}{handle} = IPC::Run::start([ 'sh', '-c', $loop, 'load', "$files/stop", $runs, @pgbench ],
        '<', \undef, '>', \$load{$name}{out}, '2>', \$load{$name}{err});
}

# Until rows have come that the condition is for, on either side, or a conflict has.
sub replicates {
    my ($condition) = @_;
    my $enough = sub { return $_[0]->safe_psql('postgres', "SELECT count(*) > 500 FROM item WHERE $condition->{$_[1]}") eq 't' };
    poll(sub { return conflicts() > 0 || !grep { !$enough->($site{ $other{$_} }, $_) } keys %$condition }) or die 'nothing is replicated';
    return conflicts();
}

my %first_node = map { $_ => instance($site{$_}, 'node') } keys %site;
is(replicates({ map { $_ => "site = '$_'" } keys %site }), 0, 'both insert and get what the other inserts: no conflict');
my $new_node = $site{a}->safe_psql('postgres', 'SELECT snowflake_rotate_node()');
is(replicates({ a => "snowflake_node(id) = $new_node" }), 0, 'nor when one of them takes another node');
append_to_file("$files/stop", '');

my %inserted;
for my $name (sort keys %site) {
    ok($load{$name}{handle}->finish, "site $name inserts") or diag($load{$name}{err});
    unlike($load{$name}{err}, qr/error|ERROR|aborted/, "site $name: no error");
    $inserted{$name} += $rows_each * $_ for $load{$name}{out} =~ /actually processed: (\d+)/g;
    cmp_ok($inserted{$name}, '>=', $runs * $transactions * $clients * $rows_each, "site $name: as much as was wanted");
    is(inserted_at($site{$name}, $name), $inserted{$name}, "site $name: all rows are there");
}
my $in_all = $inserted{a} + $inserted{b};

# --- both have all rows ---------------------------------------------------------------

poll(sub { return conflicts() > 0 || !grep { rows($site{$_}) < $in_all } keys %site });
for my $name (sort keys %site) {
    is(apply_errors($site{$name}), 0, "site $name: 0 conflicts");
    is(rows($site{$name}), $in_all, "site $name: has the rows of both");
    my $log = substr(slurp_file($site{$name}->logfile), $begun{$name});
    unlike($log, qr/duplicate key/, "site $name: no duplicate key in its log");
    unlike($log, qr/ERROR: /, "site $name: no error at all");
}
my $sum = "SELECT md5(string_agg(concat_ws(' ', id, site, body), ',' ORDER BY id)) FROM item";
is($site{a}->safe_psql('postgres', $sum), $site{b}->safe_psql('postgres', $sum), 'the same rows on both sides');

# --- each site by its own nodes -----------------------------------------------------------

isnt($first_node{a}, $first_node{b}, 'the sites\' nodes differ');
is(nodes_at($site{b}, 'a'), join(',', sort $first_node{a}, $new_node), 'rows of site a, at site b: by the two nodes that a has held');
is(nodes_at($site{a}, 'b'), $first_node{b}, 'rows of site b, at site a: by the node of b');
is($site{$_}->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND relid IS NULL'),
    1, "the subscription of site $_ goes on") for sort keys %site;

$site{$_}->safe_psql('postgres', "DROP SUBSCRIPTION from_$other{$_}") for sort keys %site;
$site{$_}->stop for sort keys %site;
$coordinator->stop;
done_testing();
