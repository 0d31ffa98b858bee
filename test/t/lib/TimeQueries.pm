# Random queries that compare IDs with times, in two forms: as `id OP time`, which the
# planner rewrites, and as `snowflake_timestamp(id) OP time`, which it takes as it is.
# Both must give the same answer.
#
# Query n of a seed is always the same one. A comparison is written as a mark while a
# query is put together; both() makes the two forms of it.
package TimeQueries;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(schema session_schema query_pair);

# ---------------------------------------------------------------------------
# The tables: some 20 rows each, IDs of January to April 2026 and those at the edges of
# months; every one has id, n (the same as a bigint) and v. CHECKs are written with
# times, on columns at many positions.

sub padding {
    my ($count) = @_;
    return join('', map { "c$_ integer, " } 1 .. $count);
}

my @tables = qw(ids nums dom wide parent parts plain_parts hashed early late);
my @temporary = qw(temp_1 temp_6 temp_15);
my @views = qw(united casting fenced nested);

sub schema {
    my ($copied) = @_;
    return join(";\n",
        q{CREATE DOMAIN some_id AS snowflakeid},
        q{CREATE DOMAIN some_number AS bigint CHECK (VALUE::snowflakeid > timestamptz '2025-01-02 UTC')},
        q{CREATE TABLE seeds AS SELECT id::snowflakeid AS id, id AS n, row_number() OVER (ORDER BY id)::integer AS v
          FROM (SELECT snowflake_min('2026-01-01 UTC'::timestamptz + m * interval '1 month')::bigint + d AS id
                FROM generate_series(0, 3) AS m, unnest(ARRAY[0, -1, 5, 4194304, 1234567890123456]) AS d) AS i},
        (map { my ($name, $pad, $id, $n, $more) = @$_;
               "CREATE TABLE $name (" . padding($pad) . "id $id, n $n, v integer$more)" }
              [ 'ids', 0, 'snowflakeid', 'bigint', ', PRIMARY KEY (v)' ], [ 'nums', 2, 'snowflakeid', 'bigint', '' ],
              [ 'dom', 1, 'some_id', 'some_number', '' ],
              [ 'wide', 13, 'snowflakeid', 'bigint', '' ],
              [ 'parent', 7, 'snowflakeid', 'bigint', '' ],
              [ 'early', 8, 'snowflakeid', 'bigint',
                  q{, CHECK (id < timestamptz '2026-02-01 UTC'), CHECK (n::snowflakeid < timestamptz '2026-02-01 UTC')} ],
              [ 'late', 4, 'snowflakeid', 'bigint',
                  q{, CHECK (timestamptz '2026-02-01 UTC' <= id), CHECK (n::snowflakeid >= timestamptz '2026-02-01 UTC')} ],
              [ 'target', 3, 'snowflakeid', 'bigint', ', PRIMARY KEY (v)' ], [ 'secured', 1, 'snowflakeid', 'bigint', '' ],
              [ 'copied', 0, 'snowflakeid', 'bigint', '' ]),
        q{CREATE TABLE child_1 (CHECK (id < timestamptz '2026-02-15 UTC')) INHERITS (parent)},
        q{CREATE TABLE child_2 (extra text, CHECK (id >= timestamptz '2026-02-15 UTC' AND n::snowflakeid >= timestamptz '2026-02-10 UTC')) INHERITS (parent)},
        q{CREATE TABLE parts (v integer, id snowflakeid, n bigint) PARTITION BY RANGE (id)},
        q{CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (snowflake_min('2026-02-01 UTC'))},
        q{CREATE TABLE parts_2 (dropped text, n bigint, id snowflakeid CHECK (id >= timestamptz '2026-02-01 UTC'), v integer)},
        q{ALTER TABLE parts_2 DROP COLUMN dropped},
        q{ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (snowflake_min('2026-02-01 UTC')) TO (snowflake_min('2026-03-01 UTC'))},
        q{CREATE TABLE parts_3 PARTITION OF parts DEFAULT},
        q{CREATE TABLE plain_parts (n bigint, v integer, id snowflakeid) PARTITION BY RANGE (n)},
        q{CREATE TABLE plain_parts_1 PARTITION OF plain_parts FOR VALUES FROM (MINVALUE) TO (snowflake_min('2026-02-15 UTC')::bigint)},
        q{CREATE TABLE plain_parts_2 PARTITION OF plain_parts FOR VALUES FROM (snowflake_min('2026-02-15 UTC')::bigint) TO (MAXVALUE)},
        q{CREATE TABLE hashed (id snowflakeid, v integer, n bigint) PARTITION BY HASH (id)},
        (map { "CREATE TABLE hashed_$_ PARTITION OF hashed FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2),
        (map { "INSERT INTO $_ (id, n, v) SELECT id, n, v FROM seeds" } qw(ids nums wide parts plain_parts hashed target secured)),
        q{INSERT INTO dom (id, n, v) SELECT id, n, v FROM seeds},
        (map { "INSERT INTO $_ (id, n, v) VALUES (NULL, NULL, 100)" } qw(nums dom wide parent hashed)),
        (map { "INSERT INTO $_ (id, n, v) SELECT id, n, v FROM seeds WHERE id < snowflake_min('2026-02-01 UTC')" } qw(early child_1)),
        (map { "INSERT INTO $_ (id, n, v) SELECT id, n, v FROM seeds WHERE id >= snowflake_min('2026-03-01 UTC')" } qw(late child_2)),
        q{CREATE TABLE spans AS SELECT row_number() OVER () AS k, t AS starts, t + interval '20 days' AS ends
          FROM generate_series('2026-01-01 UTC'::timestamptz, '2026-04-01 UTC', '1 month') AS t},
        q{CREATE INDEX ON ids (id); CREATE INDEX ON nums (n); CREATE INDEX ON wide (id) WHERE id >= timestamptz '2026-03-01 UTC'},
        q{CREATE INDEX ON parts (id); CREATE INDEX ON late (n); CREATE INDEX ON child_1 (id)},
        q{CREATE VIEW united AS SELECT id, n, v FROM early UNION ALL SELECT n::snowflakeid, n, v FROM late UNION ALL SELECT id, n, v FROM ids},
        q{CREATE VIEW casting AS SELECT n::snowflakeid AS id, n, v FROM nums},
        q{CREATE VIEW fenced WITH (security_barrier) AS SELECT n::snowflakeid AS id, n, v FROM wide WHERE v > 2},
        q{CREATE VIEW nested AS SELECT id, n, v FROM united WHERE id < timestamptz '2026-04-01 UTC' UNION ALL SELECT id, n, v FROM parent},
        q{CREATE ROLE reader; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader},
        q{CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := -1; RETURN NEW; END $$},
        "COPY seeds TO '$copied'",
        q{ANALYZE},
        # What a query answers after what prepares it, sorted; an error by its SQLSTATE.
        # Nothing of it stays.
        q{CREATE FUNCTION answer(before text[], query text) RETURNS text[] LANGUAGE plpgsql AS $$
          DECLARE
              statement text;
              answer record;
              answers text[] := '{}';
          BEGIN
              FOREACH statement IN ARRAY before LOOP EXECUTE statement; END LOOP;
              FOR answer IN EXECUTE query LOOP answers := answers || coalesce(answer::text, 'null'); END LOOP;
              RAISE SQLSTATE 'ZZ999';
          EXCEPTION
              WHEN SQLSTATE 'ZZ999' THEN RETURN (SELECT array_agg(a ORDER BY a COLLATE "C") FROM unnest(answers) AS a);
              WHEN OTHERS THEN RETURN ARRAY['error', SQLSTATE];
          END $$},
        q{CREATE FUNCTION compared(number integer, before text[], query text, plain_before text[], plain_query text) RETURNS text LANGUAGE plpgsql AS $$
          DECLARE
              ours text[] := answer(before, query);
              plain text[] := answer(plain_before, plain_query);
          BEGIN
              IF ours IS DISTINCT FROM plain THEN
                  RETURN format(E'%s differs: %s instead of %s', number, left(ours::text, 1000), left(plain::text, 1000));
              END IF;
              RETURN number || CASE WHEN ours[1] = 'error' THEN ' error ' || ours[2] WHEN ours IS NULL THEN ' none' ELSE ' same' END;
          END $$});
}

# What each session needs: temporary tables.
sub session_schema {
    return join(";\n",
        'SET client_min_messages = error',
        'SET jit = off',
        map { my ($pad) = /(\d+)/;
              "CREATE TEMP TABLE $_ (" . padding($pad - 1) . "id snowflakeid, n bigint, v integer, CHECK (id < timestamptz '2026-03-01 UTC'), "
            . "CHECK (n::snowflakeid < timestamptz '2026-03-01 UTC')); "
            . "INSERT INTO $_ (id, n, v) SELECT id, n, v FROM seeds WHERE id < snowflake_min('2026-03-01 UTC')" } @temporary);
}

# ---------------------------------------------------------------------------
# Parts of queries

my $aliases;    # how many a query has so far

sub pick { return $_[ int(rand(@_)) ] }
sub chance { return rand() < $_[0] }
sub new_alias { return 'a' . ++$aliases }

# A time that doesn't change while plans are made.
sub literal_time {
    my $month = sprintf('2026-%02d-01', pick(1 .. 5));
    return pick(
        "timestamptz '$month UTC'", "timestamptz '$month UTC'", "timestamptz '$month 00:00:00.001 UTC'",
        "(timestamptz '$month UTC' - interval '1 us')", "timestamptz '2026-0" . pick(1 .. 4) . "-15 12:34:56.789 UTC'",
        "timestamptz 'infinity'", "timestamptz '-infinity'", "timestamptz '1900-01-01 UTC'", "timestamptz '294000-01-01 UTC'");
}

sub time_of {
    my ($from) = @_;    # an alias with v, or none
    return "$from->{alias}.$from->{time}" if $from && $from->{time} && chance(0.5);
    return literal_time() if chance(0.6);
    return pick(
        'now()', q{now() + interval '200 years'}, 'NULL::timestamptz', q{date '2026-02-01'}, q{timestamp '2026-03-01 00:00'},
        '(SELECT max(starts) FROM spans)', '(SELECT ends FROM spans WHERE k = 2)', q{'2026-02-01 UTC'::text::timestamptz},
        $from && !$from->{time} ? "(timestamptz '2025-12-20 UTC' + $from->{alias}.v * interval '5 days')" : 'now()');
}

# The mark of a comparison.
sub comparison {
    my ($id, $time) = @_;
    return "\x01$id\x02" . pick('<', '<=', '>', '>=') . "\x02$time\x02" . pick(0, 1) . "\x01";
}

# A condition on an ID: in parts, negated, as NULL.
sub condition {
    my ($id, $time) = @_;
    $time //= sub { time_of() };
    my $plain = comparison($id, $time->());
    my $roll = rand();
    return $plain if $roll < 0.45;
    return "($plain AND " . comparison($id, $time->()) . ')' if $roll < 0.6;
    return "($plain OR " . comparison($id, $time->()) . ')' if $roll < 0.7;
    return "NOT $plain" if $roll < 0.78;
    return "($plain) IS " . pick('NOT TRUE', 'TRUE', 'NOT FALSE', 'NULL', 'UNKNOWN') if $roll < 0.88;
    return "CASE WHEN $plain THEN " . comparison($id, $time->()) . ' ELSE false END' if $roll < 0.94;
    return "coalesce($plain, true)";
}

sub flipped { return { '<' => '>', '<=' => '>=', '>' => '<', '>=' => '<=' }->{ $_[0] } }

# The two forms of a text with marks.
sub both {
    my ($text) = @_;
    my $ours = $text =~ s/\x01([^\x01\x02]*)\x02([^\x02]*)\x02([^\x02]*)\x02([01])\x01/
        $4 ? "($3 " . flipped($2) . " $1)" : "($1 $2 $3)"/gexr;
    my $plain = $text =~ s/\x01([^\x01\x02]*)\x02([^\x02]*)\x02([^\x02]*)\x02([01])\x01/(snowflake_timestamp($1) $2 $3)/gr;
    return ($ours, $plain);
}

# An ID of a source, as a column or by a cast.
sub id_of {
    my ($from) = @_;
    my $alias = $from->{alias};
    return pick("$alias.id", "$alias.id", "$alias.n::snowflakeid", "$alias.n::snowflakeid", "coalesce($alias.id, $alias.n::snowflakeid)",
        "($alias.n + 0)::snowflakeid", "$alias.id::bigint::snowflakeid");
}

my $id_and_n = 'id::snowflakeid AS id, n::bigint AS n, v';

sub table { return pick(@tables, @tables, @temporary, @views) }

# The text of a query with the columns id, n and v.
sub source_query {
    my ($depth) = @_;
    my $name = table();
    my $cast = pick('id::snowflakeid AS id, n::bigint AS n, v', 'n::snowflakeid AS id, n::bigint AS n, v', 'n::snowflakeid AS id, id::bigint AS n, v');
    my $where = chance(0.3) ? ' WHERE ' . condition(pick('id', 'n::snowflakeid')) : '';
    return "SELECT $cast FROM $name$where" if $depth <= 0 || chance(0.25);
    my $inner = sub { '(' . source_query($depth - 1) . ')' };
    my $roll = rand();
    if ($roll < 0.4) {
        return join(' UNION ALL ', map { chance(0.2) ? $inner->() : source_query(0) } 1 .. 2 + int(rand(3)));
    }
    return $inner->() . pick(' UNION ', ' INTERSECT ', ' EXCEPT ', ' EXCEPT ALL ') . $inner->() if $roll < 0.48;
    return 'SELECT id, n, v FROM ' . $inner->() . ' AS s OFFSET 0' if $roll < 0.54;
    return 'SELECT DISTINCT id, n, v FROM ' . $inner->() . ' AS s' if $roll < 0.58;
    return 'SELECT id, max(n) AS n, min(v) AS v FROM ' . $inner->() . ' AS s GROUP BY id' if $roll < 0.66;
    return 'SELECT n::snowflakeid AS id, max(n) AS n, min(v) AS v FROM ' . $inner->() . ' AS s GROUP BY ' . pick('n::snowflakeid', 'ROLLUP (n::snowflakeid)') if $roll < 0.73;
    return 'SELECT id, n, (row_number() OVER (PARTITION BY id ORDER BY n, v))::integer AS v FROM ' . $inner->() . ' AS s' if $roll < 0.79;
    return 'WITH c AS ' . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . $inner->() . ' SELECT id, n, v FROM c' if $roll < 0.88;
    return 'SELECT s.id, s.n, l.v FROM ' . $inner->() . ' AS s, LATERAL (SELECT v FROM ids WHERE ids.v = s.v AND ' . comparison('s.id', time_of()) . ') AS l' if $roll < 0.94;
    return q{SELECT id::snowflakeid, n, v FROM (VALUES (snowflake_min('2026-02-01 UTC')::bigint, 132271570944000000, 1), (NULL, NULL, 2)) AS f (id, n, v)};
}

# An item of FROM: { text, alias, time }.
sub source {
    my ($depth) = @_;
    my $alias = new_alias();
    if (chance(0.3)) {
        my $name = table();
        return { text => "$name AS $alias", alias => $alias };
    }
    return { text => '(' . source_query($depth) . ") AS $alias", alias => $alias };
}

# A source, or two that are joined: (text, sources that can be named).
sub joined {
    my ($depth) = @_;
    my $one = source($depth);
    return ($one->{text}, $one) if chance(0.5);
    if (chance(0.3)) {
        my $alias = new_alias();
        my $spans = { alias => $alias };
        my $on = comparison(id_of($one), "$alias." . pick('starts', 'ends'));
        return ("$one->{text} " . pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN') . " spans AS $alias ON $on AND $alias.k < 4", $one);
    }
    my $two = source($depth - 1);
    my $on = "$one->{alias}.v = $two->{alias}.v";
    my $kind = pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
    $on .= ' AND ' . condition(id_of(pick($one, $two))) if $kind ne 'FULL JOIN' && chance(0.5);
    return ("$one->{text} $kind $two->{text} ON $on", $one, $two);
}

sub where_of {
    my (@sources) = @_;
    my @conditions;
    for (0 .. int(rand(2))) {
        my $from = pick(@sources);
        push @conditions, condition(id_of($from), sub { time_of($from) });
    }
    if (chance(0.25)) {
        my $from = pick(@sources);
        my $other = source(1);
        push @conditions, pick('EXISTS', 'NOT EXISTS') . " (SELECT FROM $other->{text} WHERE $other->{alias}.v = $from->{alias}.v AND "
          . condition(id_of(pick($from, $other))) . ')';
    }
    if (chance(0.1)) {
        my $from = pick(@sources);
        push @conditions, "$from->{alias}.id IN (SELECT id FROM " . table() . ' WHERE ' . condition('id') . ')';
    }
    return join(pick(' AND ', ' AND ', ' OR '), @conditions);
}

sub settings {
    my @set;
    push @set, 'SET LOCAL constraint_exclusion = ' . pick('on', 'on', 'off', 'partition');
    push @set, 'SET LOCAL enable_seqscan = off' if chance(0.4);
    push @set, 'SET LOCAL enable_partitionwise_join = on' if chance(0.2);
    push @set, 'SET LOCAL enable_partitionwise_aggregate = on' if chance(0.2);
    push @set, 'SET LOCAL enable_hashagg = off' if chance(0.2);
    push @set, 'SET LOCAL from_collapse_limit = 1; SET LOCAL join_collapse_limit = 1' if chance(0.1);
    return @set;
}

# ---------------------------------------------------------------------------
# Whole queries: (query, statements before it)

sub selection {
    my ($text, @sources) = joined(1 + int(rand(2)));
    my $id = id_of(pick(@sources));
    my $where = where_of(@sources);
    my $columns = join(', ', map { "$_->{alias}.id, $_->{alias}.v" } @sources);
    my $list = $columns;
    $list .= ', ' . condition(id_of(pick(@sources))) . ' AS c' if chance(0.3);
    my $roll = rand();
    return "SELECT $list FROM $text WHERE $where" if $roll < 0.6;
    return "SELECT $list, count(*) FILTER (WHERE " . condition($id) . ") OVER (PARTITION BY " . comparison($id, literal_time()) . ") AS w FROM $text WHERE $where" if $roll < 0.75;
    return 'SELECT count(*), count(*) FILTER (WHERE ' . condition($id) . "), min($id) FROM $text WHERE $where" if $roll < 0.85;
    my $alias = $sources[0]{alias};
    return "SELECT DISTINCT ON ($alias.v) $alias.v, $alias.id FROM $text WHERE $where ORDER BY $alias.v, " . comparison($id, literal_time()) . ", $columns" if $roll < 0.92;
    return "SELECT (SELECT count(*) FROM ids AS i WHERE " . comparison('i.id', literal_time()) . " AND i.v = $alias.v AND " . comparison("$alias.id", time_of()) . ") FROM $text WHERE $where";
}

# No grouping set is by a comparison: up to 17 PostgreSQL takes a condition that folds to
# the same as a grouped one for that column, which is NULL in other sets. It does so of
# numbers, too: x < 2 in GROUP BY ROLLUP ((x < 1 + 1)), x.
sub grouping {
    my ($text, @sources) = joined(1);
    my $from = pick(@sources);
    my $key = pick("$from->{alias}.id", "$from->{alias}.n::snowflakeid", "$from->{alias}.n::snowflakeid");
    my $by = pick($key, "ROLLUP ($key)", "CUBE ($key, $from->{alias}.v)", "GROUPING SETS (($key), ($from->{alias}.v), ())", "$key, $from->{alias}.v",
        "GROUPING SETS (($key), ())", comparison($key, literal_time()) . ", $key");
    my $having = chance(0.6) ? ' HAVING ' . condition($key) : '';
    my $where = chance(0.4) ? ' WHERE ' . where_of(@sources) : '';
    return "SELECT $key AS k, " . condition($key) . " AS c, count(*) FROM $text$where GROUP BY $by$having";
}

sub changing {
    my $name = pick('ids', 'nums', 'wide', 'parent', 'parts', 'plain_parts', 'hashed', 'early', 'late', @temporary);
    my $alias = new_alias();
    my $target = { alias => $alias };
    my $where = condition(id_of($target));
    my $returning = "RETURNING $alias.v, " . condition("$alias.id") . ' AS c';
    my $roll = rand();
    return "UPDATE $name AS $alias SET v = v + 1000 WHERE $where $returning" if $roll < 0.25 && $name ne 'parts';
    return "DELETE FROM $name AS $alias WHERE $where $returning" if $roll < 0.45;
    if ($roll < 0.7) {
        my $from = source(1);
        my $on = "$from->{alias}.v = $alias.v AND $where AND " . condition(id_of($from));
        return "DELETE FROM $name AS $alias USING $from->{text} WHERE $on $returning" if chance(0.5);
        return "UPDATE $name AS $alias SET v = $alias.v + 1000 FROM (SELECT DISTINCT v, id, n FROM $from->{text}) AS $from->{alias} WHERE $on $returning";
    }
    my $from = source(1);
    my $set = condition(pick('target.id', 'excluded.n::snowflakeid', 'excluded.id'));
    return "INSERT INTO target (id, n, v) SELECT DISTINCT ON (v) id, n, v FROM $from->{text} WHERE " . condition(id_of($from))
      . " ORDER BY v, id, n ON CONFLICT (v) DO UPDATE SET n = 0 WHERE $set RETURNING v, n, " . comparison('id', time_of());
}

sub merging {
    my $from = source(1);
    my $name = pick('target', 'parent', 'parts', 'early', 'wide', 'temp_6');
    my $merge = "MERGE INTO $name AS t USING (SELECT v, max(id) AS id, max(n) AS n FROM $from->{text} GROUP BY v) AS s ON t.v = s.v AND "
      . condition(pick('t.id', 't.n::snowflakeid', 's.id'))
      . ' WHEN MATCHED AND ' . condition(pick('t.id', 's.id', 's.n::snowflakeid')) . ' THEN UPDATE SET n = t.n - 1'
      . ' WHEN MATCHED AND ' . condition(pick('t.id', 't.n::snowflakeid')) . ' THEN DELETE'
      . ' WHEN NOT MATCHED AND ' . condition(pick('s.id', 's.n::snowflakeid')) . ' THEN DO NOTHING';
    return ("SELECT id, n, v FROM $name", $merge);
}

sub prepared {
    my ($text, @sources) = joined(1);
    my $id = id_of(pick(@sources));
    my $where = comparison($id, '$1') . pick(' AND ', ' OR ') . where_of(@sources) . (chance(0.4) ? ' AND ' . comparison(id_of(pick(@sources)), '$1') : '');
    my $list = join(', ', map { "$_->{alias}.id AS id$_->{alias}, $_->{alias}.v AS v$_->{alias}" } @sources);
    return ('SELECT * FROM first_answers UNION ALL SELECT * FROM second_answers',
        'DEALLOCATE ALL',
        'SET LOCAL plan_cache_mode = ' . pick('force_generic_plan', 'force_custom_plan'),
        "PREPARE asked (timestamptz) AS SELECT $list, " . comparison($id, '$1') . " AS c FROM $text WHERE $where",
        'CREATE TEMP TABLE first_answers AS EXECUTE asked (' . pick(literal_time(), 'NULL', 'now()') . ')',
        'CREATE TEMP TABLE second_answers AS EXECUTE asked (' . literal_time() . ')');
}

sub secured {
    my $from = { alias => 'secured' };
    my ($text, @sources) = joined(0);
    return ("SELECT secured.id, secured.v FROM secured, $text WHERE " . condition(id_of($from)) . " AND $sources[0]{alias}.v = secured.v AND " . where_of(@sources),
        'ALTER TABLE secured ENABLE ROW LEVEL SECURITY',
        'CREATE POLICY p ON secured USING (' . condition(pick('id', 'n::snowflakeid', '(SELECT secured.id)')) . ')',
        'GRANT SELECT ON ALL TABLES IN SCHEMA pg_temp TO reader',
        'SET LOCAL ROLE reader');
}

sub ruled {
    my $when = condition(pick('old.id', 'new.id', 'old.n::snowflakeid', 'new.n::snowflakeid'));
    my $update = 'UPDATE target SET n = n + 1 WHERE ' . condition(pick('id', 'n::snowflakeid'));
    return ('SELECT id, n, v FROM target', "CREATE RULE r AS ON UPDATE TO target WHERE $when DO INSTEAD NOTHING", $update) if chance(0.5);
    return ('SELECT id, n, v FROM target', "CREATE RULE r AS ON UPDATE TO target WHERE $when DO ALSO DELETE FROM target WHERE v = old.v AND " . comparison('old.id', literal_time()), $update);
}

sub triggered {
    my $when = comparison(pick('old.id', 'new.id', 'old.n::snowflakeid', 'new.n::snowflakeid'), literal_time());
    my $name = pick('target', 'parent', 'parts', 'wide');
    return ("SELECT id, n, v FROM $name", "CREATE TRIGGER t BEFORE UPDATE ON $name FOR EACH ROW WHEN ($when) EXECUTE FUNCTION bump()",
        "UPDATE $name SET v = v + 1 WHERE " . condition('id'));
}

sub copied {
    my ($file) = @_;
    return ('SELECT id, v FROM copied WHERE ' . condition('id'), "COPY copied (id, n, v) FROM '$file' WHERE " . comparison(pick('id', 'n::snowflakeid'), literal_time()));
}

sub checked {
    my $columns = padding(int(rand(16)));
    my $place = 1 + int(rand(20));
    my $check = comparison(pick('id', 'n::snowflakeid'), literal_time());
    my $other = pick('ids', 'early', 'late', 'united', 'parent');
    return ("SELECT id, v FROM (SELECT id, v FROM $other UNION ALL SELECT id, v FROM checked UNION ALL SELECT n::snowflakeid, v FROM checked) AS u WHERE " . condition('id'),
        'CREATE ' . pick('', 'TEMP ') . "TABLE checked (${columns}id snowflakeid, n bigint, v integer, CHECK ($check))",
        'INSERT INTO checked (id, n, v) SELECT id, n, v FROM seeds WHERE ' . (chance(0.8) ? $check : "v = $place"));
}

sub of_domain {
    my $n = chance(0.5);
    my $place = 1 + int(rand(20));
    return ('SELECT ' . ($n ? 'n' : 'id') . "::limited, (SELECT " . comparison($n ? 'n::limited::snowflakeid' : 'id::limited', literal_time()) . ") FROM seeds WHERE v = $place",
        'CREATE DOMAIN limited AS ' . ($n ? 'bigint' : 'snowflakeid') . ' CHECK (' . comparison($n ? 'VALUE::snowflakeid' : 'VALUE', literal_time()) . ')');
}

sub indexed {
    my $predicate = comparison(pick('id', 'n::snowflakeid'), literal_time());
    my $name = pick('ids', 'nums', 'wide', 'early', 'child_2');
    return ("SELECT id, v FROM $name WHERE v < 15 AND $predicate" . (chance(0.6) ? ' AND ' . condition('id') : ''),
        pick("CREATE INDEX ON $name (v) WHERE $predicate", "CREATE INDEX ON $name (($predicate), v)", "CREATE INDEX ON $name USING brin (id) WHERE $predicate",
            "CREATE STATISTICS st ON ($predicate), v FROM $name; ANALYZE $name"),
        'SET LOCAL enable_seqscan = off');
}

sub viewed {
    my $query = source_query(2);
    my $barrier = pick('', '', ' WITH (security_barrier)');
    my ($text, @sources) = joined(0);
    return ("SELECT vw.id, vw.v FROM $text LEFT JOIN vw ON vw.v = $sources[0]{alias}.v WHERE " . condition(pick('vw.id', 'vw.n::snowflakeid')) . ' AND ' . where_of(@sources),
        "CREATE VIEW vw$barrier AS $query");
}

sub of_function {
    my $from = source(1);
    if (chance(0.5)) {
        my $body = 'SELECT ' . condition('$1', sub { pick('$3', literal_time()) }) . ' OR ' . comparison('$2::snowflakeid', '$3');
        return ("SELECT id, v FROM $from->{text} WHERE f(id, n, " . time_of($from) . '::timestamptz)', "CREATE FUNCTION f(snowflakeid, bigint, timestamptz) RETURNS boolean LANGUAGE sql " . pick('IMMUTABLE', 'STABLE') . " AS \$f\$ $body \$f\$");
    }
    my $body = 'BEGIN IF ' . comparison('i', 't') . ' THEN RETURN ' . comparison('m::snowflakeid', 't') . '; END IF; RETURN (SELECT count(*) > 3 FROM ids WHERE '
      . comparison('ids.id', 't') . ' AND ' . comparison('i', literal_time()) . '); END';
    return ("SELECT id, v, f(id, n, " . time_of($from) . "::timestamptz) FROM $from->{text}",
        'SET LOCAL plan_cache_mode = ' . pick('force_generic_plan', 'force_custom_plan', 'auto'),
        "CREATE FUNCTION f(i snowflakeid, m bigint, t timestamptz) RETURNS boolean LANGUAGE plpgsql AS \$f\$ $body \$f\$");
}

my @kinds = (
    [ 44, \&selection ], [ 14, \&grouping ], [ 10, \&changing ], [ 4, \&merging ], [ 8, \&prepared ], [ 3, \&secured ], [ 2, \&ruled ], [ 2, \&triggered ],
    [ 1, \&copied ], [ 4, \&checked ], [ 1, \&of_domain ], [ 2, \&indexed ], [ 3, \&viewed ], [ 2, \&of_function ]);

# Query n of a seed as an SQL expression: compared(n, ...).
sub query_pair {
    my ($seed, $n, $file) = @_;
    srand($seed * 1_000_003 + $n);
    $aliases = 0;
    my $roll = rand(100);
    my $make;
    for my $kind (@kinds) {
        $make = $kind->[1];
        last if ($roll -= $kind->[0]) < 0;
    }
    my ($query, @before) = $make->($file);
    unshift @before, settings();
    my (@ours, @plain);
    for my $text (@before, $query) {
        my ($one, $other) = both($text);
        push @ours, "\$q\$$one\$q\$";
        push @plain, "\$q\$$other\$q\$";
    }
    my ($ours, $plain) = (pop @ours, pop @plain);
    local $" = ', ';
    return "compared($n, ARRAY[@ours], $ours, ARRAY[@plain], $plain)";
}

1;
