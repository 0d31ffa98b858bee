# What the docs tell people to type runs: every sql block of README.md and
# docs/*.md, file by file, in a fresh database; and what they show of its output is what
# comes. And docs/backfill.sql gives no ID twice where thousands of rows share a
# millisecond.
#
# A text block right after an sql block shows the results of its last queries, as psql
# prints them without the number of rows, in UTC. In it "..." stands for what differs from
# run to run: any characters of a line, or, alone on a line, any lines. Widths of columns
# don't count.
use strict;
use warnings;

use IdgenTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $source = $ENV{IDGEN_SOURCE} // die 'run the tests by "make test"';
my @files = ("$source/README.md", sort glob "$source/docs/*.md");
cmp_ok(scalar @files, '>=', 2, 'there are docs');

$ENV{PGTZ} = 'UTC';
my $node = new_node('docs');
$node->start;

# The sql blocks of a file, as one script, and the outputs that are shown, by the number
# of their block. A blank line stands for each line outside of the blocks, so that psql's
# messages name the file's own lines; where a block begins and ends it says so.
sub sql_of {
    my ($file) = @_;
    my ($script, $inside, $blocks, $near, %shown) = ('', '', 0, 0);
    for my $line (split /\n/, slurp_file($file), -1) {
        my $echo = '';
        if ($line =~ /^```(\w*)\s*$/) {
            if ($inside) {
                $echo = "\\echo end of block $blocks" if $inside eq 'sql';
                $near = $inside eq 'sql';
                $inside = '';
            }
            else {
                $inside = $1 eq 'sql' || $1 eq 'text' && $near ? $1 : 'other';
                $echo = '\echo block ' . ++$blocks if $inside eq 'sql';
                $shown{$blocks} = '' if $inside eq 'text';
            }
        }
        elsif ($inside eq 'text') { $shown{$blocks} .= "$line\n" }
        elsif ($line ne '' && !$inside) { $near = 0 }
        $script .= ($inside eq 'sql' && !$echo ? $line : $echo) . "\n";
    }
    is($inside, '', "$file: every block ends");
    return ($script, $blocks, \%shown);
}

# Lines that don't depend on the widths of columns.
sub lines_of {
    my ($text) = @_;
    return join '', map { s/-[-+]*-/---/gr =~ s/ +/ /gr =~ s/^ | $//gr . "\n" } split /\n/, $text;
}

# The pattern that an output which is shown stands for.
sub pattern_of {
    my ($shown) = @_;
    my $pattern = join '', map { $_ eq '...' ? '(?:.*\n)*' : join('.*', map { quotemeta } split /\Q...\E/, $_, -1) . '\n' }
      split /\n/, lines_of($shown);
    return qr/\A$pattern\z/;
}

# As many of the last results of a block's output as are shown.
sub last_results {
    my ($output, $shown) = @_;
    my @results = split /\n\n/, $output;
    my @shown = split /\n\n/, $shown;
    splice @results, 0, @results - @shown if @results > @shown;
    return join("\n\n", @results) . "\n";
}

sub shows {
    my ($output, $shown) = @_;
    return lines_of(last_results($output, $shown)) =~ pattern_of($shown);
}
ok(shows("a\n--\n1\n\nid | at\n---+----\n17 | 2026\n\n", " id |  at\n----+-------\n ... | 2026\n"), 'the last result that is shown is what comes');
ok(shows("a\n--\n1\n\nb\n--\n2\n\n", "a\n--\n1\n\nb\n--\n2\n"), 'so are the last two');
ok(!shows("id | at\n---+---\n17 | 2026\n\n", " id | at\n----+------\n ... | 2025\n"), 'another is noticed');
ok(!shows("id\n--\n1\n2\n\n", "id\n--\n1\n"), 'so is a row more');

my ($total, $outputs) = (0, 0);
my $n = 0;
for my $file (@files) {
    my ($script, $blocks, $shown) = sql_of($file);
    $total += $blocks;
    next if $blocks == 0;
    my $database = 'docs_' . ++$n;
    (my $name = $file) =~ s{^\Q$source\E/}{};
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, 'CREATE EXTENSION idgen');
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-X', '-q', '-P', 'footer=off', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', '-' ],
        '<', \$script, '>', \$out, '2>', \$err);
    is($?, 0, "$name: its $blocks sql blocks run") or diag($err);
    for my $block (sort { $a <=> $b } keys %$shown) {
        my ($came) = $out =~ /^block $block\n(.*?)^end of block $block$/ms;
        ok(shows($came // '', $shown->{$block}), "$name: block $block prints what is shown")
          or diag("shown:\n$shown->{$block}\ncame:\n" . ($came // 'nothing'));
        ++$outputs;
    }
}
cmp_ok($outputs, '>=', 4, 'outputs were compared');
cmp_ok($total, '>=', 10, 'the blocks were found');

# A block that fails fails the test: the harness itself, tried.
my ($code) = $node->psql('docs_1', "SELECT 1;\nSELECT nonsense;\nSELECT 2;\n", on_error_stop => 1);
isnt($code, 0, 'a statement that fails is noticed');

# docs/backfill.sql, as it stands, on a table like pgbench's: single rows, a few
# to a millisecond, and 10,000 (more than the sequence's 4,096) in one, with the
# next milliseconds taken as well.
$node->safe_psql('postgres', 'CREATE DATABASE backfill');
$node->safe_psql('backfill', <<'SQL');
CREATE EXTENSION idgen;
CREATE TABLE pgbench_accounts (aid integer PRIMARY KEY, bid integer, abalance integer, filler char(84));
INSERT INTO pgbench_accounts SELECT g, 1, 0, '' FROM generate_series(1, 30000) AS g;
ALTER TABLE pgbench_accounts ADD COLUMN created timestamptz, ADD COLUMN id snowflakeid;
UPDATE pgbench_accounts SET created = timestamptz '2025-03-01 12:00 UTC' + CASE
    WHEN aid <= 10000 THEN interval '500 ms'
    WHEN aid <= 15000 THEN interval '501 ms'
    WHEN aid <= 15100 THEN interval '502 ms' + (aid % 900) * interval '1 us'
    ELSE (aid - 15100) * interval '1.3 ms' END;
SQL
sub backfill {
    my (%variables) = (table => 'pgbench_accounts', key => 'aid', created => 'created', id => 'id', @_);
    my ($out, $err) = run_command([ 'psql', '-X', '-d', $node->connstr('backfill'), (map { ('-v', "$_=$variables{$_}") } sort keys %variables),
            '-f', "$source/docs/backfill.sql" ]);
    return "$out$err";
}

is(backfill(), 'UPDATE 30000', 'docs/backfill.sql runs');

my $rows = sub { return $node->safe_psql('backfill', "SELECT $_[0] FROM pgbench_accounts"); };
is($rows->('max(n) > 4096 FROM (SELECT count(*) AS n FROM pgbench_accounts GROUP BY created) AS t --'),
    't', 'more rows share a millisecond than the sequence holds');
is($rows->('count(id), count(DISTINCT id)'), '30000|30000', 'every row has an ID of its own');
is($rows->('count(*) FILTER (WHERE snowflake_node(id) <> 0)'), '0', 'on node 0, which no instance draws');
is($rows->("count(*) FILTER (WHERE snowflake_timestamp(id) < date_trunc('milliseconds', created))"),
    '0', 'none says an earlier time than its row');
cmp_ok($rows->('extract(epoch FROM max(snowflake_timestamp(id) - created)) * 1000'),
    '<', 300, 'and none a much later one');
is( $node->safe_psql('backfill', <<'SQL'), '0', 'IDs are in the order of the times');
SELECT count(*) FROM (
    SELECT id, lag(id) OVER (ORDER BY created, aid) AS before FROM pgbench_accounts) AS t
WHERE id <= before
SQL

# Again: there is nothing left to do. Rows that are found later get slots that
# are free; those without a time get none.
is(backfill(), 'UPDATE 0', 'a second run finds nothing to do');
is($rows->('count(DISTINCT id), max(id) = (SELECT max(id) FROM pgbench_accounts)'), '30000|t', 'a second run changes nothing');
$node->safe_psql('backfill', "INSERT INTO pgbench_accounts (aid, created)
    SELECT g, CASE WHEN g % 10 > 0 THEN timestamptz '2025-03-01 12:00:00.5 UTC' END FROM generate_series(40001, 46000) AS g");
is(backfill(), 'UPDATE 5400', 'a third run finds what was added');
is($rows->('count(id), count(DISTINCT id)'), '35400|35400', 'rows found later repeat no ID');
is($rows->('count(*) FILTER (WHERE created IS NULL), count(id) FILTER (WHERE created IS NULL)'), '600|0',
    'rows without a time get none');
$node->safe_psql('backfill', 'DELETE FROM pgbench_accounts WHERE aid > 40000');

# Another table of the same times, whose key is called "id" and whose ID column is a bigint: no ID
# of the one is an ID of the other, in whatever order and however wide they are.
$node->safe_psql('backfill', 'CREATE SCHEMA "Other"; CREATE TABLE "Other"."Events" (id integer PRIMARY KEY, "At" timestamptz, "ID" bigint);
    INSERT INTO "Other"."Events" SELECT aid, created FROM pgbench_accounts');
is(backfill(table => '"Other"."Events"', key => 'id', created => 'At', id => 'ID', width => 7), 'UPDATE 30000', 'names are what they are');
is($node->safe_psql('backfill', 'SELECT count(*) FROM pgbench_accounts AS a JOIN "Other"."Events" AS e ON a.id = e."ID"'), '0',
    'two tables share no ID');
is($node->safe_psql('backfill', 'SELECT count(DISTINCT "ID") FROM "Other"."Events"'), '30000', 'the other one has all of them');
like(backfill(id => 'aid'), qr/key and id are the same column/, 'the key cannot be the ID column');
my ($state) = sqlstate_of($node, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT snowflake_backfill_slots('2025-01-01', '2025-01-02', 1)",
    dbname => 'backfill');
is($state, '25000', 'slots are not handed out by an old snapshot');

# Two sessions at once wait for each other.
my $first = $node->background_psql('backfill');
$first->query_safe("BEGIN; SELECT snowflake_backfill_slots('2024-01-01', '2024-01-02', 1)");
my $second = $node->background_psql('backfill');
$second->query_until(qr/asks/, "\\echo asks\nSELECT first_sequence FROM snowflake_backfill_slots('2024-01-01', '2024-01-02', 1);\n");
$node->poll_query_until('backfill', "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'idgen_internal.backfill'::regclass AND NOT granted")
  or die 'the second session does not wait';
$first->query_safe('COMMIT');
$second->quit;
$first->quit;
is($node->safe_psql('backfill', "SELECT string_agg(first_sequence::text, ' ' ORDER BY handed_out) FROM idgen_internal.backfill
        WHERE lower(during) = '2024-01-01'"), '0 64', 'and get different slots');

# New rows get theirs from the server.
$node->safe_psql('backfill', <<'SQL');
ALTER TABLE pgbench_accounts ALTER COLUMN id SET NOT NULL, ALTER COLUMN id SET DEFAULT snowflake_nextval();
CREATE UNIQUE INDEX ON pgbench_accounts (id);
INSERT INTO pgbench_accounts (aid) SELECT g FROM generate_series(30001, 40000) AS g;
SQL
is($rows->('count(DISTINCT id)'), '40000', 'the server goes on without a repeat');

# What backfill.sql of 0.1.0 has used, recorded by the page's own statement: another table
# of these times is refused on node 0, and gets other IDs on another node.
my ($record) = slurp_file("$source/docs/backfill.md") =~ /^(INSERT INTO idgen_internal\.backfill.*?;)$/ms;
$node->safe_psql('backfill', 'DELETE FROM idgen_internal.backfill; ALTER TABLE pgbench_accounts RENAME TO legacy');
$node->safe_psql('backfill', $record);
$node->safe_psql('backfill', 'UPDATE "Other"."Events" SET "ID" = NULL');
my @events = (table => '"Other"."Events"', key => 'id', created => 'At', id => 'ID');
like(backfill(@events), qr/node 0 has no 64 sequence numbers left/, 'what 0.1.0 has used is not handed out again');
my $free = $node->safe_psql('backfill', 'SELECT node FROM snowflake_instance') == 5 ? 6 : 5;
is(backfill(@events, node => $free), 'UPDATE 30000', 'another node has room');
is($node->safe_psql('backfill', 'SELECT count(DISTINCT snowflake_node("ID")), min(snowflake_node("ID")) FROM "Other"."Events"'), "1|$free", 'the IDs are of that node');
is($node->safe_psql('backfill', 'SELECT count(*) FROM legacy AS a JOIN "Other"."Events" AS e ON a.id = e."ID"'), '0', 'and no ID is there twice');

done_testing();
