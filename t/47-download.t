# 47-download.t - a log as a document: whole, in parts, asked for again, and
# followed while it grows
#
# Promises: 1 (each line exactly once, in order: every way to get a log gives
# the same bytes), 3 (a follower costs no thread and delays nobody), 4 (memory
# does not grow with a log), 7 (a damaged log is said, not sent as a good one);
# section 5 of the contract: .../builds/42/log.
#
# MPM: event worker prefork
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use Test::More;
use BuildLog::Test;
use BuildLog::Poll;
use BuildLog::Puppet;
use BuildLog::Server;
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
srand 47;

sub log_path { my ($id, $query) = @_; return "/api/project/builds/$id/log" . ($query // '') }

# get(PATH, Header => value...)
sub get
{
    my ($path, %headers) = @_;
    return request('GET', $path, headers => \%headers, timeout => 30);
}

# Compared by digest: a diagnostic of megabytes helps nobody.
sub is_bytes
{
    my ($got, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $same = $got eq $want;
    ok $same, $name;
    diag length($got), ' bytes, not ', length $want,
        $same ? '' : '; they begin with: ' . substr($got, 0, 200) if !$same;
    return $same;
}

# Wait until what has come of a body has a match; all that has come.
sub sees
{
    my ($s, $pattern, $seconds) = @_;
    my $deadline = BuildLog::Stream::_deadline($seconds);
    while ($s->{buffer} !~ $pattern) {
        $s->_more($deadline, "match of $pattern") or die "ended without $pattern\n";
    }
    return $s->{buffer};
}

# ---- a build of everything that a log may hold ------------------------------

my $p  = BuildLog::Puppet->new('download');
my $id = $p->start('out first', 'raw a piece');
$p->wait_for('a piece');    # it is in the log as a piece: 100 ms have passed
$p->cue('out and its rest', 'out', "raw 10%\r", 'out done', 'raw ' . 'long ' x 12_000, 'out end',
    "err caf\xc3\xa9", 'count 3000', 'raw no line end', 'exit 0');
my $record = wait_for_state($id, 'succeeded', 30);
my $path   = log_path($id);
my $whole  = get($path);
my $text   = $whole->{body};
my $all    = length $text;

is $whole->{status}, 200, 'the whole log';
is $all, $record->{bytes}, 'as many bytes as the record says';
is sha256_hex($text), $record->{sha256}, 'with its digest';
ok $text =~ /^a pieceand its rest$/m, 'a piece and its rest are a line';
ok $text =~ /^10%\ndone$/m, 'a progress frame is a line';
ok $text =~ /^(?:long ){12000}end$/m, 'a line longer than BuildLogLineLimit is one line';
cmp_ok $all, '>', 200_000, 'the log is longer than a few blocks';

# ---- its head --------------------------------------------------------------------

my $etag = qq("$record->{sha256}");
my $head = $whole->{headers};
is $head->{'content-type'}, 'text/plain; charset=utf-8', 'Content-Type';
is $head->{etag}, $etag, 'ETag: strong, the digest';
is $head->{'content-length'}, $all, 'Content-Length';
is $head->{'accept-ranges'}, 'bytes', 'Accept-Ranges';
is $head->{'cache-control'}, 'private, no-cache', 'it may be kept, and has to be asked for again';
is $head->{vary}, 'Accept', 'Vary';
is $head->{'x-content-type-options'}, 'nosniff', 'X-Content-Type-Options';
like $head->{'last-modified'}, qr/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/, 'Last-Modified';
my ($ended) = $record->{ended} =~ /T([\d:]{8})/;
like $head->{'last-modified'}, qr/ $ended GMT$/, 'is when the build ended';

{
    my $h = request('HEAD', $path);
    is $h->{status}, 200, 'HEAD';
    delete $_->{date} for $h->{headers}, $head;
    is_deeply $h->{headers}, $head, 'the same head';
}

# ---- conditions ------------------------------------------------------------------

{
    my $modified = $head->{'last-modified'};
    my $before   = 'Sat, 01 Jan 2000 00:00:00 GMT';
    my @cases = (
        ['If-None-Match, the same', 304, 'If-None-Match' => $etag],
        ['If-None-Match, weak', 304, 'If-None-Match' => "W/$etag"],
        ['If-None-Match, one of several', 304, 'If-None-Match' => qq("x", $etag, "y")],
        ['If-None-Match: *', 304, 'If-None-Match' => '*'],
        ['If-None-Match, another', 200, 'If-None-Match' => '"x"'],
        ['If-None-Match, that of JSON', 200, 'If-None-Match' => get("$path?format=json")->{headers}{etag}],
        ['If-Modified-Since, not since', 304, 'If-Modified-Since' => $modified],
        ['If-Modified-Since, since', 200, 'If-Modified-Since' => $before],
        ['If-None-Match wins over If-Modified-Since', 200,
            'If-None-Match' => '"x"', 'If-Modified-Since' => $modified],
        ['If-Match, the same', 200, 'If-Match' => $etag],
        ['If-Match, another', 412, 'If-Match' => '"x"'],
        ['If-Unmodified-Since, not since', 200, 'If-Unmodified-Since' => $modified],
        ['If-Unmodified-Since, since', 412, 'If-Unmodified-Since' => $before],
    );
    for (@cases) {
        my ($name, $status, %headers) = @$_;
        my $r = get($path, %headers);
        is $r->{status}, $status, "$name: $status";
        is_bytes $r->{body}, $text, "$name: all of it" if $status == 200;
        next if $status != 304;
        is $r->{headers}{etag}, $etag, "$name: with the ETag";
        is $r->{headers}{'cache-control'}, 'private, no-cache', "$name: and how to keep it";
        is request('HEAD', $path, headers => \%headers)->{status}, 304, "$name: HEAD as well";
    }
}

# ---- parts -----------------------------------------------------------------------

sub part_is
{
    my ($range, $from, $to) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r = get($path, Range => "bytes=$range");
    my $good = $r->{status} == 206
        && ($r->{headers}{'content-range'} // '') eq "bytes $from-$to/$all"
        && $r->{headers}{'content-length'} == $to - $from + 1
        && $r->{headers}{etag} eq $etag
        && $r->{body} eq substr $text, $from, $to - $from + 1;
    diag explain { %$r, body => substr $r->{body}, 0, 100 } if !$good;
    return $good;
}

{
    my $last = $all - 1;
    ok part_is(@$_), "Range $_->[0]" for
        ['0-0', 0, 0], ["0-$last", 0, $last], ['0-', 0, $last],
        ["$last-", $last, $last], ["$last-$last", $last, $last],
        ['-1', $last, $last], ['-1000', $all - 1000, $last],
        ['-99999999999', 0, $last], ["100-99999999999", 100, $last],
        ['32767-32768', 32767, 32768], ['32768-65535', 32768, 65535];
    my $bad = 0;
    for (1 .. 60) {
        my $from = int rand $all;
        my $to   = $from + int rand($_ % 2 ? 200 : 100_000);
        $bad += !part_is("$from-$to", $from, $to > $last ? $last : $to);
    }
    is $bad, 0, '60 ranges at random, byte by byte';

    is get($path, Range => "bytes=$_")->{status}, 416, "Range $_: 416" for "$all-", '99999999999-';
    for my $range ('bytes=5-1', 'bytes=-0', 'bytes=x', 'bytes=', 'lines=1-2', 'bytes=--5') {
        my $r = get($path, Range => $range);
        is $r->{status}, 200, "Range $range is none: 200";
        is_bytes $r->{body}, $text, "Range $range: all of it";
    }
    my $h = request('HEAD', $path, headers => { Range => 'bytes=0-9' });
    is $h->{headers}{'content-length'}, 10, 'HEAD with Range: the head of the part';
}

# Several parts: each with its place.
sub parts_of
{
    my ($r) = @_;
    my ($boundary) = $r->{headers}{'content-type'} =~ m{^multipart/byteranges; boundary=(\S+)$}
        or return;
    my @found;
    my $body = $r->{body};
    while ($body =~ s{\A\r\n--\Q$boundary\E\r\n(.*?)\r\n\r\n}{}s) {
        my ($from, $to, $of) = $1 =~ m{^Content-range: bytes (\d+)-(\d+)/(\d+)}mi or return;
        push @found, [$from, $to, $of, substr $body, 0, $to - $from + 1, ''];
    }
    return $body eq "\r\n--$boundary--\r\n" ? @found : ();
}

{
    my @cases = (
        [[0, 9], [100, 199]],
        [[$all - 10, $all - 1], [5, 20], [70_000, 140_000]],
        [map { [$_ * 5000, $_ * 5000 + 99] } 0 .. 39],
        [map { [$_ * 5000, $_ * 5000 + 99] } reverse 20 .. 35],
    );
    for my $want (@cases) {
        my $r = get($path, Range => 'bytes=' . join ',', map { "$_->[0]-$_->[1]" } @$want);
        my $n = @$want;
        is $r->{status}, 206, "$n ranges at once: 206";
        is_deeply [parts_of($r)], [map { [@$_, $all, substr $text, $_->[0], $_->[1] - $_->[0] + 1] } @$want],
            "$n ranges at once: each in its place, as it is in the whole";
    }
}

{
    my %range = (Range => 'bytes=10-19');
    is get($path, %range, 'If-Range' => $etag)->{status}, 206, 'If-Range, the same: the part';
    my $r = get($path, %range, 'If-Range' => '"x"');
    is $r->{status}, 200, 'If-Range, another: 200';
    is_bytes $r->{body}, $text, 'If-Range, another: all of it';
    is get($path, %range, 'If-Range' => 'Sat, 01 Jan 2000 00:00:00 GMT')->{status}, 200,
        'If-Range, another time: all of it';
    is get($path, %range, 'If-None-Match' => $etag)->{status}, 304, 'a part of what the client has: 304';
}

# ---- JSON ------------------------------------------------------------------------

my $ndjson = get("$path?format=json");
{
    my @lines = split /(?<=\n)/, $ndjson->{body};
    my @o     = map { $json->decode($_) } @lines;
    is $ndjson->{headers}{'content-type'}, 'application/x-ndjson', 'format=json: its type';
    my $back = join '', map { $_->{text} . ($_->{partial} ? '' : "\n") } @o;
    utf8::encode($back);
    is_bytes $back, $text, 'an object a line, together the text';
    is scalar(grep { $_->{build} != $id } @o), 0, 'of this build';
    is scalar(grep { $o[$_]{id} <= $o[ $_ - 1 ]{id} } 1 .. $#o), 0, 'in the order of ids';
    is $ndjson->{headers}{'accept-ranges'}, undef, 'no parts of it';

    my $tag = $ndjson->{headers}{etag};
    like $tag, qr/^"$record->{sha256}-\d+-json"$/, 'an ETag of its own';
    is $ndjson->{headers}{'last-modified'}, $head->{'last-modified'}, 'Last-Modified';
    my $r = get($path, Accept => 'application/x-ndjson');
    is_bytes $r->{body}, $ndjson->{body}, 'Accept: the same';
    is $r->{headers}{etag}, $tag, 'with the same ETag';
    is get("$path?format=json", 'If-None-Match' => $tag)->{status}, 304, 'If-None-Match: 304';
    is get("$path?format=json", 'If-None-Match' => $etag)->{status}, 200, 'that of the text: 200';
    $r = get("$path?format=json", Range => 'bytes=0-9');
    is $r->{status}, 200, 'Range: 200';
    is_bytes $r->{body}, $ndjson->{body}, 'Range: all of it';
    is get("$path?format=text", Accept => 'application/x-ndjson')->{headers}{etag}, $etag,
        'format wins over Accept';
    my $h = request('HEAD', "$path?format=json");
    is $h->{headers}{etag}, $tag, 'HEAD';
}

# ---- what is refused ---------------------------------------------------------------

{
    for my $none (log_path(99999999), log_path('x'), log_path(0), "$path/x", log_path(99999999, '?format=x'),
                  log_path(99999999, '?follow=1')) {
        my $r = get($none);
        is $r->{status}, 404, "$none: 404";
        is $r->{headers}{'content-type'}, 'application/problem+json', "$none: as a problem";
    }
    my %bad = (
        map({ ($_ => qr/text, json/) } 'format=xml', 'format=', 'format=JSON'),
        'follow=2' => qr/1 or 0/, 'follow=' => qr/1 or 0/, 'follow' => qr/1 or 0/, 'format=%zz' => qr/encoded/,
    );
    for my $query (sort keys %bad) {
        my $r = get("$path?$query");
        is $r->{status}, 400, "$query: 400";
        like $r->{json}{detail}, $bad{$query}, "$query: what is allowed";
        is $r->{headers}{etag}, undef, "$query: no ETag of something else";
    }
    is request('POST', $path, body => '')->{status}, 405, 'POST: 405';
}

# The timer that the kernel has for the server's end of a connection: which,
# and in how many seconds.
sub server_timer
{
    my ($s) = @_;
    my ($from) = Socket::unpack_sockaddr_in(getsockname $s->socket);
    my $ends = sprintf '0100007F:%04X 0100007F:%04X', vars()->{port}, $from;
    open my $in, '<', '/proc/net/tcp' or die "tcp: $!\n";
    return map { / $ends 01 \S+ (\d\d):([0-9A-F]+) / ? ($1, hex($2) / 100) : () } <$in>;
}

# ---- a build that runs ---------------------------------------------------------------

{
    my $live = $p->start('out one', 'out two');
    $p->wait_until_told('two');
    for my $query ('', '?format=json', '?follow=0') {
        my $r = get(log_path($live, $query), Range => 'bytes=0-1', 'If-None-Match' => '*');
        is $r->{status}, 200, "'$query' of a running build: 200, whatever was asked for";
        like $r->{body}, qr/one.*two/s, "'$query': what there is";
        is $r->{headers}{'cache-control'}, 'no-store', "'$query': not to be kept";
        is_deeply [map { $r->{headers}{$_} } qw(etag last-modified accept-ranges)], [(undef) x 3],
            "'$query': nothing that would be another in a moment";
    }

    # Followers of all kinds, more than there are threads, from its start on.
    my @f = map {
        my $json = $_ % 4 == 3;
        my $s = open_stream(log_path($live, $json ? '?follow=1&format=json' : '?follow=1'),
            version => $_ % 5 ? '1.1' : '1.0', headers => { Accept => '*/*', Range => 'bytes=0-1' });
        { json => $json, s => $s };
    } 0 .. 59;
    is scalar(grep { $_->{s}->status != 200 } @f), 0, '60 follow it, more than there are threads';
    my $s = $f[0]{s};
    is $s->header('Content-Type'), 'text/plain; charset=utf-8', 'follow: Content-Type';
    is $f[3]{s}->header('Content-Type'), 'application/x-ndjson', 'follow, JSON: Content-Type';
    is $s->header('Cache-Control'), 'no-store', 'follow: Cache-Control';
    is $s->header('Content-Length') . $s->header('Transfer-Encoding') . $s->header('ETag'), '',
        'follow: it ends with the connection';
    is $f[1]{s}->header('Connection'), 'close', 'which is said';
    is $s->header('X-Accel-Buffering'), 'no', 'follow: no proxy may hold it back';
    is $s->header('X-Content-Type-Options'), 'nosniff', 'follow: nosniff';
    sees($_->{s}, qr/two/) for @f;
    pass 'what there was comes at once';
    is request('GET', '/api/project/projects')->{status}, 200, 'other requests find a thread';

    # Who vanishes without a word while nothing is printed: the kernel asks.
    my ($timer, $when);
    # Another one while the client's kernel has not acknowledged all.
    eval { wait_until { ($timer, $when) = server_timer($s); ($timer // '') eq '02' } 20 };
    is $timer, '02', 'a keepalive timer runs on its connection';
    cmp_ok $when, '<=', 15, 'of BuildLogPing, 15 s';

    $p->cue('out three');
    sees($_->{s}, qr/three/) for @f;
    pass 'a new line comes to all';
    $p->cue('raw half');
    sees($s, qr/three\nhalf\z/);
    pass 'a piece comes without a line end';
    $p->cue('out  a line', "raw 50%\r", 'count 2000', 'raw end', 'exit 7');
    my @bodies = map { $_->{s}->body(20) } @f;
    $_->{s}->close for @f;
    my $end = wait_for_state($live, 'failed');
    is sha256_hex($bodies[0]), $end->{sha256}, 'what was followed has the digest of the end';
    my %want = map { $_ => get(log_path($live, $_ ? '?format=json' : ''))->{body} } 0, 1;
    is scalar(grep { $bodies[$_] ne $want{ $f[$_]{json} ? 1 : 0 } } 0 .. $#f), 0,
        'all got what the download has, byte by byte';
    is request('HEAD', log_path($live, '?follow=1'))->{status}, 200, 'HEAD of what has ended';
    my $r = get(log_path($live, '?follow=1'), Range => 'bytes=3-8');
    is $r->{status}, 206, 'follow=1 after the end is the download, with all it can';
    is $r->{body}, substr($want{0}, 3, 6), 'and its bytes';
}

{
    # A build that waits, and one that is done before anybody looks.
    my $first = $p->start('out the first');
    wait_for_state($first, 'running');
    my ($status, $answer) = post_build($p->path);
    my $second = $answer->{build}{id};
    is $answer->{build}{state}, 'queued', 'a second build waits';
    my $h = request('HEAD', log_path($second, '?follow=1'));
    is $h->{status}, 200, 'HEAD of what will be';
    is $h->{headers}{'content-type'}, 'text/plain; charset=utf-8', 'with its type';
    my @f = map { open_stream(log_path($second, "?follow=1$_")) } '', '', '&format=json';
    my $plain = get(log_path($second));
    is $plain->{status}, 200, 'the download of it';
    is $plain->{body}, '', 'has nothing yet';
    $p->cue('exit 0');
    my @bodies = map { $_->body(20) } @f;
    $_->close for @f;
    my $end = wait_for_state($second, 'succeeded');
    is sha256_hex($bodies[$_]), $end->{sha256}, 'followed from the queue to its end' for 0, 1;
    is_bytes $bodies[2], get(log_path($second, '?format=json'))->{body}, 'JSON as well';
}

{
    # One that reads slowly delays nobody, and gets all of it.
    my $live = $p->start('out go');
    my $slow = open_stream(log_path($live, '?follow=1'), rcvbuf => 4096);
    my $fast = open_stream(log_path($live, '?follow=1'));
    $p->cue('flood 8000000', 'exit 0');
    my $body = $fast->body(30);
    $fast->close;
    my $end = wait_for_state($live, 'succeeded', 20);
    is sha256_hex($body), $end->{sha256}, 'one reads on while another stands still';
    is sha256_hex($slow->body(30)), $end->{sha256}, 'which gets the same bytes later';
    $slow->close;
}

# ---- memory --------------------------------------------------------------------------

# PSS of all children that were there before, and the most that one ever had,
# in kB.
sub memory
{
    my %found;
    for my $pid (@{ BuildLog::Server->main->pids->{children} }) {
        my %of;
        for my $file ('smaps_rollup', 'status') {
            open my $in, '<', "/proc/$pid/$file" or next;
            /^(Pss|VmHWM):\s+(\d+)/ and $of{$1} = $2 while <$in>;
        }
        $found{$pid} = \%of if defined $of{Pss};
    }
    return \%found;
}

sub growth
{
    my ($what, $before, $after) = @_;
    my $most = 0;
    for my $pid (grep { $before->{$_} } keys %$after) {
        my $by = $after->{$pid}{$what} - $before->{$pid}{$what};
        $most = $by if $by > $most;
    }
    return $most;
}

{
    my $big = $p->start('flood 200000000', 'exit 0');
    my $end = wait_for_state($big, 'succeeded', 300);
    cmp_ok $end->{bytes}, '>', 200_000_000, 'a log of 200 MB';
    my $before = memory();
    my $digest = Digest::SHA->new(256);
    my $s = open_stream(log_path($big), headers => { Accept => '*/*', Connection => 'close' });
    is $s->header('Content-Length'), $end->{bytes}, 'its length is known';
    my $deadline = time + 300;
    my ($start, $tail) = (sees($s, qr/\n/), '');
    do {
        $digest->add($s->{buffer});
        $tail = substr $tail . $s->{buffer}, -1000;
        $s->{buffer} = '';
    } while ($s->_more($deadline, 'bytes'));
    $s->close;
    is $digest->hexdigest, $end->{sha256}, 'all of it comes';

    my $r = get(log_path($big), Range => 'bytes=-1000');
    is $r->{body}, $tail, 'a part near its end';
    # The middle is found anew: by what was noted on the way to the end.
    my ($late, $middle) = ($end->{bytes} - 500, int $end->{bytes} / 2);
    my $alone = get(log_path($big), Range => "bytes=$middle-" . ($middle + 99));
    $r = get(log_path($big), Range => "bytes=$late-" . ($late + 9) . ",$middle-" . ($middle + 99) . ',0-9');
    is_deeply [map { $_->[3] } parts_of($r)],
        [substr($tail, 500, 10), $alone->{body}, substr($start, 0, 10)], 'parts, from the end to the start';
    my $f = open_stream(log_path($big, '?format=json'), headers => { Accept => '*/*', Connection => 'close' });
    sees($f, qr/\n/);
    $f->close;    # one that leaves in the middle
    my $after = memory();
    cmp_ok growth('Pss', $before, $after), '<', 20_000, 'no child is larger than before';
    cmp_ok growth('VmHWM', $before, $after), '<', 30_000, 'nor was in between';
}

# ---- a damaged log -----------------------------------------------------------------------

{
    my $short = $p->start('count 3000', 'exit 0');
    my $end   = wait_for_state($short, 'succeeded');
    my $file  = top() . "/state/logs/$short.log";
    open my $in, '<:raw', $file or die $!;
    my @records = <$in>;
    close $in;
    # Lines are lost, the file's size is what it was: one line that is none.
    my $lost = join '', @records[1000 .. 1999];
    write_file($file, join '', @records[0 .. 999], 'x' x (length($lost) - 1), "\n", @records[2000 .. $#records]);
    my $mark = log_mark();
    my $s    = open_stream(log_path($short), headers => { Accept => '*/*', Connection => 'close' });
    is $s->header('Content-Length'), $end->{bytes}, 'a log that lost lines: the length is that of before';
    my $body = $s->body(10);
    $s->close;
    cmp_ok length $body, '<', $end->{bytes}, 'so the client sees that it is not all';
    my $r = get(log_path($short, '?format=json'));
    ok $r->{body} =~ /"O 1 .*"Build finished"/s, 'JSON, which says no length, has what there is';
    wait_until { log_since($mark) =~ /BL0405 / } 5, 'BL0405';
    pass 'the error log says it';
    unlink $file;
    is get(log_path($short))->{status}, 404, 'a log that was removed: 404';
}

# ---- a log that cannot be opened -----------------------------------------------------------

# It is known by its log alone, which has no row; and 503 is not 404.
{
    my $number = 900_000 + $$ % 1000;
    my $file   = top() . "/state/logs/$number.log";
    my ($log)  = do { local (@ARGV, $/) = top() . "/state/logs/$id.log"; <> };
    write_file($file, $log =~ s/"id":$id\b/"id":$number/gr);
    my @ways = ("/api/project/builds/$number", log_path($number), "/api/log/push?build=$number");
    is get($_)->{status}, 200, "it can: $_" for @ways[0, 1];
    chmod 0, $file or die "$file: $!\n";
    my $mark = log_mark();
    for my $way (@ways) {
        my $r = get($way);
        is $r->{status}, 503, "it cannot: $way";
        like $r->{json}{detail}, qr/log of this build cannot be opened now/, '... and says why';
        like $r->{headers}{'retry-after'}, qr/^\d+$/, '... with Retry-After';
    }
    is request('POST', "/api/project/builds/$number/cancel")->{status}, 503, 'nor can one say that it is over';
    my $r = get($ways[2], Accept => 'text/event-stream');
    is $r->{status}, 200, 'EventSource would give up for ever on a 503';
    like $r->{body}, qr/^retry: 5000\n.*^event: busy\n/ms, '... and is told to come back';
    is scalar(() = log_since($mark) =~ /BL0409 a log in \S+ cannot be opened.*?\n/g), 5, 'the administrator is told';
    unlink $file;
    is get($_)->{status}, 404, "it is removed: $_" for @ways;
}

# ---- TLS, other filters, limits, restarts ------------------------------------------------

my $pings = qq(<Location "/api">\n    BuildLogPing 100ms\n</Location>\n);
my $tls = BuildLog::Server->start($pings, tls => 1, protocols => 'h2 http/1.1');
# A filter on every connection that the module does not know.
my $odd = BuildLog::Server->start("LogLevel dumpio:trace7\nDumpIOOutput On\n$pings");

for ([$tls, 'parked|held', tls => 1], [$odd, 'held']) {
    my ($server, $kind, %opt) = @$_;
    my $q    = BuildLog::Puppet->new('download-2', server => $server);
    my $live = $q->start('out one');
    my @f = map { $server->open_stream(log_path($live, $_), %opt) } '?follow=1', '?follow=1&format=json';
    sees($_, qr/one/) for @f;
    my ($kept) = $server->error_log =~ /BL0408 build $live is followed, connection (\w+)/;
    like $kept, qr/^(?:$kind)$/, "a connection that is $kept";
    $q->cue('out two');
    sees($_, qr/two/) for @f;
    pass "$kept: live";
    # Others get pings meanwhile; in a document they would be output.
    # A child with both of them may have no thread to hold a third.
    my $events = wait_until {
        my $one = $server->open_stream($live);
        return $one if $one->event(5) && ($one->event(5)->{event} // '') ne 'busy';
        $one->close;
        0;
    } 20, 'a stream of events';
    $events->until(sub { ($_->{event} // '') eq 'ping' }, 5) for 1 .. 5;
    $events->close;
    $q->cue('count 2000', 'exit 0');
    my @bodies = map { $_->body(20) } @f;
    $_->close for @f;
    my $end = $server->wait_for_state($live, 'succeeded');
    is sha256_hex($bodies[0]), $end->{sha256}, "$kept: the digest is that of the end";
    is_bytes $bodies[1], $server->request('GET', log_path($live, '?format=json'), %opt)->{body}, "$kept: JSON as well";
    my $r = $server->request('GET', log_path($live), %opt);
    is sha256_hex($r->{body}), $end->{sha256}, "$kept: the download";
    $r = $server->request('GET', log_path($live), %opt, headers => { Range => 'bytes=50000-50099' });
    is $r->{status}, 206, "$kept: a part";
    is $r->{body}, substr($bodies[0], 50000, 100), "$kept: is the right one";
}

# prefork has no HTTP/2.
if (mpm() ne 'prefork') {
    my $q    = BuildLog::Puppet->new('download-2', server => $tls);
    my $live = $q->start('count 3000');
    $q->wait_until_told(qr/^[OE] \d+/, 3000);
    my $h2 = sub { return BuildLog::Poll::curl($tls, log_path($live, shift), @_) };
    my $is = $tls->request('GET', log_path($live))->{body};
    my $r  = $h2->('?follow=1');
    is $r->{protocol}, 'HTTP/2', 'over HTTP/2';
    is $r->{status}, 200, 'a build that runs can be asked to be followed';
    is_bytes $r->{body}, $is, 'but is not: the answer has what there is';
    $q->cue('exit 0');
    my $end = $tls->wait_for_state($live, 'succeeded');
    $r = $h2->('');
    is sha256_hex($r->{body}), $end->{sha256}, 'HTTP/2: the download';
    is $r->{headers}{etag}, qq("$end->{sha256}"), 'HTTP/2: ETag';
    my $text = $r->{body};
    $r = $h2->('', '-r', '60000-130000');
    is $r->{status}, 206, 'HTTP/2: a part';
    is_bytes $r->{body}, substr($text, 60_000, 70_001), 'HTTP/2: the right one';
    is $h2->('', '-H', qq(If-None-Match: "$end->{sha256}"))->{status}, 304, 'HTTP/2: 304';
}

{
    # The server ends what it keeps: a document has no words for it.
    my $q    = BuildLog::Puppet->new('download-3', server => $tls);
    my $live = $q->start('out one');
    my @f = map { $tls->open_stream(log_path($live, '?follow=1'), tls => $_) } 0, 1;
    sees($_, qr/one/) for @f;
    my $is = $tls->request('GET', log_path($live))->{body};
    $tls->graceful;
    for my $f (@f) {
        is_bytes $f->body(20), $is, 'a child that ends cuts its followers off: nothing is added';
        $f->close;
    }
    my $again = $tls->open_stream(log_path($live, '?follow=1'));
    $q->cue('out two', 'exit 0');
    my $body = $again->body(20);
    $again->close;
    is sha256_hex($body), $tls->wait_for_state($live, 'succeeded')->{sha256}, 'who comes again has all of it';

    if (mpm() eq 'event') {
        $tls->configure("Timeout 3\n");
        $tls->graceful;
        $live = $q->start('out one');
        # The new configuration is there when a stream ends in its time.
        my $began;
        my $seen = wait_until {
            $began = time;
            my $f = $tls->open_stream(log_path($live, '?follow=1'), tls => 1);
            my $got = $f->body(60);
            $f->close;
            time - $began > 1 && $got;
        } 60, 'its time';
        is $tls->build_record($live)->{state}, 'running', 'a parked one is cut off though its build runs';
        is $seen, $tls->request('GET', log_path($live))->{body}, 'nothing is added';
        $q->cue('exit 0');
        $tls->wait_for_state($live, 'succeeded');
    }
}

{
    $tls->configure("BuildLogMaxClients 1\n");
    $tls->graceful;
    my $q    = BuildLog::Puppet->new('download-4', server => $tls);
    my $live = $q->start('out one');
    # Children of before have other limits: one may come, and not a second.
    my $f = wait_until {
        my ($one, $two) = map { $tls->open_stream(log_path($live, '?follow=1')) } 1, 2;
        $two->close;
        return $one if $one->status == 200 && $two->status == 503;
        $one->close;
        0;
    } 20, 'the new limit';
    is $f->status, 200, 'BuildLogMaxClients 1: one';
    sees($f, qr/one/);
    for my $accept ('*/*', 'text/event-stream') {
        my $x = $tls->open_stream(log_path($live, '?follow=1'), headers => { Accept => $accept });
        is $x->status, 503, "one more: 503, Accept $accept";
        like $x->header('Retry-After'), qr/^\d+$/, 'with Retry-After';
        like $x->body(5), qr/BuildLogMaxClients/, 'and the limit';
        $x->close;
    }
    is $tls->request('GET', log_path($live))->{status}, 200, 'what is not followed needs no place';
    is $tls->request('HEAD', log_path($live, '?follow=1'))->{status}, 200, 'nor does HEAD';
    $q->cue('exit 0');
    $f->body(10);
    $f->close;
    wait_until {
        my $x = $tls->open_stream('/api/log/push');
        my $retry = $x->event(5)->{retry};
        $x->close;
        $retry == 2000;
    } 10, 'a free place';
    pass 'one that has ended frees its place';
}

done_testing;
