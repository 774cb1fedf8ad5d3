#!/usr/bin/perl
# show.pl NAME - a step of a project that only looks like one: what
# t/page/screenshots.t builds, as ./run in each. It prints as its real twin
# would, in a few seconds.
use strict;
use warnings;
use Time::HiRes qw(sleep);

$| = 1;
my ($name, $count) = @ARGV;
sub say_line { print @_, "\n" }
sub wait_for { my ($seconds) = @_; sleep $seconds * ($ENV{PACE} // 1) }

my %colour = (red => 31, green => 32, yellow => 33, blue => 34, cyan => 36, dim => 2, bold => 1);
sub in_colour { my ($colour, $text) = @_; return "\e[$colour{$colour}m$text\e[0m" }

sub install
{
    say_line in_colour(bold => 'packages: reading the lock file');
    wait_for(0.3);
    for my $percent (map { $_ * 20 } 1 .. 5) {
        printf "fetching %3d %% of 214\r", $percent;
        wait_for(0.08);
    }
    say_line 'fetched 214 packages in 1.9 s';
    print STDERR in_colour(yellow => 'warning'), ' "old-colours@1.0" is no longer maintained', "\n";
    wait_for(1.1);
    say_line in_colour(green => 'done'), ': 214 packages, no known weaknesses';
}

sub compile
{
    my ($files) = @_;
    say_line '::group::Pages';
    for my $i (1 .. $files) {
        say_line sprintf '%s src/pages/%s.ts %s', in_colour(cyan => 'compile'), qw(cart index login orders search stock)[$i % 6] . $i,
            in_colour(dim => sprintf '%d ms', 3 + $i * 7 % 40);
        wait_for(0.02);
    }
    say_line '::endgroup::';
    say_line '::group::Styles';
    say_line in_colour(cyan => 'compile'), " styles/$_.css" for qw(base forms tables print);
    say_line '::endgroup::';
    wait_for(0.4);
    say_line in_colour(bold => 'dist/'), '  412 kB in 38 files, ', in_colour(green => '131 kB'), ' compressed';
}

my %step = (
    install => \&install,
    build   => sub { compile(24) },
    test    => sub {
        for my $suite (qw(cart checkout stock prices)) {
            say_line in_colour(green => '✓'), " $suite ", in_colour(dim => '(' . (4 + length $suite) . ' cases)');
            wait_for(0.15);
        }
        say_line in_colour(bold => '34 passed'), ' in 0.9 s';
    },
    broken  => sub {
        say_line in_colour(green => '✓'), " parser ", in_colour(dim => '(41 cases)');
        say_line in_colour(green => '✓'), " router ", in_colour(dim => '(17 cases)');
        wait_for(1.3);
        print STDERR in_colour(red => '✕'), " rates: rounds half a cent away from zero\n";
        print STDERR "    expected 12.35, got 12.34\n    at test/rates.test.js:88:14\n";
        print STDERR in_colour(red => 'error'), ": 1 of 79 tests failed\n";
        exit 1;
    },
    deploy  => sub {
        for my $i (1 .. (-e 'few' ? 20 : 60)) {
            say_line sprintf '%s  node-%02d  %s', in_colour(blue => 'sync'), 1 + $i % 12, "release/2026-11/part-$i.tar";
            wait_for(0.25);
        }
    },
    crawl   => sub {
        for my $i (1 .. $count) {
            say_line sprintf '%06d  GET /catalogue/%d/item-%d  %s  %d ms', $i, $i % 97, $i * 7919 % 100_003,
                $i % 997 ? '200' : in_colour(yellow => '301'), $i * 31 % 180;
        }
    },
);
($step{$name} // die "show: no step $name\n")->();
