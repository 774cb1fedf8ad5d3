# 60-kinds.t - however a connection is kept, its viewer sees the same
#
# Promises: 1 (each line exactly once, in order, also for who comes back), 3 (a
# viewer never delays another); section 3 of the contract: which connections
# are detached, parked, held or polled, how long those are kept that are not
# kept for ever, and how many.
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Kinds;
use BuildLog::Poll;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use List::Util qw(max min);
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
my $h2   = mpm() ne 'prefork';
my $s = BuildLog::Server->start(one_child(48) . odd_place() . <<'END',
BuildLogMaxBuilds 4
BuildLogPing 400ms
END
    tls => 1, protocols => $h2 ? 'h2 http/1.1' : 'http/1.1');
my $p = BuildLog::Puppet->new('kinds', server => $s);

sub is_text { my ($t) = @_; return sub { !exists $_->{event} && ($_->{data} // '') =~ /\] \Q$t\E$/ } }
sub is_named { my ($n) = @_; return sub { ($_->{event} // '') eq $n } }

# It ends with what a viewer is told that has to come back, between two events.
sub told_to_come_back
{
    my ($v, $name, @e) = @_;
    is_deeply $e[-1], { retry => 1000 }, "$name: the last it is told is to come back in 1 s"
        or diag explain $e[-1];
    is_deeply $v->{cut}, [], "$name: behind a whole event";
    return;
}

# ---- a held one has 30 s: one test of it, beside all others ---------------------------

my $patient;
if (mpm() eq 'worker') {
    my $q = BuildLog::Puppet->new('kinds-long', server => $s);
    $patient = { puppet => $q, id => $q->start('count 100', 'slow 3300 10', 'out done') };
    $patient->{viewer} = follower($s, 'tls', "?build=$patient->{id}", seconds => 400);
}

# ---- which kind ----------------------------------------------------------------------

for my $way ('plain', 'tls', 'odd') {
    my $mark = length $s->error_log;
    my $v = viewer($s, $way, '');
    $v->event(5) for 1 .. 2;
    $v->close;
    my ($told) = substr($s->error_log, $mark) =~ /BL0402 .*, connection (\w+)/;
    is $told, kind_of($way), mpm() . ", $way: " . kind_of($way);
}
if ($h2) {
    my $mark = length $s->error_log;
    my $answer = BuildLog::Poll->new($s, '/api/log/push')->once;
    is $answer->{status}, 200, 'HTTP/2: an answer';
    my ($told) = substr($s->error_log, $mark) =~ /BL0402 .*, connection (\w+)/;
    is $told, 'polled', 'HTTP/2: polled';
}

# ---- what is the same for each ---------------------------------------------------------

# 20,000 lines, beside a plain viewer.
sub all_lines
{
    my ($way, $kind) = @_;
    my $id = $p->start('out begin');
    my ($plain, $v) = map { viewer($s, $_, "?build=$id") } 'plain', $way;
    $p->cue('count 20000', 'exit 0');
    my @e = $v->rest(30);
    my @lines = lines_of(@e);
    my (%next, @wrong);
    for (@lines) {
        /^\d+ ([OE]) (\d+) x+$/ or next;
        push @wrong, "$1 $2 after " . ($next{$1} // 0) if $2 != ($next{$1} // 0) + 1;
        $next{$1} = $2;
    }
    is_deeply \@wrong, [], "$kind: each line once, in order";
    is(($next{O} // 0) + ($next{E} // 0), 20000, "$kind: all 20000 of them");
    is $e[-1]{event}, 'end', "$kind: then the end";
    is $json->decode($e[-1]{data} // '{}')->{lines}, @lines, "$kind: which counts as many";
    ok $v->at_end, "$kind: and the server closes";
    is_deeply \@lines, [lines_of($plain->rest(30))], "$kind: a plain viewer has the same";
    $_->close for $v, $plain;
    return;
}

sub live
{
    my ($way, $kind) = @_;
    my $id = $p->start('out begin');
    $p->wait_for('begin');
    my $v = viewer($s, $way, '');
    $v->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,/ }, 5);
    my @took;
    for my $i (1 .. 5) {
        my $began = time;
        $p->cue("out line $i");
        eval { $v->until(is_text("line $i"), 5) } or diag $@;
        push @took, time - $began;
    }
    cmp_ok min(@took), '<', 1, "$kind: all builds: a new line comes at once";

    my $began = time;
    my @pings = map { $v->until(is_named('ping'), 5) } 1 .. 8;
    # By the server's clock, for who reads late gets several at once: pings of
    # one second have the same time.
    my %in_second;
    $in_second{ $json->decode($_->{data})->{time} }++ for grep { ($_->{event} // '') eq 'ping' } @pings;
    # A build that others look at may go on beside.
    my @own = grep { ($_->{data} // '') !~ /\] [OE] \d+ x/ } @pings;
    is_deeply [map { $_->{event} } @own], [('ping') x 8], "$kind: while it is idle, pings and nothing else";
    cmp_ok max(values %in_second), '<=', 4, "$kind: not faster than BuildLogPing";
    cmp_ok time - $began, '<', 60, "$kind: nor as slow as without it";
    $p->cue('exit 0');
    $v->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,.*"succeeded"/ }, 5);
    pass "$kind: all builds: the end of one";
    $v->close;
    return;
}

# One takes nothing while the build prints some MB; then it reads, with pauses.
sub slow
{
    my ($way, $kind) = @_;
    my $id = $p->start('out begin');
    my $slow = viewer($s, $way, "?build=$id", rcvbuf => 8192);
    my %fast = map { $_ => viewer($s, $_, "?build=$id") } 'plain', $way;
    my %seen = map { $_ => [] } 'slow', keys %fast;
    my $wait = sub {
        my ($text, $seconds) = @_;
        push @{ $seen{$_} }, $fast{$_}->until(is_text($text), $seconds) for sort keys %fast;
    };
    $p->cue('flood 2000000', 'out behind it');
    $wait->('behind it', 20);
    pass "$kind, one reads nothing: the others have all";
    my $least = 1e9;
    for my $pause (1 .. 4) {
        my $began = time;
        $p->cue("out pause $pause");
        $wait->("pause $pause", 5);
        $least = min($least, time - $began);
        for (1 .. 500) {
            push @{ $seen{slow} }, $slow->event(5) // last;
        }
    }
    cmp_ok $least, '<', 1, "$kind, one reads slowly: the others get a line at once";
    $p->cue('exit 0');
    setsockopt $slow->socket, SOL_SOCKET, SO_RCVBUF, 1 << 20;
    push @{ $seen{slow} }, $slow->rest(30);
    is $seen{slow}[-1]{event}, 'end', "$kind: the slow one gets there"
        or diag explain $seen{slow}[-1];
    push @{ $seen{$_} }, $fast{$_}->rest(10) for keys %fast;
    my @all = lines_of(@{ $seen{plain} });
    cmp_ok scalar(@all), '>', 40000, "$kind: 40000 lines and more";
    is_deeply [lines_of(@{ $seen{$_} })], \@all, "$kind: the $_ viewer has them all" for 'slow', $way;
    $_->close for $slow, values %fast;
    return;
}

# Again and again one leaves in the middle, and comes back with its place.
sub resume
{
    my ($way, $kind) = @_;
    my $id = $p->start('count 200', 'slow 250 10', 'out done');
    my (@seen, $last);
    for my $hop (1 .. 8) {
        my $v = viewer($s, $way, "?build=$id", headers => { defined $last ? ('Last-Event-ID' => $last) : () });
        my $wanted = 50 * $hop;
        while (lines_of(@seen) < $wanted) {
            push @seen, $v->event(10) // last;
        }
        $last = $v->last_id;
        $hop % 2 ? $v->close : $v->reset;
    }
    $p->cue('exit 0');
    my $v = viewer($s, $way, "?build=$id", headers => { 'Last-Event-ID' => $last });
    push @seen, $v->rest(15);
    is $seen[-1]{event}, 'end', "$kind: who left 8 times comes to the end";
    $v->close;
    is_deeply [lines_of(@seen)], [stored_lines($s, $id)], "$kind: with each line once, in order";
    is scalar(grep { ($_->{event} // '') eq 'gap' } @seen), 0, "$kind: no gap";
    return;
}

for my $way (ways()) {
    my $kind = kind_of($way);
    all_lines($way, $kind);
    live($way, $kind);
    slow($way, $kind);
    resume($way, $kind);
}

# ---- how many, how long -------------------------------------------------------------

# Two are let in on this way; what the third is told.
sub two_at_most
{
    my ($server, $way, $limit) = @_;
    my $kind = kind_of($way);
    my @v = map { wait_until { comes($server, $way) } 10, 'a place' } 1 .. 2;
    my $path = $way eq 'odd' ? '/odd/push' : '/api/log/push';
    my $r = eval { $server->request('GET', $path, tls => $way eq 'tls', timeout => 5) } // { status => $@ };
    is $r->{status}, 503, "$kind, a third one, a plain client: 503";
    like $r->{headers}{'retry-after'} // '', qr/^\d+$/, "$kind: with Retry-After";
    is $r->{headers}{'content-type'}, 'application/problem+json', "$kind: as a problem";
    like $r->{json}{detail} // '', $limit, "$kind: that names the limit";

    my $b = viewer($server, $way, '', headers => { Connection => 'close' });
    is $b->status, 200, "$kind, a browser: 200";
    is $b->header('Content-Type'), 'text/event-stream', "$kind: an event stream";
    my @e = BuildLog::Stream->of(eval { $b->body(5) } // '')->rest;
    $b->close;
    is_deeply [map { $_->{event} // 'retry' } @e], ['retry', 'busy'], "$kind: retry, busy, the end";
    is $e[0]{retry}, 5000, "$kind: to come back in 5 s";
    like eval { $json->decode($e[1]{data})->{detail} } // '', $limit, "$kind: and the limit, for the page";
    is scalar(grep { exists $_->{id} } @e), 0, "$kind: no id: the place of the client stays";

    for my $tls (0, 1) {
        my (@took, @status);
        for (1 .. 5) {
            my $began = time;
            push @status, $server->request('GET', '/api/project/projects', tls => $tls)->{status};
            push @took, time - $began;
        }
        is_deeply \@status, [(200) x 5], "$kind: ordinary requests are answered" . ($tls ? ', TLS' : '');
        cmp_ok min(@took), '<', 1, '... at once';
    }
    my $plain = $server->open_stream('/api/log/push');
    is $plain->event(5)->{retry}, 2000, "$kind: and plain viewers are let in";
    $plain->close;
    shift(@v)->close;
    push @v, eval { wait_until { comes($server, $way) } 10, 'a free place' } // ();
    is @v, 2, "$kind: one leaves, one may come";
    return @v;
}

my $small = BuildLog::Server->start(one_child(8) . odd_place() . <<'END', tls => 1);
BuildLogMaxParked 2
BuildLogPing 400ms
Timeout 300
END

for my $way (grep { kind_of($_) eq 'held' } ways()) {
    my @v = two_at_most($small, $way, qr/\b2 that may be used for streams\b/);
    $_->close for @v;
}

if (mpm() eq 'event') {
    my @v = two_at_most($small, 'tls', qr/\b2 viewers\b.*\bBuildLogMaxParked\b/);
    $_->close for @v;

    # One whose time is short.
    my $brief = BuildLog::Server->start(one_child(8) . "BuildLogPing 400ms\nTimeout 5\n", tls => 1);
    my $few   = BuildLog::Puppet->new('kinds-few', server => $brief);

    # The server's Timeout would end it without a word.
    my $id = $few->start('slow 1200 10');
    my $f  = follower($brief, 'tls', "?build=$id");
    my $began = time;
    my $idle = viewer($brief, 'tls', '');
    my @e = $idle->rest(10);
    my $took = time - $began;
    # That it was not httpd is seen by what it is told, below.
    cmp_ok $took, '<', 20, 'parked, Timeout 5: ended';
    cmp_ok $took, '>', 3, 'shortly before';
    told_to_come_back($idle, 'parked', @e);
    $idle->close;
    $few->cue('exit 0');
    my $seen = eval { $f->finish(40) } // { %{ $f->seen }, died => $@ };
    is $seen->{died}, '', 'parked, while a build prints: its viewer comes to the end';
    cmp_ok $seen->{connections}, '>=', 3, "in $seen->{connections} connections";
    is scalar(grep { $_ >= 20 } @{ $seen->{lived} }), 0, 'each as short as Timeout'
        or diag explain $seen->{lived};
    is scalar(grep { ($_ // 0) != 1000 } @{ $seen->{retries} }), 0, 'each ended with retry: 1000'
        or diag explain $seen->{retries};
    is_deeply [$f->lines], [stored_lines($brief, $id)], 'nothing lost, nothing doubled';
    is $seen->{gaps}, 0, 'no gap';
}

if ($patient) {
    my $q = $patient->{puppet};
    $q->wait_for('done', 1, 180);
    wait_until { @{ $patient->{viewer}->seen->{lived} } } 20, 'the end of a held stream';
    $q->cue('exit 0');
    my $seen = eval { $patient->{viewer}->finish(20) } // { %{ $patient->{viewer}->seen }, died => $@ };
    is $seen->{died}, '', 'held, while a build prints for longer than 30 s: its viewer comes to the end';
    my @lived = @{ $seen->{lived} };
    is $seen->{connections}, @lived + 1, 'in ' . (@lived + 1) . ' connections';
    is scalar(grep { $_ < 29 } @lived), 0, 'each but the last has 30 s...' or diag "@lived";
    is scalar(grep { $_ >= 50 } @lived), 0, '...and not much longer' or diag "@lived";
    is_deeply $seen->{retries}, [(1000) x @lived], 'it ends with retry: 1000';
    is_deeply [$patient->{viewer}->lines], [stored_lines($s, $patient->{id})], 'nothing lost, nothing doubled';
    is $seen->{gaps}, 0, 'no gap';
}

done_testing;
