# 23-access.t - whatever httpd has to ask who somebody is, and whatever a Require
# may say: who may start builds, who may see them, and that nobody else can tell
# them from what is not there (promise 8)
#
# How users are asked: basic, digest, a form, a client's certificate. What is
# asked of them: Require of every sort, which a reload brings to projects whose
# builds are there already.
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(log_since project top wait_until write_file);
use BuildLog::Server;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha1_base64);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

my $json     = JSON::PP->new->utf8;
my $projects = project('');
my $dir      = top() . '/access';
mkdir $dir or die "$dir: $!\n";

# ---- users -------------------------------------------------------------------

my %password = (alice => 'wonderland', bob => 'builder');
my $me = getpwuid $<;    # who projects belong to
$password{$me} = 'me';

sub sha { return '{SHA}' . sha1_base64($_[0]) . '=' }

write_file("$dir/users", join '', map { "$_:" . sha($password{$_}) . "\n" } sort keys %password);
write_file("$dir/digest", join '', map { "$_:builds:" . md5_hex("$_:builds:$password{$_}") . "\n" } sort keys %password);
write_file("$dir/groups", "admins: alice\neverybody: alice bob\n");
# mod_ssl logs a certificate's subject in with this password.
write_file("$dir/subjects", join '', map { "/CN=$_:" . sha('password') . "\n" } qw(alice bob));

sub openssl
{
    my @command = @_;
    system("openssl @command >>$dir/openssl.log 2>&1") == 0 or die "openssl @command: see $dir/openssl.log\n";
    return;
}

sub read_file
{
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return <$in>;
}

# $dir/NAME.pem: certificate and key, signed by one of two authorities of which
# the server knows the first.
for my $ca (qw(ca other)) {
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -subj /CN=$ca",
        "-keyout $dir/$ca.key -out $dir/$ca.pem");
}
for (['alice', 'ca', 'alice'], ['bob', 'ca', 'bob'], ['forged', 'other', 'alice']) {
    my ($name, $ca, $subject) = @$_;
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$subject",
        "-keyout $dir/$name.key -out $dir/$name.csr");
    openssl("x509 -req -days 3 -in $dir/$name.csr -CA $dir/$ca.pem -CAkey $dir/$ca.key -CAcreateserial -out $dir/$name.crt");
    write_file("$dir/$name.pem", join '', map { read_file("$dir/$name.$_") } qw(crt key));
}

# ---- the server ----------------------------------------------------------------

sub form { my ($more) = @_; return <<"END" }
AuthType Form
AuthName builds
AuthFormProvider file
AuthUserFile "$dir/users"
Session On
SessionCookieName session path=/
$more
END

sub basic { my ($more) = @_; return <<"END" }
AuthType Basic
AuthName builds
AuthUserFile "$dir/users"
Require valid-user
$more
END

# Without FollowSymLinks httpd looks at each directory on the way.
my $places = join '', "BuildLogMaxBuilds 8\n<Directory />\nOptions None\n</Directory>\n",
    modules(qw(auth_digest auth_form session session_cookie request authz_groupfile authz_owner access_compat)),
    "SSLCACertificateFile \"$dir/ca.pem\"\nSSLVerifyClient optional\n",
    "SetEnvIf X-Pass ^open\$ passed\n",
    addresses('/basic', basic("AuthGroupFile \"$dir/groups\"")),
    # Who comes from here needs no password to use these.
    addresses('/any', basic("Order Deny,Allow\nAllow from 127.0.0.1\nSatisfy Any")),
    addresses('/digest', "AuthType Digest\nAuthName builds\nAuthDigestProvider file\nAuthUserFile \"$dir/digest\"\nRequire valid-user"),
    addresses('/form', form('Require valid-user')),
    "<Location /login>\n    SetHandler form-login-handler\n    AuthFormLoginSuccessLocation /in\n" . form('') . "</Location>\n",
    addresses('/cert', "SSLUserName SSL_CLIENT_S_DN_CN\nRequire ssl-verify-client"),
    addresses('/fake', "SSLOptions +FakeBasicAuth\nAuthType Basic\nAuthName builds\nAuthUserFile \"$dir/subjects\"\nRequire valid-user");

# A project that prints its name.
sub section
{
    my ($name, $lines) = @_;
    mkdir "${projects}acc-$name" or $!{EEXIST} or die "$name: $!\n";
    return "<Directory \"${projects}acc-$name\">\nBuildLog On\nBuildLogStep say \"echo printed-by-$name\"\n$lines\n</Directory>\n";
}

my $of_users = section('hers', 'Require user alice "/CN=alice"') . section('both', 'Require user alice bob "/CN=alice" "/CN=bob"');
my $s = BuildLog::Server->start("$places$of_users", tls => 1);

# ---- how users are asked --------------------------------------------------------

sub basic_of { my ($user, $password) = @_; return { Authorization => 'Basic ' . encode_base64("$user:$password", '') } }

sub digest_of
{
    my ($user, $password, $method, $path) = @_;
    my $asked = $s->request($method, $path)->{headers}{'www-authenticate'} // '';
    my ($nonce) = $asked =~ /\bnonce="([^"]+)"/;
    return {} unless defined $nonce;
    my $answer = md5_hex(join ':', md5_hex("$user:builds:$password"), $nonce, '00000001', 'abc', 'auth', md5_hex("$method:$path"));
    return { Authorization => qq(Digest username="$user", realm="builds", nonce="$nonce", uri="$path", algorithm=MD5, )
            . qq(response="$answer", qop=auth, nc=00000001, cnonce="abc") };
}

sub form_of
{
    my ($user, $password) = @_;
    my $r = $s->request('POST', '/login', body => "httpd_username=$user&httpd_password=$password",
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    my ($cookie) = ($r->{headers}{'set-cookie'} // '') =~ /^(session=[^;]+)/;
    return defined $cookie ? { Cookie => $cookie } : {};
}

# Options of a request by somebody: alice, bob, wrong (alice, who is not she),
# nobody.
my %kinds = (
    basic  => sub { my ($who, $password) = @_; return (headers => basic_of($who, $password)) },
    digest => sub { my ($who, $password, $method, $path) = @_; return (headers => digest_of($who, $password, $method, $path)) },
    form   => sub { my ($who, $password) = @_; return (headers => form_of($who, $password)) },
    cert   => sub { my ($who, $password) = @_; return (cert => "$dir/" . ($password eq 'nonsense' ? 'forged' : $who) . '.pem') },
);
$kinds{fake} = $kinds{cert};

sub as
{
    my ($kind, $who, $method, $path) = @_;
    my @tls = $kind eq 'cert' || $kind eq 'fake' ? (tls => 1) : ();
    return @tls if $who eq 'nobody';
    my ($user, $password) = $who eq 'wrong' ? ('alice', 'nonsense') : ($who, $password{$who});
    return (@tls, $kinds{$kind}->($user, $password, $method, $path));
}

sub get_as
{
    my ($kind, $who, $path) = @_;
    return $s->request('GET', "/$kind$path", as($kind, $who, 'GET', "/$kind$path"));
}

sub build_as
{
    my ($kind, $who, $path) = @_;
    my $to = "/$kind/api/project/build";
    return ($s->post_build($path, to => $to, as($kind, $who, 'POST', $to)))[2];
}

# All that there is of an answer, but for the time, and for what digest
# authentication makes of it.
sub all_of
{
    my ($r) = @_;
    my %headers = %{ $r->{headers} };
    delete @headers{qw(date authentication-info)};
    return join "\n", $r->{status}, (map { "$_: $headers{$_}" } sort keys %headers), '', $r->{body};
}

# To the end of this build.
sub feed_of
{
    my ($kind, $who, $id) = @_;
    my $path = "/$kind/api/log/push?format=json&from=start";
    my $feed = $s->open_stream($path, as($kind, $who, 'GET', $path));
    my @events = $feed->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,.*"state":"succeeded"/ }, 15);
    $feed->close;
    return join '', map { $_->{data} // '' } @events;
}

for my $kind (qw(basic digest form cert fake)) {
    subtest $kind => sub {
        my ($hers, $both) = map { "${projects}acc-$_" } qw(hers both);
        my $name = $kind eq 'fake' ? '/CN=alice' : 'alice';
        my $r  = build_as($kind, 'alice', $hers);
        is $r->{status}, 202, 'alice starts a build of her project';
        is $r->{json}{build}{user}, $name, '... which knows that it was she';
        my $id = $r->{json}{build}{id};
        my $refused = build_as($kind, 'bob', $hers);
        is $refused->{status}, 403, 'bob may not';
        is all_of($refused), all_of(build_as($kind, 'bob', '/no/such')), '... as if it were not there';
        # A certificate of somebody else's authority is no certificate: mod_ssl
        # ends the connection.
        for my $who ('wrong', 'nobody') {
            my $status = eval { build_as($kind, $who, $both)->{status} } // 'closed';
            my $expected = $kind !~ /cert|fake/ ? 401 : $who eq 'wrong' ? 'closed' : $kind eq 'cert' ? 403 : 401;
            is $status, $expected, "$who: $expected";
            $status = eval { get_as($kind, $who, '/api/project/projects')->{status} } // 'closed';
            is $status, $expected, "$who: sees nothing, either";
        }
        is build_as($kind, 'nobody', $hers)->{status}, $kind eq 'cert' ? 403 : 401, 'nobody may nothing';

        my $last = build_as($kind, 'bob', $both)->{json}{build}{id};
        ok $last, 'bob starts a build of the project of both';
        wait_until { get_as($kind, 'alice', "/api/project/builds/$last")->{json}{state} eq 'succeeded'
            && get_as($kind, 'alice', "/api/project/builds/$id")->{json}{state} eq 'succeeded' } 20, 'both end';
        my $none = $last + 1_000_000;
        for my $part ('', '/log', '/log?follow=1', '/lines') {
            is get_as($kind, 'alice', "/api/project/builds/$id$part")->{status}, 200, "alice: builds/ID$part";
            is all_of(get_as($kind, 'bob', "/api/project/builds/$id$part")),
                all_of(get_as($kind, 'bob', "/api/project/builds/$none$part")), '... bob: as if it were not there';
        }
        like get_as($kind, 'alice', "/api/log/push?build=$id")->{body}, qr/printed-by-hers/, 'alice: its stream';
        is all_of(get_as($kind, 'bob', "/api/log/push?build=$id")), all_of(get_as($kind, 'bob', "/api/log/push?build=$none")),
            '... bob: as if it were not there';
        my %feed = map { $_ => feed_of($kind, $_, $last) } qw(alice bob);
        like $feed{alice}, qr/printed-by-hers/, 'alice: in the stream of all builds';
        like $feed{bob}, qr/printed-by-both/, 'bob: what is also his';
        unlike $feed{bob}, qr/acc-hers|printed-by-hers/, '... and nothing else';
        for my $list (qw(projects builds)) {
            like get_as($kind, 'alice', "/api/project/$list")->{body}, qr/acc-hers/, "alice: in the list of $list";
            unlike get_as($kind, 'bob', "/api/project/$list")->{body}, qr/acc-hers/, '... bob: it is not';
        }
    };
}

note modules('auth_openidc') eq '' ? 'mod_auth_openidc is not installed' : 'mod_auth_openidc is there, and not tried';

# ---- what is asked of them --------------------------------------------------------

# Who asks: where, and with what. "here" says nothing of himself; he who has the
# pass sends a header.
my %asks = (
    alice => ['/basic', basic_of('alice', 'wonderland')],
    bob   => ['/basic', basic_of('bob', 'builder')],
    owner => ['/basic', basic_of($me, 'me')],
    here  => ['', {}],
    pass  => ['', { 'X-Pass' => 'open' }],
    any   => ['/any', {}],    # let in by his address, where others have to log in
    tls   => ['', {}, tls => 1],
    cert  => ['', {}, tls => 1, cert => "$dir/alice.pem"],
);
my @who = sort keys %asks;

# Of a project: what its section says, who may see, who may start (if not the
# same).
my @cases = (
    ['nothing'       => '',                                 [@who]],    # the section above lets all in
    ['granted'       => 'Require all granted',              [@who]],
    ['refused'       => 'Require all denied',               []],
    ['user'          => 'Require user alice',               ['alice']],
    ['valid-user'    => 'Require valid-user',               [qw(alice bob owner)]],
    ['group'         => 'Require group admins',             ['alice']],
    ['own-group'     => "AuthGroupFile \"$dir/own\"\nRequire group admins", ['bob']],
    ['no-group'      => "AuthGroupFile \"$dir/missing\"\nRequire group admins", []],
    ['file-owner'    => 'Require file-owner',               ['owner']],
    ['ip'            => 'Require ip 127.0.0.1',             [@who]],
    ['net'           => 'Require ip 127.0.0.0/8',           [@who]],
    ['other-ip'      => 'Require ip 192.0.2.1',             []],
    ['local'         => 'Require local',                    [@who]],
    ['host'          => 'Require host example.invalid',     []],
    ['env'           => 'Require env passed',               ['pass']],
    ['own-env'       => "SetEnvIf X-Pass ^op mine\nRequire env mine", ['pass']],
    ['not-env'       => "SetEnvIf X-Pass . barred\n<RequireAll>\nRequire all granted\nRequire not env barred\n</RequireAll>",
                                                            [grep { $_ ne 'pass' } @who]],
    ['expr'          => "Require expr \"%{HTTP:X-Pass} == 'open'\"", ['pass']],
    ['expr-user'     => "Require expr \"%{REMOTE_USER} == 'bob'\"", ['bob']],
    ['expr-file'     => "Require expr \"%{REQUEST_FILENAME} =~ m#/acc-expr-file/?\$#\"", [@who]],
    ['any-of'        => "<RequireAny>\nRequire user bob\nRequire env passed\n</RequireAny>", [qw(bob pass)]],
    ['all-of'        => "<RequireAll>\nRequire valid-user\nRequire group admins\nRequire ip 127.0.0.1\n</RequireAll>", ['alice']],
    ['none-of'       => "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire user bob\nRequire group admins\n</RequireNone>\n</RequireAll>",
                                                            ['owner']],
    ['method'        => "<RequireAny>\nRequire method GET HEAD\nRequire user alice\n</RequireAny>", [@who], ['alice']],
    ['limit'         => "<Limit POST>\nRequire user alice\n</Limit>", [@who], ['alice']],
    ['if'            => "<If \"-n %{HTTP:X-Pass}\">\nRequire all granted\n</If>\n<Else>\nRequire user alice\n</Else>", [qw(alice pass)]],
    # About the sections above it, which let all in: not about the address, which
    # has let bob in.
    ['merge-or'      => "AuthMerging Or\nRequire user alice", [@who]],
    ['merge-and'     => "AuthMerging And\nRequire user alice", ['alice']],
    ['order'         => "Order Allow,Deny\nAllow from 192.0.2.1", []],
    ['satisfy-all'   => "Order Allow,Deny\nAllow from 127.0.0.1\nRequire user alice\nSatisfy All", ['alice']],
    ['satisfy-any'   => "Order Allow,Deny\nAllow from 127.0.0.1\nRequire user alice\nSatisfy Any", [@who]],
    ['satisfy-other' => "Order Allow,Deny\nAllow from 192.0.2.1\nRequire user alice\nSatisfy Any", ['alice']],
    ['forbid'        => "AuthzSendForbiddenOnFailure On\nRequire user alice", ['alice']],
    ['ssl'           => "SSLRequireSSL\nRequire all granted", [qw(tls cert)]],
    ['certificate'   => "Require expr \"%{SSL_CLIENT_S_DN_CN} == 'alice'\"", ['cert']],
    ['ssl-require'   => "SSLRequire %{SSL_CLIENT_S_DN_CN} == \"alice\"\nRequire all granted", [grep { $_ ne 'tls' } @who]],
    ['verified'      => 'Require ssl-verify-client', ['cert']],
    # It is too late to ask for one when the project is known.
    ['verify'        => "SSLVerifyClient require\nSSLRequireSSL\nRequire all granted", []],
    ['inner/outer'   => 'Require user bob', ['bob']],
    ['inner'         => 'Require user alice', ['alice']],
);
# All is denied above it: then "or" means these alone.
push @cases, ['closed/or' => "AuthMerging Or\nRequire user alice", ['alice']];
write_file("$dir/own", "admins: bob\n");
mkdir "${projects}acc-$_" for qw(inner closed);

my $closed = "<Directory \"${projects}acc-closed\">\nRequire all denied\n</Directory>\n";
$s->configure($places . $of_users . join '', map { section($_->[0], 'Require all granted') } @cases);
$s->reload;
my %id;
for (@cases) {
    my $name = $_->[0];
    # Eight builds at once: the queue may be full.
    $id{$name} = wait_until { my ($st, $j) = $s->post_build("${projects}acc-$name"); $st == 202 && $j->{build}{id} } 15, $name;
}
$s->wait_for_state($_, 'succeeded', 60) for values %id;

$s->configure($places . $of_users . $closed . join '', map { section($_->[0], $_->[1]) } @cases);
$s->reload;
is $s->request('GET', "/api/project/builds/$id{refused}")->{status}, 404, 'the new configuration';

sub ask
{
    my ($who, $method, $path, %opt) = @_;
    my ($prefix, $headers, @more) = @{ $asks{$who} };
    return $s->request($method, "$prefix/api$path", %opt, @more, headers => { %$headers, %{ delete $opt{headers} // {} } });
}

# [method, path with ID, headers]: all that there is of one build.
my @about = (['GET', '/project/builds/ID'], ['HEAD', '/project/builds/ID'], ['GET', '/project/builds/ID', { Accept => 'text/html' }],
    ['GET', '/project/builds/ID/log'], ['GET', '/project/builds/ID/log', { Range => 'bytes=0-3' }], ['GET', '/project/builds/ID/lines?last=1'],
    ['GET', '/log/push?build=ID'], ['GET', '/log/push?build=ID&from=tail', { 'Last-Event-ID' => 5 }],
    ['POST', '/project/builds/ID/cancel'], ['POST', '/project/builds/ID/cancel', { Accept => 'text/html' }]);

# First of all: the server keeps what ended last, and more builds are to come.
my %fed;
for my $who (@who) {
    my ($prefix, $headers, @more) = @{ $asks{$who} };
    my $feed = $s->open_stream("$prefix/api/log/push?format=json&from=start", @more, headers => { Accept => 'text/event-stream', %$headers });
    my $mark = wait_until { my ($st, $j) = $s->post_build("${projects}acc-granted"); $st == 202 && $j->{build}{id} } 15, 'a last one';
    $fed{$who} = join '', map { $_->{data} // '' }
        $feed->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$mark,.*"state":"succeeded"/ }, 20);
    $feed->close;
}

for my $who (@who) {
    subtest "what $who may" => sub {
        my %lists = map { $_ => ask($who, 'GET', $_)->{json} } '/project/builds?limit=200', '/project/projects';
        my %listed = map { $_->{id} => 1 } @{ $lists{'/project/builds?limit=200'}{builds} };
        my %projects = map { $_->{path} => $_ } @{ $lists{'/project/projects'}{projects} };
        my ($prefix, $headers, @more) = @{ $asks{$who} };
        my $fed = $fed{$who};
        my %nothing = map { my ($m, $p, $h) = @{ $about[$_] }; $_ => all_of(ask($who, $m, $p =~ s/ID/99999999/r, headers => $h)) } 0 .. $#about;
        my $refused = all_of(($s->post_build('/no/such', to => "$prefix/api/project/build", headers => $headers, @more))[2]);
        for (@cases) {
            my ($name, $lines, $see, $start) = @$_;
            # Handshakes take their time.
            next if @{ $asks{$who} } > 2 && $name !~ /^(?:granted|refused|user|ssl.*|certificate|verif.*)$/;
            my ($path, $id) = ("${projects}acc-$name", $id{$name});
            my $may = grep { $_ eq $who } @$see;
            my @wrong;
            for my $i (0 .. $#about) {
                my ($method, $p, $h) = @{ $about[$i] };
                my $r = ask($who, $method, $p =~ s/ID/$id/r, headers => $h);
                my $is_nothing = all_of($r) eq $nothing{$i};
                # Where <Limit> or a method is asked for, who may see may not cancel.
                my $right = $method eq 'POST' && $start ? (grep { $_ eq $who } @$start) : $may;
                push @wrong, "$method $p: $r->{status}" if $right ? $is_nothing : !$is_nothing;
            }
            push @wrong, 'in the list of builds' if !!$listed{$id} != !!$may;
            push @wrong, 'in the list of projects' if !!$projects{$path} != !!$may;
            push @wrong, 'as the last of its project' if $may && $projects{$path} && $projects{$path}{last}{id} < $id;
            push @wrong, 'its lines in the stream of all builds' if !!($fed =~ /"build":$id,/) != !!$may;
            push @wrong, 'its record there' if !!($fed =~ /"id":$id,/) != !!$may;
            my $right = grep { $_ eq $who } @{ $start // $see };
            my $r = ($s->post_build($path, to => "$prefix/api/project/build", headers => $headers, @more))[2];
            push @wrong, "start: $r->{status}" if $right ? $r->{status} != 202 : all_of($r) ne $refused;
            is_deeply \@wrong, [], "$name: " . ($right && $may ? 'may' : $may ? 'sees' : 'as if it were not there');
        }
        wait_until { !grep { $_->{state} =~ /^(?:queued|running)$/ } @{ ask($who, 'GET', '/project/builds')->{json}{builds} } } 60, 'all end';
    };
}

# Who may see the builds of a directory is said for its path: whatever stands
# there by now, its own section holds, and not only that of the one above it.
subtest 'a directory that is one no longer' => sub {
    my $path = "${projects}acc-inner/outer";
    my $id   = $id{'inner/outer'};
    for (['nothing', sub { }, sub { }], ['a file', sub { write_file($path, '') }, sub { unlink $path }],
         ['a link to what all may see', sub { symlink "${projects}acc-granted", $path }, sub { unlink $path }],
         ['a link to nothing', sub { symlink "$path-nothing", $path }, sub { unlink $path }],
         ['a fifo', sub { system 'mkfifo', $path }, sub { unlink $path }],
         ['a directory that nobody may enter', sub { mkdir $path, 0 }, sub { rmdir $path }]) {
        my ($what, $make, $remove) = @$_;
        rename $path, "$path-away" or die $!;
        $make->();
        is ask('bob', 'GET', "/project/builds/$id")->{status}, 200, "$what in its place: bob sees its builds";
        is ask('alice', 'GET', "/project/builds/$id")->{status}, 404, '... alice, who may see those around it, does not';
        is ask($_, 'GET', "/project/builds/$id/log")->{status}, 404, "... $_ does not" for qw(here owner);
        $remove->();
        rename "$path-away", $path or die $!;
    }
};

# A browser shows a certificate for pictures of other sites' pages, too.
{
    my $policy = sub {
        my ($who, $project) = @_;
        my $r = ask($who, 'GET', "/project/badge?projectPath=${projects}acc-$project");
        return "$r->{status} " . ($r->{headers}{'cross-origin-resource-policy'} // '');
    };
    is $policy->('tls', 'granted'),   '200 cross-origin', 'a badge for nobody known may be part of other pages';
    is $policy->('cert', 'verified'), '200 same-origin',  '... one for who has a certificate not';
}

# A project by its parameter, a build by its number: names of what is hidden tell
# nothing, nor does the time that they take (a note: a busy machine has no test).
{
    my $of = sub { all_of(ask('bob', 'GET', "/project/builds?project=$_[0]")) };
    is $of->("${projects}acc-refused"), $of->('/no/such'), 'builds of a hidden project: as if it were not there';
    my %took;
    for my $round (1 .. 60) {
        for (['hidden build', 'GET', "/project/builds/$id{refused}"], ['no build', 'GET', '/project/builds/99999999']) {
            my ($what, $method, $path) = @$_;
            my $from = time;
            ask('bob', $method, $path);
            push @{ $took{$what} }, time - $from;
        }
        for (['hidden project', "${projects}acc-refused"], ['no project', "${projects}acc-no-such"]) {
            my ($what, $path) = @$_;
            my $from = time;
            $s->post_build($path, to => '/basic/api/project/build', headers => $asks{bob}[1]);
            push @{ $took{$what} }, time - $from;
        }
    }
    note join ', ', map { sprintf '%s: %.2f ms', $_, 1000 * (sort { $a <=> $b } @{ $took{$_} })[@{ $took{$_} } / 2] } sort keys %took;
}

done_testing;
