# 37-cast.t - a log as a recording: asciicast
#
# Item 4 of "at home in httpd": ?format=asciicast of a log that has ended replays
# in asciinema players. Promises: 1 (each line once, in order), 4 (memory does
# not grow with the log).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use JSON::PP ();

my $json = JSON::PP->new->utf8->allow_nonref;

sub cast
{
    my ($id, $query, %headers) = @_;
    return request('GET', "/api/project/builds/$id/log" . ($query // '?format=asciicast'), headers => \%headers, timeout => 60);
}

sub events { my ($head, @e) = map { $json->decode($_) } split /\n/, $_[0]; return ($head, @e) }

# ---- one of two steps, with all that a line may be -----------------------------------

my $p  = BuildLog::Puppet->new('steps');
my $id = $p->start("raw 10%\r", 'out done', "err \e[31mred\e[0m \"quoted\" caf\xc3\xa9", 'raw a piece');
$p->wait_until_told('a piece');
my $running = cast($id);
is $running->{status}, 200, 'one that runs: what there is';
is $running->{headers}{etag}, undef, '... and it will be another';
{
    my ($head, @e) = events($running->{body});
    is $head->{title}, "build #$id", '... as a recording';
    is $head->{duration}, undef, '... nobody knows how long';
    is $e[-1][2], 'a piece', '... up to now';
    is_deeply [map { $_->[2] } grep { $_->[1] eq 'm' } @e], ['echo one', 'exec perl ' . project('puppet') . '/play.pl'],
        '... with its steps';
}
$p->cue('out and its rest', 'exit 3');
my $record = wait_for_state($id, 'failed', 20);

my $r = cast($id);
is $r->{status}, 200, 'one that has ended';
is $r->{headers}{'content-type'}, 'application/x-asciicast', 'Content-Type';
is $r->{headers}{'content-disposition'}, qq(attachment; filename="build-$id.cast"), 'a name for the file';
is $r->{headers}{'x-content-type-options'}, 'nosniff', 'taken for nothing else';
is $r->{headers}{vary}, 'Accept', 'Vary';
my ($head, @e) = events($r->{body});
is $head->{version}, 2, 'the version that all players know';
is $head->{title}, "Two steps #$id", 'the title';
ok $head->{width} > 0 && $head->{height} > 0, 'a size';
cmp_ok $head->{timestamp}, '<=', time, 'when it began';
cmp_ok $head->{duration}, '>=', $e[-1][0], 'how long it took';
is $e[0][0], 0, 'the first event is the beginning';
is scalar(grep { $e[$_][0] < $e[ $_ - 1 ][0] } 1 .. $#e), 0, 'time does not go back';
is_deeply [map { $_->[2] } grep { $_->[1] eq 'm' } @e], [map { $_->{name} } @{ $record->{steps} }],
    'a marker for each step, with its name';
is_deeply [map { $_->[1] } @e[0, 1]], ['m', 'o'], 'before its first line';
my $text = get_text();
is replayed(), $text, 'what a terminal has got is the log';
like join('', map { $_->[2] } @e), qr/\r10%\rdone\r\n|\n10%\rdone\r\n/, 'a progress frame leads back to its beginning';
like $r->{body}, qr/"a piece"\]\n/, 'a piece has no end';

sub get_text
{
    my $log = request('GET', "/api/project/builds/$id/log")->{body};
    return $log;
}

# As the document has it: a frame is a line there.
sub replayed
{
    my $all = join '', map { $_->[2] } grep { $_->[1] eq 'o' } @e;
    utf8::encode($all);
    return $all =~ s/\r\n|\r/\n/gr;
}

# ---- asked for again, by Accept, and what is refused -----------------------------------

my $etag = $r->{headers}{etag};
like $etag, qr/^"$record->{sha256}-\d+-cast"$/, 'ETag';
is $r->{headers}{'cache-control'}, 'private, no-cache', 'asked for each time';
is cast($id, undef, 'If-None-Match' => $etag)->{status}, 304, 'the same: 304';
is cast($id, '', Accept => 'application/x-asciicast')->{headers}{etag}, $etag, 'by Accept';
is cast($id, '?format=text', Accept => 'application/x-asciicast')->{headers}{'content-type'},
    'text/plain; charset=utf-8', 'format wins';
is cast($id, '', Accept => 'application/x-ndjson;q=0.5, application/x-asciicast;q=0.1')->{headers}{'content-type'},
    'application/x-ndjson', 'qualities count';
is cast($id, '?format=ndjson')->{headers}{'content-type'}, 'application/x-ndjson', 'ndjson is json';
my $part = cast($id, undef, Range => 'bytes=0-1');
is $part->{status}, 200, 'no parts';
is $part->{body}, $r->{body}, '... all of it';
is request('HEAD', "/api/project/builds/$id/log?format=asciicast")->{headers}{etag}, $etag, 'HEAD';
{
    my $no = cast($id, '?format=asciicast&follow=1');
    is $no->{status}, 400, 'it is not followed';
    like $no->{json}{detail}, qr/cannot be followed/, '... and why';
    like cast($id, '?format=x')->{json}{detail}, qr/text, json, ndjson or asciicast/, 'what is allowed';
}

# ---- a long one --------------------------------------------------------------------------

{
    my $long = BuildLog::Puppet->new('cast-long');
    my $n = $long->start('flood 20000000', 'exit 0');
    wait_for_state($n, 'succeeded', 120);
    my $peak = sub {
        my $most = 0;
        for my $pid (map { /(\d+)/ } glob '/proc/[0-9]*') {
            open my $in, '<', "/proc/$pid/status" or next;
            my $status = join '', <$in>;
            next if $status !~ /^PPid:\t@{[server_pid()]}$/m || $status !~ /^VmHWM:\s+(\d+)/m;
            $most = $1 if $1 > $most;
        }
        return $most;
    };
    cast($id);
    my $before = $peak->();
    my $body = cast($n)->{body};
    my @numbers = $body =~ /"o","F (\d+) /g;
    cmp_ok scalar(@numbers), '>', 100_000, 'a long log';
    is scalar(grep { $numbers[$_] != $_ + 1 } 0 .. $#numbers), 0, 'each line once, in order';
    my $grown = $peak->() - $before;
    cmp_ok $grown, '<', 12_000, "of 20 MB the child kept none ($grown kB)";
}

# ---- as a player has it --------------------------------------------------------------------

SKIP: {
    skip 'no asciinema (make deps-test brings it)', 2 if system 'command -v asciinema >/dev/null 2>&1';
    my $file = top() . '/home/build.cast';
    write_file($file, $r->{body});
    # It wants a terminal, which makes CR LF of LF.
    my $shown = `script -qec "asciinema cat '$file'" /dev/null </dev/null 2>&1`;
    is $?, 0, 'asciinema takes it';
    is $shown =~ s/\r*\n|\r/\n/gr, $text, '... and shows the log';
}

done_testing;
