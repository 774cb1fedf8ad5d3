# 36-forms.t - the same stream for everybody: events, objects, a terminal
#
# Item 4 of "at home in httpd": EventSource gets SSE, `curl -N` coloured text,
# who asks for application/x-ndjson an object a line; section 5 of the contract.
# Promises: 1 (each line exactly once, in order), 3 (viewers of one form share
# what is made of a log, and are kept like all others), 8 (what a build prints
# does not take over a terminal).
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
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
my $has_h2 = mpm() ne 'prefork';
my $s = BuildLog::Server->start(<<'END' . odd_place(), tls => 1, protocols => 'h2 http/1.1');
BuildLogPing 200ms
BuildLogMaxClients 8
<Location "/stamp">
    SetHandler buildlog-push
    BuildLogTimeFormat "%H.%M"
</Location>
END
my $p = BuildLog::Puppet->new('forms', server => $s);

sub ask
{
    my ($query, $accept, %opt) = @_;
    return $s->open_stream(($opt{at} // '/api/log/push') . $query,
        headers => { Accept => $accept, Connection => 'close' }, %opt);
}

sub type_of
{
    my ($query, $accept) = @_;
    # Those before it may still be counted.
    my $v = wait_until { my $one = ask($query, $accept); $one->status == 503 ? undef : $one } 10, 'room for a viewer';
    my $type = $v->status == 200 ? $v->header('Content-Type') : $v->status;
    is $v->header('Vary'), 'Accept', "$query, " . ($accept // 'no Accept') . ': Vary' if $v->status == 200;
    $v->close;
    return $type;
}

# Lines of a body, whole ones, up to one that matches.
sub lines_to
{
    my ($v, $pattern, $seconds) = @_;
    my $deadline = time + ($seconds // 15);
    my @lines;
    while (1) {
        while ($v->{buffer} =~ s/\A([^\n]*)\n//) {
            push @lines, $1;
            return @lines if $lines[-1] =~ $pattern;
        }
        $v->_more($deadline, "match of $pattern") or die "ended before $pattern, behind @lines\n";
    }
}

sub objects { return map { $json->decode($_) } @_ }
sub said    { return grep { exists $_->{event} } @_ }
sub lines   { return grep { !exists $_->{event} } @_ }

# ---- who gets what --------------------------------------------------------------

my %form = (events => 'text/event-stream', objects => 'application/x-ndjson', terminal => 'text/plain; charset=utf-8');
for (
    # By Accept.
    ['', 'text/event-stream', 'events'],
    ['', 'text/event-stream, */*;q=0.1', 'events'],
    ['', 'TEXT/Event-Stream', 'events'],
    ['', 'application/x-ndjson', 'objects'],
    ['', 'application/x-ndjson, text/event-stream;q=0.5', 'objects'],
    ['', 'text/plain', 'terminal'],
    ['', 'text/*', 'terminal'],
    ['', '*/*', 'terminal'],
    ['', undef, 'terminal'],
    ['', 'text/event-stream;q=0', 'terminal'],
    ['', 'text/html,application/xhtml+xml,*/*;q=0.8', 'terminal'],
    # The query wins.
    ['?format=json', 'text/event-stream', 'events'],
    ['?format=json', '*/*', 'objects'],
    ['?format=ndjson', '*/*', 'objects'],
    ['?format=ndjson', 'text/event-stream', 'objects'],
    ['?format=text', 'text/event-stream', 'events'],
    ['?format=text', 'application/x-ndjson', 'terminal'],
    ['?format=text', '*/*', 'terminal'],
    # Without lines there is nothing to be read by people.
    ['?only=builds', 'text/event-stream', 'events'],
    ['?only=builds', '*/*', 'objects'],
    ['?only=builds&format=text', 'text/plain', 'objects'],
    ['?format=asciicast', '*/*', undef],
) {
    my ($query, $accept, $form) = @$_;
    is type_of($query, $accept), $form ? $form{$form} : 400, "$query, " . ($accept // 'no Accept') . ': ' . ($form // 'refused');
}
{
    my $r = $s->request('HEAD', '/api/log/push');
    is $r->{headers}{'content-type'}, $form{terminal}, 'HEAD: the same';
    is $r->{headers}{'x-content-type-options'}, 'nosniff', 'taken for nothing else';
    is $r->{headers}{'cache-control'}, 'no-store', 'kept by nobody';
}

# ---- one build, live, in each way and form ---------------------------------------------

my $id = $p->start('out early', 'err wrong');
$p->wait_for('wrong');
$s->wait_for_viewers(0);    # these will be all that there may be
my (%terminal, %objects);
for my $way (ways()) {
    my %opt = $way eq 'odd' ? (at => '/odd/push') : $way eq 'tls' ? (tls => 1) : ();
    $terminal{$way} = ask("?build=$id", '*/*', %opt);
    $objects{$way}  = ask("?build=$id", 'application/x-ndjson', %opt);
}
my $events = ask("?build=$id", 'text/event-stream');
my $from   = ask('', 'application/x-ndjson');
my $esc = "\e";
$p->cue("out ${esc}[1;32mgreen", "out ${esc}]0;title\a${esc}[2J${esc}[Htaken ${esc}[31mred${esc}[0m over",
    "out caf\xc3\xa9 \xc2\xb0 \xe6\x9e\x84", "raw 10%\r", 'out done', "raw a piece");
$p->wait_for('a piece');
$p->cue('out and its rest', 'exit 3');

my @want = (
    "${esc}[1m\$ exec perl " . project('puppet') . "/play.pl${esc}[0m",
    'early', "${esc}[31mwrong${esc}[0m", "${esc}[1;32mgreen${esc}[0m", "taken ${esc}[31mred${esc}[0m over${esc}[0m",
    "caf\xc3\xa9 \xc2\xb0 \xe6\x9e\x84", '10%', 'done', 'a piece', 'and its rest',
    "${esc}[1mBuild failed: step \"play\" exited with code 3${esc}[0m",
);
my $stamp = qr/\A\e\[2m\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]\e\[0m /;
for my $way (ways()) {
    my $body = $terminal{$way}->body(20);
    my @lines = split /\n/, $body, -1;
    is pop @lines, '', "$way: a terminal gets whole lines";
    is scalar(grep { !/$stamp/ } @lines), 0, '... with their stamps';
    # stderr is a pipe of its own: where its line stands is when it was read.
    is_deeply [sort map { s/$stamp//r } @lines], [sort @want], '... in colours, to their end';
    ok $terminal{$way}->at_end, '... and the stream ends';
}
is scalar(grep { !/\A\e\[2m\[\d\d\.\d\d\]\e\[0m / } split /\n/, ask("?build=$id", '*/*', at => '/stamp')->body(20)), 0,
    'BuildLogTimeFormat';

my @e = $events->rest(20);
my @event_lines = map { $_->{data} } grep { !exists $_->{event} && exists $_->{data} } @e;
for my $way (ways()) {
    my @o = objects(split /\n/, $objects{$way}->body(20));
    is_deeply $o[0], { event => 'retry', data => { retry => 2000 } }, "$way: objects: when to come back";
    is $o[1]{event}, 'ping', '... a ping';
    like $o[1]{data}{time}, qr/^\d{4}-.*Z$/, '... with the time';
    is scalar(lines(@o)), scalar @event_lines, '... as many lines as events';
    is_deeply [map { $_->{id} } lines(@o)], [map { $_->{id} } grep { !exists $_->{event} && exists $_->{data} } @e],
        '... with their ids';
    my ($err) = grep { $_->{text} eq 'wrong' } lines(@o);
    is_deeply [@$err{qw(build stream)}], [$id, 'stderr'], '... whose line it is, and from where';
    my ($end) = grep { ($_->{event} // '') eq 'end' } @o;
    my ($same) = grep { ($_->{event} // '') eq 'end' } @e;
    is_deeply $o[-1], $end, '... the end is last';
    is $end->{id}, $same->{id}, '... with its id';
    is_deeply $end->{data}, $json->decode($same->{data}), '... and says what events say';
    my %names = map { $_->{event} => 1 } said(@o);
    is_deeply [sort keys %names], [qw(build end ping retry)], '... and what else there is';
}
{
    my @o = objects(lines_to($from, qr/"state":"failed"/));
    is scalar(grep { $_->{text} eq 'done' } lines(@o)), 1, 'all builds as objects';
    like $json->encode((grep { ($_->{event} // '') eq 'build' } @o)[0]), qr/"id":$id\b/, '... with what runs';
    $from->close;
}

{
    my $v = ask('?from=start', '*/*');
    my @lines = lines_to($v, qr/Build failed/);
    is scalar(grep { !/\A\e\[2m\[[\d: -]{19} #$id\]\e\[0m / } @lines), 0, 'all builds on a terminal: whose line it is';
    $v->close;
}

# ---- places ------------------------------------------------------------------------

{
    my @o = objects(split /\n/, ask("?build=$id", 'application/x-ndjson')->body(20));
    my ($done) = grep { $_->{text} eq 'done' } lines(@o);
    my @rest = lines(objects(split /\n/, ask("?build=$id&from=$done->{id}", 'application/x-ndjson')->body(20)));
    is $rest[0]{text}, 'a piece', 'objects: from=ID goes on there';
    is_deeply [@{ $rest[0] }{qw(partial)}], [JSON::PP::true], 'a piece is one';
    my $v = $s->open_stream("/api/log/push?build=$id", headers => {
        Accept => 'application/x-ndjson', 'Last-Event-ID' => $o[-1]{id}, Connection => 'close' });
    is $v->status, 204, 'who has the end has everything';
    $v->close;
    my @tail = split /\n/, ask("?build=$id&tail=2", '*/*')->body(20);
    is scalar(@tail), 2, 'terminal: tail=2';
    like $tail[1], qr/Build failed/, '... are the last two';
    my $gap = ask("?build=$id&lastEventId=none", '*/*')->body(20);
    like $gap, qr/\A$stamp\e\[1mLines are missing here: they are kept no longer\e\[0m\n/, 'terminal: a gap is said';
    is scalar(() = $gap =~ /\n/g), 1 + @want, '... and then all of it';
    @o = objects(split /\n/, ask("?build=$id&lastEventId=none", 'application/x-ndjson')->body(20));
    is_deeply [map { exists $_->{data}{after} ? $_->{data}{after} : 1 } grep { ($_->{event} // '') eq 'gap' } @o], [undef],
        'objects: a gap is said';
}
{
    my $body = ask('?only=builds&from=start', '*/*');
    my @o = objects(lines_to($body, qr/"state":"failed"/));
    is scalar(lines(@o)), 0, 'only=builds: objects without a line';
    $body->close;
}

# ---- over HTTP/2 ---------------------------------------------------------------------

SKIP: {
    skip 'no HTTP/2 under prefork', 5 if !$has_h2;
    my $a = BuildLog::Poll::curl($s, "/api/log/push?build=$id");
    is $a->{headers}{'content-type'}, $form{terminal}, 'HTTP/2: curl gets text';
    is scalar(() = $a->{body} =~ /\n/g), scalar @want, '... all there is';
    $a = BuildLog::Poll::curl($s, "/api/log/push?build=$id", '-H', 'Accept: application/x-ndjson');
    is $a->{headers}{'content-type'}, $form{objects}, 'HTTP/2: or objects';
    my @o = objects(split /\n/, $a->{body});
    is $o[-1]{event}, 'end', '... to the end';
    is scalar(lines(@o)), scalar @want, '... all lines';
}

# ---- a flood, in three forms at once ---------------------------------------------------

{
    my $n = $p->start('out begin');
    $s->wait_for_viewers(0);
    my @v = map { ask("?build=$n", $_) } 'text/event-stream', 'application/x-ndjson', '*/*', '*/*';
    $p->cue('flood 2000000', 'exit 0');
    my @body = map { $_->body(60) } @v;
    my ($last) = $body[3] =~ /.*F (\d+) /s;
    cmp_ok $last, '>', 10_000, 'a flood';
    my @numbers = map { [$_ =~ /(?:text":"|\] |\]\e\[0m )F (\d+) /g] } @body;
    for my $i (0 .. 3) {
        my $got = $numbers[$i];
        is scalar(grep { $got->[$_] != $_ + 1 } 0 .. $#$got), 0, "each line once, in order: viewer $i";
        is scalar(@$got), $last, '... all of them';
    }
}

# ---- too many, a restart ---------------------------------------------------------------

{
    my $n = $p->start('out begin');
    $s->wait_for_viewers(0);
    my @v = map { ask("?build=$n", 'application/x-ndjson') } 1 .. 4;
    push @v, map { ask("?build=$n", '*/*') } 1 .. 4;
    lines_to($_, qr/begin/) for @v;
    for my $accept ('*/*', 'application/x-ndjson') {
        my $r = ask("?build=$n", $accept);
        is $r->status, 503, "one more, $accept: 503";
        like $r->header('Retry-After'), qr/^\d+$/, '... with Retry-After';
        $r->close;
    }
    my $busy = ask("?build=$n", 'text/event-stream');
    is $busy->event->{retry}, 5000, 'EventSource is told to come back';
    $busy->close;
    $s->graceful;
    my @rest = map { $_->body(20) } @v;
    my @o = objects(split /\n/, $rest[0]);
    is $o[-1]{event}, 'retry', 'a child that ends: objects say when to come back';
    cmp_ok $o[-1]{data}{retry}, '<=', 2000, '... soon';
    unlike $rest[7], qr/retry|event/, 'a terminal is not told';
    $p->cue('exit 0');
    $s->wait_for_state($n, 'succeeded', 20);
}

done_testing;
