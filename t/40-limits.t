# 40-limits.t - how many viewers and builds there may be, and what is said above
#
# Promises: 3 (a viewer never delays others), 7 (a clear message to the right
# person); sections 3 and 7 of the contract: BuildLogMaxClients,
# BuildLogMaxQueue, BuildLogMaxBuilds.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8;
# One test below kills a child.
allow_in_log(qr/AH00052: child pid \d+ exit signal Killed/);

# ---- viewers -----------------------------------------------------------------------

my $s = BuildLog::Server->start("BuildLogMaxClients 3\n");

# A viewer that was let in and has its first ping.
sub viewer
{
    my ($path) = @_;
    my $v = eval { $s->open_stream($path // '/api/log/push') } or return;
    my $first = $v->status == 200 ? $v->event(5) : undef;
    if ($first && ($first->{retry} // 0) == 2000) {
        my $ping = $v->event(5);
        return $v if $ping && $ping->{event} eq 'ping';
    }
    $v->close;
    return;
}

# All places are free again: as many can come as may, and no one more.
sub places_are_free
{
    my ($name) = @_;
    my @v;
    eval {
        wait_until { push @v, viewer() // (); @v == 3 } 10, 'three places';
    } or diag $@;
    is @v, 3, "$name: three places are free";
    is viewer(), undef, "$name: and no more";
    $_->close for @v;
    $s->wait_for_viewers(0);
    return;
}

{
    my $p  = BuildLog::Puppet->new('limits-a', server => $s);
    my $id = $p->start;
    my @v  = map { viewer() } 1 .. 2;
    push @v, viewer("/api/log/push?build=$id");
    is @v, 3, 'three viewers of two feeds are let in';

    my $r = $s->request('GET', '/api/log/push');
    is $r->{status}, 503, 'one more, a plain client: 503';
    like $r->{headers}{'retry-after'} // '', qr/^\d+$/, 'with Retry-After';
    is $r->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
    like $r->{json}{detail}, qr/BuildLogMaxClients/, 'that names the limit';
    is $r->{headers}{'cache-control'}, 'no-store', 'which nobody shall keep';
    is $s->request('GET', "/api/log/push?build=$id")->{status}, 503, 'on any feed';

    for my $version ('1.1', '1.0') {
        my $b = $s->open_stream('/api/log/push', version => $version, headers => { Connection => 'close' });
        is $b->status, 200, "HTTP/$version, a browser: 200";
        is $b->header('Content-Type'), 'text/event-stream', 'an event stream';
        # It is an answer like any other: it may be in chunks.
        my $body = $b->body(5);
        $b->close;
        my ($retry) = $body =~ /^retry: (\d+)\n\n/;
        is $retry, 5000, 'that says when to come back';
        my ($busy) = $body =~ /^event: busy\ndata: (.*)\n\n/m;
        is eval { $json->decode($busy)->{retry} }, 5000, 'with an event for the page';
        unlike $body, qr/^id:/m, 'and no id: the place of the client stays';
        like $body, qr/\n\n\z/, 'and ends';
    }
    is $s->request('HEAD', '/api/log/push')->{status}, 200, 'HEAD needs no place';
    is $s->request('GET', '/api/project/projects')->{status}, 200, 'other requests are not touched';
    is $s->request('GET', '/api/log/push?build=12345')->{status}, 404, 'nor is what is refused anyway';

    $v[0]->close;
    my $new = eval { wait_until { viewer() } 10, 'a free place' };
    ok $new, 'one leaves, one may come';
    $p->cue('exit 0');
    $v[2]->rest(10);
    $v[2]->close;
    my $next = eval { wait_until { viewer() } 10, 'a free place' };
    ok $next, 'a stream that has ended frees its place';
    $_->close for @v, grep { $_ } $new, $next;
    places_are_free('all have left');
}

{
    my @v = map { viewer() } 1 .. 3;
    is @v, 3, 'three viewers';
    $s->graceful;
    $_->rest(10) for @v;
    $_->close for @v;
    places_are_free('after a graceful restart');

    @v = map { viewer() } 1 .. 3;
    is @v, 3, 'three viewers again';
    my @children = @{ $s->pids->{children} };
    kill 'KILL', @children;
    wait_until_gone(10, @children);
    $_->close for @v;
    places_are_free('after all children were killed');
}

# ---- builds ------------------------------------------------------------------------

$s->configure("BuildLogMaxBuilds 2\nBuildLogMaxQueue 2\n");
$s->graceful;

sub post
{
    my ($p) = @_;
    my ($status, $answer, $r) = $s->post_build($p->path);
    return ($status, $answer->{build}{id}, $r);
}

{
    my %p = map { $_ => BuildLog::Puppet->new("limits-$_", server => $s) } qw(a b c);
    wait_until { ($s->error_log =~ /new limits: 2 builds, 2 waiting/) } 10, 'the runner has the limits';
    my $a1 = $p{a}->start;
    $s->wait_for_state($a1, 'running', 10);
    my (undef, $a2) = post($p{a});
    is $s->build_record($a2)->{state}, 'queued', 'a second build of a project waits';
    is $s->build_record($a2)->{position}, 1, 'as the first';
    my $b1 = $p{b}->start;
    is $s->wait_for_state($b1, 'running', 10)->{position}, undef,
        'a build of another project passes it: two at once';
    my $c1 = $p{c}->start;
    is $s->build_record($c1)->{state}, 'queued', 'a third one waits: BuildLogMaxBuilds 2';
    is $s->build_record($c1)->{position}, 2, 'as the second';

    my ($status, undef, $r) = post($p{b});
    is $status, 503, 'a third one that would wait: 503, BuildLogMaxQueue 2';
    like $r->{headers}{'retry-after'} // '', qr/^\d+$/, 'with Retry-After';
    is $r->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
    like $r->{json}{detail}, qr/2 builds are waiting.*BuildLogMaxQueue/, 'that names the limit';
    is $r->{headers}{location}, undef, 'without a Location';

    # The one who came first does not get the place that a project of its own
    # blocks; the next one does.
    $p{b}->cue('exit 0');
    $s->wait_for_state($b1, 'succeeded', 10);
    is $s->wait_for_state($c1, 'running', 10)->{state}, 'running', 'a place is free: the next that may';
    is $s->build_record($a2)->{state}, 'queued', 'not the second of a project that is built';
    is $s->build_record($a2)->{position}, 1, 'which stays the first';
    ($status, my $b2) = post($p{b});
    is $status, 202, 'there is room in the queue again';

    $p{a}->cue('exit 0');
    $s->wait_for_state($a1, 'succeeded', 10);
    $s->wait_for_state($a2, 'running|succeeded', 10);
    pass 'the second of the project begins when the first has ended';
    $p{a}->cue('exit 0');
    $p{c}->cue('exit 0');
    $s->wait_for_state($_, 'succeeded', 10) for $a2, $c1;
    $p{b}->cue('exit 0');
    $s->wait_for_state($b2, 'succeeded', 10);
    my ($a_end, $a_begin) = ($s->build_record($a1)->{ended}, $s->build_record($a2)->{started});
    cmp_ok $a_end, 'lt', $a_begin, 'one at a time, by their times too';
}

# ---- many orders at once ---------------------------------------------------------

{
    $s->configure("BuildLogMaxBuilds 3\nBuildLogMaxQueue 0\n");
    $s->graceful;
    wait_until { ($s->error_log =~ /new limits: 3 builds, 0 waiting/) } 10, 'the runner has the limits';
    my @p = map { BuildLog::Puppet->new("limits-$_", server => $s) } 'a' .. 'f';
    $_->prepare for @p;
    my @answers = map { [post($_)] } @p;
    my @status  = map { $_->[0] } @answers;
    is_deeply \@status, [202, 202, 202, 503, 503, 503],
        'BuildLogMaxQueue 0: as many as may run, nothing waits';
    $_->cue('exit 0') for @p;
    wait_until { !grep { $_->{state} eq 'running' } map { $s->build_record($_->[1]) } @answers[0 .. 2] } 10, 'they end';
}

# ---- more builds than the table remembers -------------------------------------------

{
    $s->configure("BuildLogMaxBuilds 8\nBuildLogMaxQueue 640\n");
    $s->graceful;
    wait_until { ($s->error_log =~ /new limits: 8 builds, 640 waiting/) } 10, 'the runner has the limits';
    my $v = wait_until { viewer() } 10, 'a viewer';
    my $place = $v->last_id;
    $v->close;
    my @p = map { BuildLog::Puppet->new("limits-$_", server => $s) } 'a' .. 'h';
    $_->prepare('out hello', 'exit 0') for @p;
    my ($first, $last);
    # Rows are kept for 128 ended builds; those that follow take the oldest.
    for my $times (130, 20) {
        for my $i (1 .. $times) {
            my ($status, $id) = post($p[ $i % 8 ]);
            $status == 202 or die "build $i: $status\n";
            ($first, $last) = ($first // $id, $id);
        }
        wait_until {
            !grep { $s->build_record($_)->{state} ne 'succeeded' } $last - 15 .. $last;
        } 300, "$times builds";
    }

    my $c = $s->open_stream('/api/log/push', headers => { 'Last-Event-ID' => $place });
    my @seen = $c->until(sub { exists $_->{data} && !exists $_->{event} }, 10);
    my ($gap) = grep { ($_->{event} // '') eq 'gap' } @seen;
    ok $gap, 'a place before what is remembered: a gap, before any line';
    is $json->decode($gap->{data} // '{}')->{after}, $place, 'that says where it begins';
    $c->close;

    # What is not in the table is in its log.
    is $s->build_record($first)->{state}, 'succeeded', 'the first build is there';
    my $o = $s->open_stream($first);
    my @old = $o->rest(10);
    $o->close;
    is_deeply [map { $_->{data} =~ /\] (.*)/ } grep { exists $_->{id} && !exists $_->{event} } @old],
        ['$ exec perl ' . project('puppet/play.pl'), 'hello', 'Build finished'], 'with its lines';
    is $old[-1]{event}, 'end', 'and its end';
    my $r = $s->request('GET', "/api/log/push?build=$first", headers => { 'Last-Event-ID' => $old[-1]{id} });
    is $r->{status}, 204, 'who has that comes in vain';
    for my $query ('tail=1', 'tail=0') {
        my $t = $s->open_stream("/api/log/push?build=$first&$query");
        my @tail = $t->rest(10);
        $t->close;
        is $tail[-1]{event}, 'end', "$query of it ends";
    }
}

# ---- no viewers at all ------------------------------------------------------------

{
    $s->configure("BuildLogMaxClients 0\n");
    $s->graceful;
    my $r;
    wait_until { $r = $s->request('GET', '/api/log/push'); $r->{status} == 503 } 10, 'the new limit';
    is $r->{status}, 503, 'BuildLogMaxClients 0: none, after a graceful restart';
    is $s->request('GET', '/api/project/projects')->{status}, 200, 'the rest goes on';
}

done_testing;
