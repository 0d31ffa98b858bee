# The way to a PostgreSQL coordinator by libpq's rules: a service, a password file,
# TLS that is verified.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $coordinator = new_coordinator('coordinator');
my $files = PostgreSQL::Test::Utils::tempdir();

sub write_file {
    my ($name, $text) = @_;
    append_to_file("$files/$name", $text);
    chmod 0600, "$files/$name";
    return "$files/$name";
}

# A certificate for localhost by an authority of its own, and another authority.
sub certify {
    my ($name) = @_;
    system_or_bail('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2, '-subj', '/CN=localhost',
        '-addext', 'subjectAltName=DNS:localhost', '-keyout', "$files/$name.key", '-out', "$files/$name.crt");
    chmod 0600, "$files/$name.key";
    return;
}
certify($_) for 'server', 'other';
$coordinator->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\nssl = on\nssl_cert_file = '$files/server.crt'\nssl_key_file = '$files/server.key'\n");
unlink($coordinator->data_dir . '/pg_hba.conf');
$coordinator->append_conf('pg_hba.conf', "local all all trust\nhostssl all leaser 127.0.0.1/32 scram-sha-256\n");
$coordinator->restart;

my $passwords = write_file('passwords', "localhost:*:*:leaser:pencil\n");
my $port = $coordinator->port;
# Two services, which trust one of the authorities each.
my $services = write_file('services', join('', map { <<"END" } [ 'fleet', 'server' ], [ 'distrustful', 'other' ]));
[$_->[0]]
host=localhost
port=$port
dbname=postgres
user=leaser
passfile=$passwords
sslmode=verify-full
sslrootcert=$files/$_->[1].crt
END

local $ENV{PGSERVICEFILE} = $services;
my $one = new_node('one', "idgen.registry = 'postgresql://?service=fleet'");
$one->start;
create_extension($one);
wait_for_state($one);
is( $coordinator->safe_psql('postgres', "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'leaser' AND ssl"),
    't', 'a service, its password file and TLS lead to the coordinator');
like(instance($one, 'registry'), qr/^postgresql:\/\/localhost:$port/, 'which the registry shows');
is((run_collector($one, '--clients', 2, '--ids', 20_000))[0], 0, 'and IDs are issued');

# What can't be trusted isn't, whatever it says.
sub refused {
    my ($registry, $why, $what) = @_;
    my $from = -s $one->logfile;
    $one->safe_psql('postgres', "ALTER SYSTEM SET idgen.registry = '$registry'");
    # At a start: on a reload the instance would stay with its registry.
    $one->restart;
    poll_log($one, $why, $from);
    $one->poll_query_until('postgres', "SELECT state = 'fenced' FROM snowflake_instance") or die;
    my ($state, $message) = sqlstate_of($one, 'SELECT snowflake_nextval()');
    is($state, 'IDG01', $what);
    unlike($message, qr/HINT:  Issuing goes on automatically/, 'and the hint does not say that it passes');
    return;
}
refused('postgresql://?service=distrustful', qr/certificate verify failed/, 'a certificate by another authority is refused');
refused("postgresql://leaser:wrong\@localhost:$port/postgres?sslmode=require", qr/password authentication failed/, 'so is a wrong password');
refused("postgresql://leaser:pencil\@localhost:$port/postgres?sslmode=disable", qr/no pg_hba.conf entry.*no encryption/, 'and the coordinator refuses who comes without TLS');
refused('postgresql://?service=nowhere', qr/definition of service "nowhere" not found/, 'a service that is not there leads nowhere');
$one->safe_psql('postgres', 'ALTER SYSTEM RESET idgen.registry');
$one->reload;
wait_for_state($one);
pass('back at the right one it goes on');
unlike(slurp_file($_->logfile), qr/pencil/, 'no password is logged by ' . $_->name) for $one, $coordinator;
$_->stop for $one, $coordinator;
done_testing();
