#!/usr/bin/perl
# docs/drivers.md has, driver by driver, the lines that the programs beside this file run:
# what stands there between "[page]" and "[end]", in the same order, a block for each
# file. Nothing else is code on the page but how to install a driver (sh), what
# test/t/050_docs.t runs (sql), and what a server says (text).
# Prints a line for each section and each version.
use strict;
use warnings;
use FindBin;

my $here = $FindBin::Bin;
my $failed = 0;

sub report {
    my ($good, $what, @more) = @_;
    print $good ? 'ok ' : 'not ok ', $what, "\n", map { "# $_\n" } $good ? () : @more;
    $failed = 1 if !$good;
    return;
}

sub lines_of {
    my ($file) = @_;
    open my $handle, '<', $file or die "$file: $!";
    chomp(my @lines = <$handle>);
    return @lines;
}

# Without the indentation that all lines share.
sub flush_left {
    my @lines = @_;
    my ($least) = sort { $a <=> $b } map { /^( *)\S/ ? length $1 : () } @lines;
    return join '', map { (length > $least ? substr $_, $least : '') . "\n" } @lines;
}

# The block that a file makes: its snippets, with a blank line between them.
sub snippets {
    my ($file) = @_;
    my (@found, $inside);
    for my $line (lines_of("$here/$file")) {
        if ($line =~ m{^\s*(?://|\#) \[page\]$}) { die "$file: [page] in [page]" if $inside; $inside = [] }
        elsif ($line =~ m{^\s*(?://|\#) \[end\]$}) { push @found, flush_left(@$inside); $inside = undef }
        elsif ($inside) { push @$inside, $line }
    }
    die "$file: a [page] without its [end]" if $inside;
    return join "\n", @found;
}

my @page = lines_of("$here/../../docs/drivers.md");
my (%sections, $section, $block);
for my $line (@page) {
    if ($block) {
        if ($line eq '```') { push @{ $sections{$section}{blocks} }, $block->{text} if $block->{language} !~ /^(?:sh|sql|text)$/; $block = undef }
        else { $block->{text} .= "$line\n" }
    }
    elsif ($line =~ /^```(\w*)$/) { $block = { language => $1, text => '' } }
    elsif ($line =~ /^## (.+)$/) { $section = $1 }
    elsif ($line =~ /^Run by/) { push @{ $sections{$section}{programs} }, $line =~ m{`test/orms/([^`]+)`}g }
}

my %named;
for my $name (sort keys %sections) {
    my @programs = @{ $sections{$name}{programs} // [] };
    my @blocks = @{ $sections{$name}{blocks} // [] };
    $named{$_} = 1 for @programs;
    my @snippets = map { snippets($_) } @programs;
    report(join("\0", @blocks) eq join("\0", @snippets), "page: the lines for $name are those that run",
        map({ "The page: $_" } map { split /\n/ } @blocks), map({ "That runs: $_" } map { split /\n/ } @snippets))
        if @programs || @blocks;
}
my @programs = grep { !/^common\./ } map { s{.*/}{}r } glob "$here/*.js $here/*.py $here/*.rb $here/*.java";
report(!(grep { !$named{$_} } @programs), 'page: every program has a section', grep { !$named{$_} } @programs);

# The versions that npm installs are those that the page names.
my $text = join "\n", @page;
for my $line (lines_of("$here/package.json")) {
    my ($package, $version) = $line =~ /^    "([^"]+)": "([^"]+)",?$/ or next;
    report(index($text, "`$package` $version") >= 0, "page: it names $package $version");
}
exit $failed;
