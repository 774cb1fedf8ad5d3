# 56-full.t - the disk is full: builds wait until there is room, and nothing
# that was shown is lost
#
# Promises: 7 (a full disk: a clear message to the right person, service goes
# on, what was stored stays readable), 1 (no line is lost), 5 (one final state,
# in log, history and stream alike).
#
# The disk is a small one of its own, see t/suite.sh.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Faults;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
my $disk = small_disk() // plan skip_all => why_no_disk();

# Of b a record is more than half a page: no two fit into one.
my $projects = project('');
my $s = BuildLog::Server->start(<<"END", state => "$disk/state");
BuildLogMaxBuilds 1
BuildLogMaxQueue 2
<Directory "${projects}puppet-full-b">
    @{[map { "BuildLogStep s$_ true\n" } 1 .. 25]}
    BuildLogStep play "exec perl ${projects}puppet/play.pl"
</Directory>
END
my %p = map { $_ => BuildLog::Puppet->new("full-$_", server => $s) } qw(a b c);

sub works_again
{
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $id = $p{c}->start('out hello', 'exit 0');
    ok eval { $s->wait_for_state($id, 'succeeded', 20) }, "$name: the next build succeeds" or diag $@;
    ends_alike($s, $id, 'succeeded', name => "$name: the next build");
    return;
}

# Events until so many lines came.
sub lines_until
{
    my ($stream, $count) = @_;
    my ($n, @seen) = (0);
    push @seen, $stream->until(sub { !exists $_->{event} && exists $_->{data} && ++$n == $count }, 20) if $count;
    return @seen;
}

# What is stored, as the API tells it: whole lines, and each of them.
sub stored
{
    my ($id) = @_;
    my $body = $s->request('GET', "/api/project/builds/$id/log")->{body};
    return split /\n/, $body;
}

works_again('room enough');
my $mark;

# ---- at the moment when a build is accepted ----------------------------------------------

# Who tries to write takes the last room for a moment: so nobody does.
{
    fill($disk);
    $mark = length $s->error_log;
    my ($status, $answer, $r) = $s->post_build($p{b}->path);
    is $status, 503, 'a build that cannot be stored: 503';
    like $r->{headers}{'retry-after'} // '', qr/^[1-9]/, '... with Retry-After';
    like $r->{json}{detail}, qr/cannot be stored: No space left on device/, '... which says why';
    my $text = substr $s->error_log, $mark;
    like $text, qr{No space left on device.*BL0243 a build of \Q@{[$p{b}->path]}\E was refused: .*\Q$disk\E/state/logs},
        '... the administrator as well';
    is times_said($s, qr/BL02/, $mark), 1, '... in one message' or diag $text;
    is_deeply [glob "$disk/state/logs/*"], ["$disk/state/logs/1.log"], '... and nothing is left of it';
    is $s->request('GET', '/api/project/builds/2')->{status}, 404, '... nor does the API know it';
    is scalar(@{ $s->get_json('/api/project/builds')->{builds} }), 1, '... or the list';
    make_room($disk);
    works_again('room again');
}

# ---- in the middle of a build ---------------------------------------------------------

$mark = length $s->error_log;
fill($disk, 60);
my $loud = $p{a}->start('flood 600000', 'err the last one', 'exit 3');
my $v    = $s->open_stream("/api/log/push?build=$loud&format=json");
ok eval { wait_until { times_said($s, qr/BL0201 build $loud: /, $mark) } 20, 'BL0201' },
    'full: the administrator is told which build' or diag substr $s->error_log, $mark;
like $s->error_log, qr{BL0201 build $loud: .*\Q$disk\E/state/logs}, '... and which directory';
like $s->error_log, qr/No space left on device.*BL0201/, '... and why';
my $record = eval { wait_until { my $b = $s->build_record($loud); $b->{reason} && $b } 10, 'a reason' } // {};
is $record->{state}, 'running', 'the build runs';
like $record->{reason} // '', qr/^waiting: .*No space left on device/, '... and whoever looks at it is told why it stands still';

my @stored = stored($loud);
cmp_ok scalar(@stored), '>', 100, 'lines are stored';
my @seen = lines_until($v, scalar @stored);
is_deeply [lines_of(@seen)], \@stored, 'a viewer has seen what is stored, no more and no less';
my $late = $s->open_stream("/api/log/push?build=$loud&format=json");
is_deeply [lines_of(lines_until($late, scalar @stored))], \@stored, 'so does one who comes now';
$late->close;
# Several tries later.
{
    my $runner = $s->pids->{runner};
    my ($from, $used) = (time, cpu_seconds($runner));
    wait_until { time - $from > 3 } 10, 'three tries';
    my ($took, $more) = (time - $from, cpu_seconds($runner) - $used);
    note sprintf 'the runner used %.2f s of %.2f', $more, $took;
    cmp_ok $more, '<', $took / 2, 'the runner does not turn in circles';
    is times_said($s, qr/buildlog:(?:warn|error)/, $mark), 1, 'one message, not one for each try'
        or diag substr $s->error_log, $mark;
}

# ---- there is room ---------------------------------------------------------------------------

$mark = length $s->error_log;
make_room($disk);
push @seen, $v->rest(30);
$v->close;
is $seen[-1]{event}, 'end', 'room: the viewer gets the rest';
is scalar(grep { ($_->{event} // '') =~ /gap|busy/ } @seen), 0, '... without a gap';
my @lines = lines_of(@seen);
is_deeply [@lines[0 .. $#stored]], \@stored, 'what was shown stands as it was';
my @numbers = map { /^F (\d+) / } @lines;
is_deeply [grep { $numbers[$_] != $_ + 1 } 0 .. $#numbers], [], 'each line once, in order';
cmp_ok length(join "\n", grep { /^F / } @lines), '>=', 600_000 - 1, '... to the last';
is scalar(grep { $_ eq 'the last one' } @lines), 1, '... on either stream';
is_deeply [grep { /could not be written/ } @lines],
    ['The log could not be written (No space left on device): the build waited until it could'], 'a note says why it stood still';
is times_said($s, qr/BL0202 build $loud: /, $mark), 1, 'the administrator is told that it goes on';
ends_alike($s, $loud, 'failed', name => 'the build that waited');
is $s->build_record($loud)->{reason}, 'step "play" exited with code 3', 'its end has its own reason';
works_again('room again');

# ---- at the end of a build --------------------------------------------------------------------

# All that it printed is stored, and its end is the first that does not fit.
{
    my $id  = $p{a}->start('out I run');
    my $log = "$disk/state/logs/$id.log";
    $p{a}->wait_for('I run');
    my $head = length '2026-11-22T10:00:00.123456Z stdout F ' . "\n";
    my $rest = (4096 - 200 - (-s $log) - $head) % 4096;
    $p{a}->cue('out ' . 'x' x $rest);
    wait_until { (-s $log) % 4096 == 4096 - 200 } 10, 'a page that is nearly full';
    fill($disk);
    $mark = length $s->error_log;
    $p{a}->cue('exit 0');
    wait_until { times_said($s, qr/BL0201 build $id: /, $mark) } 20, 'BL0201';
    my $told = eval { wait_until { my $b = $s->build_record($id); $b->{reason} && $b } 10, 'a reason' } // {};
    is $told->{state}, 'running', 'no room for its end: nobody is told of it before it is in the log';
    is $told->{ended}, undef, '... nor when it was';
    like $told->{reason} // '', qr/^waiting: .*No space left on device/, '... but what it waits for';
    make_room($disk);
    ends_alike($s, $id, 'succeeded', name => 'room for its end');
}

# ---- a build that waits in the queue ------------------------------------------------------------

# Its first record fits, its order does not.
{
    my $first = $p{a}->start('out I run');
    $p{a}->wait_for('I run');
    $mark = length $s->error_log;
    fill($disk, 1);
    my $second = $p{b}->start('out I waited', 'exit 0');
    is $s->build_record($second)->{state}, 'queued', 'a full queue directory: the build is accepted';
    # When it has been answered.
    eval { wait_until { times_said($s, qr/BL0214/, $mark) && times_said($s, qr/BL0242/, $mark) } 20 };
    is times_said($s, qr/BL0214 build $second would not outlive this runner: .*\Q$disk\E/, $mark), 1,
        '... and the administrator is told what it means' or diag substr $s->error_log, $mark;
    is times_said($s, qr/BL0242 the file last-build in \Q$disk\E/, $mark), 1, '... as he is of the last number';
    open my $last, '<', "$disk/state/last-build" or die "last-build: $!\n";
    is_deeply [<$last>], [$first . "\n", "0\n"], '... of which the one before stays: numbers never come again';
    # Each of these is a turn of the runner.
    $s->post_build($p{c}->path) for 1 .. 10;
    is times_said($s, qr/BL0214/, $mark), 1, '... once';
    make_room($disk);
    ok eval { wait_until { -s "$disk/state/queue/$second.order" } 20, 'its order' }, 'room: the order is stored' or diag $@;

    # Full again, and another runner: it must write, and cannot.
    my $w = $s->open_stream("/api/log/push?build=$first&format=json");
    fill($disk);
    # Line by line to the end of the page: so there is no room for any record.
    $p{a}->cue('slow 200 5');
    wait_until { times_said($s, qr/BL0201 build $first: /, $mark) } 20, 'BL0201';
    my @before = stored($first);
    my @shown  = lines_until($w, scalar @before);
    $mark = length $s->error_log;
    $s->kill_runner;
    ok eval { wait_until { times_said($s, qr{No space left on device.*BL0231 \Q$disk\E/state/logs/$first\.log}, $mark) } 10, 'BL0231' },
        'the runner is killed on the full disk: the next one says that a log cannot be ended' or diag substr $s->error_log, $mark;
    is_deeply [(stored($first))[0 .. $#before]], \@before, '... what was shown is there';
    my $unended = eval { wait_until { my $b = $s->build_record($first); $b && $b->{reason} && $b } 20, 'a reason' } // {};
    is $unended->{state}, 'running', '... the build is known' or diag explain $unended;
    like $unended->{reason} // '', qr/^waiting: its end cannot be written: No space left on device/, '... with what it waits for';
    my ($listed) = grep { $_->{id} == $first } @{ $s->get_json('/api/project/builds')->{builds} };
    is_deeply $listed, $unended, '... in the list, too';
    my $comes = $s->open_stream("/api/log/push?build=$first&format=json");
    is_deeply [lines_of(lines_until($comes, scalar @before))], \@before, '... and who comes for it gets what is there';
    ok eval { wait_until { (($s->build_record($second) // {})->{reason} // '') =~ /^waiting: .*No space left on device/ } 10, 'a reason' },
        '... who waited waits still, and is told why' or diag $@;
    make_room($disk);
    ok eval { $s->wait_for_state($second, 'succeeded', 30) }, 'room: it is built' or diag $@, substr $s->error_log, $mark;
    ends_alike($s, $second, 'succeeded', name => 'who waited');
    ok eval { $s->wait_for_state($first, 'lost', 30) }, 'and what ran is lost' or diag $@;
    push @shown, $w->rest(20);
    $w->close;
    is_deeply [lines_of(@shown)], [texts($s, $first)], '... its viewer got all that there is, and its end';
    is eval { ($comes->rest(20))[-1]{event} }, 'end', '... as who came meanwhile';
    $comes->close;
    ends_alike($s, $first, 'lost', name => 'what ran');
    works_again('after all that');
}

# ---- the server stops, and begins ---------------------------------------------------------------

{
    my $id = $p{a}->start('out I run');
    $p{a}->wait_for('I run');
    my $x = $s->open_stream("/api/log/push?build=$id&format=json");
    fill($disk);
    $mark = length $s->error_log;
    $p{a}->cue('slow 200 5');
    wait_until { times_said($s, qr/BL0201 build $id: /, $mark) } 20, 'BL0201';
    my @before = stored($id);
    is_deeply [lines_of(lines_until($x, scalar @before))], \@before, 'full: a viewer has seen what is stored';
    $x->close;
    $p{a}->cue('exit 0');
    wait_until { !@{ $s->pids->{keepers} } } 20, 'no keeper';
    my $told = $s->build_record($id);
    is $told->{state}, 'running', '... no end is told that is not in the log';
    like $told->{reason} // '', qr/^waiting: /, '... but what it waits for';
    ok $s->stop(60), 'the server stops, though an end cannot be written';
    $mark = length $s->error_log;
    my ($status, $out) = $s->begin;
    is $status, 0, '... and begins' or diag $out;
    is_deeply [(stored($id))[0 .. $#before]], \@before, '... what was shown is there';
    is +($s->post_build($p{c}->path))[0], 503, '... no build is accepted';
    make_room($disk);
    ends_alike($s, $id, 'lost', name => 'room: what ran');
    works_again('the server that began on a full disk');
}

# ---- the history ------------------------------------------------------------------------------

{
    my $db = "$disk/history.db";
    my $h  = BuildLog::Server->start("BuildLogDatabase sqlite3 $db\n");
    my $q  = BuildLog::Puppet->new('full-h', server => $h);
    my $id = $q->start('exit 0');
    ends_alike($h, $id, 'succeeded', name => 'with room', database => $db);
    fill($disk);
    $id = $q->start('out told', 'exit 0');
    my $x = $h->open_stream($id);
    is eval { ($x->rest(20))[-1]{event} }, 'end', 'no room for the history: builds and viewers do not wait for it';
    $x->close;
    ok eval { wait_until { times_said($h, qr/BL0250 /) } 30, 'BL0250' }, 'the administrator is told';
    like $h->error_log, qr/BL0250 .*(?:full|disk I\/O)/, '... why';
    my ($status, $list) = $h->get_json('/api/project/builds');
    is $status, 200, 'the list is answered';
    is_deeply [map { $_->{id} } @{ $list->{builds} }], [$id, 1], '... with both';
    make_room($disk);
    ends_alike($h, $id, 'succeeded', name => 'room for the history', database => $db);
    is times_said($h, qr/BL0250 /), 1, 'said once';
    ok eval { wait_until { times_said($h, qr/BL0251 /) == 1 } 10, 'BL0251' }, 'and once that it is mended';
}

done_testing;
