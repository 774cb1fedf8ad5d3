# 35-resume.t - a viewer that comes back gets exactly what it has not seen
#
# Promises: 1 (each line exactly once, or the stream says gap), 8 (a project
# that appears is decided before it is shown).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use JSON::PP ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;

sub lines   { return grep { !exists $_->{event} && exists $_->{data} } @_ }
sub named   { my ($name, @e) = @_; return grep { ($_->{event} // '') eq $name } @e }
sub text    { return $_[0]{data} =~ /^\[[^\]]*\] (.*)$/s ? $1 : $_[0]{data} }
sub is_line { my ($t) = @_; return sub { !exists $_->{event} && exists $_->{data} && text($_) eq $t } }
sub brief   { return map { ($_->{id} // '-') . ' ' . ($_->{event} // 'line') . ' ' . ($_->{data} // '') } @_ }
# Without what each connection begins with: retry, ping, and the build as it is.
sub content
{
    my @e = @_;
    return grep { exists $_->{id} && ($_->{event} // '') ne 'ping' } @e;
}

my $one = BuildLog::Puppet->new('resume-a');
my $two = BuildLog::Puppet->new('resume-b');

# ---- one build: every form of saying where one was -----------------------------

# Where this test begins: other tests had builds on the same server.
my $begin = do {
    my $c = open_stream('/api/log/push');
    $c->event(5) for 1 .. 2;
    $c->close;
    $c->last_id;
};
my $id = $one->start('count 300', 'exit 0');
my $s  = open_stream($id);
my @whole = content($s->rest(20));
$s->close;
my @lines = lines(@whole);
is @lines, 302, 'a build of 300 lines, its command and its end';

sub from_here
{
    my ($name, $path, $at, %opt) = @_;
    my $c   = open_stream($path, %opt);
    my @got = $c->rest(10);
    $c->close;
    my @expected = grep { $_->{id} > $at } @whole;
    is_deeply [brief(content(@got))], [brief(@expected)], $name;
    is scalar(named('gap', @got)), 0, "$name: no gap";
    return;
}

my $at   = $lines[100]{id};
my $path = "/api/log/push?build=$id";
from_here('Last-Event-ID', $path, $at, headers => { 'Last-Event-ID' => $at });
from_here('lastEventId=', "$path&lastEventId=$at", $at);
from_here('last_event_id=', "$path&last_event_id=$at", $at);
from_here('from=', "$path&from=$at", $at);
from_here('the header wins over from', "$path&from=start", $at, headers => { 'Last-Event-ID' => $at });
from_here('the header wins over tail', "$path&tail=3", $at, headers => { 'Last-Event-ID' => $at });
from_here('the header wins over lastEventId', "$path&lastEventId=$lines[5]{id}", $at,
    headers => { 'Last-Event-ID' => $at });
from_here('lastEventId wins over from', "$path&from=start&lastEventId=$at", $at);
from_here('an empty header is none', "$path&from=$at", $at, headers => { 'Last-Event-ID' => '' });
from_here('before the first line', $path, $whole[0]{id} - 1,
    headers => { 'Last-Event-ID' => $whole[0]{id} - 1 });
from_here('the last line: the end alone', $path, $lines[-1]{id},
    headers => { 'Last-Event-ID' => $lines[-1]{id} });

{
    my $last = $whole[-1];
    is $last->{event}, 'end', 'the last event is the end';
    for my $query (["$path", { 'Last-Event-ID' => $last->{id} }],
                   ["$path&lastEventId=$last->{id}", {}],
                   ["$path&last_event_id=$last->{id}", {}]) {
        my $r = request('GET', $query->[0], headers => { Accept => 'text/event-stream', %{ $query->[1] } });
        is $r->{status}, 204, 'with the id of the end: 204, so that EventSource stops';
        is $r->{body}, '', 'and nothing else';
    }
}

# ---- places that are none ----------------------------------------------------------

{
    my $future = int(time * 1e6) + 3600 * 1_000_000;
    for my $bad ('hello', '0', '-1', '1e15', '99999999999999999999', '12 34', "\xc3\xa9", $future) {
        my $c   = open_stream($path, headers => { 'Last-Event-ID' => $bad });
        my @got = $c->rest(10);
        $c->close;
        is $c->status, 200, "Last-Event-ID $bad: 200";
        my @gap = named('gap', @got);
        is @gap, 1, "Last-Event-ID $bad: said by a gap";
        ok !exists $gap[0]{id}, 'that is no place itself';
        ok eval { ref $json->decode($gap[0]{data}) }, 'with JSON data';
        my ($first) = grep { ($got[$_]{event} // '') eq 'gap' } 0 .. $#got;
        is scalar(lines(@got[0 .. $first])), 0, 'before any line';
        is_deeply [brief(content(@got))], [brief(@whole)], 'then the whole build';
    }
    for my $bad ('hello', $future) {
        my $c   = open_stream('/api/log/push', headers => { 'Last-Event-ID' => $bad });
        my @got = $c->until(sub { ($_->{event} // '') eq 'gap' }, 5);
        is scalar(lines(@got)), 0, "all builds, Last-Event-ID $bad: a gap";
        $c->close;
    }
    my $c = open_stream('/api/log/push', headers => { 'Last-Event-ID' => $begin });
    my @got = $c->until(is_line('Build finished'), 5);
    is scalar(named('gap', @got)), 0, 'all builds, from before the build: no gap';
    is scalar(lines(@got)), 302, 'but everything there is';
    $c->close;
}

# ---- again and again, in the middle of a build -----------------------------------------

# A viewer that reads a random number of bytes, drops the connection and comes
# back with the last id it has seen, as a browser does. Returns all its events.
sub drops
{
    my ($path, $times, $done, %opt) = @_;
    my ($last, @seen, $over);
    my $deadline = time + 240;
    my $count = 0;
    while (!$over) {
        die "not in time: $path after $count connections\n" if time > $deadline;
        my $c = open_stream($path,
            headers => { defined $last ? ('Last-Event-ID' => $last) : () }, %opt);
        if ($c->status == 204) {
            $c->close;
            last;
        }
        $count++;
        my $n = $count <= $times ? int rand 80 : 1e9;
        while ($n-- > 0) {
            my $e = $c->event(20) // last;
            $last = $e->{id} if exists $e->{id};
            push @seen, $e;
            if ($done->($e)) {
                $over = 1;
                last;
            }
        }
        $c->close;
    }
    return ($count, @seen);
}

srand 35;
{
    my $n     = $one->start('slow 400 3', 'count 4000', 'slow 300 3', 'exit 0');
    my ($count, @seen) = drops("/api/log/push?build=$n", 50, sub { ($_[0]{event} // '') eq 'end' });
    cmp_ok $count, '>', 45, "$count connections while the build ran";
    my $c    = open_stream($n);
    my @all  = content($c->rest(10));
    $c->close;
    is_deeply [brief(content(@seen))], [brief(@all)],
        'one build, dropped at random places: each event once, in order';
    is scalar(lines(content(@seen))), 4702, 'all lines';
    is scalar(named('gap', @seen)), 0, 'no gap';
}

{
    # Two builds at once and one behind them, on the feed of all.
    my $c = open_stream('/api/log/push');
    $c->event(5) for 1 .. 2;
    my $from = $c->last_id;
    $c->close;
    my $m = $one->start('slow 300 4', 'count 2000', 'exit 0');
    my $n = $two->start('count 2000', 'slow 300 4', 'exit 0');
    my $k = 0;
    my @builds = ($m, $n);
    my ($count, @seen) = drops("/api/log/push?from=$from&format=json", 50, sub {
        my ($e) = @_;
        return 0 unless ($e->{event} // '') eq 'build' && exists $e->{id};
        my $record = $json->decode($e->{data});
        $k++ if $record->{state} eq 'succeeded';
        if ($k == 2 && @builds == 2) {
            push @builds, $two->start('count 100', 'exit 0');
        }
        return $k == 3;
    });
    cmp_ok $count, '>', 45, "$count connections on the feed of all builds";
    my @got = map { $json->decode($_->{data}) } lines(@seen);
    my %of;
    push @{ $of{ $_->{build} } }, $_ for @got;
    is_deeply [sort { $a <=> $b } keys %of], [sort { $a <=> $b } @builds], 'lines of three builds';
    for my $build (@builds) {
        my $whole = open_stream("/api/log/push?build=$build&format=json");
        my @all   = map { $json->decode($_->{data}) } lines($whole->rest(10));
        $whole->close;
        is_deeply [map { "$_->{id} $_->{text}" } @{ $of{$build} }],
            [map { "$_->{id} $_->{text}" } @all], "build $build: each line once, in order";
    }
    is scalar(grep { $got[$_]{id} <= $got[ $_ - 1 ]{id} } 1 .. $#got), 0,
        'ids grow over all builds';
    is scalar(named('gap', @seen)), 0, 'no gap';

    # An id of one feed is a place in every other.
    my $place = $got[ @got / 2 ]{id};
    for my $build ($m, $n) {
        my $part = open_stream("/api/log/push?build=$build&format=json",
            headers => { 'Last-Event-ID' => $place });
        my @rest = map { $json->decode($_->{data}) } lines($part->rest(10));
        $part->close;
        is_deeply [map { $_->{id} } @rest],
            [map { $_->{id} } grep { $_->{id} > $place } @{ $of{$build} }],
            "an id of the feed of all, used on build $build";
    }
}

# ---- idle, then dropped: the ping's id is the place ---------------------------------------

{
    my $c = open_stream('/api/log/push');
    my ($ping) = grep { ($_->{event} // '') eq 'ping' } map { $c->event(5) } 1 .. 2;
    ok $ping->{id}, 'the first ping of the feed of all builds has an id';
    $c->close;
    my $n = $one->start('out while nobody looked', 'exit 0');
    wait_for_state($n, 'succeeded');
    $c = open_stream('/api/log/push', headers => { 'Last-Event-ID' => $ping->{id} });
    my @got = $c->until(is_line('Build finished'), 5);
    is scalar(grep { text($_) eq 'while nobody looked' } lines(@got)), 1,
        'who saw no line before it was dropped misses none';
    $c->close;
}

# ---- a project that nobody knew -----------------------------------------------------------

{
    my $nest = project('nest');
    -d $_ or mkdir $_ or die "$_: $!\n" for $nest, "$nest/inner", "$nest/other";
    my $inner = BuildLog::Puppet->new('inner', path => "$nest/inner");

    my $c = open_stream('/api/log/push');
    my @got = map { $c->event(5) } 1 .. 2;
    my $curl = open_stream('/api/log/push', headers => { Accept => 'application/x-ndjson' });
    $curl->line for 1 .. 2;

    my $n = $inner->start('out first line of a new project');
    push @got, $c->rest(10);
    ok $c->at_end, 'a project appears that no section names: the stream ends';
    is scalar(lines(@got)), 0, 'without a line of it';
    ok exists $got[-1]{retry}, 'with the advice when to come back';
    cmp_ok $got[-1]{retry}, '<=', 5000, 'which is soon';
    my $place = $c->last_id;
    $c->close;

    $c = open_stream('/api/log/push', headers => { 'Last-Event-ID' => $place });
    $inner->cue('out second line', 'exit 0');
    my @more = $c->until(is_line('Build finished'), 10);
    my @new  = map { text($_) } lines(@more);
    is $new[0] =~ /^\$ / ? 1 : 0, 1, 'the viewer comes back and has its lines from the first';
    is_deeply [@new[1 .. $#new]],
        ['first line of a new project', 'second line', 'Build finished'], 'each once';
    is scalar(named('gap', @more)), 0, 'no gap';

    # The one that came back has been decided: it stays for the next build.
    my $m = $inner->start('out third line', 'exit 0');
    @more = $c->until(is_line('Build finished'), 10);
    is scalar(grep { text($_) eq 'third line' } lines(@more)), 1, 'and stays';
    $c->close;

    # Who does not come back by itself is not sent away.
    my $x = $one->start('out for everybody', 'exit 0');
    my @objects;
    do { push @objects, $curl->line // die "the stream ended\n" } until $objects[-1] =~ /for everybody/;
    is scalar(grep { /(?:first|second|third) line/ } @objects), 0,
        'a client without EventSource is not sent away, and does not see it';
    $curl->close;
}

done_testing;
