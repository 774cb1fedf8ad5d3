# 30-stream.t - a stream: its head, its events, where it begins and how it ends
#
# Promises: 1 (each line once, in order), 2 (stdout and stderr keep their own
# order), 5 (the stream ends as the build does); section 5 of the contract.
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use JSON::PP ();
use List::Util qw(max);
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $stamp = qr/\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]/;

sub named   { my ($name, @e) = @_; return grep { ($_->{event} // '') eq $name } @e }
sub lines   { return grep { !exists $_->{event} && exists $_->{data} } @_ }
sub text_of { return map { $_->{data} =~ /^\[[^\]]*\] (.*)$/s ? $1 : $_->{data} } lines(@_) }
sub records { my ($name, @e) = @_; return map { $json->decode($_->{data}) } named($name, @e) }
sub is_end  { return sub { ($_->{event} // '') eq 'end' } }
sub is_text { my ($t) = @_; return sub { !exists $_->{event} && ($_->{data} // '') =~ /\] \Q$t\E$/ } }

# ---- before any build: head and first bytes ------------------------------

{
    my $began = time;    # pings come each 15 s
    my $s = open_stream('/api/log/push');
    is $s->status, 200, 'the feed of all builds';
    is $s->header('Content-Type'), 'text/event-stream', 'Content-Type, without a charset';
    is $s->header('Cache-Control'), 'no-store', 'Cache-Control';
    is $s->header('X-Accel-Buffering'), 'no', 'X-Accel-Buffering';
    is $s->header('Transfer-Encoding'), '', 'no Transfer-Encoding';
    is $s->header('Content-Length'), '', 'no Content-Length';
    is $s->header('Content-Encoding'), '', 'no Content-Encoding';
    my $first = $s->event(2);
    is_deeply [sort keys %$first], ['retry'], 'the first frame is retry';
    is $first->{retry}, 2000, '2 s, the default of BuildLogRetry';
    my $ping = $s->event(2);
    is $ping->{event}, 'ping', 'the second is a ping';
    like $json->decode($ping->{data})->{time}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'with the time';
    cmp_ok time - $began, '<', 12, 'at once, though nothing was built';
    $s->close;

    my $old = open_stream('/api/log/push', version => '1.0');
    is $old->status, 200, 'HTTP/1.0: the same';
    is $old->header('Content-Type'), 'text/event-stream', 'HTTP/1.0: Content-Type';
    is $old->header('Transfer-Encoding'), '', 'HTTP/1.0: no Transfer-Encoding';
    is $old->event(2)->{retry}, 2000, 'HTTP/1.0: the same bytes';
    $old->close;

    my $gzip = open_stream('/api/log/push', headers => { 'Accept-Encoding' => 'gzip' });
    is $gzip->header('Content-Encoding'), '', 'not compressed for a client that would like it';
    is $gzip->event(2)->{retry}, 2000, 'nor held back';
    $gzip->close;

}

# ---- one build: from its start, live, to its end --------------------------

my $p  = BuildLog::Puppet->new('stream');
my $id = $p->start('out early one', 'err early two');
$p->wait_for('early two');

# In this order: what one has seen is behind who comes then.
my $s   = open_stream($id);
my @e   = $s->until(is_text('early two'), 5);
my $all = open_stream('/api/log/push');
is $e[0]{retry}, 2000, 'one build: retry first';
is $e[1]{event}, 'ping', 'then a ping';
my @text = text_of(@e);
like $text[0], qr/^\$ exec perl .*play\.pl$/, 'the log begins with the command of the step';
is_deeply [sort @text[1, 2]], ['early one', 'early two'], 'then what was printed before we came';

# A machine with much else to do may need longer for one of them.
my $soonest = 1e9;
for my $n (qw(one two three four five)) {
    my $before = time;
    $p->cue("out live $n");
    push @e, $s->until(is_text("live $n"), 5);
    $soonest = time - $before if time - $before < $soonest;
}
cmp_ok $soonest, '<', 1, 'a new line comes at once';
$p->cue('out  two blanks in front', 'out', 'raw no line end', 'exit 0');
push @e, $s->rest(10);
ok $s->at_end, 'the server closes the connection behind the end';

my @data = map { $_->{data} } lines(@e);
is scalar(grep { $_ !~ /^$stamp .*$/ } @data), 0,
    'each line is "[YYYY-MM-DD HH:mm:ss] text"' or diag explain \@data;
@text = text_of(@e);
ok scalar(grep { $_ eq '' } @text), 'an empty line is a line';
ok scalar(grep { $_ eq 'no line end' } @text), 'the last line needs no line end';
is $text[-1], 'Build finished', 'the last line says how it ended';

my @ends = named('end', @e);
is @ends, 1, 'end comes once';
is $e[-1]{event}, 'end', 'and last';
my $end = $json->decode($ends[0]{data});
is $end->{id}, $id, 'end is a record of this build';
is $end->{state}, 'succeeded', 'in its final state';
is $end->{lines}, scalar @text, 'lines of end are the lines that came';
my $bytes = 0;
$bytes += length($_) + 1 for @text;
is $end->{bytes}, $bytes, 'and so are the bytes, a line end each';
is_deeply scalar(build_record($id)), $end, 'the record by builds/N is the same';

my @ids = map { $_->{id} // () } @e;
is scalar(grep { $ids[$_] <= $ids[ $_ - 1 ] } 1 .. $#ids), 0, 'ids grow strictly';
is scalar(grep { !/^\d{16}$/ } @ids), 0, 'an id is microseconds since the epoch';
is scalar(grep { !exists $_->{id} } lines(@e)), 0, 'each line has one';
is scalar(grep { ($_->{event} // '') =~ /^(?:error|open)$/ } @e), 0, 'no event named error or open';
my ($line) = grep { $_->{data} =~ /live one$/ } lines(@e);
my @local = localtime(int($line->{id} / 1e6));
is substr($line->{data}, 0, 21), sprintf('[%04d-%02d-%02d %02d:%02d:%02d]',
    $local[5] + 1900, $local[4] + 1, @local[3, 2, 1, 0]), 'the stamp is the time of the id';

# Every event came in one of these forms.
is_deeply [sort keys %{ { map { ($_->{event} // (exists $_->{retry} ? 'retry' : 'line')) => 1 } @e } }],
    [qw(build end line ping retry)], 'retry, ping, build, lines, end: nothing else';

# ---- the same afterwards, and all builds ---------------------------------------

{
    my $late = open_stream($id);
    my @l = $late->rest(5);
    is_deeply [map { "$_->{id} $_->{data}" } lines(@l)], [map { "$_->{id} $_->{data}" } lines(@e)],
        'who comes after the end gets the same lines';
    is $l[-1]{event}, 'end', 'and the end';
    is_deeply $l[-1], $e[-1], 'the same one';
    $late->close;

    my @a = $all->until(is_text('Build finished'), 5);
    push @a, $all->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /succeeded/ }, 5);
    my @of_all = text_of(@a);
    is $of_all[0], 'live one', 'the feed of all builds: from now on';
    is_deeply \@of_all, [@text[3 .. $#text]], 'and everything from there';
    is scalar(named('end', @a)), 0, 'it does not end with a build';
    my @now = records('build', @a);
    is $now[0]{id}, $id, 'who comes is told which builds there are';
    is $now[0]{state}, 'running', 'and how far they are';
    $all->close;
}

# ---- forms -------------------------------------------------------------------

{
    my $j = open_stream("/api/log/push?build=$id&format=json");
    my @l = $j->rest(5);
    my @o = map { $json->decode($_->{data}) } lines(@l);
    is_deeply [map { $_->{text} } @o], \@text, 'format=json: the texts';
    is_deeply [map { $_->{id} } @o], [map { $_->{id} } lines(@l)], 'the id, as the event has it';
    is scalar(grep { $_->{build} != $id } @o), 0, 'the build';
    my ($one) = grep { $_->{text} eq 'early one' } @o;
    my ($two) = grep { $_->{text} eq 'early two' } @o;
    is_deeply [sort keys %$one], [qw(build id stream text time)], 'a line has these fields';
    is $one->{stream}, 'stdout', 'stdout';
    is $two->{stream}, 'stderr', 'stderr';
    like $one->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'the time, RFC 3339 with microseconds';
    is substr($one->{id}, -6), substr($one->{time}, -7, 6), 'is that of the id';
    like $j->header('Content-Type'), qr{^text/event-stream$}, 'still an event stream';
    ok $o[0]{note}, 'the command is a note';
    is $o[0]{step}, 1, 'that begins step 1';
    ok $o[-1]{note}, 'the last line is a note';
    ok !(grep { $_->{note} } @o[1 .. $#o - 1]), 'what the build printed is none';
    $j->close;

    my $t = open_stream("/t/stamp?build=$id");
    my @t = lines($t->rest(5));
    is scalar(grep { $_->{data} !~ /^\[\d\d\.\d\d\] / } @t), 0, 'BuildLogTimeFormat';
    is @t, @text, 'with all lines';
    $t->close;
}

# ---- where it begins -------------------------------------------------------------

{
    my @all_lines = lines(@e);
    my $get = sub {
        my ($query, %opt) = @_;
        my $c = open_stream("/api/log/push?build=$id$query", %opt);
        my @got = $c->rest(5);
        is $got[-1]{event}, 'end', "$query: ends with the end";
        $c->close;
        return map { $_->{id} } lines(@got);
    };
    my @whole = map { $_->{id} } @all_lines;
    is_deeply [$get->('&from=start')], \@whole, 'from=start: all';
    is_deeply [$get->("&from=$whole[2]")], [@whole[3 .. $#whole]], 'from=<id>: what follows it';
    is_deeply [$get->('&tail=2')], [@whole[-2, -1]], 'tail=2: the last two';
    is_deeply [$get->('&tail=100000')], \@whole, 'tail of more than there is: all';
    is_deeply [$get->('&tail=0')], [], 'tail=0 of an ended build: no line, the end';
    is_deeply [$get->('&from=tail')], [], 'from=tail of an ended build: the same';
}

{
    my $live = $p->start('count 500');
    $p->wait_until_told(qr/^[OE] \d+/, 500);
    my %s = map { $_ => open_stream("/api/log/push?build=$live&$_") } 'tail=3', 'tail=0', 'from=tail';
    my %began = map { $_ => [$s{$_}->until(sub { ($_->{event} // '') eq 'build' }, 5)] } sort keys %s;
    $p->cue('out now', 'exit 0');
    for my $query (sort keys %s) {
        my @got = text_of(@{ $began{$query} }, $s{$query}->rest(10));
        my $old = $query eq 'tail=3' ? 3 : 0;
        is @got, $old + 2, "$query of a running build: $old old lines, then live";
        is_deeply [@got[-2, -1]], ['now', 'Build finished'], "$query: up to the end";
        is $json->decode($began{$query}[-1]{data})->{state}, 'running',
            "$query: who begins in the middle is told how it stands";
        $s{$query}->close;
    }
}

# ---- queued, and every change of state -------------------------------------------

{
    my $q     = BuildLog::Puppet->new('steps');
    my $first = $q->start;
    wait_for_state($first, 'running');
    # Not by start(): it would give new cues to the one that runs.
    my ($status, $answer) = post_build($q->path);
    my $second = $answer->{build}{id};
    is $answer->{build}{state}, 'queued', 'a second build of the project waits';

    my $c = open_stream($second);
    is $c->status, 200, 'a queued build has a stream';
    my @got = $c->until(sub { ($_->{event} // '') eq 'build' }, 5);
    my ($record) = records('build', @got);
    is $record->{state}, 'queued', 'that says so';
    is $record->{position}, 1, 'and where in the queue';
    is scalar(lines(@got)), 0, 'no lines yet';
    $q->cue('exit 0');
    push @got, $c->rest(10);
    $c->close;

    my @states;
    for (records('build', @got)) {
        my $now = join ' ', $_->{state}, $_->{step} // '-',
            map { $_->{state} } @{ $_->{steps} };
        push @states, $now unless @states && $states[-1] eq $now;
    }
    is_deeply \@states, [
        'queued - pending pending',
        'running first running pending',
        'running second succeeded running',
        'succeeded - succeeded succeeded',
    ], 'build events: on each change of state or step' or diag explain \@states;
    my @notes = grep { /^\$ / } text_of(@got);
    is @notes, 2, 'a header for each step';
    is $got[-1]{event}, 'end', 'then the end';
    is $got[-2]{event}, 'build', 'before it the same record as build';
    is $got[-2]{data}, $got[-1]{data}, 'equal bytes';
    ok !exists $got[-2]{id}, 'only the end has the id: who got the first alone comes back for it';
}

# ---- pings ---------------------------------------------------------------------------

{
    my $c = open_stream('/t/ping');
    is $c->event(2)->{retry}, 7000, 'BuildLogRetry';
    my $began = time;
    my @got = map { $c->event(3) } 1 .. 16;
    is_deeply [map { $_->{event} } @got], [('ping') x 16], 'nothing but pings when nothing is built';
    # By the server's clock, for who reads late gets several at once: pings of
    # one second have the same time. Five, behind the one at the beginning.
    my %in_second;
    $in_second{ $json->decode($_->{data})->{time} }++ for @got[1 .. $#got];
    cmp_ok max(values %in_second), '<=', 6, 'BuildLogPing 200ms: not faster';
    cmp_ok time - $began, '<', 60, 'nor as slow as where it says nothing';
    my @pos = map { $_->{id} } @got;
    is scalar(grep { $_ ne $pos[0] } @pos), 0, 'they carry the place of the viewer';
    $c->close;

    my $b = $p->start('out one');
    my $v = open_stream("/t/ping?build=$b");
    my @g = $v->until(is_text('one'), 5);
    my $at = $g[-1]{id};
    push @g, $v->until(sub { ($_->{event} // '') eq 'ping' }, 3);
    is $g[-1]{id}, $at, 'on one build too';
    $p->cue('exit 3');
    my @rest = $v->rest(10);
    is $rest[-1]{event}, 'end', 'pings do not disturb the end';
    is $json->decode($rest[-1]{data})->{state}, 'failed', 'which may be a failure';
    is_deeply [(text_of(@rest))[-1]], ['Build failed: step "play" exited with code 3'],
        'whose reason is the last line';
    $v->close;
}

# ---- what is refused, HEAD, methods ------------------------------------------------

{
    my %as_page = (headers => { Accept => 'text/event-stream' });
    my $r = request('HEAD', "/api/log/push?build=$id", %as_page);
    is $r->{status}, 200, 'HEAD';
    is $r->{headers}{'content-type'}, 'text/event-stream', 'with the head of the stream';
    $r = request('HEAD', '/api/log/push');
    is $r->{status}, 200, 'HEAD of the feed of all builds';

    $r = request('GET', '/api/log/push?build=99999999');
    is $r->{status}, 404, 'an unknown build: 404';
    is $r->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
    is $r->{json}{status}, 404, 'with its status';
    like $r->{json}{detail}, qr/\w/, 'and a sentence';
    is request('HEAD', '/api/log/push?build=99999999')->{status}, 404, 'HEAD: the same';

    my %bad = (
        'build='            => qr/number of a build/,
        'build=x'           => qr/number of a build/,
        'build=-1'          => qr/number of a build/,
        'build=0'           => qr/number of a build/,
        'build=1.5'         => qr/number of a build/,
        'build=01'          => qr/number of a build/,
        'build=99999999999999999999' => qr/number of a build/,
        "build=$id&format=xml" => qr/text, json/,
        "build=$id&from=end"   => qr/start, tail or the id/,
        "build=$id&from="      => qr/start, tail or the id/,
        "build=$id&from=-5"    => qr/start, tail or the id/,
        "build=$id&from=0"     => qr/start, tail or the id/,
        "build=$id&tail=x"     => qr/number of lines, 100000 at most/,
        "build=$id&tail=-1"    => qr/number of lines, 100000 at most/,
        "build=$id&tail=100001" => qr/number of lines, 100000 at most/,
        'build=%zz'         => qr/encoded/,
        'format=JSON'       => qr/text, json/,
        'format=asciicast'  => qr/text, json/,
    );
    for my $query (sort keys %bad) {
        my $b = request('GET', "/api/log/push?$query");
        is $b->{status}, 400, "$query: 400";
        like $b->{json}{detail} // '', $bad{$query}, "$query: what is allowed";
    }

    for my $method (qw(POST PUT DELETE)) {
        my $m = request($method, '/api/log/push', body => '');
        is $m->{status}, 405, "$method: 405";
        like $m->{headers}{allow}, qr/\bGET\b/, "$method: Allow";
    }
}

done_testing;
