# What becomes of IDs and of layouts in the life of a database: pg_upgrade, dumps
# of every format, logical replication, foreign tables. (COPY and ALTER COLUMN
# TYPE are in sql/mixed.sql and sql/convert.sql.) What a dump wants of the user
# is written down in docs/dump.md.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir();

# IDs as key, referenced by both types, in an array, as key of partitions; and a
# layout of the user's where it is computed as rows are restored (generated
# columns, CHECKs, keys of partitions) and afterwards (indexes, materialized
# views). Its tables come after idgen_internal in a dump.
my $tables = q{
    CREATE EXTENSION idgen;
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2024-01-01', 'our first IDs');
    CREATE TABLE events (
        id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval(),
        parent snowflakeid REFERENCES events,
        legacy bigint REFERENCES events,
        list snowflakeid[]);
    SELECT snowflake_create_scope('orders');
    CREATE TABLE scoped (id snowflakeid PRIMARY KEY DEFAULT snowflake_nextval('orders'));
    CREATE TABLE by_range (id snowflakeid PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE by_range_old PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO (snowflake_min('2026-01-01 UTC'));
    CREATE TABLE by_range_new PARTITION OF by_range FOR VALUES FROM (snowflake_min('2026-01-01 UTC')) TO (MAXVALUE);
    CREATE TABLE by_hash (id snowflakeid PRIMARY KEY) PARTITION BY HASH (id);
    CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE generated (id snowflakeid, shard integer GENERATED ALWAYS AS (snowflake_shard(id, 'mine')) STORED);
    CREATE TABLE checked (id snowflakeid CHECK (snowflake_timestamp(id, 'mine') > '2024-01-01 UTC'));
    CREATE TABLE parted (id snowflakeid) PARTITION BY RANGE (snowflake_timestamp(id, 'mine'));
    CREATE TABLE parted_all PARTITION OF parted FOR VALUES FROM ('2024-01-01 UTC') TO (MAXVALUE);
    CREATE TABLE indexed (id snowflakeid);
    CREATE INDEX by_time ON indexed (snowflake_timestamp(id, 'mine'));
    -- By times, which the planner makes numbers of; by the own layout.
    CREATE INDEX since ON indexed (id) WHERE id >= timestamptz '2026-01-01 UTC';
    CREATE TABLE late_all (id snowflakeid NOT NULL CHECK (id >= timestamptz '2070-01-01 UTC'));
    CREATE TABLE late (id snowflakeid) PARTITION BY RANGE (id);
    ALTER TABLE late ATTACH PARTITION late_all FOR VALUES FROM (snowflake_min('2071-01-01 UTC')) TO (MAXVALUE);

    INSERT INTO events SELECT id FROM snowflake_batch(150) AS id;
    INSERT INTO events SELECT snowflake_nextval(), max(id), max(id), array_agg(id) FROM events;
    INSERT INTO by_range SELECT id FROM events UNION SELECT 1::snowflakeid;
    INSERT INTO by_hash SELECT id FROM events;
    INSERT INTO generated SELECT id FROM events;
    INSERT INTO checked SELECT id FROM events;
    INSERT INTO parted SELECT id FROM events;
    INSERT INTO indexed SELECT id FROM events;
    CREATE MATERIALIZED VIEW viewed AS SELECT id, d.* FROM indexed, snowflake_decode(id, 'mine') AS d;
};

# All of it, as text.
sub contents_of {
    my ($node, $database) = @_;
    return $node->safe_psql($database, q{
        SET search_path = app, public;
        SELECT name, definition, epoch, note, kind FROM idgen_internal.layout ORDER BY name;
        SELECT * FROM events ORDER BY id;
        SELECT relname, r.id FROM by_range AS r JOIN pg_class AS c ON c.oid = r.tableoid ORDER BY id;
        SELECT relname, h.id FROM by_hash AS h JOIN pg_class AS c ON c.oid = h.tableoid ORDER BY id;
        SELECT * FROM generated ORDER BY id;
        SELECT id FROM checked ORDER BY id;
        SELECT id FROM parted ORDER BY id;
        SELECT * FROM viewed ORDER BY id;
        SET enable_seqscan = off;
        SELECT id FROM indexed ORDER BY snowflake_timestamp(id, 'mine'), id;
        SELECT indexrelid::regclass::text, indisvalid FROM pg_index
        WHERE indrelid = 'indexed'::regclass ORDER BY 1});
}

# pg_upgrade of a node that runs to one that is new, with its record carried along as
# docs/operations.md says. Both have the settings of their own builds.
sub upgrades {
    my ($old, $new) = @_;
    my $name = $old->name;
    $old->safe_psql('postgres', $_) for 'CREATE EXTENSION idgen', 'CREATE DATABASE life';
    $old->safe_psql('life', $tables);
    my $before = contents_of($old, 'life');
    my $last = $old->safe_psql('life', 'SELECT snowflake_nextval()');
    my $held = instance($old, 'node');
    $old->stop;
    # Far enough ahead that no other start would reach it.
    my $ceiling;
    change_record($old, sub { my $text = $_[0]; $text =~ s/^ceiling = \K(\d+)/$ceiling = $1 + 20_000/me; return $text });

    chdir $folder;    # pg_upgrade writes beside itself
    command_ok(
        [
            'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
            '-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
            '-s', $new->host, '-p', $old->port, '-P', $new->port ],
        "$name: pg_upgrade");
    ok(!-e $new->data_dir . '/idgen', "$name: it leaves the record behind");
    rename($old->data_dir . '/idgen', $new->data_dir . '/idgen') or die "could not move the record: $!";
    $new->start;
    is(instance($new, 'node'), $held, "$name: the node is kept");
    my $next = $new->safe_psql('life', 'SELECT snowflake_nextval()');
    cmp_ok($next, '>', $last, "$name: IDs are greater than those before");
    cmp_ok($next >> 22, '>=', $ceiling, "$name: by the record's ceiling");
    is(contents_of($new, 'life'), $before, "$name: all values, and the layout, are what they were");
    is( $new->safe_psql('life', q{INSERT INTO generated VALUES (snowflake_nextval()) RETURNING shard = snowflake_shard(id, 'mine')}),
        't', "$name: the layout of the user's goes on");
    $new->safe_psql('life', 'DELETE FROM generated WHERE id NOT IN (SELECT id FROM events)');
    is($new->safe_psql('life', 'INSERT INTO scoped DEFAULT VALUES RETURNING id > 0'), 't', "$name: and so does the scope");
    $new->safe_psql('life', 'DELETE FROM scoped');
    return;
}

my $old = new_node('same_major');
$old->start;
my $node = new_node(
    'main', 'wal_level = logical', 'max_wal_senders = 10', "wal_retrieve_retry_interval = '50ms'",
    'max_worker_processes = 20', 'max_logical_replication_workers = 12');
upgrades($old, $node);

SKIP: {
    my ($bin, $settings) = @ENV{qw(IDGEN_OLDER_BIN IDGEN_OLDER_SETTINGS)};
    skip 'no older PostgreSQL with its development files is installed, or this is 18 or later', 8 unless $bin;
    (my $path = $bin) =~ s{/bin/?$}{};
    my $older = PostgreSQL::Test::Cluster->new('older_major', install_path => $path);
    $older->init;
    $older->append_conf('postgresql.conf', slurp_file($settings));
    $older->start;
    my $newer = new_node('newer');
    upgrades($older, $newer);
    $newer->stop;
}

# Dumps. The tables' data come in the order of the schemas' names. (An index whose
# condition calls a function of idgen's stands in the way of pg_upgrade.)
$node->safe_psql('life', q{CREATE INDEX lately ON indexed (id) WHERE id > snowflake_min('2025-01-01 UTC', 'mine')});
my $contents = contents_of($node, 'life');

sub database {
    my ($name, $sql) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, $sql) if $sql;
    return $name;
}

sub dump_of {
    my ($database, $format) = @_;
    my $file = "$folder/$database.$format";
    $node->command_ok([ 'pg_dump', "-F$format", '-d', $node->connstr($database), '-f', $file ],
        "pg_dump -F$format of $database");
    return $file;
}

# Restores a plain text, or an archive with options of pg_restore: what was complained
# of.
sub complaints {
    my ($file, $database, @options) = @_;
    my @command = $file =~ /\.p$/ ? ('psql', '-X', '-q', '-f', $file) : ('pg_restore', @options, $file);
    my ($out, $err) = ('', '');
    IPC::Run::run([ @command, '-d', $node->connstr($database) ], '>', \$out, '2>', \$err);
    return $err;
}

for my $format ('p', 'c', 'd') {
    my $database = database("from_$format");
    is(complaints(dump_of('life', $format), $database), '', "-F$format: restored without a word");
    is(contents_of($node, $database), $contents, "-F$format: everything is there, the layout with its note");
}
is($node->safe_psql('from_p', q{SET enable_seqscan = off;
        INSERT INTO events (parent) SELECT max(id) FROM events RETURNING id > parent, snowflake_node(id) = snowflake_node(parent)}),
    't|t', 'and it goes on');

# In a schema whose name sorts before "idgen_internal", rows that a layout of the
# user's computes come before the layout does. What is made after the data is made.
sub move_to_app {
    my ($database) = @_;
    $node->safe_psql($database, q{
        CREATE SCHEMA app;
        SELECT format('ALTER %s %I SET SCHEMA app', CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, relname)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm') \gexec
    });
    return;
}
$node->safe_psql('postgres', 'CREATE DATABASE early TEMPLATE life');
move_to_app('early');
is(contents_of($node, 'early'), $contents, 'the same in a schema of its own');
# Of a partition that is attached the CHECKs are computed, without any rows.
$node->safe_psql('early', q{
    CREATE TABLE app.attached (id snowflakeid) PARTITION BY RANGE (id);
    CREATE TABLE app.attached_new (id snowflakeid CHECK (id > snowflake_min('2025-01-01 UTC', 'mine')));
    ALTER TABLE app.attached ATTACH PARTITION app.attached_new FOR VALUES FROM (5) TO (MAXVALUE);
    INSERT INTO app.attached SELECT id FROM app.events});
my %early = map { $_ => dump_of('early', $_) } 'p', 'c', 'd';

my $missing = qr/ERROR:  layout "mine" does not exist/;
my $rows = q{SELECT (SELECT count(*) FROM app.generated), (SELECT count(*) FROM app.checked), (SELECT count(*) FROM app.parted),
    (SELECT count(*) FROM app.attached), (SELECT count(*) FROM app.indexed), (SELECT count(*) FROM app.viewed), (SELECT count(*) FROM app.events)};

# How often the layout was missed, where.
sub missed {
    my ($complaints) = @_;
    my %at;
    $at{$1}++ while $complaints =~ /$missing\n.*\nCONTEXT:  COPY (\w+), line 1/g;
    return join ' ', sort keys %at;
}
for my $format ('p', 'c') {
    my $database = database("early_$format");
    my $complaints = complaints($early{$format}, $database);
    is(missed($complaints), 'attached_new checked generated parted_all', "-F$format: rows come before the layout they are computed by");
    is($node->safe_psql($database, $rows), '0|0|0|0|151|151|151', 'these tables are empty, indexes and views are made');
}
like(complaints($early{d}, database('early_d'), '--single-transaction'), $missing, 'in one transaction nothing is restored');
is($node->safe_psql('early_d', q{SELECT count(*) FROM pg_extension WHERE extname = 'idgen'}), '0', 'nothing at all');

# Section by section it is the same; the schema alone fails where an index's
# condition is computed.
database('sections');
like(complaints($early{c}, 'sections', '--section=pre-data'),
    qr/\A[^\n]*\n?[^\n]*$missing\n.*\nCommand was: ALTER TABLE ONLY app\.attached ATTACH PARTITION .*errors ignored on restore: 1\n\z/s,
    'before the data only the partition fails');
is(missed(complaints($early{c}, 'sections', '--section=data')), 'attached_new checked generated parted_all', 'with --section=data the same fail');
is(complaints($early{c}, 'sections', '--section=post-data'), '', 'and the rest goes on');
database('schema_only');
like(complaints($early{d}, 'schema_only', '--schema-only'),
    qr/$missing\n.*\nCommand was: CREATE INDEX lately .*errors ignored on restore: 2\n\z/s,
    'without data an index whose condition names the layout is not made');
is(missed(complaints($early{d}, 'schema_only', '--data-only')), 'attached_new checked generated indexed parted_all',
    'with --data-only an index computes, too');

# With several jobs the order of names doesn't count: large tables come first.
like(complaints("$folder/life.d", database('jobs'), '-j', 2), $missing, 'with -j a schema after idgen_internal fails, too');
is($node->safe_psql('jobs', q{SELECT (SELECT count(*) FROM generated), note FROM snowflake_layouts WHERE name = 'mine'}),
    '0|our first IDs', 'though the layout is there at the end');

# What to do: the extension and the layout first, from the archive itself. Its row
# is passed over when it comes again.
my @layouts = ('--data-only', '--schema=idgen_internal', '--table=layout');
for my $format ('c', 'd') {
    my $database = database("first_$format", 'CREATE EXTENSION idgen');
    is(complaints($early{$format}, $database, @layouts), '', "-F$format: the layouts alone");
    is(complaints($early{$format}, $database, '-j', 2), '', 'then everything, with -j');
    is(contents_of($node, $database), $contents, 'is as it was');
}
database('first_schema', 'CREATE EXTENSION idgen');
complaints($early{c}, 'first_schema', @layouts);
is(complaints($early{c}, 'first_schema', '--schema-only'), '', 'so is the schema alone');
is(complaints($early{c}, 'first_schema', '--data-only', '--schema=app'), '', 'and the data alone');
is($node->safe_psql('first_schema', $rows), '151|151|151|151|151|0|151', 'all but the materialized view, which is no data');

# Before a plain text it is made by hand. Of two rows that say the same, the first
# stays.
database('first_p', q{CREATE EXTENSION idgen;
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2024-01-01')});
is(complaints($early{p}, 'first_p'), '', 'made by hand before a plain text: restored without a word');
is($node->safe_psql('first_p', $rows), '151|151|151|151|151|151|151', 'every row');
is($node->safe_psql('first_p', 'INSERT INTO app.scoped DEFAULT VALUES RETURNING id > 0'), 't', 'and the scope');
is($node->safe_psql('first_p', q{SELECT note IS NULL FROM snowflake_layouts WHERE name = 'mine'}), 't', 'the note is the one given by hand');
# One that says something else is an error: what was computed by then is wrong.
database('other_p', q{CREATE EXTENSION idgen;
    SELECT snowflake_create_layout('mine', 'time:41 shard:10 sequence:12 tick:1ms', '2023-01-01')});
like(complaints($early{p}, 'other_p'), qr/^[^\n]*ERROR:  layout "mine" is another one in this database$/m,
    'another layout of that name is refused');

# --disable-triggers takes the guard of the layouts away: their rows collide. They
# and the guard must be put right by hand.
database('unguarded', 'CREATE EXTENSION idgen');
complaints($early{c}, 'unguarded', @layouts);
complaints($early{c}, 'unguarded', '--schema-only');
like(complaints($early{c}, 'unguarded', '--data-only', '--disable-triggers'),
    qr/\A[^\n]*COPY failed for table "layout": ERROR:  duplicate key value violates unique constraint "layout_pkey"\n.*errors ignored on restore: 1\n\z/s,
    'with --disable-triggers the layouts collide');
is(complaints($early{c}, database('guarded', 'CREATE EXTENSION idgen'), @layouts), '', 'the layouts are restored before');
complaints($early{c}, 'guarded', '--schema-only');
is(complaints($early{c}, 'guarded', '--data-only', '--disable-triggers', '--schema=app'), '', 'without that schema they do not');
is($node->safe_psql('guarded', $rows), '151|151|151|151|151|0|151', 'and every row is there');

# Logical replication, by the key: to the same type and to bigint, as text and in
# binary. A subscriber with bigints doesn't need the extension.
my $published = q{SELECT id, parent, list FROM events ORDER BY id};
$node->safe_psql('life', 'CREATE PUBLICATION events FOR TABLE events');
my %subscribers = (
    own => [ 'snowflakeid', 'false' ],
    own_binary => [ 'snowflakeid', 'true' ],
    plain => [ 'bigint', 'false' ],
    plain_binary => [ 'bigint', 'true' ]);
my $publisher = $node->connstr('life') =~ s/'/''/gr;
for my $name (sort keys %subscribers) {
    my ($type, $binary) = @{ $subscribers{$name} };
    database("to_$name", ($type eq 'bigint' ? '' : 'CREATE EXTENSION idgen;')
          . "CREATE TABLE events (id $type PRIMARY KEY, parent $type, legacy bigint, list $type\[])");
    $node->safe_psql('life', "SELECT pg_create_logical_replication_slot('to_$name', 'pgoutput')");
    $node->safe_psql("to_$name", "CREATE SUBSCRIPTION to_$name CONNECTION '$publisher' PUBLICATION events
        WITH (create_slot = false, binary = $binary)");
}
$node->wait_for_subscription_sync($node, "to_$_", "to_$_") for sort keys %subscribers;
$node->safe_psql('life', q{
    INSERT INTO events (parent, list) SELECT max(id), ARRAY[min(id), max(id)] FROM events;
    UPDATE events SET list = '{5,9223372036854775807}' WHERE id = (SELECT min(id) FROM events);
    UPDATE events SET id = 77 WHERE id = (SELECT id FROM events ORDER BY id OFFSET 1 LIMIT 1);
    DELETE FROM events WHERE id = (SELECT id FROM events ORDER BY id OFFSET 2 LIMIT 1)});
my $there = $node->safe_psql('life', $published);
like($there, qr/^77\|/, 'published');
for my $name (sort keys %subscribers) {
    $node->wait_for_catchup("to_$name");
    is($node->safe_psql("to_$name", $published), $there, "to_$name: INSERT, UPDATE and DELETE arrive");
    $node->safe_psql("to_$name", "ALTER SUBSCRIPTION to_$name DISABLE");
}

# Foreign tables: a server that is told of the extension gets the conditions.
database('foreign_side', 'CREATE EXTENSION idgen; CREATE EXTENSION postgres_fdw');
my ($host, $port) = ($node->host, $node->port);
for my $server ([ 'untold', '' ], [ 'told', ", extensions 'idgen'" ]) {
    my ($name, $option) = @$server;
    $node->safe_psql('foreign_side', "
        CREATE SERVER $name FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '$host', port '$port', dbname 'life'$option);
        CREATE USER MAPPING FOR CURRENT_USER SERVER $name;
        CREATE SCHEMA $name;
        IMPORT FOREIGN SCHEMA public LIMIT TO (events) FROM SERVER $name INTO $name;
        CREATE FOREIGN TABLE $name.as_bigint (id bigint) SERVER $name OPTIONS (schema_name 'public', table_name 'events');
        CREATE FOREIGN TABLE $name.without_id (parent snowflakeid) SERVER $name OPTIONS (schema_name 'public', table_name 'events')");
}

sub plan_of {
    my ($sql) = @_;
    return $node->safe_psql('foreign_side', "EXPLAIN (VERBOSE, COSTS OFF) $sql");
}
# From 17 on an array's type is the extension's, too, and may be sent.
my $in_array = q{id = ANY ('{77}'::snowflakeid[])};
my $sends_arrays = $node->pg_version >= 17;
for my $condition ('id = 77', q{id = '77'}, 'id < 78::bigint', q{id >= snowflake_min('2026-01-01 UTC')}, q{id >= timestamptz '2026-01-01 UTC'}, 'id IN (77, 78)',
    q{snowflake_timestamp(id) < '2026-01-01 UTC'}, 'parent = id', ($sends_arrays ? $in_array : ())) {
    my $query = "SELECT legacy FROM %s.events WHERE $condition";
    like(plan_of(sprintf $query, 'told'), qr/^ *Remote SQL: SELECT legacy FROM public\.events WHERE .*\bid\b/m, "shipped: $condition");
    my $local = plan_of(sprintf $query, 'untold');
    unlike($local, qr/Remote SQL: .*WHERE/, 'without extensions not');
    like($local, qr/^ *Filter: .*\bid\b/m, 'but filtered here');
    is($node->safe_psql('foreign_side', sprintf $query =~ s/legacy/count(*)/r, 'told'),
        $node->safe_psql('life', sprintf $query =~ s/legacy/count(*)/r, 'public'), 'with the same result');
}
unlike(plan_of("SELECT legacy FROM told.events WHERE $_"), qr/Remote SQL: .*WHERE/, "not shipped in any case: $_")
  for ($sends_arrays ? () : $in_array), q{snowflake_shard(id, 'twitter') = 5}, 'id < snowflake_min(now())';
like(plan_of('SELECT id FROM told.events ORDER BY id LIMIT 1'), qr/Remote SQL: .* ORDER BY id ASC NULLS LAST LIMIT/, 'so are order and limit');

# What the other server groups by, it is sent as it is compared here.
$node->safe_psql('life', 'CREATE TABLE numbers AS SELECT snowflake_min(day)::bigint AS id FROM generate_series(timestamptz \'2026-01-01 UTC\', \'2026-01-04 UTC\', \'1 day\') AS day');
$node->safe_psql('foreign_side', "CREATE FOREIGN TABLE told.numbers (id bigint) SERVER told OPTIONS (schema_name 'public', table_name 'numbers')");
my $grouped = q{SELECT id::snowflakeid, id::snowflakeid < timestamptz '2026-01-03 UTC' AS before, count(*)
    FROM %s.numbers GROUP BY id::snowflakeid HAVING id::snowflakeid >= timestamptz '2026-01-02 UTC' OR count(*) > 1 ORDER BY 1};
like(plan_of(sprintf $grouped, 'told'), qr/Remote SQL: .* GROUP BY /, 'groups by a cast are made there');
is($node->safe_psql('foreign_side', sprintf $grouped, 'told'), $node->safe_psql('life', sprintf $grouped, 'public'), 'with the same result');
like($node->safe_psql('life', sprintf $grouped, 'public'), qr/\|t\|1\n.*\|f\|1\n.*\|f\|1$/, 'which is the right one');

# The remote default counts where the foreign table lacks the column; else NULL is sent.
my ($state, $message) = sqlstate_of($node, 'INSERT INTO told.events (parent) VALUES (77)', dbname => 'foreign_side');
is($state, '23502', 'a foreign table with the column sends NULL');
my $highest = $node->safe_psql('life', 'SELECT max(id) FROM events');
$node->safe_psql('foreign_side', 'INSERT INTO told.without_id VALUES (77)');
is($node->safe_psql('life', "SELECT count(*) FROM events WHERE id > $highest AND parent = 77"), '1', 'one without it gets the remote default');
$node->safe_psql('foreign_side', 'ALTER FOREIGN TABLE untold.events ALTER COLUMN id SET DEFAULT snowflake_nextval()');
is($node->safe_psql('foreign_side', "INSERT INTO untold.events (parent) VALUES (77) RETURNING id > $highest"), 't', 'a default here is the other way');
# A bigint on this side compares by an operator that there is none of on the other.
($state, $message) = sqlstate_of($node, 'SELECT id FROM told.as_bigint WHERE id = 77', dbname => 'foreign_side');
is($state, '42883', 'a foreign column must be a snowflakeid, too');
like($message, qr/operator does not exist: public\.snowflakeid = integer/, 'or its conditions fail over there');
is($node->safe_psql('foreign_side', 'SELECT bool_or(id = 77) FROM (SELECT id FROM told.as_bigint OFFSET 0) AS t'),
    't', 'though it reads as a bigint');

$node->stop;
done_testing();
