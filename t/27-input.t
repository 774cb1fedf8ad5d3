# 27-input.t - whatever comes in by a request, by the runner's socket, or from
# what stands in the state directory: it is refused clearly, nothing of it is
# done by half, and the server goes on (promises 7 and 8)
#
# Forms of bodies and of chunks are in 20-build.t, places of streams in
# 35-resume.t; what the socket's own code makes of messages in
# t/unit/intake_test.c.
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(allow_in_log base_url get_json make_project post_build project request start_build top vars wait_for_state
    wait_until write_file);
use BuildLog::Kinds ();
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Compress::Gzip qw(gzip);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX qw(mkfifo);
use Time::HiRes qw(sleep time);

my $json  = JSON::PP->new->utf8;
my $form  = 'application/x-www-form-urlencoded';
my $jtype = 'application/json';
my $s     = BuildLog::Server->start(<<"END" . modules('deflate') . addresses('/inflates', 'SetInputFilter DEFLATE'));
RequestReadTimeout header=20 body=2
LimitRequestLine 70000
LimitRequestFieldSize 70000
END
my $p    = BuildLog::Puppet->new('input', server => $s);
my $path = $p->path;
my $id   = $p->start('count 200', 'exit 0');
$s->wait_for_state($id, 'succeeded', 15);
$p->prepare('exit 0');

sub builds { return scalar @{ $s->get_json('/api/project/builds?limit=200')->{builds} } }

sub idle
{
    return wait_until { !grep { $_->{state} =~ /^(?:queued|running)$/ } @{ $s->get_json('/api/project/builds?limit=200')->{builds} } } 30, 'all end';
}

# ---- bodies ------------------------------------------------------------------

# Writes as said, in these pieces, and reads to the end: the status, or what
# came instead.
sub talk
{
    my ($head, @pieces) = @_;
    my $sock = IO::Socket::INET->new('127.0.0.1:' . $s->port) or die "connect: $!\n";
    local $SIG{PIPE} = 'IGNORE';
    my $shut = @pieces && !defined $pieces[-1] && pop @pieces || 0;
    my $got  = '';
    my $until = time + 15;
    my $read = sub {
        my ($wait) = @_;
        while (IO::Select->new($sock)->can_read($wait)) {
            my $n = sysread $sock, $got, 65536, length $got;
            return 0 if !$n;
            $wait = 0;
        }
        return 1;
    };
    syswrite $sock, "POST /api/project/build HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . join('', map { "$_\r\n" } @$head) . "\r\n";
    for my $piece (@pieces) {
        ref $piece ? $read->($$piece) || last : syswrite $sock, $piece // '';
    }
    return ($sock, $read, \$got, $until) if wantarray;
    while ($read->(0.2) && time < $until) { }
    close $sock;
    return $got =~ m{^HTTP/1\.1 (\d+)} ? $1 : "no answer: $got";
}

sub status_of { my $status = talk(@_); return $status }

subtest 'bodies that are announced' => sub {
    my $count = builds();
    for my $length (64 * 1024 + 1, 10_000_000, '10000000000', '9223372036854775807') {
        my $from = time;
        is status_of(["Content-Type: $form", "Content-Length: $length"]), 413, "$length bytes: refused before they come";
        cmp_ok time - $from, '<', 15, '... and not waited for';
    }
    for my $length ('9223372036854775808', '99999999999999999999999', '-1', '+5', '5x', '0x10', '') {
        like status_of(["Content-Type: $form", "Content-Length: $length"], 'projectPath'), qr/^40[0]$|^413$/, "a length of '$length'";
    }
    like status_of(["Content-Type: $form", 'Content-Length: 5', 'Content-Length: 30'], "projectPath=$path"), qr/^400$/, 'two lengths';
    my $body = "projectPath=$path";
    is status_of(["Content-Type: $form", 'Expect: 100-continue', 'Content-Length: 100000']), 413, 'who asks first is told at once';
    like status_of(["Content-Type: $form", 'Expect: something-else', 'Content-Length: ' . length $body], $body), qr/^4\d\d$/, 'or expects what is not';
    like status_of(["Content-Type: $form", 'Transfer-Encoding: gzip', 'Content-Length: ' . length $body], $body), qr/^(?:400|501)$/,
        'a transfer coding that is none of ours';
    like status_of(["Content-Type: $form", 'Transfer-Encoding: gzip, chunked'], "5\r\nhello\r\n0\r\n\r\n"), qr/^(?:400|501)$/, '... before chunks';
    is builds(), $count, 'no build has begun';
};

# All of a path is there, and the body is not: nobody knows what else it says.
subtest 'bodies that are cut' => sub {
    my $count = builds();
    my $body  = "projectPath=$path";
    my $chunk = sprintf "%x\r\n%s\r\n", length $body, $body;
    my $as_json = $json->encode({ projectPath => $path });
    for my $case (['a form',               ["Content-Type: $form", 'Content-Length: ' . (1 + length $body)], $body],
                  ['JSON',                 ["Content-Type: $jtype", 'Content-Length: ' . (1 + length $as_json)], $as_json],
                  ['nothing of it',        ["Content-Type: $form", 'Content-Length: 20'], ''],
                  ['before the last chunk', ["Content-Type: $form", 'Transfer-Encoding: chunked'], $chunk],
                  ['in the last chunk',    ["Content-Type: $form", 'Transfer-Encoding: chunked'], "${chunk}0\r\n"],
                  ['in a chunk',           ["Content-Type: $form", 'Transfer-Encoding: chunked'], "ff\r\n$body"],
                  ['in its length',        ["Content-Type: $form", 'Transfer-Encoding: chunked'], "${chunk}5"],
                  ['no length at all',     ["Content-Type: $form", 'Transfer-Encoding: chunked'], "${chunk}zz\r\n"],
                  ['a length too large',   ["Content-Type: $form", 'Transfer-Encoding: chunked'], "${chunk}ffffffffffffffffff\r\n"]) {
        my ($what, $head, @bytes) = @$case;
        my ($sock, $read, $got, $until) = talk($head, @bytes);
        shutdown $sock, 1;
        while ($read->(0.2) && time < $until) { }
        close $sock;
        unlike $$got, qr{^HTTP/1\.1 2}, "$what: not accepted";
        like $$got, qr{^(?:HTTP/1\.1 4\d\d .*)?\z}s, '... which it says, if anybody is there';
    }
    # And who hangs up altogether.
    for my $n (0, 10, length $body) {
        my ($sock) = talk(["Content-Type: $form", 'Content-Length: ' . (1 + length $body)], substr $body, 0, $n);
        close $sock;
    }
    # When the server is done with them.
    wait_until { !BuildLog::Kinds::connections($s) } 20, 'no connection';
    is builds(), $count, 'no build has begun';
};

subtest 'bodies that are slow' => sub {
    my $count = builds();
    # As many as there are threads would be to no avail: these are enough to see
    # that each has an end.
    my @slow = map { [talk(["Content-Type: $form", 'Content-Length: 40000'], 'projectPath=')] } 1 .. 6;
    my $until = time + 30;
    my %ended;
    while (keys %ended < @slow && time < $until) {
        for my $i (0 .. $#slow) {
            next if $ended{$i};
            local $SIG{PIPE} = 'IGNORE';
            syswrite $slow[$i][0], 'x';
            $ended{$i} = 1 if !$slow[$i][1]->(0.02);
        }
        is $s->request('GET', '/api/project/projects')->{status}, 200, 'others are answered' if keys %ended == 0 && time > $until - 29.5 && !$ended{said}++;
        delete $ended{said} if keys %ended > 1;
    }
    delete $ended{said};
    is keys %ended, scalar @slow, 'a byte now and then: httpd ends it (RequestReadTimeout)';
    unlike ${ $_->[2] }, qr{^HTTP/1\.1 2}, '... refused' for @slow;
    close $_->[0] for @slow;
    is builds(), $count, 'no build has begun';
};

sub post { my ($body, $type, $to, %headers) = @_;
    return $s->request('POST', ($to // '') . '/api/project/build', body => $body, headers => { 'Content-Type' => $type, %headers }) }

subtest 'bodies that are compressed' => sub {
    my $count = builds();
    my $body  = "projectPath=$path";
    gzip \$body, \my $small;
    my $zeros = "projectPath=" . '0' x 20_000_000;
    gzip \$zeros, \my $bomb;
    cmp_ok length $bomb, '<', 64 * 1024, 'twenty megabytes are few, compressed';
    for my $coding (qw(gzip x-gzip deflate br GZIP compress), 'gzip, gzip', 'identity, gzip', 'nonsense') {
        my $r = post($small, $form, '', 'Content-Encoding' => $coding);
        is $r->{status}, 415, "$coding: refused";
        like $r->{json}{detail}, qr/compressed/, '... and why';
    }
    is post($bomb, $form, '', 'Content-Encoding' => 'gzip')->{status}, 415, 'also what would be large';
    is builds(), $count, 'no build has begun';
    is post($small, $form, '/inflates', 'Content-Encoding' => 'gzip')->{status}, 202, 'where httpd inflates bodies it is one as any other';
    # mod_deflate may be the first to find it too large.
    like post($bomb, $form, '/inflates', 'Content-Encoding' => 'gzip')->{status}, qr/^(?:400|413)$/, '... but not beyond the limit';
    is post($body, $form, '', 'Content-Encoding' => 'identity')->{status}, 202, 'identity is no coding';
    idle();
};

subtest 'JSON' => sub {
    my $count = builds();
    my $pair  = '"projectPath":' . JSON::PP->new->allow_nonref->encode($path);
    my $deep  = sub { my ($n) = @_; return '{"a":' x $n . '1' . '}' x $n };
    my @refused = (
        ['twice, written differently',  "{$pair,\"\\u0070rojectPath\":\"/\"}"],
        ['twice, further down',         "{$pair,\"a\":{\"b\":1,\"b\":2}}"],
        ['twice, in an array',          "{$pair,\"a\":[{\"b\":1,\"b\":1}]}"],
        ['33 objects deep',             "{$pair,\"a\":" . $deep->(33) . '}'],
        ['10000 arrays deep',           "{$pair,\"a\":" . '[' x 10_000 . ']' x 10_000 . '}'],
        ['10000 arrays without an end', '{"a":' . '[' x 10_000],
        ['60000 quotes',                '"' x 60_000],
        ['60000 braces',                '{' x 60_000],
        ['a BOM',                       "\xef\xbb\xbf{$pair}"],
        ['UTF-16',                      join '', map { "\0$_" } split //, "{$pair}"],
        ['a comment',                   "{$pair/* x */}"],
        ['a comma too many',            "{$pair,}"],
        ['single quotes',               "{'projectPath':'$path'}"],
        ['no quotes',                   "{projectPath:\"$path\"}"],
        ['two objects',                 "{$pair}{$pair}"],
        ['two objects, two lines',      "{$pair}\n{$pair}"],
        ['half a surrogate',            '{"projectPath":"/\ud800"}'],
        ['halves the wrong way',        '{"projectPath":"/\udc00\ud800"}'],
        ['overlong',                    "{\"projectPath\":\"/\xc0\xaf\"}"],
        ['a NUL in a key',              "{$pair,\"a\\u0000b\":1}"],
        ['a NUL behind it',             "{$pair}\0"],
        ['a number out of all bounds',  "{$pair,\"a\":1e99999}"],
        ['an integer out of bounds',    "{$pair,\"a\":" . '9' x 400 . '}'],
        ['NaN',                         "{$pair,\"a\":NaN}"],
        ['-Infinity',                   "{$pair,\"a\":-Infinity}"],
        ['a leading zero',              "{$pair,\"a\":0123}"],
        ['a control character',         "{\"projectPath\":\"$path\n\"}"],
        ['an object as the path',       "{\"projectPath\":{$pair}}"],
        ['a form',                      "projectPath=$path"],
    );
    for (@refused) {
        my ($what, $body) = @$_;
        my $r = post($body, $jtype);
        is $r->{status}, 400, $what;
        ok ref $r->{json} eq 'HASH' && $r->{json}{detail} =~ /^\w.{10,}\.$/s && length $r->{json}{detail} < 500, '... in a sentence' or diag $r->{body};
    }
    is builds(), $count, 'no build has begun';
    my @taken = (['30 objects deep', "{$pair,\"a\":" . $deep->(30) . '}'], ['1500 keys', "{$pair" . join('', map { ",\"k$_\":$_" } 1 .. 1500) . '}'],
        ['blanks', " \t\r\n{ $pair }\n\n"], ['escapes', '{"projectPath":"' . join('', map { sprintf '\u%04x', ord } split //, $path) . '"}']);
    is post($_->[1], $jtype)->{status}, 202, $_->[0] for @taken;
    idle();
};

subtest 'a body where none belongs' => sub {
    for my $get ('/api/project/projects', "/api/project/builds/$id/log", "/api/log/push?build=$id") {
        for my $body ('x', 'GET / HTTP/1.1', 'x' x 100_000) {
            my $r = $s->request('GET', $get, body => $body);
            is $r->{status}, 200, "$get with a body of " . length($body) . ' bytes';
        }
    }
    # Two requests in one write: the second is no body of the first.
    my $sock = IO::Socket::INET->new('127.0.0.1:' . $s->port) or die "connect: $!\n";
    my $second = "GET /api/project/builds/$id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    print {$sock} "GET /api/project/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello$second";
    local $SIG{ALRM} = sub { die "no answer in time\n" };
    alarm 10;
    my $both = do { local $/; <$sock> };
    alarm 0;
    is scalar(() = $both =~ m{^HTTP/1\.1 200 }mg), 2, 'two requests in a row: two answers';
    # Behind a stream nothing is a request any more.
    my $stream = $s->open_stream('/api/log/push?format=json');
    my $count  = builds();
    syswrite $stream->socket, "POST /api/project/build HTTP/1.1\r\nHost: x\r\nContent-Type: $form\r\nContent-Length: "
        . length("projectPath=$path") . "\r\n\r\nprojectPath=$path";
    $p->start('out marked', 'exit 0');
    $stream->until(sub { ($_->{data} // '') =~ /"text":"Build finished"/ }, 10);
    $stream->close;
    is builds(), $count + 1, 'what comes behind the request of a stream is no request';
    $p->prepare('exit 0');
    idle();
};

# ---- headers and queries -----------------------------------------------------------

subtest 'headers' => sub {
    my %events = (Accept => 'text/event-stream');
    my $whole = $s->request('GET', "/api/log/push?build=$id", headers => \%events)->{body};
    my ($last) = $whole =~ /.*^id: (\d+)/ms;
    my %unknown = (
        'very long'       => '9' x 60_000,
        'letters'         => 'x' x 60_000,
        'negative'        => "-$last",
        'with a sign'     => "+$last",
        'a fraction'      => "$last.0",
        'an exponent'     => '1e18',
        'hexadecimal'     => '0x10',
        'leading zeros'   => "000$last",
        'digits of others' => "\xd9\xa1\xd9\xa2",
        'at the limit'    => '18446744073709551615',
        'beyond it'       => '18446744073709551616',
        'two'             => "$last, $last",
        'more than one'   => "$last;$last",
        'a stream of another server' => $last + 86_400_000_000,
        'markup'          => '<script>',
        'bytes'           => join('', map { chr } 0x80 .. 0xff),
    );
    for my $what (sort keys %unknown) {
        my $r = $s->request('GET', "/api/log/push?build=$id", headers => { %events, 'Last-Event-ID' => $unknown{$what} });
        is $r->{status}, 200, "Last-Event-ID, $what: answered";
        is scalar(() = $r->{body} =~ /^event: gap$/mg), 1, '... with one gap';
        is scalar(() = $r->{body} =~ /^data: \[.*[OE] \d/mg), 200, '... and then all of it';
        unlike $r->{body}, qr/script|\xd9/, '... of itself nothing';
    }
    my $sock = IO::Socket::INET->new('127.0.0.1:' . $s->port) or die "connect: $!\n";
    print {$sock} "GET /api/log/push?build=$id HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: $last\r\nLast-Event-ID: 5\r\n\r\n";
    local $SIG{ALRM} = sub { die "no answer in time\n" };
    alarm 10;
    my $twice = do { local $/; <$sock> };
    alarm 0;
    like $twice, qr{^HTTP/1\.1 200 .*^event: gap$}ms, 'said twice it is no place';
    for my $accept ('text/html;q=' . '9' x 5000, ',' x 30_000, 'text/' . 'x' x 60_000, '*/*;q=' . '0.' x 20_000, 'a/b;' x 10_000, "\xff/\xfe", ';;;=,,,', '"' x 60_000) {
        my $r = $s->request('GET', "/api/project/builds/$id", headers => { Accept => $accept });
        is $r->{status}, 200, 'Accept of ' . length($accept) . ' bytes: ' . substr $accept, 0, 12;
    }
    for my $name ('Range', 'If-Range', 'If-None-Match', 'If-Modified-Since', 'Origin', 'Sec-Fetch-Site', 'Content-Type', 'Authorization', 'Cookie', 'Accept-Encoding') {
        for my $value ('x' x 60_000, "\xff" x 100, ',' x 60_000, 'bytes=' . '0-,' x 15_000) {
            my $r = $s->request('GET', "/api/project/builds/$id/log", headers => { $name => $value });
            like $r->{status}, qr/^(?:200|206|416|400|403)$/, "$name of " . length($value) . " bytes: $r->{status}";
        }
    }
};

subtest 'queries' => sub {
    my %bad = (
        'push'                => ['build=', 'build=0', 'build=-1', "build=$id%00", "build=$id%0a", "build=%zz", 'build=%', 'build=%1', "build=$id&build=", "build=$id&build=x",
                                  'build=' . '9' x 60_000, "build=0$id", "build=+$id", "build=$id.0", "build[]=$id&build=x", "build=$id&format=", "build=$id&format=json%00",
                                  "build=$id&tail=-1", "build=$id&tail=99999999999999999999", "build=$id&from=%00", "build=$id&from=-5", "build=$id&from=" . '9' x 60_000,
                                  "build=$id&a=%", '%', '%00=1', 'a%00b=1', '=%zz'],
        "project/builds"      => ['limit=0', 'limit=-1', 'limit=201', 'limit=1e2', 'limit=%32%00', 'before=0', 'before=x', 'before=' . '9' x 60_000, 'state=', 'state=Running',
                                  'state=running%00', 'project=%ff', 'project=%c0%af', 'project=%zz', 'limit=5&limit=x', 'state=failed&state=x'],
        "project/builds/$id/lines" => ['first=0', 'first=-1', 'first=x', 'count=0', 'count=5001', 'last=0', 'last=5&first=1', 'last=' . '9' x 60_000, 'first=1&first=x', 'count=%00'],
        "project/builds/$id/log"   => ['format=xml', 'format=', 'follow=2', 'follow=true', 'follow=%00', 'format=json&format=x'],
    );
    for my $where (sort keys %bad) {
        my $at = $where eq 'push' ? '/api/log/push' : "/api/$where";
        for my $query (@{ $bad{$where} }) {
            my $r = $s->request('GET', "$at?$query");
            is $r->{status}, 400, "$where?" . substr $query, 0, 40;
            ok $r->{headers}{'content-type'} eq 'application/problem+json' && length $r->{body} < 500, '... as a problem, in few words';
        }
        my $page = $s->request('GET', "$at?$bad{$where}[0]", headers => { Accept => 'text/html' });
        is $page->{status}, 400, '... also as a page';
    }
    my @good = ("/api/log/push?build=999999&build=$id", "/api/log/push?&&&build=$id&&", "/api/log/push?build=$id&unknown=%41&x", "/api/log/push?%62uild=$id",
        '/api/project/builds?' . 'a=b&' x 15_000 . 'limit=1', '/api/project/builds?project=' . 'x' x 60_000, '/api/project/builds?project=%2Fno%0Asuch%26x%3D1',
        "/api/project/builds/$id/lines?first=9007199254740993", '/api/project/projects?' . '&' x 60_000, "/api/project/builds/$id?" . 'x' x 60_000);
    is $s->request('GET', $_)->{status}, 200, substr $_, 0, 60 for @good;
    is_deeply $s->get_json('/api/project/builds?project=' . "%27%20OR%201%3D1--")->{builds}, [], 'SQL in a query is a name';
};

# ---- the runner's socket --------------------------------------------------------------

sub field { my ($key, $value) = @_; return pack('vV', $key, length $value) . $value }
sub number { my ($key, $n) = @_; return field($key, pack 'Q<', $n) }
sub frame { my ($type, $body) = @_; return 'BLW1' . pack('VV', $type, length $body) . $body }

# As bl_wire.c writes it: a build of a command that nobody has configured.
sub forged_order
{
    my ($command) = @_;
    return frame(1, field(1, '/') . field(2, 'forged') . field(3, 'admin') . number(4, 1) . field(5, 'x') . field(6, $command)
        . number(7, 0) . number(9, 60_000_000) . number(10, 60_000_000) . number(11, 0) . number(23, 1 << 20));
}

# What a stranger hears.
sub speak
{
    my ($message, $hang_up) = @_;
    my $sock = IO::Socket::UNIX->new(Peer => $s->state . '/runner.sock') or return "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    syswrite $sock, $message if length $message;
    shutdown $sock, 1 if $hang_up;
    my $got = '';
    IO::Select->new($sock)->can_read(10) or return 'kept waiting';
    sysread $sock, $got, 4096;
    close $sock;
    return $got eq '' ? 'closed' : 'answered: ' . unpack 'H*', $got;
}

subtest 'a stranger at the socket' => sub {
    my $state = $s->state;
    my $mark  = "$state/forged";
    my $count = builds();
    my $q     = BuildLog::Puppet->new('input-runs', server => $s);
    my $live  = $q->start('out here');
    $q->wait_for('here');
    my $before = length $s->error_log;
    is speak(forged_order("touch $mark")), 'closed', 'an order of somebody else is not answered';
    is speak(frame(5, number(15, $live) . field(19, 'admin'))), 'closed', 'nor is a cancel';
    is speak(frame(2, number(12, 1) . number(13, 0) . number(14, 256) . number(20, 1) . number(21, 0) . number(22, 0))), 'closed', 'nor are limits';
    is speak($_), 'closed', 'nor is garbage' for '', 'GET / HTTP/1.0', "\0" x 1000, 'BLW1' . pack('VV', 1, 0xffffffff), 'BLW1', 'x' x 100_000;
    # From a build, which may be of the same user.
    my $at = make_project('input-build', 'echo');
    $q->cue("out -", 'exit 0');
    $s->wait_for_state($live, 'succeeded', 15);
    my @many = map { IO::Socket::UNIX->new(Peer => "$state/runner.sock") } 1 .. 300;
    cmp_ok scalar(grep { defined } @many), '>', 0, 'many that say nothing';
    my $r = ($s->post_build($path))[2];
    is $r->{status}, 202, '... keep nobody from building';
    $s->wait_for_state($r->{json}{build}{id}, 'succeeded', 15);
    $count += 2;
    ok eval { wait_until { !grep { defined && !IO::Select->new($_)->can_read(0) } @many } 15, 'they are closed' }, '... and are closed at once';
    close $_ for grep { defined } @many;
    like substr($s->error_log, $before), qr/BL0220 process $$ of user $< may not speak to the runner/, 'the administrator is told who it was';
    is builds(), $count, 'no other build has begun';
    ok !-e $mark, 'nothing ran';
    is $s->build_record($live)->{state}, 'succeeded', 'nothing was ended';
    # Nobody else's files are made or read by all.
    my @open = grep { (stat)[2] & 07 } "$state", glob "$state/* $state/logs/* $state/queue/*";
    is_deeply \@open, [], 'nothing in the state directory is open to all';
    is sprintf('%04o', (stat "$state/runner.sock")[2] & 0777), '0660', 'the socket is for owner and group';
    is sprintf('%04o', (stat "$state/queue")[2] & 0777), '0700', 'orders that wait, with their environment, for the owner alone';
};

# The directory is the builder's: what a build can do, this test can.
subtest "a socket in the place of the runner's" => sub {
    my $socket = $s->state . '/runner.sock';
    my $q      = BuildLog::Puppet->new('input-place', server => $s);
    my $mark   = length $s->error_log;
    rename $socket, "$socket.ours" or die "$socket: $!\n";
    my $false = IO::Socket::UNIX->new(Local => $socket, Listen => 5) or die "$socket: $!\n";
    is +($s->post_build($q->path))[0], 503, 'no build is ordered';
    like substr($s->error_log, $mark), qr/BL0118 \Q$socket\E was put there by somebody else/, 'the administrator is told';
    $mark = length $s->error_log;
    $s->graceful;
    ok eval { wait_until { substr($s->error_log, $mark) =~ /BL0105/ } 15, 'BL0105' }, 'nor are limits, and the error log, passed on';
    my ($calls, $heard) = (0, '');
    $false->blocking(0);
    while (my $call = $false->accept) {
        $calls++;
        $call->blocking(1);
        sysread $call, $heard, 4096, length $heard;
    }
    cmp_ok $calls, '>=', 2, 'it was called';
    is $heard, '', '... and heard nothing';
    close $false;
    unlink $socket;
    rename "$socket.ours", $socket or die "$socket: $!\n";
    my $id = $q->start('exit 0');
    ok eval { $s->wait_for_state($id, 'succeeded', 15) }, 'the right one hears again' or diag $@;
};

# A build that speaks to the runner of its own server.
subtest 'a build at the socket' => sub {
    my $state  = $s->state;
    my $script = "$path/speak.pl";
    write_file($script, <<'END');
use strict;
use warnings;
use IO::Socket::UNIX;
my ($socket, $hex) = @ARGV;
my $sock = IO::Socket::UNIX->new(Peer => $socket) or die "connect: $!\n";
$SIG{PIPE} = 'IGNORE';
syswrite $sock, pack 'H*', $hex;
print sysread($sock, my $answer, 100) ? "answered\n" : "closed\n";
END
    my $hex = unpack 'H*', forged_order("touch $state/forged");
    my $at  = project('puppet-input-speaks');
    mkdir $at;
    $s->configure(modules('deflate') . "<Directory \"$at\">\nBuildLogStep speak \"exec perl $script $state/runner.sock $hex\"\n</Directory>\n");
    $s->graceful;
    my $one = wait_until {
        my $build = ($s->post_build($at))[1]->{build};
        $build->{steps}[0]{name} eq 'speak' ? $build->{id} : undef;
    } 20, 'the new configuration';
    $s->wait_for_state($one, 'succeeded|failed', 20);
    my @said = map { $_->{text} } @{ $s->log_records($one) };
    ok scalar(grep { $_ eq 'closed' } @said), 'a build that speaks to the runner is not heard' or diag "@said";
    idle();
    ok !-e "$state/forged", 'and nothing comes of it';
};

# ---- what stands in the state directory --------------------------------------------------

# A log as it is, and what can be made of it.
subtest 'logs that are damaged' => sub {
    my $t     = BuildLog::Server->start('');
    my $state = $t->state;
    my $q     = BuildLog::Puppet->new('input-logs', server => $t);
    my $model = $q->start('count 60', 'exit 0');
    my $end   = $t->wait_for_state($model, 'succeeded', 15);
    ok $t->stop, 'stopped';
    my @records = do { open my $in, '<:raw', "$state/logs/$model.log" or die $!; <$in> };
    my $as = sub { my ($n, @lines) = @_; return join '', map { s/"id":$model\b/"id":$n/r } @lines };
    my $changed = sub { my ($n, $what, $by) = @_; my $end = $as->($n, $records[-1]) =~ s/$what/$by/r; return $as->($n, @records[0 .. $#records - 1]) . $end };
    srand 20261122;
    my %damage = (
        'empty'              => sub { '' },
        'a NUL'              => sub { "\0" },
        'NULs'               => sub { "\0" x 100_000 },
        'random bytes'       => sub { join '', map { chr int rand 256 } 1 .. 50_000 },
        'random lines'       => sub { join '', map { join('', map { chr 32 + int rand 90 } 1 .. 60) . "\n" } 1 .. 500 },
        'one endless line'   => sub { 'x' x 5_000_000 },
        'an endless record'  => sub { "2026-11-22T08:55:35.933678Z stdout F " . 'x' x 5_000_000 },
        'only its end'       => sub { $as->($_[0], $records[-1]) },
        'only its beginning' => sub { $as->($_[0], $records[0]) },
        'no end'             => sub { $as->($_[0], @records[0 .. $#records - 1]) },
        'half its end'       => sub { my $t = $as->($_[0], @records); substr $t, 0, length($t) - 100 },
        'no line end'        => sub { my $t = $as->($_[0], @records); chomp $t; $t },
        'CRLF'               => sub { $as->($_[0], @records) =~ s/\n/\r\n/gr },
        'backwards'          => sub { $as->($_[0], reverse @records) },
        'each twice'         => sub { $as->($_[0], map { ($_, $_) } @records) },
        'ends and goes on'   => sub { $as->($_[0], @records, @records) },
        'shuffled'           => sub { $as->($_[0], sort { rand() <=> 0.5 } @records) },
        'one byte of each'   => sub { $as->($_[0], map { my $r = $_; substr($r, int rand length($r) - 1, 1) = chr int rand 256; $r } @records) },
        'of another build'   => sub { join '', @records },
        'of another build, without an end' => sub { join '', @records[0 .. $#records - 1] },
        'of another build, and wrong' => sub { (join '', @records) =~ s/"project":"[^"]*"/"project":"\/forged"/gr },
        'of the far future'  => sub { $as->($_[0], @records) =~ s/^2\d{3}-/9999-/mgr },
        'the end of time'    => sub { $as->($_[0], @records[0 .. 3]) . '9999-12-31T23:59:59.999999Z ' . $as->($_[0], $records[-1]) =~ s/^\S+ //r },
        'of long ago'        => sub { $as->($_[0], @records) =~ s/^2\d{3}-/1970-/mgr },
        'no state'           => sub { $changed->($_[0], qr/"state":"succeeded"/, '"state":"nonsense"') },
        'still running'      => sub { $changed->($_[0], qr/"state":"succeeded","reason"/, '"state":"running","reason"') },
        'no project'         => sub { $changed->($_[0], qr/"project":"[^"]*"/, '"project":null') },
        'a project that is none' => sub { $changed->($_[0], qr/"project":"[^"]*"/, '"project":"/etc"') },
        'no path'            => sub { $changed->($_[0], qr/"project":"[^"]*"/, '"project":"../../../etc"') },
        'a long project'     => sub { $changed->($_[0], qr/"project":"[^"]*"/, '"project":"/' . 'x' x 100_000 . '"') },
        'negative sums'      => sub { $changed->($_[0], qr/"bytes":\d+/, '"bytes":-5') },
        'larger sums'        => sub { $changed->($_[0], qr/"bytes":\d+/, '"bytes":9223372036854775807') },
        'smaller sums'       => sub { $changed->($_[0], qr/"bytes":\d+/, '"bytes":3') =~ s/"lines":\d+/"lines":1/r },
        'a digest that is a header' => sub { $changed->($_[0], qr/"sha256":"[^"]*"/, '"sha256":"x\r\nSet-Cookie: a=b\r\n\r\n<b>"') },
        'steps without end'  => sub { $changed->($_[0], qr/"steps":\[/, '"steps":[' . '{"name":"x","state":"pending","started":null,"ended":null,"exit":null,"signal":null},' x 500) },
        'deep'               => sub { $changed->($_[0], qr/"user":null/, '"user":' . '[' x 10_000 . ']' x 10_000) },
        'an end in the middle' => sub { $as->($_[0], @records[0 .. 20], $records[-1], @records[21 .. $#records - 1]) },
    );
    my %is = map { $_ => 1000 + 10 * (keys %damage > 0) } ();
    my $n = 1000;
    for my $what (sort keys %damage) {
        $is{ ++$n } = $what;
        write_file("$state/logs/$n.log", $damage{$what}->($n));
    }
    # What is no file at all.
    my %odd = ('a fifo' => sub { mkfifo($_[0], 0600) }, 'a directory' => sub { mkdir $_[0] }, 'a link to a good one' => sub { symlink "$model.log", $_[0] },
        'a link to a file of the system' => sub { symlink '/etc/passwd', $_[0] }, 'a link to nothing' => sub { symlink 'nothing', $_[0] },
        'a link to a device' => sub { symlink '/dev/zero', $_[0] });
    for my $what (sort keys %odd) {
        $is{ ++$n } = $what;
        $odd{$what}->("$state/logs/$n.log") or die "$what: $!\n";
    }
    write_file("$state/logs/$_.log", $as->($_, @records)) for '99999999999999999', '9007199254740992', '18446744073709551615';
    my ($status, $out) = $t->begin;
    is $status, 0, 'a server begins with logs of all kinds of damage' or diag $out;
    is $t->build_record($model)->{state}, 'succeeded', 'a good one is as it was';
    my $next = $q->start('out hello', 'exit 0');
    cmp_ok $next, '>', $model, 'the next build has a number';
    cmp_ok $next, '<', 10_000, '... that is none of a file that no build can have';
    is $t->wait_for_state($next, 'succeeded|failed', 20)->{state}, 'succeeded', '... and works';
    my ($first) = map { $_->{time} } @{ $t->log_records($next) };
    cmp_ok $first, 'lt', '2199', '... in our time';
    for my $number (sort { $a <=> $b } keys %is) {
        my @wrong;
        for my $about ('', '/log', '/log?format=json', '/log?follow=1', '/lines', '/lines?last=5', '/lines?first=100000', 'push', 'html', 'range') {
            my $path = $about eq 'push' ? "/api/log/push?build=$number&from=start" : $about eq 'html' || $about eq 'range' ? "/api/project/builds/$number"
                : "/api/project/builds/$number$about";
            my %headers = $about eq 'html' ? (Accept => 'text/html') : ();
            if ($about eq 'range') {
                $path .= '/log';
                %headers = (Range => 'bytes=10-20');
            }
            # A document may end before it is as long as it said; nothing hangs.
            my $r = eval { $t->request('GET', $path, headers => \%headers, timeout => 15) };
            if (!$r) {
                push @wrong, "$about: $@" if $@ !~ /closed|cut/;
                next;
            }
            push @wrong, "$about: $r->{status}" if $r->{status} !~ /^(?:200|204|206|404|416|500|503)$/;
            push @wrong, "$about: a cookie" if $r->{headers}{'set-cookie'};
            push @wrong, "$about: of the system" if $r->{body} =~ /^root:/m;
            push @wrong, "$about: 500" if $r->{status} == 500 && ($r->{headers}{'content-type'} // '') !~ /problem/;
        }
        my $cancel = $t->request('POST', "/api/project/builds/$number/cancel");
        push @wrong, "cancel: $cancel->{status}" if $cancel->{status} !~ /^(?:404|409|503)$/;
        is_deeply \@wrong, [], "$is{$number}: answered" or diag "build $number";
    }
    # Not one record more than there was: what is of another build is not ended
    # by a log that says so.
    my @after = do { open my $in, '<:raw', "$state/logs/$model.log" or die $!; <$in> };
    is_deeply \@after, \@records, 'the good one has every byte that it had';
    is scalar(grep { /BL0231/ } split /\n/, $t->error_log) > 5, 1, 'what cannot be used is said';
    wait_until { $t->error_log =~ /BL0252 .*\n(?s:.*)BL0252/ } 20, 'the history';
    my ($row) = `sqlite3 -cmd '.timeout 20000' $state/history.db 'SELECT record FROM buildlog_builds WHERE id = $model'`;
    is $row && $json->decode($row)->{project}, $q->path, 'nor is what the history has of it';
    my $list = $t->get_json('/api/project/builds?limit=200')->{builds};
    is scalar(grep { $_->{id} == $model } @$list), 1, 'the list has the good one, once';
    ok !(grep { $_->{project} !~ m{^/} } @$list), '... and no project that is no path';
    my $feed = $t->open_stream('/api/log/push?from=start&format=json');
    my $last = $q->start('out at the end', 'exit 0');
    ok eval { $feed->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$last,.*"state":"succeeded"/ }, 30) }, 'the stream of all builds comes through all of it' or diag $@;
    $feed->close;
    ok $t->stop, 'it stops';
};

subtest 'a history that is none' => sub {
    my %make = (
        'a fifo'       => sub { mkfifo($_[0], 0600) or die $! },
        'a directory'  => sub { mkdir $_[0] or die $! },
        'a device'     => sub { symlink '/dev/zero', $_[0] or die $! },
        'empty'        => sub { write_file($_[0], '') },
        'of a later version' => sub { system('sqlite3', $_[0], 'CREATE TABLE buildlog_schema (version INTEGER NOT NULL); INSERT INTO buildlog_schema VALUES (99);') == 0 or die },
        'of somebody else'   => sub { system('sqlite3', $_[0], 'CREATE TABLE buildlog_builds (x); CREATE VIEW buildlog_schema AS SELECT 1 AS version;') == 0 or die },
        'half a database'    => sub { my ($to, $good) = @_; open my $in, '<:raw', $good or die $!; read $in, my $half, (-s $good) / 2; write_file($to, $half) },
    );
    my $t     = BuildLog::Server->start('');
    my $q     = BuildLog::Puppet->new('input-db', server => $t);
    my $state = $t->state;
    my $one   = $q->start('out hello', 'exit 0');
    $t->wait_for_state($one, 'succeeded', 15);
    my $db = "$state/history.db";
    wait_until { -s $db } 20, 'a history';
    ok $t->stop, 'stopped';
    rename $db, "$state/good.db" or die $!;
    for my $what (sort keys %make) {
        $make{$what}->($db, "$state/good.db");
        my $mark = length $t->error_log;
        is +($t->begin)[0], 0, "$what: the server begins";
        my $next = $q->start('out hello', 'exit 0');
        is $t->wait_for_state($next, 'succeeded|failed', 20)->{state}, 'succeeded', '... builds go on';
        my $list = $t->get_json('/api/project/builds');
        is $list->{builds}[0]{id}, $next, '... the list has what the table has';
        if ($what ne 'empty') {
            # No table of ours is no history yet.
            ok $list->{incomplete}, '... and says that there may be more' if $what ne 'of somebody else';
            ok eval { wait_until { substr($t->error_log, $mark) =~ /BL0250/ } 20, 'BL0250' }, '... the administrator is told' or diag substr $t->error_log, $mark;
        }
        ok $t->stop, '... it stops';
        -d $db && !-l $db ? rmdir $db : unlink $db, "$db-journal";
    }
    rename "$state/good.db", $db or die $!;
};

done_testing;
