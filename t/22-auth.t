# 22-auth.t - alice and bob, and a project that is alice's alone: who may build
# it, and who may see anything of it (promise 8)
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use File::Path qw(make_path);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $at   = '/private/api';
my $json = JSON::PP->new->utf8;
my %as   = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
    ['alice', 'wonderland'], ['bob', 'builder'];
$as{wrong} = { Authorization => 'Basic ' . encode_base64('alice:nonsense', '') };
$as{nobody} = {};
my ($hers, $both) = (project('alice'), project('shared'));

sub build_as { my ($who, $path) = @_; return post_build($path, to => "$at/project/build", headers => $as{$who}) }
sub get_as
{
    my ($who, $path, %headers) = @_;
    return request('GET', $path, headers => { %{ $as{$who} }, %headers });
}

# ---- starting ---------------------------------------------------------

my %id;    # who => { path => id }
for (['alice', $hers, 202], ['alice', $both, 202], ['bob', $both, 202], ['bob', $hers, 403],
     ['wrong', $both, 401], ['nobody', $both, 401], ['nobody', $hers, 401]) {
    my ($who, $path, $status) = @$_;
    my ($got, $answer, $r) = build_as($who, $path);
    is $got, $status, "$who: a build of $path: $status";
    if ($status == 202) {
        $id{$who}{$path} = $answer->{build}{id};
        is $answer->{build}{user}, $who, '... by that user';
        is $r->{headers}{location}, "$at/project/builds/$answer->{build}{id}", '... to be seen there';
    }
    elsif ($status == 403) {
        is $r->{body}, (build_as($who, '/no/such'))[2]{body}, '... as if it were not there';
        ok !exists $r->{headers}{'www-authenticate'}, '... and nobody is asked for another name';
    }
    else {
        like $r->{headers}{'www-authenticate'}, qr/^Basic /, '... asked for a name';
    }
}
# Where nobody says who he is, "Require user" lets nobody in.
for my $path ($hers, $both) {
    my ($status, undef, $r) = post_build($path);
    is $status, 403, "without a name: $path";
    ok !exists $r->{headers}{'www-authenticate'}, '... and it is not asked for';
}

is get_as($_, "$at/project/projects")->{json}{user}, $_, "$_ is told who that is" for qw(alice bob);
my ($of_alice, $of_both, $of_bob) = ($id{alice}{$hers}, $id{alice}{$both}, $id{bob}{$both});
wait_until {
    my @left = grep { get_as('alice', "$at/project/builds/$_")->{json}{state} ne 'succeeded' }
        $of_alice, $of_both, $of_bob;
    !@left;
} 10, 'builds succeed';

# ---- seeing -----------------------------------------------------------

my $none = $of_bob + 1_000_000;
my @ways = map({ ['text/event-stream', $_, qr/^event: end$/m] } '', '&format=json', '&from=tail', '&tail=5', '&lastEventId=1');
push @ways, ['*/*', '', qr/Build finished/], ['application/x-ndjson', '', qr/^\{"event":"end"/m];
for (@ways) {
    my ($accept, $format, $end) = @$_;
    my ($a, $b, $no) = map { get_as($_->[0], "$at/log/push?build=$_->[1]$format", Accept => $accept) }
        ['alice', $of_alice], ['bob', $of_alice], ['bob', $none];
    is $a->{status}, 200, "alice sees the stream of her build: $accept $format";
    like $a->{body}, $end, '... to its end';
    is $b->{status}, 404, 'bob does not';
    is $b->{body}, $no->{body}, '... as if it were not there';
}
{
    my ($a, $b, $no) = map { get_as($_->[0], "$at/project/builds/$_->[1]") }
        ['alice', $of_alice], ['bob', $of_alice], ['bob', $none];
    is $a->{status}, 200, 'alice sees the record of her build';
    is $a->{json}{user}, 'alice', '... and who asked for it';
    is $b->{status}, 404, 'bob does not';
    is $b->{body}, $no->{body}, '... as if it were not there';
    for my $log ('/log', '/log?follow=1', '/log?format=json', '/log?format=x') {
        ($b, $no) = map { get_as('bob', "$at/project/builds/$_$log") } $of_alice, $none;
        is $b->{status}, 404, "nor its $log";
        is $b->{body}, $no->{body}, '... as if it were not there';
    }
    like get_as('alice', "$at/project/builds/$of_alice/log")->{body}, qr/^for alice alone$/m, 'alice does';
    is get_as('bob', "$at/project/builds/$_")->{json}{id}, $_, "bob sees build $_ of both"
        for $of_both, $of_bob;
    is get_as('bob', "$at/project/builds/$of_both")->{json}{user}, 'alice', '... and who asked for it';
    is request('GET', "/api/project/builds/$_")->{status}, 404, "without a name nobody sees build $_"
        for $of_alice, $of_both;
    is request('GET', "/api/log/push?build=$of_alice")->{status}, 404, '... nor its stream';
}

my %list = map { my $who = $_;
    $who => { map { $_->{path} => $_ } @{ get_as($who, "$at/project/projects")->{json}{projects} } } }
    qw(alice bob);
ok  $list{alice}{$hers}, 'the list of alice has her project';
is  $list{alice}{$hers}{last}{id}, $of_alice, '... with its last build';
ok !$list{bob}{$hers}, 'the list of bob has not';
ok  $list{$_}{$both}, "the list of $_ has the one of both" for qw(alice bob);
ok  $list{$_}{ project('hello') }, "... and what is everybody's" for qw(alice bob);
my %free = map { $_->{path} => 1 } @{ get_json('/api/project/projects')->{projects} };
ok !$free{$hers} && !$free{$both} && $free{ project('hello') }, 'without a name: only what is everybody\'s';

# ---- the feed of all builds --------------------------------------------

sub feed { my ($who, $more) = @_; return open_stream("$at/log/push?format=json$more", headers => {
    Accept => 'text/event-stream', %{ $as{$who} } }) }

# Numbers of the builds that an event is about.
sub about
{
    my ($event) = @_;
    return () if ($event->{event} // '') =~ /^(?:ping|gap)$/ || !exists $event->{data};
    my $data = $json->decode($event->{data});
    return $data->{build} // $data->{id};
}

# An event that says that the build has ended.
sub ends
{
    my ($id) = @_;
    return sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,.*"state":"succeeded"/ };
}

subtest 'the feed of all builds, live' => sub {
    my %feed  = map { $_ => feed($_, '') } qw(alice bob);
    # Everybody is there before anything begins.
    $_->until(sub { ($_->{event} // '') eq 'ping' }) for values %feed;
    my $a = (build_as('alice', $hers))[1]{build}{id};
    $feed{alice}->until(ends($a), 10);
    my $b = (build_as('alice', $both))[1]{build}{id};
    my @alice = $feed{alice}->until(ends($b), 10);
    my @bob   = $feed{bob}->until(ends($b), 10);
    my %seen  = map { $_ => 1 } map { about($_) } @bob;
    ok $seen{$b}, 'bob sees the build of both';
    ok !$seen{$a}, '... and nothing of the one of alice';
    ok !(grep { ($_->{data} // '') =~ /alice alone|\Q$hers\E/ } @bob), '... not a word';
    $_->close for values %feed;
};

subtest 'the feed of all builds, from its beginning' => sub {
    my $last = (build_as('bob', $both))[1]{build}{id};
    for my $more ('&from=start', '&from=1', '&lastEventId=1') {
        my %events;
        for my $who (qw(alice bob)) {
            my $feed = feed($who, $more);
            $events{$who} = [$feed->until(ends($last), 10)];
            $feed->close;
        }
        my %seen = map { my $who = $_; $who => { map { $_ => 1 } map { about($_) } @{ $events{$who} } } } qw(alice bob);
        ok $seen{alice}{$of_alice}, "$more: alice sees her build";
        ok !$seen{bob}{$of_alice}, '... bob does not';
        ok $seen{bob}{$of_both}, '... but that of both';
        ok !(grep { ($_->{data} // '') =~ /alice alone|\Q$hers\E/ } @{ $events{bob} }), '... not a word';
    }
};

subtest 'the feed of all builds, without a name' => sub {
    my $feed = open_stream('/api/log/push?format=json&from=start');
    my $mark = start_build(project('hello'));
    my @events = $feed->until(ends($mark), 10);
    ok !(grep { ($_->{data} // '') =~ /alice alone|for both|\Q$hers\E|\Q$both\E/ } @events),
        'only what is everybody\'s';
    $feed->close;
};

# What a viewer may see is kept as text; a path that holds another one, and the
# sign before it, must not open it.
subtest 'a name that looks like a permission' => sub {
    my $odd = "$both/x+$hers";
    make_path($odd);
    my $open = (build_as('bob', $odd))[1]{build}{id};
    ok $open, 'bob may build a directory whose name ends like that of alice';
    write_file("$hers/wait", '');
    my $a = (build_as('alice', $hers))[1]{build}{id};
    wait_until { get_as('alice', "$at/project/builds/$a")->{json}{state} eq 'running' } 10, 'hers runs';
    my $feed = feed('bob', '');
    unlink "$hers/wait";
    my $b   = (build_as('bob', $both))[1]{build}{id};
    my @bob = $feed->until(ends($b), 10);
    $feed->close;
    ok !(grep { ($_->{data} // '') =~ /\Q"$hers"\E/ } @bob), 'and sees nothing of hers, which runs meanwhile';
};

done_testing;
