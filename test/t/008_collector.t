# The judge that the others rely on: it sees a repeat and an inversion where
# there are some, and none where there is none.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();

sub judged {
    my (@runs) = @_;
    my @paths;
    for my $run (@runs) {
        push @paths, "$files/" . scalar(@paths);
        write_calls($paths[-1], @$run);
    }
    my $out = '';
    IPC::Run::run([ $ENV{IDGEN_COLLECTOR}, 'check', @paths ], '>', \$out);
    my $code = $? >> 8;
    my $figures = figures($out);
    return "$code $figures->{ids} $figures->{repeats} $figures->{inversions}";
}

# Exit code, IDs, repeats, inversions.
is(judged([ [ 0, 10, 1 ], [ 20, 30, 2 ], [ 40, 50, 3, 4, 5 ] ]), '0 5 0 0', 'ascending calls');
is(judged([ [ 0, 30, 2 ], [ 20, 40, 1 ] ]), '0 2 0 0', 'calls at the same time have no order');
is(judged([ [ 0, 30, 7 ], [ 30, 40, 1 ] ]), '0 2 0 0', 'nor those that touch');
is(judged([ [ 0, 10, 2 ], [ 20, 30, 1 ] ]), '1 2 0 1', 'a smaller ID later is an inversion');
is(judged([ [ 0, 10, 1 ], [ 5, 20, 9 ], [ 15, 30, 8 ], [ 25, 40, 7 ] ]), '1 4 0 1',
    'measured against the greatest that had returned');
is(judged([ [ 0, 10, 1, 3, 2 ] ]), '1 3 0 1', 'a batch that does not ascend is an inversion');
is(judged([ [ 0, 10, 1, 2 ], [ 5, 20, 2, 3 ] ]), '1 4 1 0', 'an ID twice at the same time');
is(judged([ [ 0, 10, 5 ] ], [ [ 0, 10, 5 ] ]), '1 2 1 0', 'an ID in two files');
is(judged([ [ 0, 10, 5 ], [ 20, 30, 5 ] ]), '1 2 1 1', 'an ID again, later');
done_testing();
