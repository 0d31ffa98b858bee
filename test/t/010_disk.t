# No ID without a durable ceiling: whatever the disk does under the record, IDs
# go on up to the last ceiling that is durable, then callers are told why; and
# they go on by themselves when the disk is well again.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The load waits for as long as the disk fails; how long that is depends on the machine.
my $node = new_node('main', "idgen.lease_window = '1s'", "idgen.max_wait = '2min'", 'injection');
faulty($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
wait_for_state($node);

sub recorded_ceiling { return slurp_file(record_of($node)) =~ /^ceiling = (\d+)$/m ? $1 : die 'no ceiling' }
sub tick_of_last { return $node->safe_psql('postgres', 'SELECT snowflake_nextval()') >> 22 }
sub worker_pid { return $node->safe_psql('postgres', 'SELECT worker_pid FROM snowflake_instance') }

# Out of room: the ceiling is reached.
sub wait_for_ceiling {
    $node->poll_query_until('postgres', "SELECT window_left = '0' FROM snowflake_instance")
      or die 'the ceiling was not reached';
    return;
}

sub restart_worker {
    my $pid = worker_pid();
    kill 'TERM', $pid;
    $node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM snowflake_instance")
      or die 'the worker did not come back';
    return;
}

my %says = (
    'full' => qr/could not write file "idgen\/record\.new": No space left on device/,
    'read-only' => qr/could not (?:create|remove) file "idgen\/record\.new": Read-only file system/,
    'fsync' => qr/could not fsync file "idgen\/record\.new": Input\/output error/,
    'rename' => qr/could not rename file "idgen\/record\.new": Input\/output error/,
    'directory' => qr/could not fsync directory "idgen": Input\/output error/,
);
for my $fault (sort keys %says) {
    my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
    $node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
    my $offset = -s $node->logfile;
    bad_disk($node, $fault);
    wait_for_ceiling();
    # Nothing durable was promised above what the view shows: a failed fsync of
    # the directory may leave a higher ceiling in the file, which doesn't count.
    my $ceiling = $node->safe_psql('postgres',
        q{SELECT (extract(epoch FROM ceiling - epoch) * 1000)::bigint FROM snowflake_instance});
    cmp_ok($ceiling, '<=', recorded_ceiling(), "$fault: the ceiling is one that was written");
    my ($state, $message, $took) = sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()");
    is($state, 'IDG03', "$fault: callers wait, and give up after idgen.max_wait");
    like($message, qr/durable ceiling/, "$fault: for the ceiling");
    like($message, $says{$fault}, "$fault: with the disk's error");
    like($node->safe_psql('postgres', 'SELECT last_error FROM snowflake_instance'), $says{$fault}, "$fault: in the view");
    # Once in the log, for all the retries that there have been meanwhile.
    my $first = $node->safe_psql('postgres', 'SELECT last_error_at FROM snowflake_instance');
    $node->poll_query_until('postgres', "SELECT last_error_at > '$first'::timestamptz + interval '0.6 s' FROM snowflake_instance")
      or die 'it is not tried again';
    my @lines = substr(slurp_file($node->logfile), $offset) =~ /LOG:  idgen: the registry request failed/g;
    is(@lines, 1, "$fault: logged once");
    poll_log($node, qr/WARNING:  idgen: this instance issues no IDs\n.*DETAIL:  the registry request failed: $says{$fault}/, $offset);
    pass("$fault: and that calls fail, as a warning");
    is($node->safe_psql('postgres', 'SELECT failures > 0 FROM snowflake_worker_stats'), 't', "$fault: counted");
    # A new worker changes nothing while the fault lasts.
    # Nor does it trust the file, which shows a ceiling that may not be durable.
    if ($fault eq 'fsync' || $fault eq 'directory') {
        restart_worker();
        is((sqlstate_of($node, "SET idgen.max_wait = '50ms'; SELECT snowflake_nextval()"))[0], 'IDG03',
            "$fault: nor does a new worker find a ceiling");
    }
    my $ids = $node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL');
    bad_disk($node);
    $node->poll_query_until('postgres', "SELECT ids > $ids + 1000 FROM snowflake_stats WHERE scope IS NULL") or die 'it does not go on';
    $node->poll_query_until('postgres', 'SELECT last_error IS NULL FROM snowflake_instance')
      or die 'the error stays';
    poll_log($node, qr/LOG:  idgen: this instance issues IDs again/, $offset);
    @lines = substr(slurp_file($node->logfile), $offset) =~ /WARNING:  idgen: this instance issues no IDs/g;
    is(@lines, 1, "$fault: warned of once") unless $fault eq 'fsync' || $fault eq 'directory';    # and by the new worker
    my ($code, $figures) = stop_collector($load);
    is($code, 0, "$fault: and all of it without an error, a repeat or an inversion");
    $node->safe_psql('postgres', 'SELECT snowflake_reset_stats()');
    is($node->safe_psql('postgres', 'SELECT failures FROM snowflake_worker_stats'), 0, "$fault: and then from 0 again");
}

# The record is hit while the server runs: it is written anew, and nobody notices.
my %hits = (
    'truncated' => sub { truncate(record_of($node), 100) },
    'a bit flipped' => sub { change_record($node, sub { my $t = $_[0]; $t =~ s/^ceiling = /ceiling = 1/m; $t }, keep_checksum => 1) },
    'removed' => sub { unlink(record_of($node)) },
    'unreadable' => sub { chmod(0, record_of($node)) },
    'its folder removed' => sub { unlink(glob($node->data_dir . '/idgen/*')); rmdir($node->data_dir . '/idgen') },
);
for my $hit (sort keys %hits) {
    my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
    $node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
    my $before = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
    $hits{$hit}->();
    # Twice, as one could have been on its way.
    for (1 .. 2) {
        $node->poll_query_until('postgres', "SELECT ceiling > '$before' FROM snowflake_instance")
          or die 'the ceiling does not rise';
        $before = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
    }
    my ($code) = stop_collector($load);
    is($code, 0, "$hit while running: nobody notices");
    like(slurp_file(record_of($node)), qr/\Aidgen record 1\n.*^checksum = [0-9a-f]{8}\n\z/ms, "$hit: it is whole again");
}

# A damaged record at a start, and what the docs say to do.
my $last = tick_of_last();
$node->stop('immediate');
truncate(record_of($node), 100);
$node->start;
wait_for_state($node, 'fenced');
my ($state, $message) = sqlstate_of($node, 'SELECT snowflake_nextval()');
is($state, 'IDG01', 'damaged at a start: refused');
like($message, qr/damaged/, 'damaged at a start: and says so');
rename(record_of($node), record_of($node) . '.damaged') or die;
unlink($node->data_dir . '/idgen.marker') or die;
wait_for_state($node);
cmp_ok(tick_of_last(), '>', $last, 'moved away, as the docs say: it goes on by itself');

# fsync fails, and the server crashes meanwhile.
bad_disk($node, 'fsync');
wait_for_ceiling();
my $ceiling = recorded_ceiling();
$node->stop('immediate');
$node->start;
is((sqlstate_of($node, "SET idgen.max_wait = '300ms'; SELECT snowflake_nextval()"))[0], 'IDG03',
    'a start with a disk that fails issues nothing');
is($node->safe_psql('postgres', 'SELECT ids FROM snowflake_stats WHERE scope IS NULL'), '0', 'not one ID');
bad_disk($node);
cmp_ok(tick_of_last(), '>=', $ceiling, 'and then above what was promised');

# A slow disk gets a longer window, so that nobody waits for it for long.
bad_disk($node, 'slow');
$node->poll_query_until('postgres', "SELECT window_left > interval '1.2 s' FROM snowflake_instance")
  or die 'the window does not grow';
pass('a slow disk gets a longer window');
my $load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
# A busy machine may keep the worker from it once; not each time.
my $waited;
for (1 .. 5) {
    my ($waits, $at) = split /\|/, $node->safe_psql('postgres', 'SELECT waits_ceiling, ceiling FROM snowflake_stats, snowflake_instance WHERE scope IS NULL');
    for (1 .. 2) {
        $node->poll_query_until('postgres', "SELECT ceiling > '$at' FROM snowflake_instance") or die;
        $at = $node->safe_psql('postgres', 'SELECT ceiling FROM snowflake_instance');
    }
    $waited = $node->safe_psql('postgres', 'SELECT waits_ceiling FROM snowflake_stats WHERE scope IS NULL') - $waits;
    last if $waited == 0;
}
is($waited, 0, 'and nobody waits for it');
is((stop_collector($load))[0], 0, 'nor notices');
# A fast shutdown, too, waits for no more than the write on its way.
$node->safe_psql('postgres', 'CHECKPOINT');
my $begin = Time::HiRes::time();
$node->stop('fast');
cmp_ok(Time::HiRes::time() - $begin, '<', soon(10), 'a slow disk does not hold up a shutdown');
bad_disk($node);
$node->start;

# The worker ends with an error: it is started again, and nobody notices.
$load = start_collector($node, '--clients', 4, '--ids', 1_000_000_000);
$node->poll_query_until('postgres', 'SELECT ids > 1000 FROM snowflake_stats WHERE scope IS NULL') or die 'no load';
my $pid = worker_pid();
append_to_file($node->data_dir . '/idgen.fail_worker', '');
$node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM snowflake_instance")
  or die 'the worker did not come back';
like(slurp_file($node->logfile), qr/FATAL:  idgen: told to fail/, 'the worker ended with an error');
is((stop_collector($load))[0], 0, 'and nobody noticed');
$node->stop;
done_testing();
