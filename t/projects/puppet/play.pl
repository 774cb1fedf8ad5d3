#!/usr/bin/perl
# play.pl - a build that does what a test says, when it says it
#
# Reads the file "cue" in the project's directory, line by line, and waits for
# more of it until a cue says exit. So a test never has to guess how far a
# build is.
#
#   out TEXT, err TEXT   a line
#   raw TEXT             text without a line end
#   count N              N more lines on both streams, in turns and numbered:
#                        "O 1 ...", "E 1 ...", "O 2 ..."
#   flood BYTES          as fast as it goes: numbered lines on stdout, "F 1 ..."
#   short N              N lines of one character, at once
#   slow N MS            N more lines like count, one each MS milliseconds
#   stubborn             from now on TERM is ignored, here and in children
#   child                a process that would live long
#   kill SIGNAL          to itself
#   exit CODE
use strict;
use warnings;

$| = 1;
my %number = (O => 0, E => 0, F => 0);
my $filler = 'x' x 40;

sub line
{
    my ($kind) = @_;
    return "$kind " . ++$number{$kind} . " $filler\n";
}

sub whole
{
    my ($to, $text) = @_;
    while (length $text) {
        my $n = syswrite $to, $text;
        exit 99 if !defined $n;
        substr $text, 0, $n, '';
    }
}

sub count
{
    my ($n) = @_;
    while ($n > 0) {
        # Some lines in one write, some in their own: both are seen in builds.
        my $lot = $n > 100 ? 1 + int rand 60 : 1;
        my $err = int($lot / 2);
        whole(\*STDOUT, join '', map { line('O') } 1 .. $lot - $err);
        whole(\*STDERR, join '', map { line('E') } 1 .. $err) if $err;
        $n -= $lot;
    }
}

sub flood
{
    my ($bytes) = @_;
    while ($bytes > 0) {
        my $text = join '', map { line('F') } 1 .. 500;
        whole(\*STDOUT, $text);
        $bytes -= length $text;
    }
}

sub slow
{
    my ($n, $ms) = @_;
    for my $i (1 .. $n) {
        whole($i % 2 ? \*STDOUT : \*STDERR, line($i % 2 ? 'O' : 'E'));
        select undef, undef, undef, $ms / 1000;
    }
}

my %play = (
    out   => sub { whole(\*STDOUT, "$_[0]\n") },
    err   => sub { whole(\*STDERR, "$_[0]\n") },
    raw   => sub { whole(\*STDOUT, $_[0]) },
    count => sub { count($_[0]) },
    flood => sub { flood($_[0]) },
    short => sub { whole(\*STDOUT, "x\n" x $_[0]) },
    slow  => sub { slow(split ' ', $_[0]) },
    stubborn => sub { $SIG{TERM} = 'IGNORE' },
    child => sub {
        my $pid = fork // exit 98;
        exec 'sleep', '1000' if $pid == 0;
    },
    kill => sub { kill $_[0], $$ },
    exit => sub { exit $_[0] },
);

open my $cue, '<', 'cue' or die "cue: $!\n";
my $line = '';
while (1) {
    my $more = <$cue>;
    if (!defined $more) {
        seek $cue, 0, 1;    # the end is no end
        select undef, undef, undef, 0.01;
        next;
    }
    $line .= $more;
    next unless $line =~ s/\n\z//;
    my ($what, $rest) = split ' ', $line, 2;
    ($play{$what} // die "cue: $line\n")->($rest // '');
    $line = '';
}
