# A coordinator whose tables were put back, copied, replicated onto or written past its
# triggers: within its own cluster nothing else shows that, and its ceilings are of
# another time. It gives nobody a node until an operator has raised all ceilings.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();
# Few nodes, so that one that is in use would be given out again.
my @lines = ("idgen.layout = 'time:41 shard:2 sequence:12'", "idgen.lease_window = '20s'", "idgen.lease_ttl = '20s'");

my $coordinator = new_coordinator('coordinator');
$coordinator->append_conf('postgresql.conf', 'wal_level = logical');
$coordinator->restart;

sub make_registry {
    my ($database) = @_;
    $coordinator->safe_psql('postgres', "CREATE DATABASE $database");
    $coordinator->safe_psql($database, "CREATE EXTENSION idgen; SELECT snowflake_allow_leasing('leaser')");
    return;
}
sub registry { return registry_of($coordinator, 'leaser') =~ s{/postgres\?}{/reg?}r }

# It needs a node once, which a busy machine may be late with.
sub join_fleet {
    my ($node) = @_;
    poll(sub { return $node->psql('postgres', 'CREATE EXTENSION idgen') == 0 }) or die 'no node';
    wait_for_state($node);
    return;
}

# The connection to a database that was dropped may end first.
sub rotate {
    my ($node) = @_;
    my ($code, $out);
    poll(sub { ($code, $out) = $node->psql('postgres', 'SELECT snowflake_rotate_node()'); return $code == 0 }) or die 'not rotated';
    return $out;
}

sub start_instance {
    my ($name, @more) = @_;
    my $node = new_node($name, "idgen.registry = '" . registry() . "'", "cluster_name = '$name'", @lines, @more);
    $node->start;
    return $node;
}

make_registry('reg');
my $issuer = start_instance('issuer');
my $next = start_instance('next');
join_fleet($_) for $issuer, $next;
sub state_of { return $_[0]->safe_psql('postgres', 'SELECT state FROM snowflake_instance') }
my @patient = ('--clients', 1, '--batches', 1, '--pause', 1, '--ids', 100_000_000, '--tolerate', 'IDG01', '--retry');

# What an instance would write that knows the fleet as it is now, but not where it is.
my $take_one = q{SELECT idgen_internal.fleet_write(f.generation, f.base, '{3}', ARRAY[coalesce(n.revision, 0)], ARRAY[coalesce(n.epoch, 0)], true,
    'h', '00000000-0000-0000-0000-000000000001', greatest(f.base, n.ceiling) + 1, 1, 0, 1, 'x', 1000, 1, 1, 1, 1)
    FROM idgen_internal.fleet AS f LEFT JOIN idgen_internal.node AS n ON n.node = 3};

# An older state of the registry comes back while an instance issues from a later one.
# Nobody is given a node, least of all the one that is in use, until an operator of one
# instance raises the ceilings for all.
sub refused_until_raised {
    my ($what, $why, $save, $load) = @_;
    my @saved = map { "$files/$_" } 'issuer', 'before', 'after';
    $next->stop;
    $save->();
    my $node = rotate($issuer);
    my $issuing = start_collector($issuer, @patient, '--seconds', 120, '--save', $saved[0]);
    $issuer->poll_query_until('postgres', 'SELECT sum(ids) > 10000 FROM snowflake_stats') or die;
    my ($issuers_log, $nexts_log) = map { -s $_->logfile } $issuer, $next;
    $load->();
    $next->append_conf('postgresql.conf', "idgen.shard = $node");
    $next->start;
    poll(sub { return substr(slurp_file($next->logfile), $nexts_log) =~ $why || state_of($next) eq 'active' }) or die 'neither refused nor active';
    like(substr(slurp_file($next->logfile), $nexts_log), $why, "$what: the registry is refused");
    is((sqlstate_of($coordinator, $take_one, dbname => 'reg'))[0], '40001', "$what: nor by an instance that has not read it anew");
    my (undef, $figures) = run_collector($next, @patient, '--seconds', 2, '--save', $saved[1]);
    is($figures->{ids}, 0, "$what: no node is given out");
    $issuer->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance") or die;
    pass("$what: its holder stops");
    $next->append_conf('postgresql.conf', 'idgen.shard = -1');
    $next->reload;
    $next->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
    wait_for_state($_) for $issuer, $next;
    is( $coordinator->safe_psql('reg', "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'A' AND tgrelid IN ('idgen_internal.fleet'::regclass, 'idgen_internal.node'::regclass)"),
        '4', "$what: raised, its triggers always fire");
    is((run_collector($next, '--clients', 1, '--ids', 20_000, '--save', $saved[2]))[0], 0, "$what: raised, it goes on");
    stop_collector($issuing);
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @saved ], '>', \$out);
    is(figures($out)->{repeats}, 0, "$what: 0 repeats");
    return;
}

my $dump = "$files/dump";
my @dump = ('pg_dump', '-Fc', '-f', $dump, $coordinator->connstr('reg'));
my $place = qr/the registry was made in another database or table/;
sub anew {
    $coordinator->safe_psql('postgres', 'DROP DATABASE reg WITH (FORCE)');
    $coordinator->safe_psql('postgres', 'CREATE DATABASE reg');
    return;
}
my $save = sub { system_or_bail(@dump) };

refused_until_raised('dropped, made and restored', $place, $save,
    sub { anew(); system_or_bail('pg_restore', '-d', $coordinator->connstr('reg'), $dump) });

refused_until_raised('restored by --clean', $place, $save,
    sub { system_or_bail('pg_restore', '--clean', '-d', $coordinator->connstr('reg'), $dump) });

refused_until_raised('copied from a template', $place, sub {
    # It may have no sessions; the issuer comes back.
    $coordinator->safe_psql('postgres', 'ALTER DATABASE reg ALLOW_CONNECTIONS false');
    poll(sub {
        $coordinator->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'reg'");
        return $coordinator->psql('postgres', 'CREATE DATABASE earlier TEMPLATE reg') == 0;
    }) or die;
    $coordinator->safe_psql('postgres', 'ALTER DATABASE reg ALLOW_CONNECTIONS true');
    wait_for_state($issuer);
}, sub {
    $coordinator->safe_psql('postgres', 'DROP DATABASE reg WITH (FORCE)');
    $coordinator->safe_psql('postgres', 'ALTER DATABASE earlier RENAME TO reg');
    $coordinator->safe_psql('postgres', 'ALTER DATABASE reg ALLOW_CONNECTIONS true');
});

# Past the triggers, as pg_restore --disable-triggers does it: they do not come back as they
# were.
refused_until_raised('written with disabled triggers', qr/while their triggers were disabled/,
    sub { $coordinator->safe_psql('reg', "COPY idgen_internal.node TO '$files/rows'") },
    sub {
        $coordinator->safe_psql('reg', "BEGIN; LOCK TABLE idgen_internal.fleet IN EXCLUSIVE MODE; ALTER TABLE idgen_internal.node DISABLE TRIGGER ALL; DELETE FROM idgen_internal.node;
            COPY idgen_internal.node FROM '$files/rows'; ALTER TABLE idgen_internal.node ENABLE TRIGGER ALL; COMMIT");
    });
$_->stop for $issuer, $next;

# --- what the triggers let nobody do -----------------------------------------------------

my $one = $issuer;
$one->start;
wait_for_state($one);
# Without the epoch's number: on a busy machine a lease may end, and its node be taken again.
sub rows { return $coordinator->safe_psql('reg', 'SELECT node, epoch > 0, state, holder FROM idgen_internal.node ORDER BY node') }
my $rows = rows();
my $root = $coordinator->safe_psql('reg', 'SELECT * FROM idgen_internal.fleet');
for my $statement (
    'TRUNCATE idgen_internal.node', 'TRUNCATE idgen_internal.fleet',
    'DELETE FROM idgen_internal.node', 'DELETE FROM idgen_internal.fleet',
    'UPDATE idgen_internal.node SET ceiling = 0', 'UPDATE idgen_internal.fleet SET base = base + 1',
    "BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE idgen_internal.node; COMMIT") {
    is((sqlstate_of($coordinator, $statement, dbname => 'reg'))[0], '55000', "refused: $statement");
}
for my $statement (
    "INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes) VALUES (9, 1, 1, 'f', 0, 0)",
    'DELETE FROM idgen_internal.node', 'UPDATE idgen_internal.node SET ceiling = 0, epoch = 0',
    'UPDATE idgen_internal.fleet SET base = 0, generation = 1, database = 0') {
    $coordinator->safe_psql('reg', "SET session_replication_role = replica; $statement");
}
is(rows(), $rows, 'what a subscription would write is skipped');
# Also while the fleet waits for its operator, who has moved the database, say.
is( $coordinator->safe_psql('reg', q{
    BEGIN;
    ALTER TABLE idgen_internal.fleet DISABLE TRIGGER fleet_guard;
    UPDATE idgen_internal.fleet SET relation = 1;
    ALTER TABLE idgen_internal.fleet ENABLE ALWAYS TRIGGER fleet_guard;
    SET LOCAL session_replication_role = replica;
    UPDATE idgen_internal.fleet SET layout = 'another', generation = generation + 1;
    UPDATE idgen_internal.node SET state = 'f', ceiling = ceiling + 1;
    SELECT count(*) FROM idgen_internal.fleet AS f, idgen_internal.node AS n WHERE f.layout = 'another' OR n.state = 'h';
    ROLLBACK}), '1', 'and of a fleet that waits to be raised');
is($coordinator->safe_psql('reg', 'SELECT * FROM idgen_internal.fleet'), $root, 'of the fleet, too');
# By a data-only restore into the fleet that lives.
system_or_bail(@dump);
command_ok([ 'pg_restore', '--data-only', '-t', 'node', '-d', $coordinator->connstr('reg'), $dump ], 'a restore of the rows alone passes');
is(rows(), $rows, 'and changes nothing');
# Not even the functions lower anything.
my $write = q{SELECT idgen_internal.fleet_write(f.generation, f.base, ARRAY[n.node], ARRAY[n.revision], ARRAY[n.epoch], false,
    'h', n.holder, n.ceiling - 1, 1, 0, 1, 'x', 1000, 1, 1, 1, 1) FROM idgen_internal.fleet f, idgen_internal.node n WHERE n.state = 'h'};
is((sqlstate_of($coordinator, $write, dbname => 'reg'))[0], '40001', 'no function lowers a ceiling');
# Nor could one that the triggers take for idgen's own, with a mistake in it.
$coordinator->safe_psql('reg', 'CREATE FUNCTION mistake(statement text) RETURNS void LANGUAGE plpgsql SET idgen.fleet_writing = on AS $$ BEGIN EXECUTE statement; END $$');
sub mistake_of { return (sqlstate_of($coordinator, "BEGIN; SELECT mistake('$_[0]'); ROLLBACK", dbname => 'reg'))[0] }
is(mistake_of('UPDATE idgen_internal.node SET revision = revision + 1, ceiling = ceiling + 1'), 'none', 'such a function may raise');
for my $change ('node SET revision = revision + 1, ceiling = ceiling - 1', 'node SET revision = revision + 1, epoch = epoch - 1',
    'node SET ceiling = ceiling + 1', 'node SET revision = revision + 1, node = node + 100',
    'fleet SET generation = generation + 1, base = base - 1', 'fleet SET base = base + 1', 'fleet SET generation = generation + 1, id = gen_random_uuid()') {
    is(mistake_of("UPDATE idgen_internal.$change"), '55000', "refused even so: $change");
}
is(mistake_of("DELETE FROM idgen_internal.$_"), '55000', "and to delete from $_") for 'node', 'fleet';
$coordinator->safe_psql('reg', 'DROP FUNCTION mistake(text)');
# The database's owner may restore rows, but writes none here, whatever it pretends to be.
$coordinator->safe_psql('reg', 'CREATE ROLE tenant LOGIN; ALTER DATABASE reg OWNER TO tenant');
my $row = "INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes) VALUES (2, 1, 1, ''h'', 9, 0), (3, 1, 1, ''h'', 9, 0)";
my @tenant = (dbname => 'reg', extra_params => [ '-U', 'tenant' ]);
my %tricks = (
    'the name of a function in a comment' => "DO \$x\$ BEGIN EXECUTE E'$row /*\\nidgen_internal.fleet_write(*/'; END \$x\$",
    'the setting' => "SET idgen.fleet_writing = on; DO \$x\$ BEGIN EXECUTE '$row'; END \$x\$",
    'the setting at the start of the session' => "DO \$x\$ BEGIN EXECUTE '$row'; END \$x\$");
for my $trick (sort keys %tricks) {
    local $ENV{PGOPTIONS} = '-c idgen.fleet_writing=on' if $trick =~ /start/;
    is((sqlstate_of($coordinator, $tricks{$trick}, @tenant))[0], 'none', "$trick: is no error");
    is(rows(), $rows, 'and changes nothing');
}
my ($function) = sqlstate_of($coordinator, "SELECT snowflake_decode(1); SET idgen.fleet_writing = on", @tenant);
is($function, '42501', 'the setting is for superusers alone');
is( (sqlstate_of($coordinator, "SELECT snowflake_decode(1); CREATE FUNCTION tricky() RETURNS void LANGUAGE sql SET idgen.fleet_writing = on AS ''", @tenant))[0],
    '42501', 'also as a clause of a function');

# --- what the leasing role may ask for -----------------------------------------------------

# As that role; each of these would stop the fleet, or some of it, for good.
my %asks = (
    'log2_lanes' => [ lanes => 100 ], 'alive_ms' => [ alive => '9223372036854775807' ], 'the length of the name' => [ name => "repeat('x', 201)" ],
    'window_us' => [ window => '9223372036854775807' ], 'skew_us' => [ skew => '9223372036854775807' ], 'the number of epochs' => [ epochs => "'{1,2}'" ]);
for my $argument (sort keys %asks) {
    my ($what, $value) = @{ $asks{$argument} };
    my %value = (lanes => 0, alive => 1000, name => "'x'", window => 1000000, skew => 0, epochs => "'{0}'", $what => $value);
    my ($state, $err) = sqlstate_of($coordinator, "SELECT idgen_internal.fleet_write(1, 0, '{3}', '{0}', $value{epochs}, true, 'h',
        '00000000-0000-0000-0000-000000000001', 5, 0, $value{lanes}, 1, $value{name}, $value{alive}, 0, $value{skew}, 0, $value{window})",
        dbname => 'reg', extra_params => [ '-U', 'leaser' ]);
    is($state, '22023', "$argument: refused");
    like($err, qr/$argument is out of range/, "$argument: named");
}
is((sqlstate_of($coordinator, "SELECT idgen_internal.fleet_raise($_, 9223372036854775807, 0, 0, '{}', '{}', '{}')", dbname => 'reg', extra_params => [ '-U', 'leaser' ]))[0],
    '22023', 'no generation is the last') for $coordinator->safe_psql('reg', "SELECT concat_ws(', ', generation, base) FROM idgen_internal.fleet");
# Nor the first; and the layout has a length that others can read.
for my $root ("'x', 'x', 9223372036854775807", "repeat('x', 1001), 'x', 1", "'x', repeat('x', 101), 1") {
    is((sqlstate_of($coordinator, "SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000001', $root, 0, 0)", dbname => 'reg', extra_params => [ '-U', 'leaser' ]))[0],
        '22023', "no fleet is made of $root");
}
# Ceilings have an end, too: some time after now, by the coordinator's own count. Of a node
# that nobody extends meanwhile:
my $free = $coordinator->safe_psql('reg', "SELECT min(node) FROM idgen_internal.node WHERE NOT (state = 'h' AND alive_until > clock_timestamp())");
my $far = "SELECT idgen_internal.fleet_write(f.generation, f.base, ARRAY[n.node], ARRAY[n.revision], ARRAY[n.epoch], true,
    'h', '00000000-0000-0000-0000-000000000001', %s, 0, 0, 1, 'x', 1000, 0, 0, 0, 1)
    FROM idgen_internal.fleet AS f, idgen_internal.node AS n WHERE n.node = $free";
# Of the layout's milliseconds.
my $in = "(extract(epoch FROM clock_timestamp() + interval '%s' - timestamptz '2010-01-01 UTC') * 1000)::bigint";
$coordinator->safe_psql('reg', 'GRANT USAGE ON SCHEMA idgen_internal TO leaser; GRANT SELECT ON idgen_internal.fleet, idgen_internal.node TO leaser');
my @leaser = (dbname => 'reg', extra_params => [ '-U', 'leaser' ]);
sub as_leaser { return sqlstate_of($coordinator, "BEGIN; $_[0]; ROLLBACK", @leaser) }
my $word = qr/days ahead of the coordinator's clock; set that clock right, or.*GRANT EXECUTE ON FUNCTION idgen_internal\.fleet_force\(\) TO leaser/s;
is((as_leaser(sprintf($far, sprintf($in, '29 days'))))[0], 'none', 'a ceiling within 30 days');
for my $tick ('9223372036854775807', sprintf($in, '31 days')) {
    my ($state, $err) = as_leaser(sprintf($far, $tick));
    is($state, '55000', 'none beyond that');
    like($err, $word, 'and the error says what to do');
}
my $raise = 'SELECT idgen_internal.fleet_raise(generation, base, generation + 1, %s, 0, %s) FROM idgen_internal.fleet';
my $none = "'{}', '{}', '{}'";
is((as_leaser(sprintf($raise, sprintf($in, '89 days'), $none)))[0], 'none', 'a raise within 90 days');
my @far_raises = ([ '9223372036854775807', $none ], [ sprintf($in, '91 days'), $none ]);
for my $args (@far_raises) {
    my ($state, $err) = as_leaser(sprintf($raise, @$args));
    is($state, '55000', 'no raise beyond that');
    like($err, $word, 'without a word of the coordinator');
}
my $one_node = "SELECT idgen_internal.fleet_raise(f.generation, f.base, f.generation + 1, %s, 0, ARRAY[n.node], ARRAY[n.revision], ARRAY[%s])
    FROM idgen_internal.fleet AS f, idgen_internal.node AS n WHERE n.node = $free";
# A single node goes no further than 60 days beyond that, step by step neither: rounded days.
sub days_of_node {
    return split /\n/, $coordinator->safe_psql('reg', "BEGIN; $_[0]; SELECT round((ceiling - " . sprintf($in, '0 days') . ") / 86400000.0) FROM idgen_internal.node WHERE node = $free; ROLLBACK",
        extra_params => [ '-U', $_[1] // 'leaser' ]);
}
my $one_day = sprintf($in, '1 day');
is(join(' ', days_of_node(sprintf($one_node, $one_day, sprintf($in, '59 days')))), 't 59', 'a single node within 60 days of that');
is(join(' ', days_of_node(sprintf($one_node, $one_day, sprintf($in, '40 years')))), 't 61', 'no further');
is(join(' ', days_of_node(sprintf($one_node, $one_day, sprintf($in, '40 years')) . '; ' . sprintf($one_node, sprintf($in, '2 days'), sprintf($in, '40 years')))),
    't t 62', 'nor by one raise after another');
# One that is there already stays, and keeps nobody from raising the others.
my $by_hand = past_guard('UPDATE idgen_internal.node SET ceiling = ' . sprintf($in, '1000 days') . " WHERE node = $free");
is(join(' ', days_of_node("$by_hand SET LOCAL SESSION AUTHORIZATION leaser; " . sprintf($one_node, $one_day, sprintf($in, '1010 days')), $coordinator->safe_psql('reg', 'SELECT current_user'))),
    't 1000', 'a node that is further ahead stays where it is, without an error');
# Nor does it carry others along: together with it, each keeps its own ceiling.
my $together = "SELECT 1 FROM (SELECT idgen_internal.fleet_write(f.generation, f.base, array_agg(n.node), array_agg(n.revision), array_agg(n.epoch), false,
    'f', '00000000-0000-0000-0000-000000000001', max(n.ceiling), 0, 0, 1, 'x', 0, 0, 0, 0, 0) FROM idgen_internal.fleet AS f, idgen_internal.node AS n GROUP BY f.generation, f.base) AS w";
my $ceilings = $coordinator->safe_psql('reg', "SELECT count(*) FROM idgen_internal.node WHERE ceiling > $one_day");
is( $coordinator->safe_psql('reg', "BEGIN; $by_hand SET LOCAL SESSION AUTHORIZATION leaser; $together; SELECT count(*) FROM idgen_internal.node WHERE ceiling > $one_day; ROLLBACK"),
    "1\n" . ($ceilings + 1), 'no release carries ceilings away');
# When a fleet was raised is told by this clock, whatever the caller says; ceilings are raised.
like(
    $coordinator->safe_psql(
        'reg', 'BEGIN; ' . sprintf($raise =~ s/, 0, %s/, -540000000000000, %s/r, $one_day, $none) . "; SELECT raised BETWEEN now() AND clock_timestamp() FROM idgen_internal.fleet; ROLLBACK",
        extra_params => [ '-U', 'leaser' ]),
    qr/^t\nt$/, 'the time of a raise is not the caller\'s');
# Nodes are the layout's, and no retired one is taken.
is( (sqlstate_of($coordinator, q{SELECT idgen_internal.fleet_write(f.generation, f.base, '{4}', '{0}', '{0}', false, 'f', f.id, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 0)
        FROM idgen_internal.fleet AS f}, dbname => 'reg'))[0], '22023', 'no node beyond the layout');
my $retire = "SELECT idgen_internal.fleet_write(f.generation, f.base, ARRAY[n.node], ARRAY[n.revision], ARRAY[n.epoch], false, 'r', f.id, n.ceiling, 0, 0, 1, 'x', 0, 0, 0, 0, 0)
    FROM idgen_internal.fleet AS f, idgen_internal.node AS n WHERE n.node = $free";
is((as_leaser("$retire; " . sprintf($far, sprintf($in, '29 days'))))[0], '40001', 'a retired node is not taken');
$coordinator->safe_psql('reg', 'GRANT EXECUTE ON FUNCTION idgen_internal.fleet_force() TO leaser');
is((as_leaser(sprintf($raise, sprintf($in, '91 days'), $none)))[0], 'none', 'with that right the role may raise further');
is((as_leaser(sprintf($far, sprintf($in, '31 days'))))[0], 'none', 'and take a node there');
$coordinator->safe_psql('reg', 'REVOKE EXECUTE ON FUNCTION idgen_internal.fleet_force() FROM leaser');
is((as_leaser(sprintf($raise, sprintf($in, '91 days'), $none)))[0], '55000', 'and no longer');
# Nor does it retire a node whose holder is alive.
$one->poll_query_until('postgres', "SELECT state = 'active' FROM snowflake_instance") or die;
is( (as_leaser("SELECT idgen_internal.fleet_write(f.generation, f.base, ARRAY[n.node], ARRAY[n.revision], ARRAY[n.epoch], false, 'r', n.holder, n.ceiling, 0, 0, 1, 'x', 0, 0, 0, 0, 0)
        FROM idgen_internal.fleet AS f, idgen_internal.node AS n WHERE n.state = 'h' AND n.alive_until > clock_timestamp()"))[0], '55000', 'no node is retired whose holder is alive');
# The longest tick of each unit that a layout may have.
is($coordinator->safe_psql('reg', "SELECT count(idgen_internal.fleet_farthest('time:20 shard:2 sequence:12 tick:' || t, '2010-01-01T00:00:00Z', 0, 1)) FROM unnest('{3599999999us,3600000ms,3600s,1us}'::text[]) AS t"),
    '4', 'ticks of any length are understood');
$coordinator->safe_psql('reg', 'REVOKE SELECT ON idgen_internal.fleet, idgen_internal.node FROM leaser');
for my $root ("'time:41 shard:2 sequence:12', '2010-01-01T00:00:00Z'", "'x tick:1ms', 'yesterday'") {
    is((sqlstate_of($coordinator, "SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000001', $root, 1, 0, 0)", @leaser))[0],
        '22023', "no fleet is made of $root");
}
# A raise that begins anew raises, too. What no instance has written does not count.
$coordinator->safe_psql('template1', 'CREATE DATABASE poisoned');
$coordinator->safe_psql('poisoned', q{
    CREATE EXTENSION idgen;
    SELECT snowflake_allow_leasing('leaser');
    INSERT INTO idgen_internal.node VALUES (1, 0, 0, 'h', NULL, 5, 0, NULL, NULL, 'infinity', '-infinity', '290000-01-01', 'infinity')});
my $anew = "SELECT idgen_internal.fleet_create('00000000-0000-0000-0000-000000000001', 'time:41 shard:2 sequence:12 tick:1ms', '2010-01-01T00:00:00Z', 2, %s, 0)";
is((sqlstate_of($coordinator, sprintf($anew, 0), dbname => 'poisoned', extra_params => [ '-U', 'leaser' ]))[0], '55000', 'none begins anew in the past');
is($coordinator->safe_psql('poisoned', 'BEGIN; ' . sprintf($anew, $one_day) . '; ROLLBACK'), 't', 'but above now');
$coordinator->safe_psql('poisoned', q{INSERT INTO idgen_internal.fleet (id, layout, epoch, generation, base, raised, system, timeline)
    VALUES ('00000000-0000-0000-0000-000000000001', 'time:41 shard:2 sequence:12 tick:1ms', '2010-01-01T00:00:00Z', 9223372036854775807, 0, 'infinity', 1, 1)});
is( $coordinator->safe_psql('poisoned', q{SELECT r -> 'nodes' -> 0 ->> 'revision', r -> 'nodes' -> 0 ->> 'alive', r -> 'nodes' -> 0 ->> 'since_us' FROM idgen_internal.fleet_read(0, 9) AS r}),
    '1||', 'rows by hand can be read');
my @poisoned = sqlstate_of($coordinator, sprintf($raise, sprintf($in, '-1 second'), $none), dbname => 'poisoned');
is($poisoned[0], '55000', 'no raise to the past');
like($poisoned[1], qr/a time that the coordinator's clock has passed/, 'and the error says so');
is($coordinator->safe_psql('poisoned', 'BEGIN; ' . sprintf($raise, $one_day, $none) . '; ROLLBACK'), 't', 'and the fleet be raised');

# --- replication onto a coordinator --------------------------------------------------------

my $publisher = new_coordinator('publisher', allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'wal_level = logical');
$publisher->restart;
$publisher->safe_psql('postgres', 'CREATE TABLE plain (v int); CREATE PUBLICATION p FOR ALL TABLES');
$coordinator->safe_psql('reg', 'CREATE TABLE plain (v int)');
my $from_publisher = 'host=' . $publisher->host . ' port=' . $publisher->port . ' dbname=postgres';
my $other = new_node('other', "idgen.registry = '" . registry_of($publisher, 'leaser') . "'", @lines);
$other->start;
join_fleet($other);
$coordinator->safe_psql('reg', "CREATE SUBSCRIPTION s CONNECTION '$from_publisher' PUBLICATION p");
$coordinator->wait_for_subscription_sync($publisher, 's', 'reg');
# Updates of a row with the same key as one here, and the fleet's.
rotate($other) for 1 .. 3;
$other->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
wait_for_state($other);
$publisher->safe_psql('postgres', 'INSERT INTO plain VALUES (1)');
$publisher->wait_for_catchup('s');
is($coordinator->safe_psql('reg', 'SELECT v FROM plain'), '1', 'FOR ALL TABLES: the subscription goes on');
is(rows(), $rows, 'and takes in nothing of another fleet');
is($coordinator->safe_psql('reg', 'SELECT * FROM idgen_internal.fleet'), $root, 'nor its root');
is(instance($one, 'state'), 'active', 'so that its instances go on');
cmp_ok($one->safe_psql('postgres', 'SELECT count(*) FROM snowflake_fleet WHERE alive'), '>', 0, 'and read it');
# Nor do its ceilings go down: the next holder of a node begins above what was issued with it.
# A raise sets both to begin at one time, so that a lower ceiling would give the same IDs again.
my $floor = instance($one, 'floor');
$one->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
$one->poll_query_until('postgres', "SELECT state = 'active' AND floor > '$floor' FROM snowflake_instance") or die 'not raised';
my @ahead = run_collector($one, @patient, '--seconds', 8, '--save', "$files/ahead");
my $ahead_of = instance($one, 'node');
rotate($other) for 1 .. 3;
$publisher->safe_psql('postgres', 'INSERT INTO plain VALUES (2)');
$publisher->wait_for_catchup('s');
$one->stop;
$next->append_conf('postgresql.conf', "idgen.shard = $ahead_of");
$next->start;
wait_for_state($next);
my @behind = run_collector($next, @patient, '--seconds', 5, '--save', "$files/behind");
cmp_ok($behind[1]{greatest}, '>', $ahead[1]{greatest}, 'FOR ALL TABLES: the next holder of a node is above the one before');
my $judged = '';
IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', "$files/ahead", "$files/behind" ], '>', \$judged);
is(figures($judged)->{repeats}, 0, 'FOR ALL TABLES: 0 repeats');
$next->stop;
$next->append_conf('postgresql.conf', 'idgen.shard = -1');
$coordinator->safe_psql('reg', 'DROP SUBSCRIPTION s');

# --- foreign rows where no fleet lives -----------------------------------------------------

$one->stop;
anew();
$coordinator->safe_psql('reg', "CREATE EXTENSION idgen; SELECT snowflake_allow_leasing('leaser'); CREATE TABLE plain (v int)");
$coordinator->safe_psql('reg', "CREATE SUBSCRIPTION s CONNECTION '$from_publisher' PUBLICATION p");
$coordinator->wait_for_subscription_sync($publisher, 's', 'reg');
is($coordinator->safe_psql('reg', 'SELECT database, relation FROM idgen_internal.fleet'), '0|0', 'a fleet that came by replication belongs to nowhere');
# What is written there goes on coming; nothing of it is lowered; and it may come again.
my $theirs = q{SELECT node, epoch, state, holder, ceiling FROM idgen_internal.node ORDER BY node};
sub catch_up { $publisher->wait_for_catchup('s'); return $coordinator->safe_psql('reg', $theirs) }
rotate($other);
my $their_node = instance($other, 'node');
catch_up();
is($coordinator->safe_psql('reg', "SELECT revision > 0 AND ceiling > 0 AND state = 'h' FROM idgen_internal.node WHERE node = $their_node"),
    't', 'a node that is taken later comes, too');
$other->stop;
is(catch_up(), $publisher->safe_psql('postgres', $theirs), 'all rows are as they are there');
# A node that was retired stays so, whatever comes later.
sub publish {
    my ($change) = @_;
    $publisher->safe_psql('postgres', 'BEGIN; ' . past_guard("UPDATE idgen_internal.node SET $change") . ' COMMIT');
    return;
}
my $retired = "SELECT count(*) FROM idgen_internal.node WHERE state = 'r'";
publish("state = 'r' WHERE node <> $their_node");
catch_up();
my $count = $coordinator->safe_psql('reg', $retired);
cmp_ok($count, '>', 0, 'a node that is retired there is retired here');
publish("state = 'f' WHERE node <> $their_node");
catch_up();
is($coordinator->safe_psql('reg', $retired), $count, 'and stays so');
$coordinator->safe_psql('reg', 'DROP SUBSCRIPTION s');
publish("ceiling = ceiling - 1000, revision = 1, epoch = 1 WHERE node = $their_node");
my $before = $coordinator->safe_psql('reg', $theirs);
$coordinator->safe_psql('reg', "TRUNCATE plain; CREATE SUBSCRIPTION s CONNECTION '$from_publisher' PUBLICATION p");
$coordinator->wait_for_subscription_sync($publisher, 's', 'reg');
is($coordinator->safe_psql('reg', $theirs), $before, 'a second subscription copies them again, and lowers nothing');
my $new = $next;
my $from = -s $new->logfile;
$new->start;
poll_log($new, $place, $from);
is((sqlstate_of($new, 'SET idgen.max_wait = 0; SELECT snowflake_nextval()'))[0], 'IDG01', 'so that it gives out no node');
$new->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
wait_for_state($new);
is( $coordinator->safe_psql('reg', "SELECT count(*) FROM idgen_internal.node AS n, idgen_internal.fleet AS f WHERE n.node = $their_node AND greatest(n.ceiling, f.base) <= "
          . (split /\|/, (grep { /^$their_node\|/ } split /\n/, $before)[0])[4]),
    '0', 'raised, it is above what they had promised');
$coordinator->safe_psql('reg', 'DROP SUBSCRIPTION s');
$new->stop;
# Their own registry lost what it had acknowledged, above.
$other->start;
wait_for_state($other, 'fenced');
$other->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
wait_for_state($other);

# A restore that has come half-way: the nodes, not yet their fleet.
anew();
$coordinator->safe_psql('reg', "CREATE EXTENSION idgen; SELECT snowflake_allow_leasing('leaser')");
$coordinator->safe_psql('reg', "INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes) VALUES (1, 1, 1, 'f', 5, 0)");
# By one that knows no other fleet. (What has leased from here finds out by its own record.)
my $newcomer = start_instance('newcomer');
poll(sub { return slurp_file($newcomer->logfile) =~ /the coordinator's restore is not complete|holds node/ }) or die;
unlike(slurp_file($newcomer->logfile), qr/holds node/, 'no fleet is founded where a restore is not complete');
$newcomer->stop;
$from = -s $new->logfile;
$new->start;
poll_log($new, qr/the coordinator's restore is not complete|the registry is empty, although this instance has leased/, $from);
$new->safe_psql('postgres', 'SELECT snowflake_raise_registry()');
wait_for_state($new);
pass('until an operator raises');

# Roles' settings neither hide a warning nor let a raise be missed.
$new->stop;
$coordinator->safe_psql('reg', "ALTER ROLE leaser SET client_min_messages = error; ALTER ROLE leaser SET default_transaction_isolation = 'repeatable read'");
$new->start;
wait_for_state($new);
pass('whatever the role has set, it leases');
is( $coordinator->safe_psql('reg', "BEGIN; SET client_min_messages = error; SET lock_timeout = 0; SELECT FROM idgen_internal.fleet_read(0, 1); SHOW client_min_messages; SHOW lock_timeout; COMMIT"),
    "warning\n2s", 'the steps show warnings and wait for no lock for long');
is((sqlstate_of($coordinator, "BEGIN ISOLATION LEVEL $_; SELECT idgen_internal.fleet_read(0, 1)", dbname => 'reg'))[0], '55000', "$_ is refused")
  for 'repeatable read', 'serializable';

# Row versions that a long snapshot has kept.
$from = -s $new->logfile;
$coordinator->safe_psql(
    'reg', 'BEGIN; ALTER TABLE idgen_internal.node SET (autovacuum_enabled = off); ' . past_guard(q{
    INSERT INTO idgen_internal.node (node, revision, epoch, state, ceiling, log2_lanes, name)
        SELECT 1000 + g, 1, 1, 'f', 0, 0, repeat('x', 200) FROM generate_series(1, 20000) AS g;
    DELETE FROM idgen_internal.node WHERE node > 1000}) . ' COMMIT');
# By the renewals alone.
poll_log($new, qr/WARNING: .*idgen_internal\.node has grown to \d+ MB for \d nodes/, $from);
pass('a table that has grown out of proportion is warned about');

$_->stop for $new, $other, $publisher, $coordinator;
done_testing();
