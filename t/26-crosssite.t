# 26-crosssite.t - pages of other sites: what they may start and read, which is
# nothing, whatever their browser can be made to say; and pages that make their
# own name lead to this server (promise 8)
#
# Which origins may POST is in 20-build.t; a browser tries it in 97-crosssite.t.
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(project top wait_until write_file);
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $form  = 'application/x-www-form-urlencoded';
my $users = top() . '/t/conf/users';
my $friend = 'https://friend.example.org';
my $mallory = 'https://evil.example.com';

# The name of the server stands where it is chosen by, in a virtual host; the
# one before it is for all other names, and has one of its own.
my $s = BuildLog::Server->make('', tls => 1);
my $port = $s->port;
$s->configure(join '', addresses('/friends', "BuildLogAllowOrigin $friend"),
    addresses('/login', "AuthType Basic\nAuthName builds\nAuthUserFile \"$users\"\nRequire valid-user"), <<"END");
<VirtualHost 127.0.0.1:$port>
    ServerName fallback.example.org
</VirtualHost>
<VirtualHost 127.0.0.1:$port>
    ServerName ci.example.org
    ServerAlias build.example.net *.builds.example.org
</VirtualHost>
END
is +($s->begin)[0], 0, 'a server' or BAIL_OUT($s->error_log);
my $p  = BuildLog::Puppet->new('crosssite', server => $s);
my $id = $p->start('out hello', 'exit 0');
$s->wait_for_state($id, 'succeeded', 15);

sub builds { return scalar @{ $s->get_json('/api/project/builds?limit=200')->{builds} } }

sub post { my ($path, $body, $type, %headers) = @_;
    return $s->request('POST', $path, body => $body, headers => { 'Content-Type' => $type, %headers }) }

# Answers of every sort: status, method, path, headers, body.
my $running = BuildLog::Puppet->new('crosssite-runs', server => $s);
my $live    = $running->start('out here');
$running->wait_for('here');
my @answers = (
    [200, 'GET',  '/project/projects'],
    [200, 'GET',  '/project/projects', { Accept => 'text/html' }],
    [200, 'GET',  '/project/builds'],
    [200, 'GET',  "/project/builds/$id"],
    [200, 'HEAD', "/project/builds/$id"],
    [200, 'GET',  "/project/builds/$id", { Accept => 'text/html' }],
    [200, 'GET',  "/project/builds/$id/log"],
    [200, 'GET',  "/project/builds/$id/log?format=json"],
    [200, 'GET',  "/project/builds/$id/log?follow=1"],
    [200, 'GET',  "/project/builds/$id/lines"],
    [206, 'GET',  "/project/builds/$id/log", { Range => 'bytes=0-2' }],
    [416, 'GET',  "/project/builds/$id/log", { Range => 'bytes=900000-' }],
    [200, 'GET',  "/log/push?build=$id"],
    [204, 'GET',  "/log/push?build=$id&lastEventId=" . last_id($id)],
    [400, 'GET',  '/log/push?build=x'],
    [400, 'GET',  '/project/builds?limit=x'],
    [404, 'GET',  '/project/builds/999999'],
    [404, 'GET',  '/log/push?build=999999', { Accept => 'text/html' }],
    [405, 'PUT',  '/project/builds'],
    [405, 'GET',  '/project/build'],
    [204, 'OPTIONS', '/project/build'],
    [400, 'POST', '/project/build', { 'Content-Type' => $form }, ''],
    [403, 'POST', '/project/build', { 'Content-Type' => $form }, 'projectPath=/no'],
    [413, 'POST', '/project/build', { 'Content-Type' => $form }, 'x' x 100_000],
    [415, 'POST', '/project/build', { 'Content-Type' => 'text/plain' }, 'projectPath=/no'],
    [409, 'POST', "/project/builds/$id/cancel", {}, ''],
);

sub last_id
{
    my $v = $s->open_stream("/api/log/push?build=$_[0]");
    $v->rest(10);
    $v->close;
    return $v->last_id;
}

sub answer_to
{
    my ($prefix, $answer, %headers) = @_;
    my (undef, $method, $path, $more, $body) = @$answer;
    return $s->request($method, "$prefix/api$path", defined $body ? (body => $body) : (), headers => { %{ $more // {} }, %headers });
}

# ---- what each answer says ------------------------------------------------------

subtest 'every answer' => sub {
    my %entity = ("$id-etag" => $s->request('GET', "/api/project/builds/$id/log")->{headers}{etag});
    push @answers, [304, 'GET', "/project/builds/$id/log", { 'If-None-Match' => $entity{"$id-etag"} }];
    for my $answer (@answers) {
        my ($status, $method, $path) = @$answer;
        my $name = "$status $method $path";
        # To nobody in particular, and to those who ask from elsewhere.
        for my $case (['', undef, undef], ['', $mallory, undef], ['', 'null', undef], ['', $friend, undef], ['', "$friend, $mallory", undef],
                      ['/friends', undef, undef], ['/friends', $mallory, undef], ['/friends', 'null', undef],
                      ['/friends', "$friend, $mallory", undef], ['/friends', "$mallory, $friend", undef], ['/friends', "$friend.evil.example.com", undef],
                      ['/friends', $friend, $friend]) {
            my ($prefix, $origin, $allowed) = @$case;
            my $r = answer_to($prefix, $answer, defined $origin ? (Origin => $origin) : ());
            my $h = $r->{headers};
            # What is not allowed may not write, which is said before all else.
            my @wrong;
            # Of this one httpd makes all, and drops what we say.
            my $is_theirs = $status == 416;
            my $refused = $method eq 'POST' && defined $origin && !$allowed;
            push @wrong, "status $r->{status}" if $r->{status} != ($refused ? 403 : $status);
            push @wrong, 'no nosniff' if !$is_theirs && ($h->{'x-content-type-options'} // '') ne 'nosniff';
            push @wrong, 'a part of other pages' if !$is_theirs && ($h->{'cross-origin-resource-policy'} // '') ne 'same-origin';
            if ($allowed && !$is_theirs) {
                push @wrong, 'not for the friend' if ($h->{'access-control-allow-origin'} // '') ne $allowed;
                push @wrong, 'without credentials' if ($h->{'access-control-allow-credentials'} // '') ne 'true';
            }
            else {
                push @wrong, "$_: $h->{$_}" for grep { /^access-control/ } keys %$h;
            }
            push @wrong, 'no Vary: Origin' if $prefix ne '' && !$is_theirs && ($h->{vary} // '') !~ /\bOrigin\b/;
            push @wrong, '*' if grep { /^access-control-allow-origin/ && $h->{$_} =~ /\*/ } keys %$h;
            is_deeply \@wrong, [], "$name$prefix, from " . ($origin // 'here') if @wrong || $allowed;
        }
    }
    my $stream = $s->open_stream('/api/log/push', headers => { Origin => $mallory });
    is $stream->header('Access-Control-Allow-Origin'), '', 'an EventSource of another site can open the stream of all builds, and read none of it';
    is $stream->header('X-Content-Type-Options'), 'nosniff', '... nor as something else';
    is $stream->header('Cross-Origin-Resource-Policy'), 'same-origin', '... nor as a part of itself';
    $stream->close;
};

# ---- forged ------------------------------------------------------------------------

subtest 'forged' => sub {
    my $path  = $p->path;
    my $count = builds();
    my $json  = JSON::PP->new->encode({ projectPath => $path });
    # What a browser lets any page send without asking: these three types.
    my @bodies = ([$form, "projectPath=$path"], ['text/plain', "projectPath=$path"], ['text/plain', $json],
        ['multipart/form-data; boundary=b', "--b\r\nContent-Disposition: form-data; name=\"projectPath\"\r\n\r\n$path\r\n--b--\r\n"],
        ['', $json], ['text/plain;application/json', $json], ['text/plain; charset=application/json', $json]);
    for my $said (['a form', 'Sec-Fetch-Site' => 'cross-site', 'Sec-Fetch-Mode' => 'navigate', Origin => $mallory],
                  ['fetch', 'Sec-Fetch-Site' => 'cross-site', 'Sec-Fetch-Mode' => 'no-cors', Origin => $mallory],
                  ['a frame in a sandbox', 'Sec-Fetch-Site' => 'cross-site', Origin => 'null'],
                  ['an old browser', Origin => $mallory],
                  ['an old browser, from a file', Origin => 'null'],
                  ['a sister', 'Sec-Fetch-Site' => 'same-site', Origin => 'https://blog.example.org'],
                  ['two sites', 'Sec-Fetch-Site' => 'same-origin, cross-site'],
                  ['two sites, the other way', 'Sec-Fetch-Site' => 'cross-site, same-origin'],
                  ['two origins', Origin => "$mallory, http://127.0.0.1:$port"],
                  ['a method in a header', Origin => $mallory, 'X-HTTP-Method-Override' => 'GET'],
                  ['who says he is ours', Origin => $mallory, 'X-Forwarded-Host' => 'evil.example.com', 'X-Forwarded-Proto' => 'https',
                      Forwarded => 'host=evil.example.com;proto=https', 'X-Requested-With' => 'XMLHttpRequest']) {
        my ($who, %headers) = @$said;
        my @got = map { post('/api/project/build', $_->[1], $_->[0], %headers)->{status} } @bodies;
        is_deeply [grep { $_ != 403 } @got], [], "$who: 403, whatever the type";
        is post("/api/project/builds/$live/cancel", '', $form, %headers)->{status}, 403, '... nor cancels it';
    }
    # The same without a word of where it comes from is a program's: but these
    # are no types for it.
    is_deeply [map { post('/api/project/build', $_->[1], $_->[0])->{status} } @bodies[1 .. $#bodies]], [(415) x $#bodies], 'types that are none';
    # No link and no picture starts anything.
    for my $method (qw(GET HEAD)) {
        is $s->request($method, $_)->{status}, 405, "$method $_" for "/api/project/build?projectPath=$path", '/api/project/build',
            "/api/project/builds/$live/cancel";
    }
    is builds(), $count, 'no build has begun';
    is $s->build_record($live)->{state}, 'running', 'none has ended';
};

subtest 'asked for before' => sub {
    my %asks = ('Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'content-type, authorization',
        'Access-Control-Request-Private-Network' => 'true', 'Access-Control-Request-Local-Network' => 'true');
    for my $path ('/project/build', "/project/builds/$live/cancel", '/project/projects', '/log/push') {
        for my $case (['', $mallory], ['', 'null'], ['', $friend], ['/friends', $mallory], ['/friends', 'null'], ['/friends', '*']) {
            my ($prefix, $origin) = @$case;
            my $r = $s->request('OPTIONS', "$prefix/api$path", headers => { %asks, Origin => $origin });
            is_deeply [grep { /^access-control/ } keys %{ $r->{headers} }], [], "$prefix/api$path: $origin may not";
        }
        my $r = $s->request('OPTIONS', "/friends/api$path", headers => { %asks, Origin => $friend });
        is $r->{headers}{'access-control-allow-origin'}, $friend, "/friends/api$path: the friend may";
        unlike $r->{headers}{'access-control-allow-methods'}, qr/\*|PUT|DELETE/, '... what there is';
        unlike $r->{headers}{'access-control-allow-headers'}, qr/\*|authorization/i, '... with what is needed';
        is_deeply [grep { /private|local/ } keys %{ $r->{headers} }], [], '... and no page of the internet is let into a private network';
    }
};

# ---- names ---------------------------------------------------------------------------

my $alice = { Authorization => 'Basic ' . encode_base64('alice:wonderland', '') };

sub raw
{
    my ($request) = @_;
    my $sock = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!\n";
    print {$sock} $request;
    local $SIG{ALRM} = sub { die "no answer in time\n" };
    alarm 10;
    local $/;
    my $answer = <$sock>;
    alarm 0;
    return $answer;
}

# To a page that made its name lead here everything it asks for is of its own
# origin: the name is all that gives it away.
subtest 'another name' => sub {
    my @known = ('127.0.0.1', "127.0.0.1:$port", 'localhost', "localhost:$port", 'LOCALHOST', 'app.localhost', '192.0.2.7', '[::1]', "[::1]:$port",
        '[2001:db8::1]', 'ci', 'build-box:8080', 'ci.example.org', "CI.Example.ORG:$port", 'ci.example.org.', 'build.example.net',
        'x.builds.example.org', 'fallback.example.org', 'server.local', 'server.internal', 'nas.home.arpa');
    my @foreign = ('evil.example.com', "evil.example.com:$port", 'example.org', 'x.ci.example.org', 'ci.example.org.evil.com', 'evilci.example.org',
        'builds.example.org', 'x.builds.example.org.evil.com', '127.0.0.1.evil.com', '127.0.0.1.nip.io', 'localhost.evil.com',
        'evil.com.localhost.com', 'xlocalhost.com', 'local.evil', 'a.localdomain', 'xn--bcher-kva.example');
    my $count = builds();
    for my $host (@known) {
        my $r = $s->request('GET', '/api/project/projects', headers => { Host => $host });
        is $r->{status}, 200, "Host: $host is one of ours";
    }
    my $said;
    for my $host (@foreign) {
        my %page = (Host => $host, Origin => "http://$host", 'Sec-Fetch-Site' => 'same-origin');
        my @got = ($s->request('GET', '/api/project/projects', headers => { Host => $host }),
            $s->request('GET', "/api/project/builds/$id/log", headers => \%page),
            $s->request('GET', "/api/project/builds/$id", headers => { %page, Accept => 'text/html' }),
            $s->request('GET', "/api/log/push?build=$id", headers => { %page, Accept => 'text/event-stream' }),
            $s->request('OPTIONS', '/api/project/build', headers => \%page),
            post('/api/project/build', 'projectPath=' . $p->path, $form, %page),
            post("/api/project/builds/$live/cancel", '', $form, %page));
        is_deeply [map { $_->{status} } @got], [(421) x @got], "Host: $host is none of ours: nothing is read, begun or ended";
        ok !(grep { $_->{body} =~ /crosssite|hello/ } @got), '... nor told';
        $said //= $got[0];
    }
    is $said->{headers}{'content-type'}, 'application/problem+json', 'the refusal is a problem';
    like $said->{json}{detail}, qr/the name evil\.example\.com\b.* ServerName or ServerAlias/, '... that says what is missing';
    my $page = $s->request('GET', '/api/project/projects', headers => { Host => 'a<b>&.evil.com', Accept => 'text/html' });
    unlike $page->{body}, qr/<b>/, '... a name is text';

    is $s->request('GET', '/login/api/project/projects', headers => { %$alice, Host => 'evil.example.com' })->{status}, 200,
        'who is logged in is no such page: its browser would not have the password for that name';
    is $s->request('GET', '/login/api/project/projects', headers => { Host => 'evil.example.com' })->{status}, 401, '... nobody is';
    is $s->request('GET', '/api/project/projects', tls => 1, headers => { Host => 'evil.example.com' })->{status}, 200,
        'nor is one over TLS: the certificate would not be for that name';
    is $s->request('GET', '/api/project/projects', headers => { %$alice, Host => 'evil.example.com' })->{status}, 421,
        'a password that nobody has asked for is none';
    like raw("GET /api/project/projects HTTP/1.0\r\n\r\n"), qr{^HTTP/1\.1 200 }, 'no name at all: no browser';
    like raw("GET http://evil.example.com/api/project/projects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), qr{^HTTP/1\.1 421 },
        'the name of the request line counts';
    like raw("GET /api/project/projects HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n"), qr{^HTTP/1\.1 400 },
        'two names';
    is $s->request('GET', '/', headers => { Host => 'evil.example.com' })->{status}, $s->request('GET', '/')->{status},
        'what is not of the module is not touched';
    is builds(), $count, 'no build has begun';
    is $s->build_record($live)->{state}, 'running', 'none has ended';
};

$running->cue('exit 0');
$s->wait_for_state($live, 'succeeded', 15);
done_testing;
