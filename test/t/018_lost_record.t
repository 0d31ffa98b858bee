# A pinned node whose record is lost: by pg_rewind, a rebuilt standby, an upgrade that
# starts the new cluster at once. No ID is issued again.
use strict;
use warnings;

use Cwd 'abs_path';
use File::Basename 'dirname';
use File::Path 'remove_tree';
use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();

# What an upgrade leaves behind: no record, and nothing that says that there was one.
sub lose_record {
    my ($node) = @_;
    remove_tree($node->data_dir . '/idgen');
    unlink($node->data_dir . '/idgen.marker') or die "there was no marker: $!";
    return;
}

sub check_files {
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @_ ], '>', \$out);
    return figures($out);
}

my $node = new_node('pinned', 'idgen.shard = 17');
faulty($node);
set_clock($node, 0);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
is(instance($node, 'node'), '17', 'the pinned node is held');
like(slurp_file($node->logfile), qr/holds node 17, .*\n.*no record of this data directory names node 17/,
    'and the log says why its IDs begin ahead of the clock');
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'holding', 'which is no rollback');
$node->restart;
is($node->safe_psql('postgres', 'SELECT state FROM snowflake_clock'), 'holding', 'nor is it one after a restart');

# Let it be where the clock is.
$node->stop;
set_clock($node, 70);
$node->start;
$node->safe_psql('postgres', 'SELECT snowflake_accept_clock()');
$node->poll_query_until('postgres', "SELECT state = 'synchronized' FROM snowflake_clock") or die 'not synchronized';
run_collector($node, '--ids', 1_000_000_000, '--seconds', 2, '--batches', 1, '--save', "$files/before");
my $last = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');

# The wall clock is set back, by less than idgen.max_clock_skew, and the record is lost.
$node->stop('immediate');
set_clock($node, 66);
lose_record($node);
$node->start;
is(instance($node, 'node'), '17', 'without a record, the pinned node is held again');
my $next = $node->safe_psql('postgres', 'SELECT snowflake_nextval()');
cmp_ok($next, '>', $last, 'above all that was issued');
run_collector($node, '--ids', 1_000_000_000, '--seconds', 6, '--batches', 1, '--save', "$files/after");
my $figures = check_files("$files/before", "$files/after");
cmp_ok($figures->{ids}, '>', 1_000, 'many IDs before and after');
is($figures->{repeats}, '0', 'and 0 repeats');
$node->stop;

# Debian's pg_upgradecluster, with the hook. Its clusters are found by a stand-in for
# pg_conftool, and psql's --cluster is one.
my $old = new_node('old', 'idgen.shard = 21');
$old->start;
$old->safe_psql('postgres', 'CREATE EXTENSION idgen');
$last = $old->safe_psql('postgres', 'SELECT snowflake_nextval()');
$old->stop;
my $new = new_node('new', 'idgen.shard = 21');
my $bin = "$files/bin";
mkdir($bin) or die;
my $psql = abs_path((grep { -x } map { "$_/psql" } split /:/, $ENV{PATH})[0]);
my ($host, $port) = ($new->host, $new->port);
my %scripts = (
    pg_conftool => "case \$2 in 15) echo '" . $old->data_dir . "';; 16) echo '" . $new->data_dir . "';; esac",
    psql => "n=\$#; i=0; while [ \$i -lt \$n ]; do a=\$1; shift; i=\$((i+1));\n"
      . "if [ \"\$a\" = --cluster ]; then shift; i=\$((i+1)); else set -- \"\$@\" \"\$a\"; fi; done\n"
      . "exec '$psql' -h '$host' -p $port \"\$@\"",
);
for my $name (keys %scripts) {
    append_to_file("$bin/$name", "#!/bin/sh\n$scripts{$name}\n");
    chmod(0755, "$bin/$name");
}
my $hook = dirname(abs_path($0)) . '/../../scripts/pg_upgradecluster/idgen';
local $ENV{PATH} = "$bin:$ENV{PATH}";
sub run_hook {
    my ($phase) = @_;
    my ($out, $err) = ('', '');
    ok(IPC::Run::run([ $hook, 15, 'main', 16, $phase ], '>', \$out, '2>', \$err), "the hook passes its phase $phase")
      or diag($err);
    return $out;
}
like(run_hook('init'), qr/copied the record/, 'init: it copies the record');
is(run_hook('init'), '', 'and overwrites none');
$new->start;
create_extension($new);
wait_for_state($new, 'fenced');
pass('until the old cluster is known to be gone, its node is not taken');
like(run_hook('finish'), qr/confirmed/, 'finish: it confirms that');
is(instance($new, 'node'), '21', 'the pinned node is held');
cmp_ok($new->safe_psql('postgres', 'SELECT snowflake_nextval()'), '>', $last, 'above the old cluster\'s IDs');
is(run_hook('finish'), '', 'and once is enough');
$new->stop;

done_testing();
