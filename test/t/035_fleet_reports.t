# What an instance says of a registry that it can't use: in the log, in errors and in
# views, so that somebody who reads it knows what to do; in any encoding.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $coordinator = new_coordinator('coordinator');
my $good = registry_of($coordinator, 'leaser');
my $stranger = registry_of($coordinator, 'stranger');
my $node = new_node('one', "idgen.registry = '$stranger'");
$node->start;
$node->safe_psql('postgres', q{
    CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
    CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'});

sub psql_error {
    my ($sql) = @_;
    my ($out, $err) = ('', '');
    $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '--set', 'VERBOSITY=verbose' ]);
    return $err;
}

sub switch_to {
    my ($registry, $why) = @_;
    my $from = -s $node->logfile;
    $node->append_conf('postgresql.conf', "idgen.registry = '$registry'\n");
    # At a start: on a reload the instance would stay with the registry that it has.
    $node->restart;
    poll_log($node, $why, $from);
    return $from;
}

sub wait_for { my ($condition) = @_; poll($condition) or die 'timed out'; return }

# --- a role that does not exist: no time helps -------------------------------------------

poll_log($node, qr/role "stranger" does not exist/);
my $error = psql_error('CREATE EXTENSION idgen');
like($error, qr/ERROR:  IDG01: .*DETAIL:  The worker says: .*role "stranger" does not exist\.$/ms, 'CREATE EXTENSION says why it fails');
like($error, qr/HINT:  The extension cannot be created while this instance holds no node and no record names its layout\. See the server log/,
    'and names no view that is not there');
unlike($error, qr/snowflake_/, 'none at all');

switch_to($good, qr/idgen: holds node/);
wait_for(sub { $node->psql('postgres', 'CREATE EXTENSION idgen') == 0 });
$node->safe_psql($_, 'CREATE EXTENSION idgen') for 'latin1', 'ascii';

my $from = switch_to($stranger, qr/WARNING:  idgen: this instance issues no IDs\n.*DETAIL:  .*role "stranger" does not exist\./);
$error = psql_error('SELECT snowflake_nextval()');
like($error, qr/IDG01: .*role "stranger" does not exist\.$/ms, 'an error has the reason');
like($error, qr/HINT:  The fleet's registry turns this instance away\. Correct what it objects to/, 'and does not say that waiting helps');

$from = switch_to('postgresql://leaser@127.0.0.1:1/postgres', qr/WARNING:  idgen: this instance issues no IDs|Connection refused/);
poll_log($node, qr/Connection refused/, $from);
$node->poll_query_until('postgres', q{SELECT last_error ~ 'Connection refused' FROM snowflake_instance}) or die;
is($node->safe_psql('postgres', q{SELECT last_error ~ '[\n\t]' FROM snowflake_instance}), 'f', 'what libpq says in several lines is one line');
like(psql_error('SELECT snowflake_nextval()'), qr/HINT:  Issuing goes on automatically when the fleet's registry answers again/,
    'of one that is not there it does');

# --- text from elsewhere, in each encoding ---------------------------------------------------

# A name that is longer than what is kept of it, with a character across the cut; and one
# that PostgreSQL itself cuts in a character.
my @cases;
for my $shift (0, 1) {
    push @cases, [ "a host, $shift", 'postgresql://leaser@' . ('x' x $shift) . ("\xc3\xa9" x 300) . '/postgres', 'host name' ],
      [ "a role, $shift", registry_of($coordinator, ('r' x (62 - $shift)) . "\xc3\xa9" . 'tail'), 'does not exist' ];
}
for my $case (@cases) {
    my ($what, $registry, $why) = @$case;
    switch_to($registry, qr/$why/);
    $node->poll_query_until('postgres', "SELECT last_error ~ '$why' FROM snowflake_instance") or die;
    for my $column ('last_error', 'registry') {
        is($node->safe_psql('postgres', "SELECT convert_from(textsend($column), 'UTF8') = $column FROM snowflake_instance"),
            't', "$what: $column is valid UTF-8");
        is($node->safe_psql('postgres', "SELECT right($column, 1) <> '?' FROM snowflake_instance"), 't', 'and is cut between characters');
        is($node->safe_psql('latin1', "SET client_encoding = 'UTF8'; SELECT length($column) > 20 FROM snowflake_instance"),
            't', 'and can be read in a LATIN1 database');
        is($node->safe_psql('ascii', "SELECT octet_length($column) > 20 AND $column !~ '[^\\x01-\\x7f]' FROM snowflake_instance"),
            't', 'and is ASCII in one that has no encoding');
    }
    is((sqlstate_of($node, 'SELECT snowflake_nextval()'))[0], 'IDG01', 'an error with it can be sent');
}
switch_to("postgresql://leaser\@\xc3\xa9\xd0\xb6/postgres", qr/host name/);
$node->poll_query_until('postgres', q{SELECT last_error ~ U&'\00e9\0436' FROM snowflake_instance}) or die 'it is not shown as it is';
is($node->safe_psql('latin1', q{SELECT last_error ~ U&'\00e9[?]"' FROM snowflake_instance}), 't', 'LATIN1 shows what it has, and ? for what it has not');
is($node->safe_psql('ascii', q{SELECT last_error ~ '"[?][?]"' FROM snowflake_instance}), 't', 'SQL_ASCII shows ? for both');

# The name of a database comes from the encoding of where it was made.
$node->safe_psql('latin1', "SET client_encoding = 'UTF8'; CREATE DATABASE \"caf\xc3\xa9\" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
switch_to($good, qr/idgen: holds node/);
$node->safe_psql("caf\xe9", "CREATE EXTENSION idgen; SELECT snowflake_create_scope('in_it')");
$node->safe_psql("caf\xe9", "SELECT snowflake_nextval('in_it')");
is($node->safe_psql('postgres', q{SELECT database, convert_from(textsend(database), 'UTF8') FROM snowflake_stats WHERE scope <> 'default'}),
    'caf?|caf?', 'the name of a database is valid UTF-8');

# --- who could listen, or take the coordinator's place -------------------------------------------

$from = switch_to('etcd://me:SECRET@192.0.2.1/fleet', qr/WARNING:  idgen: the password of etcd is sent unencrypted\n.*HINT:  Add tls=on/);
$from = switch_to('postgresql://me:SECRET@192.0.2.1/fleet?sslmode=require',
    qr/WARNING:  idgen: the identity of the coordinator is not verified: sslmode is require\n.*HINT:  Set sslmode=verify-full/);
$node->restart;
poll_log($node, qr/WARNING:  idgen: the identity/, $from + 1);
$from = switch_to($good, qr/idgen: holds node/);
unlike(substr(slurp_file($node->logfile), $from), qr/not verified|unencrypted/, 'a coordinator on this machine is no reason');
unlike(slurp_file($node->logfile), qr/SECRET/, 'no password is logged');
wait_for_state($node);

# --- a worker that hangs ---------------------------------------------------------------------------

my $pid = instance($node, 'worker_pid');
is($node->safe_psql('postgres', q{SELECT clock_timestamp() - last_turn < interval '30 s' FROM snowflake_worker_stats}), 't',
    'a worker that works shows by its last turn');
kill('STOP', $pid);
my $last = sub { $node->safe_psql('postgres', 'SELECT last_turn FROM snowflake_worker_stats') };
$node->poll_query_until('postgres', q{SELECT clock_timestamp() - last_turn > interval '1.5 s' FROM snowflake_worker_stats}) or die;
my $stopped = $last->();
is($last->(), $stopped, 'one that hangs, too');
kill('CONT', $pid);
wait_for(sub { $last->() ne $stopped });
pass('until it goes on');

$_->stop for $node, $coordinator;
done_testing();
