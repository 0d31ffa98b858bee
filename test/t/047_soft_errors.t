# Text that is no ID, where PostgreSQL asks the type instead of failing: from 16 on
# pg_input_is_valid(), from 17 on COPY and JSON_TABLE. Older versions raise the error.
use strict;
use warnings;

use IdgenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('soft');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idgen');
my $version = $node->pg_version;
my @wrong = ([ 'x', '22P02' ], [ '', '22P02' ], [ '12 3', '22P02' ], [ '2026-01-01', '22P02' ], [ '9223372036854775808', '22003' ]);

for my $case (@wrong) {
    my ($text, $state) = @$case;
    is((sqlstate_of($node, "SELECT '$text'::snowflakeid"))[0], $state, "\"$text\" is an error where nobody asks");
}

SKIP: {
    skip 'soft errors came with 16', 14 if $version < 16;
    for my $case (@wrong) {
        my ($text, $state) = @$case;
        is($node->safe_psql('postgres', "SELECT pg_input_is_valid('$text', 'snowflakeid')"), 'f', "\"$text\" is not valid");
        is($node->safe_psql('postgres', "SELECT sql_error_code FROM pg_input_error_info('$text', 'snowflakeid')"), $state, "by $state");
    }
    is($node->safe_psql('postgres', "SELECT pg_input_is_valid(' 5 ', 'snowflakeid'), pg_input_is_valid('-9223372036854775808', 'snowflakeid')"),
        't|t', 'what is an ID is valid');
    is($node->safe_psql('postgres', "SELECT message, detail, hint FROM pg_input_error_info('x', 'snowflakeid')"),
        'malformed snowflakeid: "x"|A snowflakeid is a decimal number.|'
          . "Other text forms are read by snowflake_from_base32('...') and snowflake_from_base62('...').",
        'an error that is asked for has all its parts');
    is($node->safe_psql('postgres', "SELECT pg_input_is_valid('{1,x}', 'snowflakeid[]'), pg_input_is_valid('{1,2}', 'snowflakeid[]')"),
        'f|t', 'in arrays, too');
    is($node->safe_psql('postgres', q{CREATE DOMAIN key AS snowflakeid CHECK (VALUE > 0); SELECT pg_input_is_valid('x', 'key'), pg_input_is_valid('1', 'key')}),
        'f|t', 'and in domains');
}

SKIP: {
    skip 'ON_ERROR and JSON_TABLE came with 17', 3 if $version < 17;
    $node->safe_psql('postgres', 'CREATE TABLE t (id snowflakeid, note text)');
    append_to_file($node->data_dir . '/ids', "1\ta\nx\tb\n9223372036854775808\tc\n4\td\n");
    $node->safe_psql('postgres', "COPY t FROM '" . $node->data_dir . "/ids' (ON_ERROR ignore)");
    is($node->safe_psql('postgres', q{SELECT string_agg(id || note, ',' ORDER BY id) FROM t}), '1a,4d', 'COPY leaves bad lines out');
    is($node->safe_psql('postgres', q{SELECT string_agg(coalesce(id::text, '-'), ',') FROM JSON_TABLE('["1", "x", "3"]', '$[*]' COLUMNS (id snowflakeid PATH '$'))}),
        '1,-,3', 'JSON_TABLE has NULL for what is no ID');
    is($node->safe_psql('postgres', q{SELECT JSON_VALUE('"x"', '$' RETURNING snowflakeid DEFAULT 7 ON ERROR)}), 7, 'and JSON_VALUE its default');
}

$node->stop;
done_testing();
