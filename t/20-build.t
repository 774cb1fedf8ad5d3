# 20-build.t - asking for a build and looking at builds and projects: what is
# answered, what is refused, and that a refusal tells nothing (promise 8; and
# the table and the problem+json of DESIGN.md section 5)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use IO::Socket::INET;
use JSON::PP ();

my $json  = JSON::PP->new->utf8;
my $form  = 'application/x-www-form-urlencoded';
my $stamp = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
my $quick = make_project('quick', 'echo quick');
my @builds;    # all that were started here

sub ask
{
    my ($body, $type, %headers) = @_;
    return request('POST', '/api/project/build', body => $body,
        headers => { defined $type ? ('Content-Type' => $type) : (), %headers });
}

sub is_problem
{
    my ($r, $status, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $r->{status}, $status, "$what: $status";
    is $r->{headers}{'content-type'}, 'application/problem+json', '... as problem+json';
    my $j = $r->{json} // {};
    is_deeply [sort keys %$j], [qw(detail status title type)], '... with its four fields';
    is $j->{status}, $status, '... the status among them';
    like $j->{title},  qr/^[A-Z][\w ]+$/, '... the title';
    like $j->{detail}, qr/^\w.{10,}\.$/, '... a sentence for people';
    is $r->{headers}{'cache-control'}, 'no-store', '... and nobody keeps it';
    return;
}

# ---- accepted --------------------------------------------------------

subtest 'accepted' => sub {
    for my $as_json (0, 1) {
        my ($status, $answer, $r) = post_build($quick, json => $as_json);
        my $how = $as_json ? 'JSON' : 'a form';
        is $status, 202, "$how is accepted";
        is $r->{headers}{'content-type'}, 'application/json', '... the answer is JSON';
        is $r->{headers}{'cache-control'}, 'no-store', '... and nobody keeps it';
        is_deeply [sort keys %$answer], [qw(build msg)], '... with a text and the build';
        is $answer->{msg}, 'The build was accepted. Its output follows below.', '... the text';
        my $build = $answer->{build};
        push @builds, $build->{id};
        like $build->{id}, qr/^[1-9]\d*$/, '... an integer id';
        is $r->{headers}{location}, "/api/project/builds/$build->{id}", '... Location is its address';
        ok $build->{position} >= 1, '... a place in the queue';
        like delete $build->{created}, $stamp, '... when it was created';
        delete @$build{qw(id position)};
        is_deeply $build, {
            project => $quick, title => 'made-quick', state => 'queued', reason => undef,
            step => undef, started => undef, ended => undef, exit => undef, signal => undef,
            user => undef, lines => 0, bytes => 0,
            steps => [{ name => 'run', state => 'pending', started => undef, ended => undef,
                exit => undef, signal => undef }],
        }, '... and the record of a build that has not begun';
    }
    ok $builds[1] > $builds[0], 'ids grow';
    # Or they stand before others in the queue.
    wait_for_state($_, 'succeeded') for @builds;
};

subtest 'the answer does not wait for the build' => sub {
    my $path = make_project('gate', 'while [ ! -e go ]; do sleep 0.02; done');
    unlink "$path/go";
    my $first = start_build($path);
    wait_for_state($first, 'running');
    my ($status, $answer) = post_build($path);
    my $second = $answer->{build}{id};
    is $status, 202, 'a second build of the project is accepted, not refused';
    is build_record($second)->{state}, 'queued', '... and waits';
    is build_record($second)->{position}, 1, '... as the first of the queue';
    my $other = start_build($quick);
    is wait_for_state($other, 'succeeded')->{state}, 'succeeded', 'another project passes it';
    is build_record($second)->{state}, 'queued', 'it still waits for the one before it';
    write_file("$path/go", '');
    my ($one, $two) = map { wait_for_state($_, 'succeeded') } $first, $second;
    ok $two->{started} ge $one->{ended}, 'it began when that one had ended';
    is $two->{position}, undef, 'and has no place in the queue any more';
};

subtest 'names of all kinds' => sub {
    for my $name ('with space', 'plus+percent%41&amp=x', "quote'\"\$(id)", "\xc3\xbcml\xc3\xa4ut",
        '-rf', 'x' x 200) {
        my $path = make_project($name, 'pwd');
        for my $as_json (0, 1) {
            # JSON holds characters, a form bytes.
            my $said = $path;
            utf8::decode($said) if $as_json;
            my ($status, $answer) = post_build($said, json => $as_json);
            is $status, 202, "$name " . ($as_json ? 'as JSON' : 'as a form') or next;
            my ($end, @lines) = build_output($answer->{build}{id});
            utf8::encode(my $at = $end->{project});
            utf8::encode(my $pwd = $lines[1]{text});
            is $at, $path, '... is the project';
            is $pwd, $path, '... and where the step runs';
        }
    }
};

subtest 'the real path counts' => sub {
    my $link = project('made-link');
    unlink $link;
    symlink $quick, $link or die "symlink: $!\n";
    for my $path ($link, "$quick/", "$quick/.", "$quick/../made-quick", $quick =~ s{/}{//}gr) {
        my ($status, $answer) = post_build($path);
        is $status, 202, $path;
        is $answer->{build}{project}, $quick, '... is the same project';
        is $answer->{build}{title}, 'made-quick', '... under its own name';
    }
    unlink $link;
};

# ---- refused ---------------------------------------------------------

subtest 'bodies that are wrong' => sub {
    my $max  = 64 * 1024;
    my $long = sub { my $s = "projectPath=/$_[0]"; return $s . 'x' x ($_[1] - length $s) };
    my $pair = '"projectPath":' . $json->allow_nonref->encode($quick);
    my $jtype = 'application/json';
    my @cases = (
        ['no path',                  400, $form, ''],
        ['another field',            400, $form, 'path=/tmp'],
        ['an empty path',            400, $form, 'projectPath='],
        ['no value',                 400, $form, 'projectPath'],
        ['the path twice',           400, $form, "projectPath=$quick&projectPath=$quick"],
        ['wrong encoding',           400, $form, 'projectPath=%zz'],
        ['a NUL byte',               400, $form, "projectPath=$quick\0"],
        ['no body',                  400, $form, undef],
        ['JSON: no path',            400, $jtype, '{}'],
        ['JSON: empty',              400, $jtype, ''],
        ['JSON: an empty path',      400, $jtype, '{"projectPath":""}'],
        ['JSON: null',               400, $jtype, '{"projectPath":null}'],
        ['JSON: a number',           400, $jtype, '{"projectPath":5}'],
        ['JSON: an array',           400, $jtype, '{"projectPath":["/tmp"]}'],
        ['JSON: true',               400, $jtype, '{"projectPath":true}'],
        ['JSON: no object',          400, $jtype, '["projectPath"]'],
        ['JSON: a string alone',     400, $jtype, '"projectPath"'],
        ['JSON: the path twice',     400, $jtype, "{$pair,$pair}"],
        ['JSON: cut',                400, $jtype, "{$pair"],
        ['JSON: something behind',   400, $jtype, "{$pair}x"],
        ['JSON: not UTF-8',          400, $jtype, "{\"projectPath\":\"/\xff\"}"],
        ['JSON: NUL in the path',    400, $jtype, '{"projectPath":"/tmp\u0000"}'],
        ['JSON: too deep',           400, $jtype, '{"a":' . '[' x 1000 . ']' x 1000 . '}'],
        ['another type',             415, 'text/plain', "projectPath=$quick"],
        ['a form with files',        415, 'multipart/form-data; boundary=x', "--x--\r\n"],
        ['nearly the type',          415, 'application/jsonx', "{$pair}"],
        ['too large by a byte',      413, $form, $long->('x', $max + 1)],
        ['too large JSON',           413, $jtype, '{"a":"' . 'x' x $max . "\",$pair}"],
        ['much too large',           413, $form, $long->('x', 3_000_000)],
        ['as large as it may be',    403, $form, $long->('x', $max)],
    );
    for (@cases) {
        my ($what, $status, $type, $body) = @$_;
        is_problem ask($body, $type), $status, $what;
    }
    for my $type (undef, $form, uc $form, "$form; charset=UTF-8", "$form;charset=x") {
        is ask("a=b&projectPath=$quick&c", $type)->{status}, 202, 'the type ' . ($type // 'left out');
    }
    for my $type ('application/json', 'Application/JSON ; charset=utf-8') {
        is ask("{\"a\":[{}],$pair}", $type)->{status}, 202, "the type $type";
    }
    is ask("project%50ath=$quick", $form)->{status}, 202, 'names of fields are decoded, too';
};

# Several requests on one connection: what was refused and not read must not be
# taken for the next request.
subtest 'chunked bodies' => sub {
    my ($host) = base_url() =~ m{//(.*)};
    my $sock;
    my $send = sub {
        my ($size, $body) = @_;
        $sock //= IO::Socket::INET->new($host) or die "connect: $!\n";
        local $SIG{ALRM} = sub { die "no answer in time\n" };
        local $SIG{PIPE} = 'IGNORE';
        alarm 10;
        print {$sock} "POST /api/project/build HTTP/1.1\r\nHost: $host\r\n",
            "Content-Type: $form\r\nTransfer-Encoding: chunked\r\n\r\n",
            map({ sprintf("%x\r\n%s\r\n", length $_, $_) } unpack "(a$size)*", $body), "0\r\n\r\n";
        $sock->flush;
        my $head = '';
        while (defined(my $line = <$sock>)) {
            last if $line =~ /^\r?\n/;
            $head .= $line;
        }
        read $sock, my $rest, $1 if $head =~ /^Content-Length: (\d+)/mi;
        undef $sock if $head =~ /^Connection: close/mi;
        alarm 0;
        return $head =~ m{^HTTP/1.1 (\d+)} ? $1 : "no answer: $head";
    };
    is $send->(10, "projectPath=$quick"), 202, 'a path in small pieces';
    ok $sock, '... the connection is kept';
    is $send->(5, 'projectPath=/etc'), 403, 'a refusal on the same connection';
    ok $sock, '... it is still kept';
    for my $size (1000, 70_000, 300_000) {
        is $send->($size, 'projectPath=/' . 'x' x 200_000), 413, "too large, in pieces of $size";
        is $send->(5, "projectPath=$quick"), 202, '... what follows is taken for what it is';
    }
};

subtest 'paths that are refused' => sub {
    my $out = "$quick/link-out";
    my $to_denied = "$quick/link-to-denied";
    symlink '/etc', $out;
    symlink project('denied'), $to_denied;
    my $loop = "$quick/loop";
    symlink $loop, $loop;
    my $newline = make_project("new\nline", 'echo never');
    my @cases = (
        ['nothing there',              "$quick/nothing"],
        ['nothing there, elsewhere',   '/nothing/at/all'],
        ['a file',                     "$quick/run.sh"],
        ['a file as a directory',      "$quick/run.sh/x"],
        ['not On',                     project('not-on')],
        ['above all projects',         project('')],
        ['the root',                   '/'],
        ['/etc',                       '/etc'],
        ['denied by Require',          project('denied')],
        ['denied by Require in <If>',  project('denied-if')],
        ['a relative path',            'made-quick'],
        ['a relative path with ./',    './made-quick'],
        ['empty but for a blank',      ' '],
        ['with .. out of the tree',    "$quick/../../../../../../../../etc"],
        ['with .. to what is not On',  "$quick/.."],
        ['a link out of the tree',     $out],
        ['... and below it',           "$out/apache2"],
        ['a link to what is denied',   $to_denied],
        ['a loop of links',            $loop],
        ['a name too long',            "$quick/" . 'x' x 300],
        ['a path too long',            '/' . 'x/' x 5000],
        ['a line end in the name',     $newline],
        ['a URL',                      "file://$quick"],
        ['a home directory',           '~'],
        ['a variable',                 '$HOME'],
        ['a wildcard',                 project('made-*')],
        ['of the server',              '/proc/self/cwd'],
    );
    my $said;
    for (@cases) {
        my ($what, $path) = @$_;
        my ($status, undef, $r) = post_build($path);
        $said //= $r->{body};
        is_problem $r, 403, $what if $what eq 'nothing there';
        is $status, 403, $what;
        is $r->{body}, $said, '... with the same words';
        is_deeply [sort keys %{ $r->{headers} }],
            [sort qw(cache-control connection content-length content-type cross-origin-resource-policy date server
                x-content-type-options)],
            '... and the same headers';
        is +(post_build($path, json => 1))[2]{body}, $said, '... as JSON, too';
    }
    unlike $said, qr{/}, 'they name no path but "about:blank"';
    # What cannot be a path is refused before anybody looks for it.
    my %nul = map { $_ => ask("projectPath=$_%00", $form) } $quick, '/nothing', project('denied');
    is_deeply [map { $_->{status} } values %nul], [(400) x 3], 'NUL is refused';
    is keys %{ { map { $_->{body} => 1 } values %nul } }, 1, '... with the same words for all paths';
    unlink $out, $to_denied, $loop;
};

# ---- methods and addresses -------------------------------------------

subtest 'methods' => sub {
    my $id = start_build($quick);
    my %allow = (
        '/api/project/build'      => 'POST, OPTIONS',
        '/api/project/projects'   => 'GET, HEAD, OPTIONS',
        "/api/project/builds/$id" => 'GET, HEAD, OPTIONS',
        '/api/log/push'           => 'GET, HEAD, OPTIONS',
    );
    for my $path (sort keys %allow) {
        my $allow = $allow{$path};
        for my $method (qw(GET HEAD POST PUT DELETE PATCH)) {
            next if $allow =~ /\b$method\b/;
            my $r = request($method, $path);
            is $r->{status}, 405, "$method $path";
            is $r->{headers}{allow}, $allow, '... with Allow';
            is_problem $r, 405, "$method $path" unless $method eq 'HEAD';
        }
        my $r = request('OPTIONS', $path);
        is $r->{status}, 204, "OPTIONS $path";
        is $r->{headers}{allow}, $allow, '... with Allow';
        ok !exists $r->{headers}{'access-control-allow-origin'}, '... and nothing for other sites';
        next if $allow =~ /POST/;
        $r = request('HEAD', $path);
        is $r->{status}, 200, "HEAD $path";
        is $r->{body}, '', '... without a body';
    }
};

subtest 'builds' => sub {
    my $id = start_build($quick);
    my $build = wait_for_state($id, 'succeeded');
    my $r = request('GET', "/api/project/builds/$id");
    is $r->{headers}{'content-type'}, 'application/json', 'a build is JSON';
    is $r->{headers}{'cache-control'}, 'no-store', '... and nobody keeps it';
    like $build->{$_}, $stamp, "... $_ is a time in UTC" for qw(created started ended);
    like $build->{steps}[0]{$_}, $stamp, "... and so is its step's $_" for qw(started ended);
    ok $build->{created} lt $build->{started} && $build->{started} lt $build->{ended}, '... in order';
    # "$ sh ./run.sh", "quick", "Build finished".
    is_deeply [@$build{qw(state exit signal lines bytes step position reason)}],
        ['succeeded', 0, undef, 3, length("\$ sh ./run.sh\nquick\nBuild finished\n"), undef, undef, undef],
        '... and tells how it ended';
    is $build->{steps}[0]{state}, 'succeeded', '... its step, too';

    my $none = $id + 1_000_000;
    my $said;
    for my $path ($none, 0, -1, '01', "0$id", "+$id", "$id.0", "${id}x", 'x', '', '18446744073709551615',
        '18446744073709551616', "$id%00", "$id%2f..", '9' x 200, "x/$id/x") {
        my $answer = request('GET', "/api/project/builds/$path");
        is $answer->{status}, 404, 'no build ' . substr $path, 0, 30;
    }
    is_problem request('GET', "/api/project/builds/$none"), 404, 'no such build';
    is_problem request('GET', '/api/log/push?build=' . $none), 404, 'no stream of no build';
};

subtest 'projects' => sub {
    my $fresh = make_project("fresh-$$", 'exit 3');
    my $file  = project('made-file');
    write_file($file, 'no directory');
    my $list = sub { get_json('/api/project/projects')->{projects} };
    my %found = map { $_->{path} => $_ } @{ $list->() };
    is_deeply [sort keys %found], [map { $_->{path} } @{ $list->() }], 'sorted, each once';
    is_deeply [sort keys %{ $found{$quick} }], [qw(average last path title)], 'the fields of a project';
    is $found{ project('hello') }{title}, 'Hello', 'the configured title';
    is $found{$fresh}{title}, "made-fresh-$$", 'the name of a directory found by a wildcard';
    is $found{$fresh}{last}, undef, 'nothing was built there yet';
    ok $found{ project('merge') }, 'a section that says On is there';
    ok !exists $found{ project($_) }, "$_ is not" for
        qw(not-on denied denied-if made-file merge/off htaccess no-such);
    ok !(grep { !-d } keys %found), 'all are directories';

    my $failed = start_build($fresh);
    wait_for_state($failed, 'failed');
    %found = map { $_->{path} => $_ } @{ $list->() };
    is_deeply $found{$fresh}{last}, scalar build_record($failed), 'the last build is its record';
    my $again = start_build($fresh);
    wait_for_state($again, 'failed');
    %found = map { $_->{path} => $_ } @{ $list->() };
    is $found{$fresh}{last}{id}, $again, 'and then the one after it';
    unlink "$fresh/run.sh", $file;
    rmdir $fresh;
    %found = map { $_->{path} => $_ } @{ $list->() };
    ok !exists $found{$fresh}, 'a directory that has gone is no project';
    is_problem request('GET', "/api/project/projects/x"), 404, 'there is nothing below';
};

# ---- pages of other sites ---------------------------------------------

subtest 'pages of other sites' => sub {
    my $here  = base_url();
    my $there = 'https://ci.example.org';
    my ($host) = $here =~ m{//(.*)};
    my @cases = (    # Sec-Fetch-Site, Origin; the answer without and with BuildLogAllowOrigin
        [undef,         undef,                   202, 202],
        ['same-origin', undef,                   202, 202],
        ['none',        undef,                   202, 202],
        ['same-origin', $here,                   202, 202],
        ['cross-site',  undef,                   403, 403],
        ['same-site',   undef,                   403, 403],
        ['Same-Origin', undef,                   403, 403],
        ['',            undef,                   403, 403],
        ['cross-site',  $here,                   403, 403],
        [undef,         $here,                   202, 202],
        [undef,         uc $here,                202, 202],
        [undef,         'null',                  403, 403],
        [undef,         '',                      403, 403],
        [undef,         'https://evil.example',  403, 403],
        [undef,         "https://$host",         403, 403],
        [undef,         'http://127.0.0.1',      403, 403],
        [undef,         "$here.evil.example",    403, 403],
        [undef,         "$here/",                403, 403],
        ['cross-site',  'https://evil.example',  403, 403],
        [undef,         $there,                  403, 202],
        ['cross-site',  $there,                  403, 202],
        ['cross-site',  'HTTPS://CI.example.ORG', 403, 202],
        ['cross-site',  'http://127.0.0.1:1',    403, 202],
        ['cross-site',  "$there:8443",           403, 403],
        ['cross-site',  'http://ci.example.org', 403, 403],
        ['cross-site',  "$there.evil.example",   403, 403],
        ['cross-site',  "$there https://evil.example", 403, 403],
    );
    for (@cases) {
        my ($site, $origin, @status) = @$_;
        my %headers = (defined $site ? ('Sec-Fetch-Site' => $site) : (),
                       defined $origin ? (Origin => $origin) : ());
        my $what = join ', ', map { "$_: $headers{$_}" } sort keys %headers;
        for my $cors (0, 1) {
            my $to = ($cors ? '/cors' : '') . '/api/project/build';
            my ($status, $answer, $r) = post_build($quick, to => $to, headers => \%headers);
            is $status, $status[$cors], "$to: " . ($what || 'no word');
            is_problem $r, 403, 'the refusal' if $status == 403;
            my $known = $cors && $status[0] == 403 && $status[1] == 202;
            is $r->{headers}{'access-control-allow-origin'}, $known ? $origin : undef,
                $known ? '... the page may read the answer' : '... no word for other sites';
            is $r->{headers}{vary}, $cors ? 'Origin' : undef, '... and Vary' . ($cors ? '' : ' is not needed');
            is $r->{headers}{location}, "/cors/api/project/builds/$answer->{build}{id}",
                '... Location is where the endpoint is' if $cors && $status == 202;
            is $answer->{msg}, 'Welcome, other site', '... and its own words' if $cors && $status == 202;
        }
    }

    my $origin = { Origin => $there, 'Access-Control-Request-Method' => 'POST',
                   'Access-Control-Request-Headers' => 'content-type' };
    my $r = request('OPTIONS', '/cors/api/project/build', headers => $origin);
    is $r->{status}, 204, 'a browser asks before';
    is $r->{headers}{'access-control-allow-origin'}, $there, '... its origin may';
    like $r->{headers}{'access-control-allow-methods'}, qr/\bPOST\b/, '... with POST';
    like $r->{headers}{'access-control-allow-headers'}, qr/\bContent-Type\b.*\bRange\b/i, '... and JSON, and parts';
    like $r->{headers}{'access-control-max-age'}, qr/^\d+$/, '... for a while';
    for (['/cors/api/project/build', 'https://evil.example'], ['/api/project/build', $there]) {
        my ($path, $from) = @$_;
        $r = request('OPTIONS', $path, headers => { %$origin, Origin => $from });
        ok !(grep { /^access-control/ } keys %{ $r->{headers} }), "$path: $from may not";
    }
    for my $path ('/cors/api/project/projects', '/cors/api/project/builds/1') {
        $r = request('GET', $path, headers => { Origin => $there });
        is $r->{headers}{'access-control-allow-origin'}, $there, "$path can be read from there";
        like $r->{headers}{'access-control-expose-headers'}, qr/\bETag\b.*\bRetry-After\b/, '... with what it says of itself';
    }
    $r = request('GET', '/cors/api/project/builds/0', headers => { Origin => $there });
    is $r->{headers}{'access-control-allow-origin'}, $there, 'and so can be what is refused';
    my $stream = open_stream('/cors/api/log/push', headers => { Origin => $there });
    is $stream->header('Access-Control-Allow-Origin'), $there, 'and the stream';
    $stream->close;
};

# All that was begun here is over before the next test.
wait_until {
    !grep { $_->{last} && $_->{last}{state} =~ /queued|running/ }
        @{ get_json('/api/project/projects')->{projects} };
} 120, 'all builds end';

done_testing;
