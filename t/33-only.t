# 33-only.t - only=builds: a stream without lines, for who lists builds
#
# Promises: 1 (each event exactly once, in order; the place of a viewer moves on
# with the lines that it does not get), 3 (no viewer delays another).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Poll;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8;
my $has_h2 = mpm() ne 'prefork';
my $s = BuildLog::Server->start("BuildLogPing 200ms\n",
    $has_h2 ? (tls => 1, protocols => 'h2 http/1.1') : ());
my $p = BuildLog::Puppet->new('only', server => $s);

sub named  { my ($name, @e) = @_; return grep { ($_->{event} // '') eq $name } @e }
sub lines  { return grep { !exists $_->{event} && exists $_->{data} } @_ }
sub is_end { return sub { ($_->{event} // '') eq 'end' } }
# What is neither a line nor a beat: name, id and data.
sub said   { return map { [@$_{qw(event id data)}] } grep { ($_->{event} // 'ping') ne 'ping' } @_ }
sub state_is
{
    my ($state) = @_;
    return sub { ($_->{event} // '') eq 'build' && $json->decode($_->{data})->{state} eq $state };
}

# ---- refused ---------------------------------------------------------------

for my $value ('lines', 'build', '', 'builds,gap') {
    my $r = $s->request('GET', "/api/log/push?only=$value");
    is $r->{status}, 400, "only=$value is refused";
    is $r->{json}{detail}, 'only must be builds.', 'and what is allowed';
}

# ---- a flood passes ----------------------------------------------------------

my $id    = $p->start('out first');
my $all   = $s->open_stream('/api/log/push?only=builds&format=json');
my $one   = $s->open_stream("/api/log/push?build=$id&only=builds");
my $whole = $s->open_stream("/api/log/push?build=$id");
$p->wait_for('first');
$p->cue('flood 2000000', 'out last');
$p->wait_for('last', 1, 60);
my $is_last = sub { ($_->{data} // '') =~ /\] last$/ };
my $last_line = ($whole->until($is_last, 60))[-1]{id};

# A beat behind it says that there is nothing more to come from before.
my $is_behind = sub { ($_->{event} // '') eq 'ping' && ($_->{id} // 0) >= $last_line };
my @all = $all->until($is_behind, 20);
my @one = $one->until($is_behind, 20);
is scalar(lines(@all)), 0, 'all builds: no line of a flood';
is scalar(lines(@one)), 0, 'one build: none';
is $json->decode((named('build', @$_))[-1]{data})->{state}, 'running', 'but how it goes' for \@all, \@one;

# Who comes back from there has missed nothing.
my $at = $all[-1]{id};
$all->close;
$all = $s->open_stream('/api/log/push?only=builds', headers => { 'Last-Event-ID' => $at });
$p->cue('out more', 'exit 3');
push @all, $all->until(state_is('failed'), 20);
is scalar(named('gap', @all)), 0, 'a place among lines is a place';
push @one, $one->rest(20);
my @end = named('end', @one);
is scalar(@end), 1, 'one build: its end';
is $json->decode($end[0]{data})->{state}, 'failed', 'with its record';

# ---- the same as in a stream with lines -----------------------------------------

my @full = $s->open_stream("/api/log/push?build=$id")->rest(60);
cmp_ok scalar(lines(@full)), '>', 30_000, 'the log is long';
for my $query ('', '&format=json', '&from=start') {
    my @only = $s->open_stream("/api/log/push?build=$id&only=builds$query")->rest(60);
    is_deeply [said(@only)], [said(@full)], "only=builds$query: what a whole stream says besides lines";
    is scalar(lines(@only)), 0, 'no line';
}
my ($half) = (lines(@full))[15_000]{id};
my @rest = $s->open_stream("/api/log/push?build=$id&only=builds&from=$half")->rest(60);
is_deeply [said(@rest)], [grep { !defined $_->[1] || $_->[1] > $half } map { [@$_[0 .. 2]] } said(@rest)],
    'from a line on: nothing older';
is scalar(named('end', @rest)), 1, 'and the end';
is $s->request('GET', "/api/log/push?build=$id&only=builds&from=$end[0]{id}")->{status}, 204, 'behind the end: 204';

my $past = $s->open_stream('/api/log/push?only=builds&from=start');
is_deeply [said($past->until(state_is('failed'), 20))],
    [map { $_->[0] eq 'end' ? () : $_->[2] eq $end[0]{data} ? ['build', $end[0]{id}, $_->[2]] : $_ } said(@full)],
    'all builds from the start: the same records';
$past->close;
$_->close for $all, $one, $whole;

# ---- short polls -------------------------------------------------------------------

SKIP: {
    skip 'no HTTP/2 under prefork', 6 if !$has_h2;
    my $poll = BuildLog::Poll->new($s, "/api/log/push?build=$id&only=builds");
    my $a = $poll->once;
    is scalar(lines(@{ $a->{events} })), 0, 'a poll: no line';
    $poll->rest(30);
    is_deeply [said($poll->events)], [said(@full)], 'all polls: what a stream says';

    # More lines than one answer looks at.
    my $long = $p->start('flood 36000000', 'out all of it');
    $p->wait_for('all of it', 1, 120);
    my $far = BuildLog::Poll->new($s, "/api/log/push?build=$long&only=builds");
    $a = $far->once;
    is $a->{retry}, 0, 'many lines: an answer ends before them, and one is to come back at once';
    is scalar(named('gap', @{ $a->{events} })), 0, 'without a gap';
    my $before = $far->last_id;
    $a = $far->once;
    cmp_ok $far->last_id, '>', $before, 'the next one gets further';
    $p->cue('exit 0');
    $far->rest(60);
    is_deeply [map { $json->decode($_->{data})->{state} } named('end', $far->events)], ['succeeded'], 'to the end';
}

done_testing;
