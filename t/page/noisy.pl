#!/usr/bin/perl
# noisy.pl COUNT RATE [PAUSES] - a build that says much, for t/page/bench.t:
# lines as compilers and test runners print them, with colours, groups, and now
# and then something on stderr. Each tells its number and when it was printed.
#
# RATE     lines a second; 0: as fast as it goes
# PAUSES   0,100000: before it has printed so many lines it waits for a file
#          go-0, go-100000
use strict;
use warnings;
use Time::HiRes qw(sleep time);

my ($count, $rate, $pauses) = @ARGV;
my %pause = map { $_ => 1 } split /,/, $pauses // '';
# How many are printed at once: a flood comes in lots, too.
my $lot = $rate ? 1 + int($rate / 200) : 500;

my @level = ("\e[32mINFO\e[0m ", "\e[36mDEBUG\e[0m", 'info ', "\e[1;33mWARN\e[0m ");
my @verb  = ('compiled', 'linked', 'checked', 'bundled and minified', 'fetched from the cache', 'generated types for');
my @part  = ('src/components/checkout/PaymentForm', 'src/lib', 'packages/core/internal/scheduler/queue', 'test/unit/api');

sub whole {
    my ($to, $text) = @_;
    while (length $text) {
        my $n = syswrite $to, $text or exit 99;
        substr $text, 0, $n, '';
    }
}

sub wait_for_file {
    my ($file) = @_;
    sleep 0.01 until -e $file;
}

my ($out, $err) = ('', '');
my ($began, $waited) = (time, 0);
for my $n (1 .. $count) {
    if ($pause{ $n - 1 }) {
        whole(\*STDOUT, $out);
        whole(\*STDERR, $err);
        $out = $err = '';
        my $from = time;
        wait_for_file('go-' . ($n - 1));
        $waited += time - $from;
    }
    my $ms = int(1000 * time);
    if ($n % 400 == 1) { $out .= "::group::Part $n\n" }
    elsif ($n % 400 == 150) { $out .= "::endgroup::\n" }
    elsif ($n % 20_000 == 19_999) { $err .= "\e[31merror\e[0m: unit $n at $ms: cannot find module './missing-$n'\n" }
    elsif ($n % 500 == 77) { $err .= "warning: unit $n at $ms: deprecated call in line " . $n % 911 . "\n" }
    else {
        $out .= sprintf "%s [worker-%d] unit %d at %d: %s %s_%d.ts \e[2m(%d ms)\e[0m\n", $level[$n % 4], $n % 7, $n, $ms,
            $verb[$n * 7 % 6], $part[$n * 3 % 4], $n * 7919 % 1009, $n * 31 % 180;
    }
    next if $n % $lot && $n < $count;
    whole(\*STDOUT, $out);
    whole(\*STDERR, $err) if $err ne '';
    $out = $err = '';
    if ($rate) {
        my $early = $n / $rate - (time - $began - $waited);
        sleep $early if $early > 0;
    }
}
# The page is measured with a build that still runs.
wait_for_file('go-on');
