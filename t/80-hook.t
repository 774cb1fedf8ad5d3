# 80-hook.t - a push on a forge begins a build: signed with the hook's secret,
# in the way of each forge, once; and who does not know the secret learns
# nothing
#
# Issue 7, item 2 (webhooks); promise 8: nobody starts what httpd's own
# configuration does not let them; promise 6: restarts change nothing of it.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Forge;
use BuildLog::Puppet;
use BuildLog::Server;

binmode $_, ":encoding(UTF-8)" for map { Test::More->builder->$_ } qw(output failure_output todo_output);

my ($top, $projects) = (top(), project(''));
my $none = '0' x 40;
my %secret = (
    github => 'g1thub/secret', gitea => 'g1tea/secret', gitlab => 'gl-token/1', plain => 'pl41n/secret',
    signed => 'whsec_' . 'c2VjcmV0IGJ5dGVzIG9mIGdpdGxhYiAzMiBieXRlcyE=',
);
my $dir = "$top/tmp/hooks";
mkdir $dir or $!{EEXIST} or die "$dir: $!\n";
for (keys %secret) {
    write_file("$dir/$_", "$secret{$_}\n");
    chmod 0640, "$dir/$_";
}

sub hook { my ($name, $kind, $secret, @more) = @_; return "BuildLogHook $name $kind \"$dir/$secret\" @more" }
sub made { my ($name) = @_; make_project("hook-$name", 'env | grep BUILDLOG_ | sort; [ -z "$WAIT" ] || while [ ! -e go ]; do sleep 0.05; done'); return project("made-hook-$name") }
my %path = map { $_ => made($_) } qw(shop docs hers busy);

# A line for each forge, all of one project.
my $conf = <<"END";
BuildLogMaxBuilds 2
BuildLogMaxQueue 1
LogLevel info
<Directory "${projects}made-hook-*">
    BuildLog On
    BuildLogStep run "sh ./run.sh"
    BuildLogKillGrace 300ms
    Require all granted
</Directory>
<Directory "$path{shop}">
    @{[ hook('gh', 'github', 'github', 'branch=main', 'branch=release/*', 'branch=!release/old*') ]}
    @{[ hook('gh-form', 'github', 'github') ]}
    @{[ hook('tea', 'gitea', 'gitea') ]}
    @{[ hook('lab', 'gitlab', 'gitlab') ]}
    @{[ hook('lab-signed', 'gitlab', 'signed') ]}
    @{[ hook('any', 'plain', 'plain') ]}
    BuildLogSetEnv BUILDLOG_BRANCH by-hand
</Directory>
<Directory "$path{docs}">
    @{[ hook('docs', 'github', 'github', 'path=docs/*', 'path=!docs/old/*') ]}
    @{[ hook('docs-any', 'plain', 'plain', 'branch=main') ]}
</Directory>
<Directory "$path{hers}">
    @{[ hook('hers', 'gitea', 'gitea') ]}
    Require user alice
</Directory>
<Directory "$path{busy}">
    @{[ hook('busy', 'github', 'github') ]}
    BuildLogSetEnv WAIT yes
</Directory>
<Directory "${projects}nowhere">
    BuildLog On
    @{[ hook('nowhere', 'plain', 'plain') ]}
</Directory>
<Directory "$path{docs}/off">
    BuildLog Off
    @{[ hook('off', 'plain', 'plain') ]}
</Directory>
END
mkdir "$path{docs}/off";
my $s = BuildLog::Server->start($conf);

my %of = (gh => ['github', 'github'], 'gh-form' => ['github-form', 'github'], tea => ['gitea', 'gitea'], lab => ['gitlab', 'gitlab'],
    'lab-signed' => ['gitlab-signed', 'signed'], any => ['plain', 'plain'], docs => ['github', 'github'], 'docs-any' => ['plain', 'plain'],
    hers => ['gitea', 'gitea'], busy => ['github', 'github'], nowhere => ['plain', 'plain'], off => ['plain', 'plain']);
my %forge = map { $_ => BuildLog::Forge->new($of{$_}[0], name => $_, secret => $secret{ $of{$_}[1] }, server => $s) } keys %of;

sub builds { return scalar @{ $s->get_json('/api/project/builds?limit=200')->{builds} } }
sub begun  { my ($r) = @_; return $r->{status} == 202 ? $r->{json}{build}{id} : die "no build: $r->{status} $r->{body}\n" }

# What the build was told.
sub told
{
    my ($id) = @_;
    $s->wait_for_state($id, 'succeeded', 30);
    my %env = map { $_->{text} =~ /^(BUILDLOG_(?:REF|COMMIT|BRANCH))=(.*)/ ? ($1 => $2) : () } @{ $s->log_records($id) };
    return \%env;
}

sub not_built
{
    my ($r, $why, $name) = @_;
    is $r->{status}, 200, "$name: a polite answer";
    like $r->{json}{msg}, $why, '... that says why nothing is built';
    ok exists $r->{json}{build} && !defined $r->{json}{build}, '... and names no build';
    return;
}

# ---- each forge ------------------------------------------------------

for my $name (qw(gh gh-form tea lab lab-signed any)) {
    subtest "$name: a push" => sub {
        my $forge  = $forge{$name};
        my $commit = $forge->commit("new $name");
        my $r = $forge->push('main', after => $commit);
        is $r->{status}, 202, 'is built' or diag $r->{body};
        my $id = begun($r);
        is $r->{headers}{location}, "/api/project/builds/$id", '... and the answer says where';
        is $s->build_record($id)->{user}, "hook:$name", '... by whom';
        is $s->build_record($id)->{project}, $path{shop}, '... of its project';
        is_deeply told($id), { BUILDLOG_REF => 'refs/heads/main', BUILDLOG_BRANCH => 'main', BUILDLOG_COMMIT => $commit },
            'the build knows what was pushed';

        my $count = builds();
        if ($name ne 'any') {
            not_built($forge->push(undef, ref => 'refs/tags/v1'), qr/^Nothing is built: tag v1 is no branch\.$/, 'a tag');
            not_built($forge->push('main', after => $none, commits => []), qr/branch main was deleted/, 'a branch that is gone');
            not_built($forge->push('main', before => $commit, after => $commit), qr/this was a test/, "the forge's test");
            not_built($forge->send($forge->delivery({ ref => 'main', ref_type => 'branch' }, event => 'create')), qr/no push/, 'another event');
        }
        not_built($forge->push($_), qr/not of a form|is no branch/, "a branch called $_")
            for '-x', '$(touch here)', 'a b', '--upload-pack=x', '../x', "x\nBUILDLOG_ID=1", "\x{202e}x";
        not_built($forge->push('main', after => $_), qr/not of a form/, "commit $_") for 'HEAD', '-1', 'a' x 41, "$commit;id";
        my $bad = $forge->send($forge->delivery('{"ref":'));
        is $bad->{status}, 400, 'a payload that is none: 400';
        like $bad->{json}{detail}, qr/^The payload cannot be read: /, '... and why';
        is builds(), $count, 'nothing was built of these';
    };
}

subtest 'what only some say' => sub {
    not_built($forge{gh}->send($forge{gh}->delivery({ zen => 'Half measures are as bad as nothing at all.', hook_id => 12 }, event => 'ping')),
        qr/a ping, and it came through/, 'GitHub tries the hook');
    is_deeply told(begun($forge{any}->send($forge{any}->delivery('')))), { BUILDLOG_BRANCH => 'by-hand' },
        'plain: nothing said, nothing told, and the configuration speaks';
    my ($status, $answer) = $s->post_build($path{shop});
    is_deeply told($answer->{build}{id}), { BUILDLOG_BRANCH => 'by-hand' }, 'so it does by hand';
};

subtest 'branches' => sub {
    not_built($forge{gh}->push($_), qr/^Nothing is built: branch \Q$_\E is none of those that this hook builds\.$/, "branch $_")
        for qw(other main2 release/old-1);
    is told(begun($forge{gh}->push('release/1.2')))->{BUILDLOG_BRANCH}, 'release/1.2', 'one of them';
    not_built($forge{'docs-any'}->push(undef), qr/no branch is named/, 'none, where it matters');
};

subtest 'paths' => sub {
    not_built($forge{docs}->push('main', commits => [{ modified => ['src/a.c'] }, { removed => ['docs/old/x'] }]), qr/no file changed/, 'other files');
    begun($forge{docs}->push('main', commits => [{ modified => ['src/a.c'] }, { added => ['docs/new'] }]));
    begun($forge{docs}->push('main', forced => 1));
    pass 'its files, or that nobody knows: built';
    wait_until { !grep { $_->{state} =~ /queued|running/ } @{ $s->get_json('/api/project/builds')->{builds} } } 30, 'all have ended';
};

# ---- who does not know the secret ------------------------------------

# What can be told apart by who sent it.
sub seen_of { my ($r) = @_; return join "\n", $r->{status}, $r->{body}, map { "$_: $r->{headers}{$_}" } grep { $_ ne 'date' } sort keys %{ $r->{headers} } }

subtest 'not signed' => sub {
    my $count = builds();
    my %proof = (gh => 'X-Hub-Signature-256', 'gh-form' => 'X-Hub-Signature-256', tea => 'X-Gitea-Signature', lab => 'X-Gitlab-Token',
        'lab-signed' => 'webhook-signature', any => 'webhook-signature');
    my $nobody = $forge{gh}->send($forge{gh}->delivery($forge{gh}->pushed('main')), name => 'no-such-hook');
    is $nobody->{status}, 403, 'a hook that is not there';
    my $want = seen_of($nobody);
    for my $name (sort keys %proof) {
        my ($forge, $header) = ($forge{$name}, $proof{$name});
        my $d = $forge->delivery($forge->pushed('main'));
        my $value = $d->{headers}{$header};
        my %bad = (
            'nothing'            => { $header => undef },
            'an empty one'       => { $header => '' },
            'another one'        => { $header => substr($value, 0, -2) . (substr($value, -2) eq 'AA' ? 'BB' : 'AA') },
            'another algorithm'  => { $header => $value =~ s/^(?:sha256=|v1,)?/sha1=/r },
            'that of SHA-1'      => { $header => undef, 'X-Hub-Signature' => 'sha1=' . '0' x 40 },
        );
        is seen_of($forge->send($d, headers => $bad{$_})), $want, "$name: $_: as if there were no such hook" for sort keys %bad;
        is seen_of($forge->send({ %$d, body => "$d->{body} " })), $want, "$name: another body" unless $name eq 'lab';
        is seen_of($forge->send($forge->delivery($forge->pushed('main'), secret => 'wrong'))), $want, "$name: another secret";
        is seen_of($forge->send({ headers => {}, body => '' })), $want, "$name: nothing at all";
    }
    for my $name (qw(any lab-signed)) {
        my $forge = $forge{$name};
        is seen_of($forge->send($forge->delivery($forge->pushed('main'), time => time + $_))), $want, "$name: signed $_ s from now" for -400, 400;
        my $d = $forge->delivery($forge->pushed('main'));
        is seen_of($forge->send($d, headers => { 'webhook-id' => 'another' })), $want, "$name: another id";
    }
    is seen_of($forge{'lab-signed'}->send($forge{lab}->delivery($forge{lab}->pushed('main'), secret => $secret{signed}), name => 'lab-signed')), $want,
        'the key itself is no signature';
    is seen_of($forge{tea}->send($forge{gh}->delivery($forge{gh}->pushed('main')))), $want, "another forge's";
    is builds(), $count, 'nothing was built';
    is $s->request('GET', "/api/project/hook/$_")->{status}, 405, "GET of $_: 405" for qw(gh no-such-hook);
    like $s->error_log, qr/BL0420 a delivery for the hook gh is refused: the header with the signature/, 'the administrator is told why';
    my $log = $s->error_log;
    ok index($log, $_) < 0, 'no secret is in the log' for values %secret;
};

# ---- again -----------------------------------------------------------

subtest 'a delivery begins one build' => sub {
    my %first;
    for my $name (qw(gh tea lab lab-signed any)) {
        my $forge = $forge{$name};
        my $d = $forge->delivery($forge->pushed('main'), id => "once-$name");
        my $id = begun($forge->send($d));
        $first{$name} = [$d, $id];
        $s->wait_for_state($id, 'succeeded', 30);
    }
    my $count = builds();
    my $again = sub {
        my ($when) = @_;
        for my $name (sort keys %first) {
            my ($d, $id) = @{ $first{$name} };
            not_built($forge{$name}->send($d), qr/has begun build $id already/, "$name, $when");
        }
        return;
    };
    $again->('at once');
    not_built($forge{$_}->send($first{$_}[0], headers => { 'X-GitHub-Delivery' => 'new', 'X-Gitea-Delivery' => 'new' }), qr/already/,
        "$_: with an id that nobody has signed") for qw(gh tea);
    not_built($forge{$_}->send($forge{$_}->delivery($forge{$_}->pushed('main'), id => "once-$_")), qr/already/, "$_: the id of another") for qw(gh any);
    is builds(), $count, 'nothing was built';
    {
        my $old = $s->pids->{children};
        $s->graceful;
        wait_until { my %now = map { $_ => 1 } @{ $s->pids->{children} }; %now && !grep { $now{$_} } @$old } 30, 'new children';
    }
    $again->('after a reload');
    $s->kill_runner;
    $again->('after the runner was killed');
    ok $s->stop, 'stop';
    is +($s->begin)[0], 0, 'start';
    $again->('after a stop');
    is builds(), $count, 'nothing was built';
    is $forge{gh}->push('main')->{status}, 202, 'what is new is built';
};

subtest 'what was not taken may come again' => sub {
    my $forge = $forge{busy};
    my $first = begun($forge->push('main'));
    $s->wait_for_state($first, 'running', 30);
    my $second = begun($forge->push('main'));
    my $d = $forge->delivery($forge->pushed('main'));
    my $r = $forge->send($d);
    is $r->{status}, 503, 'the queue is full';
    ok $r->{headers}{'retry-after'}, '... for a while';
    write_file("$path{busy}/go", '');
    $s->wait_for_state($_, 'succeeded', 30) for $first, $second;
    $s->wait_for_state(begun($forge->send($d)), 'succeeded', 30);
    pass 'the same delivery is built then';
};

# ---- where it comes from ---------------------------------------------

subtest 'another site, another name' => sub {
    my %strange = (Origin => 'https://forge.example', 'Sec-Fetch-Site' => 'cross-site', Host => 'hooks.example.net');
    my $forge = $forge{any};
    $s->wait_for_state(begun($forge->send($forge->delivery($forge->pushed('main')), headers => \%strange)), 'succeeded', 30);
    is $forge->send($forge->delivery($forge->pushed('main'), secret => 'wrong'), headers => \%strange)->{status}, 403, 'the signature decides, and nothing else';
    is $s->request('POST', '/api/project/build', headers => { %strange, 'Content-Type' => 'application/x-www-form-urlencoded' },
        body => "projectPath=$path{shop}")->{status}, 421, '... for a hook alone';
};

subtest 'bodies' => sub {
    my $forge = $forge{tea};
    my @many = map { { added => [map { "src/a file with a long name $_" } 1 .. 40] } } 1 .. 800;
    my $large = $forge->delivery($forge->pushed('main', commits => \@many));
    cmp_ok length $large->{body}, '>', 1_000_000, 'a large push';
    $s->wait_for_state(begun($forge->send($large, timeout => 30)), 'succeeded', 30);
    my $huge = $forge->delivery('x' x (4 * 1024 * 1024 + 1));
    is $forge->send($huge, timeout => 30, name => $_)->{status}, 413, "too large a body for $_" for qw(tea no-such-hook);
};

subtest 'a project that is none' => sub {
    my $r = $forge{nowhere}->push('main');
    is $r->{status}, 503, 'a directory that is not there';
    like $s->error_log, qr/BL0422 hook nowhere cannot build \S+nowhere/, '... and the log names it';
    is $forge{off}->push('main')->{status}, 503, 'one that may not be built';
};

# ---- Require ---------------------------------------------------------

subtest 'no login, and nothing but hooks without one' => sub {
    my $id = begun($forge{hers}->push('main'));
    is_deeply [($s->post_build($path{hers}))[0], $s->request('GET', "/api/project/builds/$id")->{status}], [403, 404],
        'the Require of a project is not asked for its hook, and for all else';
    my $login = <<"END";
<Location "/api">
    AuthType Basic
    AuthName "builds"
    AuthBasicProvider file
    AuthUserFile "$top/t/conf/users"
    Require valid-user
</Location>
END
    my $t = BuildLog::Server->start($conf . <<"END");
<VirtualHost *>
    $login
    <Location "/api/project/hook">
        Require all granted
    </Location>
    <Location "/api/project/projects">
        Require all granted
    </Location>
</VirtualHost>
END
    my $forge = BuildLog::Forge->new('plain', name => 'any', secret => $secret{plain}, server => $t);
    is $forge->push('main')->{status}, 202, 'a section behind the one with the login lets forges in';
    is $t->request('GET', $_)->{status}, 401, "$_: 401" for '/api/project/builds', '/api/project/builds/1', '/api/log/push?build=1', '/api/metrics';
    is +($t->post_build($path{shop}))[0], 401, 'a build by hand: 401';
    ok $t->stop, 'stop';
};

# A hook belongs to the server that has its section.
subtest 'virtual hosts' => sub {
    my $t = BuildLog::Server->make('');
    $t->configure(<<"END");
<Directory "$path{shop}">
    BuildLog On
    BuildLogStep run "true"
</Directory>
<VirtualHost *:@{[ $t->port ]}>
    ServerName first.example
    <Directory "$path{shop}">
        @{[ hook('first', 'plain', 'plain') ]}
    </Directory>
</VirtualHost>
<VirtualHost *:@{[ $t->port ]}>
    ServerName second.example
</VirtualHost>
END
    is +($t->begin)[0], 0, 'start';
    my $forge = BuildLog::Forge->new('plain', name => 'first', secret => $secret{plain}, server => $t);
    my @status = map { $forge->send($forge->delivery($forge->pushed('main')), headers => { Host => $_ })->{status} } 'first.example', 'second.example';
    is_deeply \@status, [202, 403], 'taken by its own host alone';
    ok $t->stop, 'stop';
};

done_testing;
