# 34-poll.t - streams over HTTP/2 are short polls: each answer is finite, and
# all answers together are the stream
#
# Promises: 1 (each line exactly once, in order), 3 (a viewer costs no thread),
# 5 (the end of a stream is that of the build), 6 (graceful: nothing missed,
# nothing doubled).
#
# MPM: event worker
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Test::More;
use BuildLog::Test;
use BuildLog::Poll;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8;
my $s = BuildLog::Server->start(<<'END', tls => 1, protocols => 'h2 http/1.1');
BuildLogMaxBuilds 2
CustomLog access_log "%r %>s"
END
my $p = BuildLog::Puppet->new('poll', server => $s);
my $q = BuildLog::Puppet->new('poll-other', server => $s);

sub named { my ($name, @e) = @_; return grep { ($_->{event} // '') eq $name } @e }
sub lines { return grep { !exists $_->{event} && exists $_->{data} } @_ }
sub text  { return $_[0]{data} =~ s/^\[[^\]]*\] //r }
sub poll  { my ($query) = @_; return BuildLog::Poll->new($s, "/api/log/push$query") }

# What holds for each answer that brings events; without it the polls do not
# make a stream.
sub good_answer
{
    my ($answer, $name, %opt) = @_;
    my @e = @{ $answer->{events} };
    my $ok = $answer->{protocol} eq 'HTTP/2' && $answer->{status} == 200
        && $answer->{headers}{'content-type'} eq 'text/event-stream'
        && $answer->{headers}{'cache-control'} eq 'no-store'
        && !@{ $answer->{cut} }
        && keys %{ $e[0] } == 1 && exists $e[0]{retry}
        && ($e[1]{event} // '') eq 'ping' && $e[1]{data} =~ /^\{"time":"[^"]+Z"\}$/
        && !grep({ exists $_->{retry} } @e[1 .. $#e])
        && !named('gap', @e);
    ok $ok, "$name: whole, over HTTP/2, begins with retry and ping"
        or diag explain { %$answer, events => [@e[0 .. ($#e < 5 ? $#e : 5)]] };
    return;
}

sub posts
{
    open my $in, '<', $s->dir . '/access_log' or die "access log: $!\n";
    return scalar grep { /^POST / } <$in>;
}

# httpd logs a request when it has been answered.
sub wait_for_posts { my ($count) = @_; return wait_until { posts() >= $count } 20, "$count requests in the access log" }

sub builds { return scalar(() = glob $s->state . '/logs/*.log') }

# ---- nothing runs ------------------------------------------------------------------

my $all = poll('');
{
    my $a = $all->once;
    good_answer($a, 'nothing runs');
    is $a->{retry}, 5000, 'nothing runs: come back in 5 s';
    is @{ $a->{events} }, 2, 'and nothing else';
    ok $a->{events}[1]{id}, 'the ping has an id: the place of one who has seen nothing';
    my $b = $all->once;
    good_answer($b, 'with that place');
    is $b->{retry}, 5000, 'still nothing';
}

# ---- one build: what a client is told to wait -----------------------------------------

# A browser that has seen nothing but a ping.
{
    $p->prepare('out hello');
    my ($answer, $why) = BuildLog::Poll::curl($s, '/api/project/build',
        '--data-urlencode', 'projectPath=' . $p->path);
    is $answer->{protocol}, 'HTTP/2', 'a POST over HTTP/2' or diag $why;
    is $answer->{status}, 202, 'is accepted';
    my $id = $json->decode($answer->{body})->{build}{id};
    is $answer->{headers}{location}, "/api/project/builds/$id", 'says where the build is';
    $p->{build} = $id;
    $p->wait_until_told('hello');
    is builds(), 1, 'and has begun one build';
    wait_for_posts(1);
    is posts(), 1, 'by one request';

    my $one = poll("?build=$id");
    my $a = $one->once;
    good_answer($a, 'lines are there');
    is $a->{retry}, 200, 'lines came: 200 ms';
    is_deeply [map { text($_) } lines(@{ $a->{events} })], ['$ exec perl '
        . project('puppet') . '/play.pl', 'hello'], 'the lines so far';
    $a = $one->once;
    good_answer($a, 'the build is silent');
    is $a->{retry}, 1000, 'the build is silent: 1 s';
    is scalar(lines(@{ $a->{events} })), 0, 'no line';
    is $a->{events}[1]{id}, $one->last_id, 'the ping repeats the place';
    is_deeply [map { $json->decode($_->{data})->{state} } named('build', @{ $a->{events} })],
        ['running'], 'and the build as it is now';
    $a = poll('')->once;
    good_answer($a, 'all builds, one is silent');
    is $a->{retry}, 1000, 'all builds, one is silent: 1 s';

    $p->cue('err more');
    $p->wait_until_told('more');
    $a = $one->once;
    good_answer($a, 'one more line');
    is $a->{retry}, 200, 'one more line: 200 ms';
    is_deeply [map { text($_) } lines(@{ $a->{events} })], ['more'], 'that line alone';

    # One that waits for the other build of its project.
    my $waits = $s->post_build($p->path) && builds();
    $a = poll("?build=$waits")->once;
    good_answer($a, 'a build that waits');
    is scalar(named('end', @{ $a->{events} })), 0, 'it has not ended';

    my $head = BuildLog::Poll::curl($s, "/api/log/push?build=$id", '-I', '-H', 'Accept: text/event-stream');
    is $head->{status}, 200, 'HEAD: 200';
    is $head->{headers}{'content-type'}, 'text/event-stream', 'HEAD: the type';
    is $head->{body}, '', 'HEAD: no body';
    is $head->{protocol}, 'HTTP/2', 'HEAD: over HTTP/2';

    $p->cue('exit 0');
    $one->rest(10);
    my @e = $one->events;
    is_deeply [map { text($_) } lines(@e)], ['$ exec perl ' . project('puppet') . '/play.pl',
        'hello', 'more', 'Build finished'], 'all polls together: each line once';
    is scalar(named('end', @e)), 1, 'one end';
    is $e[-1]{event}, 'end', 'it is the last event';
    is $json->decode($e[-1]{data})->{state}, 'succeeded', 'with the state';
    my $last = ($one->answers)[-1];
    is $last->{bytes}, 0, 'behind it 204, and nothing else';
    $head = BuildLog::Poll::curl($s, "/api/log/push?build=$id", '-I', '-H', 'Last-Event-ID: ' . $one->last_id);
    is $head->{status}, 204, 'HEAD: 204 too';
    is scalar($one->failures), 0, 'no poll failed' or diag explain [$one->failures];

    # It plays the cues of the one before.
    $s->wait_for_state($waits, 'succeeded', 10);
    $all->once for 1 .. 2;
    is scalar(grep { text($_) eq 'hello' } $all->lines), 2,
        'all builds, who polled before the first one: has the lines of both';
}

# ---- many lines -------------------------------------------------------------------------

{
    my $count = 20_000;
    my $id = $p->start("count $count", 'exit 0');
    my $v = poll("?build=$id&format=json");
    $v->rest(60);
    my @a = $v->answers;
    is scalar($v->failures), 0, "$count lines: no poll failed" or diag explain [$v->failures];
    pop @a;
    my @whole = grep { $_->{status} == 200 } @a;
    is @whole, @a, "$count lines in " . @a . ' answers';
    good_answer($a[$_], "answer $_") for 0, int(@a / 2), $#a;

    my @cut = grep { $a[$_]{bytes} >= 256 * 1024 } 0 .. $#a;
    cmp_ok scalar(@cut), '>', 0, scalar(@cut) . ' of them were cut for their size';
    is_deeply [grep { $a[$_]{retry} == 0 } 0 .. $#a], \@cut, 'those and no others say retry: 0';
    is scalar(grep { $_->{bytes} > 512 * 1024 } @a), 0, 'none is much larger';
    is scalar(grep { $_ < $#a && !lines(@{ $a[ $_ + 1 ]{events} }) } @cut), 0, 'and there was more';

    my (@wrong, %next, $last);
    my $bytes = '';
    for my $line (map { $json->decode($_->{data}) } $v->lines) {
        push @wrong, "id $line->{id} after $last" if defined $last && $line->{id} <= $last;
        $last = $line->{id};
        $bytes .= $line->{text} . ($line->{partial} ? '' : "\n");
        next unless $line->{text} =~ /^([OE]) (\d+) x/;
        push @wrong, "$1 $2 after " . ($next{$1} // 0) if $2 != ($next{$1} // 0) + 1;
        $next{$1} = $2;
    }
    is_deeply \@wrong, [], 'each line once, in order';
    is $next{O} + $next{E}, $count, 'all of them';
    my @ends = named('end', $v->events);
    is @ends, 1, 'one end';
    my $end = $json->decode($ends[0]{data});
    is $end->{lines}, $count + 2, 'lines of end';
    is length $bytes, $end->{bytes}, 'bytes of end';
    is sha256_hex($bytes), $end->{sha256}, 'and its digest';
}

# ---- many viewers on one connection -----------------------------------------------------

# Seven streams that stay hang a site for their user (HTTPD.md 7): these do not.
{
    my $id = $p->start('out hello');
    $p->wait_for('hello');
    my $marks = join ' ', map { "%{$_}" } qw(http_code http_version num_connects);
    my @urls = (("/api/log/push?build=$id") x 20, '/api/project/projects');
    open my $out, '-|', 'curl', '-q', '-sSk', '--http2', '-m', 60,
        '--stderr', $s->dir . '/curl', '-Z', '--parallel-max', 30,
        '-H', 'Accept: text/event-stream', '-w', "$marks\n",
        map({ ('-o', '/dev/null', $s->tls_url . $_) } @urls) or die "curl: $!\n";
    my @told = <$out>;
    close $out;
    is $?, 0, '20 viewers and a request at once: all are answered in time';
    is scalar(grep { /^200 2 / } @told), @urls, 'each with 200, over HTTP/2' or diag @told;
    is scalar(grep { /^200 2 0$/ } @told), @urls - 1, 'on one connection' or diag @told;
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 10);
}

# ---- graceful restarts ----------------------------------------------------------------------

{
    my $runner = $s->pids->{runner};
    my $feed = poll('?format=json');
    $feed->once;
    my ($m, $n) = ($p->start('count 100'), $q->start('count 100'));
    my $one = poll("?build=$m");
    for my $i (1 .. 5) {
        my $generations = () = $s->error_log =~ /resuming normal operations/g;
        $_->cue('slow 20 5', 'count 80') for $p, $q;
        $s->graceful;
        # Polls before it, during it and behind it.
        my $polls = 0;
        wait_until {
            $_->once for $feed, $one;
            ++$polls > 5 && $generations < (() = $s->error_log =~ /resuming normal operations/g);
        } 20, 'graceful is done';
    }
    is $s->pids->{runner}, $runner, 'graceful x 5: the same runner';
    $_->cue('exit 0') for $p, $q;
    $one->rest(20);
    $s->wait_for_state($_, 'succeeded', 10) for $m, $n;
    my %ended;
    $feed->until(sub {
        my $record = ($_->{event} // '') eq 'build' ? $json->decode($_->{data}) : {};
        $ended{ $record->{id} } = 1 if ($record->{state} // '') eq 'succeeded';
        return $ended{$m} && $ended{$n};
    }, 20);
    note scalar($_->answers) . ' answers, ' . scalar($_->failures) . ' failures' for $feed, $one;

    my %stored;
    for my $id ($m, $n) {
        my $r = $s->request('GET', "/api/project/builds/$id/log?format=json");
        $stored{$id} = [map { "$_->{id} $_->{text}" } map { $json->decode($_) } split /\n/, $r->{body}];
        is @{ $stored{$id} }, 602, "build $id has all its lines";
    }
    is_deeply [map { "$_->{id} " . text($_) } $one->lines], $stored{$m},
        'one build: each line once, in order';
    is scalar(named('gap', $one->events, $feed->events)), 0, 'no gap';
    my @seen = map { $json->decode($_->{data}) } $feed->lines;
    for my $id ($m, $n) {
        is_deeply [map { "$_->{id} $_->{text}" } grep { $_->{build} == $id } @seen], $stored{$id},
            "all builds: each line of build $id once, in order";
    }
    is scalar(grep { $seen[$_]{id} <= $seen[ $_ - 1 ]{id} } 1 .. $#seen), 0, 'ids grow over both';
    wait_for_posts(builds());
    is posts(), builds(), 'one POST, one build, all the time';
}

done_testing;
