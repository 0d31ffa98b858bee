# Other people's tools on tables whose keys are IDs: what docs/operations.md says of them.
# Those that are not installed are left out.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('source', 'wal_level = logical');
$node->start;
my $lib = $node->config_data('--pkglibdir');
$node->safe_psql('postgres', q{
    CREATE EXTENSION idgen;
    SELECT snowflake_create_scope('orders');
    CREATE TABLE items (id snowflakeid PRIMARY KEY DEFAULT snowflake_id('orders'), v integer);
    INSERT INTO items (v) SELECT g FROM generate_series(1, 5000) AS g;
    DELETE FROM items WHERE v % 2 = 0});
my $rows = 'SELECT count(*), sum(id::bigint), sum(v) FROM items';

SKIP: {
    skip 'pg_repack is not installed', 3 unless -e "$lib/pg_repack.so" && `pg_repack --version 2>&1` =~ /^pg_repack/;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_repack; CREATE TABLE written AS TABLE items; ALTER TABLE written ADD PRIMARY KEY (id)');
    my $before = $node->safe_psql('postgres', "SELECT 'written'::regclass::oid, pg_relation_filenode('written')");
    my $file = PostgreSQL::Test::Utils::tempdir() . '/write.sql';
    append_to_file($file, "INSERT INTO written VALUES (snowflake_id('orders'), 0);\n"
          . "UPDATE written SET v = v + 1 WHERE id = (SELECT min(id) FROM written);\n");
    my $writer = IPC::Run::start([ 'pgbench', '-h', $node->host, '-p', $node->port, '-n', '-T', 3600, '-f', $file, 'postgres' ], '>', \my $out, '2>', \my $err);
    $node->poll_query_until('postgres', 'SELECT count(*) > 2510 FROM written') or die 'nothing is written';
    command_ok([ 'pg_repack', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-t', 'written' ], 'pg_repack, with idgen in public, while rows are written');
    $writer->kill_kill;
    isnt($node->safe_psql('postgres', "SELECT 'written'::regclass::oid, pg_relation_filenode('written')"), $before, 'it has written the table anew');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM items LEFT JOIN written USING (id) WHERE written.id IS NULL'), 0, 'which has all IDs');
}

SKIP: {
    skip 'wal2json is not installed', 3 unless -e "$lib/wal2json.so";
    if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'})) {
        $node->append_conf('postgresql.conf', "output_plugin_libraries = 'wal2json'");
        $node->restart;
    }
    $node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('json', 'wal2json')});
    my $id = $node->safe_psql('postgres', 'INSERT INTO items (v) VALUES (-1) RETURNING id');
    for my $version (1, 2) {
        like($node->safe_psql('postgres', "SELECT data FROM pg_logical_slot_peek_changes('json', NULL, NULL, 'format-version', '$version')"),
            qr/"$id"/, "wal2json, format $version: an ID is a string");
    }
    like($node->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_get_changes('json', NULL, NULL, 'format-version', '2')}),
        qr/"type":"snowflakeid"/, 'of the type snowflakeid');
    $node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('json')});
}

SKIP: {
    skip 'pgcopydb is not installed', 3 unless `pgcopydb --version 2>&1` =~ /pgcopydb version/;
    my $target = new_node('target');
    $target->start;
    my $dir = PostgreSQL::Test::Utils::tempdir() . '/copy';
    # pg_repack's tables and triggers are not for elsewhere.
    $node->safe_psql('postgres', 'DROP EXTENSION IF EXISTS pg_repack CASCADE');
    command_ok([ 'pgcopydb', 'clone', '--dir', $dir, '--source', $node->connstr('postgres'), '--target', $target->connstr('postgres') ], 'pgcopydb clone');
    is($target->safe_psql('postgres', $rows), $node->safe_psql('postgres', $rows), 'copies the rows');
    is($target->safe_psql('postgres', "INSERT INTO items (v) VALUES (0) RETURNING snowflake_node(id) = (SELECT node FROM snowflake_instance)"),
        't', 'and the scope: new IDs there are of its own node');
    $target->stop;
}

$node->stop;
done_testing();
