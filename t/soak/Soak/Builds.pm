package Soak::Builds;

# What the builds of the soak do, and what may become of them.
#
#   kind_of($seed, $id)            the kind of a build: its number says it, to
#                                  the build itself and to all who look at it
#   play($seed)                    inside of a build: does it (t/soak/play.pl)
#   may_become($kind)              a pattern of final states
#   Soak::Builds::waits($kind)     it goes on until it is cancelled
#   config($dir, $seed)            the sections of its projects
#   projects($dir)                 { path => kind of all its builds, or undef }
#   secret(), alice()              what no viewer may see; what none but alice may
#
# A line is "STREAM BUILD NUMBER xxx": its number grows by one on each stream,
# and how many x there are follows from it. The last line of a build that ends
# by itself is "= BUILD COUNT COUNT": so many lines were on stdout and stderr.
# So who sees a build from its beginning needs nobody to tell him what it
# printed. Kinds that print what is no such line do so behind the others.

use strict;
use warnings;
use Digest::MD5 qw(md5);
use Exporter qw(import);
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(kind_of play may_become config projects secret alice filler);

my %weight = (
    short    => 30,    # some lines
    long     => 12,    # a line every 20 ms, for some seconds
    fails    => 8,     # exit code 3
    killed   => 6,     # by a signal
    waits    => 8,     # until it is cancelled
    stubborn => 4,     # likewise, and ignores SIGTERM
    flood    => 8,     # up to 15,000 lines at once
    forks    => 8,     # leaves processes behind, in sessions of their own
    bytes    => 8,     # no UTF-8, NUL, progress frames, escapes, half lines
    huge     => 4,     # lines of up to 300 kB
    steps    => 4,     # its output is nothing but short
);
my @kinds = map { ($_) x $weight{$_} } sort keys %weight;

my %becomes = (
    fails    => qr/^failed$/,
    killed   => qr/^failed$/,
    waits    => qr/^(?:cancelled|timed-out)$/,
    stubborn => qr/^(?:cancelled|timed-out)$/,
    silent   => qr/^timed-out$/,
);

sub kind_of { my ($seed, $id) = @_; return $kinds[ _number($seed, $id, 'kind') % @kinds ] }
sub may_become { return $becomes{ $_[0] } // qr/^succeeded$/ }
sub waits { return $_[0] eq 'waits' || $_[0] eq 'stubborn' }
sub secret { return 'soak-5d41402abc4b2a76' }
sub alice  { return 'for alice alone' }
my @filler = map { 'x' x $_ } 0 .. 79;
sub filler { return $filler[ $_[0] * 37 % 80 ] }

sub _number { return unpack 'N', md5("@_") }

# ---- projects ----------------------------------------------------------------

sub projects
{
    my ($dir) = @_;
    return { (map { ("$dir/any-$_" => undef) } 1 .. 6), "$dir/silent" => 'silent', "$dir/over" => 'over',
             "$dir/alice" => 'alice' };
}

# Times are long enough for a busy machine, but for the one who is to be silent.
sub config
{
    my ($dir, $seed) = @_;
    my $secret = secret();
    my $play = "$dir/../play.pl";
    return <<"END";
<Directory "$dir">
    Require all granted
</Directory>
<Directory "$dir/*">
    BuildLog On
    BuildLogStep prepare "echo prepare"
    BuildLogStep run "exec perl $play $seed"
    BuildLogKillGrace 1s
    BuildLogTimeout 90s
    BuildLogSetEnv TOKEN "$secret"
    BuildLogMask TOKEN
</Directory>
<Directory "$dir/silent">
    BuildLogStep run "exec perl $play $seed silent"
    BuildLogIdleTimeout 2s
</Directory>
<Directory "$dir/over">
    BuildLogStep run "exec perl $play $seed over"
    BuildLogMaxLog 256K
</Directory>
<Directory "$dir/alice">
    BuildLogStep run "exec perl $play $seed alice"
    Require user alice
</Directory>
END
}

# ---- inside of a build ---------------------------------------------------------

my ($id, @n, @to);

sub _text { my ($s) = @_; my $n = ++$n[$s]; return "$s $id $n " . filler($n) . "\n" }

sub _whole
{
    my ($s, $text) = @_;
    while (length $text) {
        my $wrote = syswrite $to[$s], $text;
        exit 99 if !defined $wrote;
        substr $text, 0, $wrote, '';
    }
    return;
}

# So many lines, on both streams in turns, some in one write.
sub _lines
{
    my ($count) = @_;
    while ($count > 0) {
        my $lot = 1 + int rand($count > 200 ? 80 : 3);
        my $s = int rand 2;
        _whole($s, join '', map { _text($s) } 1 .. $lot);
        $count -= $lot;
    }
    return;
}

sub _slowly { my ($count, $pause) = @_; for (1 .. $count) { _lines(1); sleep $pause } return }

sub _over { _whole(0, "= $id @n\n"); return }

# What no test of streams likes, and no line of numbers.
sub _bytes
{
    my @odd = ("\xff\xfe\xc3", "NUL \0 NUL", "\xe4\xbd\xa0\xe5\xa5\xbd", "\e[31mred\e[0m \e]0;title\a", '"\\/',
        "\xf0\x9f\x98\x80", "\x7f\x01\x02", "\xed\xa0\x80", '</script>', "token=$ENV{TOKEN}.");
    for (1 .. 20 + int rand 60) {
        my $text = join '', map { $odd[ rand @odd ] } 1 .. 1 + rand 6;
        my $s = int rand 2;
        if (rand() < 0.2) {
            # Cut anywhere, also in a character or in what is secret; now and
            # then for so long that it becomes a piece.
            my $at = int rand length $text;
            _whole($s, substr $text, 0, $at);
            sleep rand() < 0.2 ? 0.15 : 0.005;
            $text = substr $text, $at;
        }
        _whole($s, $text . (rand() < 0.2 ? "\r" : rand() < 0.1 ? "\r\n" : "\n"));
    }
    _whole($_, "\n") for 0, 1;
    return;
}

# Processes that would live long, with and without the pipes.
sub _forks
{
    for my $how (qw(child session quiet deaf)) {
        my $pid = fork // exit 98;
        next if $pid;
        setpgrp 0, 0 if $how ne 'child';
        POSIX::setsid() if $how =~ /session|quiet/;
        if ($how eq 'quiet') {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
        }
        $SIG{TERM} = $SIG{HUP} = 'IGNORE' if $how eq 'deaf';
        if (!fork) { exec 'sleep', '600' or POSIX::_exit(97) }
        exec 'sleep', '600' or POSIX::_exit(97);
    }
    return;
}

my %does = (
    short    => sub { _lines(rand 60) },
    steps    => sub { },
    long     => sub { _slowly(100 + rand 300, 0.02) },
    fails    => sub { _lines(rand 40); _over(); exit 3 },
    killed   => sub { _lines(rand 40); _over(); kill KILL => $$; sleep 60 },
    waits    => sub { _slowly(1e9, 0.05) },
    stubborn => sub { $SIG{TERM} = 'IGNORE'; _slowly(1e9, 0.05) },
    flood    => sub { _lines(1000 + rand 14_000) },
    silent   => sub { _lines(3); _over(); sleep 600 },
    forks    => sub { _lines(rand 20); _forks() },
    bytes    => sub { _lines(5); _bytes() },
    huge     => sub { _lines(5); _whole(int rand 2, 'h' x (1 + rand 300_000) . "\n") for 1 .. 3 },
    over     => sub { _lines(12_000) },
    alice    => sub { _whole(0, alice() . "\n"); _lines(rand 40) },
);

sub play
{
    my ($seed, $kind) = @_;
    require POSIX;
    $id = $ENV{BUILDLOG_ID};
    $kind //= kind_of($seed, $id);
    @n  = (0, 0);
    @to = (\*STDOUT, \*STDERR);
    srand _number($seed, $id, 'play');
    $does{$kind}->();
    _over();
    return;
}

1;
