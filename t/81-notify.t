# 81-notify.t - other servers are told how builds ended: all of it, signed, at
# least once, whatever they do meanwhile and whoever is killed; and no build
# waits for them
#
# Issue 7, item 3 (outgoing); promises 5 (one final state, recorded alike), 6
# (restarts, a killed runner) and 7 (service goes on).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Receiver;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical;
my ($top, $projects) = (top(), project(''));
my $dir = "$top/tmp/notify";
mkdir $dir or $!{EEXIST} or die "$dir: $!\n";
my $secret = 'n0tify/secret';
write_file("$dir/secret", "$secret\n");
chmod 0600, "$dir/secret";
my $token = 'T0ken-in-the-address';

my $all  = BuildLog::Receiver->new(secret => $secret, path => "/all/$token?x=1");
my $one  = BuildLog::Receiver->new;
my $late = BuildLog::Receiver->new(secret => $secret);

sub conf
{
    my ($more) = @_;
    return <<"END";
BuildLogMaxBuilds 4
LogLevel info
BuildLogNotify "@{[ $all->url ]}" "secret=$dir/secret"
<Directory "${projects}puppet-notify">
    BuildLogNotify @{[ $one->url ]}
    # Once more, and it is told once.
    BuildLogNotify "@{[ $all->url ]}" "secret=$dir/secret"
</Directory>
<Directory "${projects}puppet-notify-none">
    BuildLogNotify none
</Directory>
<Directory "${projects}puppet-notify-late">
    BuildLogNotify none
    BuildLogNotify @{[ $late->url ]} "secret=$dir/secret"
</Directory>
@{[ $more // '' ]}
END
}
my $s = BuildLog::Server->start(conf());
my %p = map { $_ => BuildLog::Puppet->new("notify$_", server => $s) } '', '-none', '-late', '-other';

# A build that ends at once.
sub built
{
    my ($name, @cues) = @_;
    my $id = $p{$name}->start(@cues, $cues[-1] && $cues[-1] =~ /^(?:exit|kill)/ ? () : 'exit 0');
    $s->wait_for_state($id, 'succeeded|failed', 30);
    return $id;
}

sub notices { return map { m{([^/]+)$} } glob $s->state . '/notices/*' }
sub said    { my ($pattern, $times, $what) = @_; return ok eval { wait_until { (() = $s->error_log =~ /$pattern/g) >= $times } 60, $what }, $what }

subtest 'each build, once, and all of it' => sub {
    my %id = (succeeded => built('', 'out hello'), failed => built('', 'exit 3'));
    $id{cancelled} = $p{''}->start('out waits');
    $s->wait_for_state($id{cancelled}, 'running', 30);
    $s->request('POST', "/api/project/builds/$id{cancelled}/cancel");
    $s->wait_for_state($id{cancelled}, 'cancelled', 30);
    for my $receiver ($all, $one) {
        my @told = $receiver->wait_for(values %id);
        is @told, 3, 'three builds, three times';
        for my $told (@told) {
            my $state = $told->{json}{state};
            is $told->{json}{id}, $id{$state}, "the one that is $state";
            is_deeply $told->{json}, $s->build_record($id{$state}), '... its record, as it is for everybody';
            like $told->{json}{sha256}, qr/^[0-9a-f]{64}$/, '... which is the final one';
            my $h = $told->{headers};
            is $h->{'content-type'}, 'application/json', '... as JSON';
            like $h->{'webhook-id'}, qr/^build-$id{$state}-\d{16}$/, '... with an id';
            cmp_ok abs($h->{'webhook-timestamp'} - $told->{time}), '<', 60, '... of this time';
            is defined $h->{'webhook-signature'}, $receiver == $all, '... signed, if there is a secret';
            ok $told->{good}, '... with it' if $receiver == $all;
        }
    }
    is +($all->taken)[0]{line}, "POST /all/$token?x=1 HTTP/1.1", 'a POST to the address';
};

subtest 'who is told' => sub {
    my ($other, $none) = (built('-other'), built('-none'));
    # Each is told in the order of ends.
    my ($behind, $mine) = (built('-other'), built(''));
    $all->wait_for($other, $behind, $mine);
    $one->wait_for($mine);
    is_deeply [grep { $_->{json}{id} == $other } $one->taken], [], 'a receiver of a project hears of no other';
    is_deeply [grep { $_->{json}{id} == $none } $all->taken], [], 'a project may tell nobody';
};

# ---- receivers that are not well --------------------------------------

subtest 'a slow one holds up nobody' => sub {
    $all->answer('hold');
    my @ids = map { built('') } 1 .. 3;
    pass 'builds begin and end';
    $one->wait_for(@ids);
    pass 'others are told';
    $all->wait_for($ids[0]);
    is scalar(grep { $_->{json}{id} == $ids[0] } $all->taken), 1, 'it is asked once';
    is_deeply [grep { my $id = $_; grep { $_->{json}{id} == $id } $all->taken } @ids[1, 2]], [], '... and not about the next one meanwhile';
    $all->answer(200);
    my @told = $all->wait_for(@ids);
    is_deeply [map { $_->{json}{id} } @told], \@ids, 'all are told, in their order';
    is_deeply [map { $_->{most} } @told], [1, 1, 1], '... one at a time';
};

subtest '500, then 200' => sub {
    $late->answer(500);
    my $id = built('-late');
    said(qr/BL0264 how build $id ended was not told to http:\S+: status 500; it is tried again in 1 s/, 1, 'the log says that it is tried again');
    $late->answer(200);
    wait_until { $late->taken >= 2 } 30, 'again';
    my ($first, $second) = $late->wait_for($id);
    is $second->{body}, $first->{body}, 'the same again';
    is $second->{headers}{'webhook-id'}, $first->{headers}{'webhook-id'}, '... by the same id';
    ok $first->{good} && $second->{good}, '... signed each time';
    said(qr/BL0263 how build $id ended was told to http:/, 1, 'and that it was told');
};

subtest 'no, for good' => sub {
    for my $case ([403, qr/status 403 \(tries: 1\)/], ["302 Location: " . $one->url, qr/status 302, and redirects are not followed \(tries: 1\)/]) {
        my ($answer, $why) = @$case;
        my ($asked, $elsewhere) = (scalar(() = $late->taken), scalar(() = $one->taken));
        $late->answer($answer);
        my $id = built('-late');
        said(qr/BL0262 how build $id ended was not told to http:\S+, and will not be: $why/, 1, "$answer: given up, and said");
        is scalar(() = $late->taken), $asked + 1, '... after one try';
        is scalar(() = $one->taken), $elsewhere, '... and nobody else was asked';
        ok eval { wait_until { !grep { /^$id\./ } notices() } 20 }, '... nothing of it is left';
    }
    $late->answer('503 Retry-After: 100');
    my $id = built('-late');
    said(qr/BL0264 how build $id .* status 503; it is tried again in 100 s/, 1, 'who says when is obeyed');
    $late->answer(200);
    $late->wait_for(built('-late'));
    wait_until { grep({ $_->{json}{id} == $id } $late->taken) == 2 } 30, 'again';
    pass 'who takes one is told of the others, too';
};

subtest 'gone for a while' => sub {
    $late->stop;
    my @ids = map { built('-late') } 1 .. 3;
    pass 'builds begin and end';
    said(qr/BL0264 how build $ids[0] .*; it is tried again/, 1, 'the log says so');
    $late->start;
    my @told = $late->wait_for(@ids);
    is @told, 3, 'each is told once it is back';
};

# ---- who tells --------------------------------------------------------

subtest 'a killed runner' => sub {
    $late->stop;
    my $ended = built('-late');
    said(qr/BL0264 how build $ended/, 1, 'one that waits to be told');
    my $lost = $p{'-late'}->start('out lives');
    $s->wait_for_state($lost, 'running', 30);
    $s->kill_runner;
    $s->wait_for_state($lost, 'lost', 30);
    $late->start;
    my %told = map { $_->{json}{id} => $_ } $late->wait_for($ended, $lost);
    is $told{$ended}{json}{state}, 'succeeded', 'it is told by the next one';
    is $told{$lost}{json}{state}, 'lost', '... and that the other is lost';
    is_deeply $told{$_}{json}, $s->build_record($_), '... as it is for everybody' for $ended, $lost;
};

subtest 'a killed courier' => sub {
    $late->answer('hold');
    my $id = built('-late');
    $late->wait_for($id);
    my ($courier) = grep { (BuildLog::Server::process_name($_) // '') eq 'buildlog-notify' } BuildLog::Server::processes_below($s->pids->{runner});
    ok $courier, 'it is there, below the runner';
    kill 'KILL', $courier;
    said(qr/BL0260 the courier died \(signal 9\); they are not lost by that, another one begins/, 1, 'the log says so');
    $late->answer(200);
    wait_until { grep({ $_->{json}{id} == $id } $late->taken) == 2 } 60, 'again';
    my ($first, $second) = $late->wait_for($id);
    is $second->{headers}{'webhook-id'}, $first->{headers}{'webhook-id'}, 'the next one tells it again, by the same id';
};

subtest 'a reload' => sub {
    my $new = BuildLog::Receiver->new(secret => $secret);
    $s->configure(conf(qq(<Directory "${projects}puppet-notify-other">\nBuildLogNotify none\nBuildLogNotify @{[ $new->url ]} "secret=$dir/secret"\n</Directory>)));
    my $mark = () = $s->error_log =~ /new limits/g;
    $s->graceful;
    wait_until { (() = $s->error_log =~ /new limits/g) > $mark } 30, 'the runner knows';
    my ($told);
    # A child of before may take one more order.
    wait_until {
        my $id = built('-other');
        eval { wait_until { grep { $_->{json}{id} == $id } $new->taken, $all->taken } 20, 'told' };
        ($told) = grep { $_->{json}{id} == $id } $new->taken;
    } 60, 'the new one is told';
    ok $told->{good}, 'a receiver that came with a reload is told, signed';
    $s->configure(conf());
    $s->graceful;
};

subtest 'a stop' => sub {
    $late->stop;
    my $waits = built('-late');
    said(qr/BL0264 how build $waits/, 1, 'one that waits to be told');
    my $runs = $p{'-late'}->start('out lives');
    $s->wait_for_state($runs, 'running', 30);
    ok $s->stop, 'stop, and nothing is left of it';
    $late->start;
    is +($s->begin)[0], 0, 'start';
    my %told = map { $_->{json}{id} => $_ } $late->wait_for($waits, $runs);
    is $told{$runs}{json}{state}, 'cancelled', 'what ended with the server is told by the next one';
    ok $told{$waits}{good}, '... signed with its secret, which no file had';
};

subtest 'not for ever' => sub {
    $late->stop;
    my $id = built('-late');
    said(qr/BL0264 how build $id/, 1, 'a try');
    ok $s->stop, 'stop';
    my ($file) = glob $s->state . "/notices/$id.*";
    open my $in, '<', $file or die "$file: $!\n";
    my $notice = $json->decode(<$in>);
    cmp_ok $notice->{tries}, '>=', 1, 'what was tried is counted over a stop';
    is +(stat $file)[2] & 0777, 0600, '... in a file of its owner alone';
    write_file($file, $json->encode({ %$notice, tries => 8, due => 0 }));
    is +($s->begin)[0], 0, 'start';
    said(qr/BL0262 how build $id ended was not told to \S+, and will not be: .*\(tries: 9\)/, 1, 'given up after the ninth try, with the reason');
    wait_until { !grep { /^$id\./ } notices() } 20, 'it goes';
    $late->start;
};

# ---- what else --------------------------------------------------------

subtest 'a certificate that nobody vouches for' => sub {
    my $t = BuildLog::Server->make('', tls => 1);
    $t->configure(qq(LogLevel info\n<Directory "${projects}puppet-notify">\nBuildLogNotify https://127.0.0.1:@{[ $t->tls_port ]}/x\n</Directory>));
    is +($t->begin)[0], 0, 'start';
    my $p = BuildLog::Puppet->new('notify', server => $t);
    my $id = $p->start('exit 0');
    ok eval { wait_until { $t->error_log =~ /BL0264 how build $id ended was not told to https:\S+: .*certificate/ } 30, 'said' }, 'is not trusted';
    $t->configure('LogLevel info');
    $t->graceful;
    ok eval { wait_until { $t->error_log =~ /BL0265 1 notifications are dropped/ } 30, 'said' }, 'without receivers nothing waits';
    wait_until { !grep { (BuildLog::Server::process_name($_) // '') eq 'buildlog-notify' } BuildLog::Server::processes_below($t->pids->{runner}) } 20, 'no courier';
    ok $t->stop, 'stop';
};

# What one server says another can take for a hook.
subtest 'a build after a build' => sub {
    my $t = BuildLog::Server->make('');
    my $next = make_project('notify-next', 'echo next');
    $t->configure(<<"END");
<Directory "${projects}puppet-notify">
    BuildLogNotify http://127.0.0.1:@{[ $t->port ]}/api/project/hook/next "secret=$dir/secret"
</Directory>
<Directory "$next">
    BuildLog On
    BuildLogHook next plain "$dir/secret"
    BuildLogStep run "sh ./run.sh"
</Directory>
END
    is +($t->begin)[0], 0, 'start';
    my $p = BuildLog::Puppet->new('notify', server => $t);
    my $id = $p->start('exit 0');
    my $after = wait_until { my ($b) = grep { $_->{project} eq $next } @{ $t->get_json('/api/project/builds')->{builds} }; $b } 30, 'the next build';
    is $after->{user}, 'hook:next', 'its notification is a signed message, and begins the next';
    $t->wait_for_state($after->{id}, 'succeeded', 30);
    ok $t->stop, 'stop';
};

wait_until { !notices() } 60, 'no notice is left';
pass 'all was told or given up, and nothing is left';
my $log = $s->error_log;
ok index($log, $_) < 0, 'neither secret nor address is in the log' for $secret, $token;
{
    my $id = $p{''}->start('out waits');
    $s->wait_for_state($id, 'running', 30);
    eval { wait_until { grep { /^$id\./ } notices() } 20 };
    my @files = map { glob $s->state . "/$_/*" } qw(notices queue logs);
    ok scalar(grep { m{/notices/$id\.} } @files), 'a build that runs has its notices';
    my $found = 0;
    for my $file (@files) {
        open my $in, '<', $file or next;
        local $/;
        my $text = <$in> // '';
        $found++ for grep { index($text, $_) >= 0 } $secret, $token;
    }
    is $found, 0, '... in which neither is';
    $p{''}->cue('exit 0');
    $all->wait_for($id);
}

done_testing;
