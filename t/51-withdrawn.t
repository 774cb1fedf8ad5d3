# 51-withdrawn.t - a permission that a reload takes away ends the streams of those
# who had it; who still has it comes back and misses nothing
#
# Promises: 8 (nobody sees what the configuration does not let them), 6 (viewers
# come back without a missing or double line); whatever keeps a connection.
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(project top wait_until);
use BuildLog::Kinds;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $users = top() . '/t/conf/users';
my $login = "AuthType Basic\nAuthName builds\nAuthUserFile \"$users\"\nRequire valid-user";
my %as    = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
    ['alice', 'wonderland'], ['bob', 'builder'];

sub config
{
    my ($require) = @_;
    my $path = project('puppet-withdrawn');
    return addresses('/w', $login) . <<"END";
<Location "/w/odd/push">
    SetHandler buildlog-push
    SetOutputFilter DUMPIO_OUT
</Location>
<Directory "$path">
    $require
</Directory>
END
}

my $s  = BuildLog::Server->start(one_child(32) . config('Require user alice bob'), tls => 1);
my $p  = BuildLog::Puppet->new('withdrawn', server => $s);
my $id = do {
    $p->prepare('out before');
    my ($status, $answer) = $s->post_build($p->path, to => '/w/api/project/build', headers => $as{alice});
    $status == 202 or die "no build: $status\n";
    $p->{build} = $answer->{build}{id};
};
$p->wait_for('before');

# What they look at, by every kind of connection that there is.
my %viewer;
for my $way (ways()) {
    my $at = $way eq 'odd' ? '/w/odd/push' : '/w/api/log/push';
    my %path = ('one build' => "$at?build=$id&format=json", 'all builds' => "$at?from=start&format=json");
    $path{'a log that is followed'} = "/w/api/project/builds/$id/log?follow=1" if $way ne 'odd';
    for my $what (sort keys %path) {
        for my $who (qw(alice bob)) {
            my $v = $s->open_stream($path{$what}, tls => $way eq 'tls', headers => { Accept => 'text/event-stream', %{ $as{$who} } });
            is $v->status, 200, "$who: $what, $way";
            $viewer{"$who: $what, $way"} = { who => $who, path => $path{$what}, way => $way, stream => $v, log => scalar($what =~ /log/) };
        }
    }
}
for my $name (sort keys %viewer) {
    my $v = $viewer{$name};
    next if $v->{log};
    push @{ $v->{seen} }, $v->{stream}->until(sub { ($_->{data} // '') =~ /"text":"before"/ }, 10);
}

sub see { my ($who, $n) = @_; return $s->request('GET', '/w/api/project/builds/' . ($n // $id), headers => $as{$who}) }

is see('alice')->{status}, 200, 'before the reload alice sees her build';
$s->configure(one_child(32) . config('Require user bob'));
my $from = time;
$s->graceful;
wait_until { see('alice')->{status} == 404 } 20, 'the new configuration';
for my $name (sort keys %viewer) {
    my $v = $viewer{$name};
    if ($v->{log}) {
        $v->{text} = eval { $v->{stream}->body(20) };
    }
    else {
        push @{ $v->{seen} }, eval { $v->{stream}->rest(20) };
    }
    is $@, '', "$name: the reload ends it";
    $v->{last} = $v->{stream}->last_id;
    $v->{stream}->close;
}
note sprintf 'all had ended %.2f s after the reload', time - $from;

# What is printed from now on is not for her.
$p->cue('out secret', 'exit 0');
$p->wait_for('secret');
wait_until { see('bob')->{json}{state} eq 'succeeded' } 20, 'the build ends';
# Behind it, so that a stream of all builds has an end for this test.
my $mark = do {
    my ($status, $answer) = $s->post_build(project('puppet-withdrawn'), to => '/w/api/project/build', headers => $as{bob});
    is +($s->post_build(project('puppet-withdrawn'), to => '/w/api/project/build', headers => $as{alice}))[0], 403, 'alice may not build it';
    my $open = BuildLog::Puppet->new('withdrawn-open', server => $s);
    $open->start('exit 0');
    $answer->{build}{id};
};
wait_until { (see('bob', $mark)->{json}{state} // '') eq 'succeeded' } 20, 'another build ends';
my $open = $s->get_json('/api/project/builds')->{builds}[0]{id};

for my $name (sort keys %viewer) {
    my $v   = $viewer{$name};
    my %opt = (tls => $v->{way} eq 'tls', headers => { Accept => 'text/event-stream', %{ $as{ $v->{who} } },
        $v->{last} ? ('Last-Event-ID' => $v->{last}) : () });
    my $was = $v->{log} ? $v->{text} : join '', map { $_->{data} // '' } @{ $v->{seen} };
    unlike $was, qr/secret/, "$name: nothing behind the reload";
    if ($v->{who} eq 'alice' && $name !~ /all builds/) {
        my $again = $s->request('GET', $v->{path}, %opt);
        is $again->{status}, 404, '... and she cannot come back';
        is $again->{body}, $s->request('GET', $v->{path} =~ s/\b$id\b/99999/r, %opt)->{body}, '... as if it were not there';
        next;
    }
    my $again = $s->open_stream($v->{path}, %opt);
    if ($v->{log}) {
        like $again->body(10), qr/^before\nsecret\n/m, '... he has all of it when he comes back';
        $again->close;
        next;
    }
    my @e = $name =~ /one build/ ? $again->rest(10)
        : $again->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$open,.*"state":"succeeded"/ }, 20);
    $again->close;
    my $now = join '', map { $_->{data} // '' } @e;
    if ($v->{who} eq 'alice') {
        unlike $now, qr/secret|"build":$id\b|"id":$id\b|"id":$mark\b/, '... nor is there anything of it when she comes back';
        next;
    }
    my @lines = map { $json->decode($_->{data}) } grep { !exists $_->{event} && exists $_->{data} } @{ $v->{seen} }, @e;
    is_deeply [grep { /^(?:before|secret)$/ } map { $_->{text} } grep { $_->{build} == $id } @lines], [qw(before secret)],
        '... he comes back, each line once';
    is scalar(grep { ($_->{event} // '') eq 'gap' } @e), 0, '... without a gap';
}
done_testing;
