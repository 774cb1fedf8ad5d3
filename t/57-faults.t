# 57-faults.t - a locked or broken database, a directory that is gone or closed,
# no more descriptors, no more processes
#
# Promises: 7 (a clear message to the right person, service goes on, what was
# stored stays readable), 1 (no line that was shown is lost), 5 (one final
# state, in log, history and stream alike).
#
# The full disk is in 56-full.t, a clock that is set in 58-clock.t.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Faults;
use BuildLog::Puppet;
use BuildLog::Server;
use File::Path qw(remove_tree);
use JSON::PP ();

my $json     = JSON::PP->new->utf8;
my $projects = project('');
my $conf     = <<"END";
BuildLogMaxBuilds 2
<Directory "${projects}puppet-faults-steps">
    BuildLogStep play "exec perl ${projects}puppet/play.pl"
    BuildLogStep then "echo then"
</Directory>
END
my $s     = BuildLog::Server->start($conf, cores => 1);
my $state = $s->state;
my %p = map { $_ => BuildLog::Puppet->new("faults-$_", server => $s) } qw(a b c steps);
my $mark;

sub since { return substr $s->error_log, $mark }

sub said_once
{
    my ($pattern, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eval { wait_until { times_said($s, $pattern, $mark) } 30, $name };
    is times_said($s, $pattern, $mark), 1, $name or diag since();
    return;
}

sub works_again
{
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $id = eval { $p{c}->start('out hello', 'exit 0') } or return fail("$name: the next build: $@");
    ends_alike($s, $id, 'succeeded', name => "$name: the next build");
    return $id;
}

sub stream { return $s->open_stream("/api/log/push?build=$_[0]&format=json") }

sub says { my ($text) = @_; return sub { ($_->{data} // '') =~ /"text":"\Q$text\E"/ } }

# A build that has said so much, and a viewer that saw it.
sub running
{
    my ($p, @cues) = @_;
    my $id = $p->start(@cues, 'out ready');
    my $v  = stream($id);
    return ($id, $v, $v->until(says('ready'), 15));
}

# 503 with a reason.
sub refused
{
    my ($p, $why, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, undef, $r) = $s->post_build($p->path);
    is $status, 503, "$name: no build, 503";
    like $r->{headers}{'retry-after'} // '', qr/^[1-9]/, '... with Retry-After';
    like $r->{json}{detail} // '', $why, '... that says why';
    return;
}

# ---- the database: locked by another writer ---------------------------------------------

my $first = works_again('first');
{
    $mark = length $s->error_log;
    my $db = database("$state/history.db");
    $db->{ask}->('BEGIN EXCLUSIVE');
    # All of it while the lock is held: nobody waits for it.
    my ($id, $v, @seen) = running($p{a});
    $p{a}->cue('count 500', 'exit 7');
    push @seen, $v->rest(20);
    $v->close;
    is $seen[-1]{event}, 'end', 'locked: a build and its viewer go on to their end';
    is scalar(grep { /^[OE] \d/ } lines_of(@seen)), 500, '... with each line';
    said_once(qr/BL0250 .*locked/, '... the administrator is told');
    my $list = $s->get_json('/api/project/builds');
    is_deeply [map { "$_->{id} $_->{state}" } @{ $list->{builds} }], ["$id failed", "$first succeeded"],
        '... the list has what ended last';
    ok $list->{incomplete}, '... and says that there may be more';
    is $s->request('GET', '/api/project/projects')->{status}, 200, '... projects are told of';
    my $again = $p{b}->start('exit 0');
    is $s->wait_for_state($again, 'succeeded', 15)->{state}, 'succeeded', '... the next build as well';
    $db->{ask}->('COMMIT');
    close_database($db);
    ends_alike($s, $id,    'failed',    name => 'unlocked: what ended in between');
    ends_alike($s, $again, 'succeeded', name => '... and the one after it');
    said_once(qr/BL0251/, '... said once');
    is times_said($s, qr/BL0250/, $mark), 1, '... as was that it was locked';
    ok eval { wait_until { !$s->get_json('/api/project/builds')->{incomplete} } 20 }, '... the list is whole';
}

# ---- the database: broken ------------------------------------------------------------------

{
    $mark = length $s->error_log;
    write_file("$state/garbage", join '', map { chr int rand 256 } 1 .. 20_000);
    rename "$state/garbage", "$state/history.db" or die "garbage: $!\n";
    my $id = $p{a}->start('out hello', 'exit 0');
    is $s->wait_for_state($id, 'succeeded', 15)->{state}, 'succeeded', 'broken: builds go on';
    said_once(qr/BL0250 .*(?:not a database|malformed)/, '... the administrator is told');
    my $list = $s->get_json('/api/project/builds');
    ok $list->{incomplete}, '... the list says that there may be more';
    is $list->{builds}[0]{id}, $id, '... and has what ended last';
    unlink "$state/history.db" or die "history.db: $!\n";
    my $next = works_again('removed');
    ends_alike($s, $_, $_ == $first || $_ == $id ? 'succeeded' : 'failed', name => "... build $_") for $first, $id;
    said_once(qr/BL0251/, '... said');
    my @rows;
    eval { wait_until { (@rows = split /\n/, `sqlite3 -cmd '.timeout 20000' $state/history.db 'SELECT id FROM buildlog_builds ORDER BY id'`) >= $next } 30 };
    is_deeply \@rows, [1 .. $next], '... and so are all others: made anew from the logs';
}

# ---- the directory of logs: moved away, and back -------------------------------------------------

{
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a}, 'count 200');
    my $all = $s->open_stream('/api/log/push?format=json');
    $all->event(5);
    rename "$state/logs", "$state/away" or die "logs: $!\n";
    $p{a}->cue('count 300', 'out in between');
    push @seen, eval { $v->until(says('in between'), 20) };
    is $@, '', 'logs/ is gone: who looks on sees more lines';
    refused($p{b}, qr/cannot be stored: No such file or directory/, '... meanwhile');
    said_once(qr{No such file or directory.*BL0243 a build of .*b was refused: .*\Q$state\E/logs}, '... the administrator is told');

    # Who comes now is told that something is missing; for each line of the
    # build it is looked for again.
    my $w = $s->open_stream('/api/log/push?format=json');
    $w->event(5);
    $p{a}->cue('slow 200 5', 'out much later');
    ok eval { $w->until(sub { ($_->{event} // '') eq 'gap' }, 20) }, '... who comes now is told of a gap' or diag $@;
    push @seen, $v->until(says('much later'), 20);
    cmp_ok times_said($s, qr/BL0301/, $mark), '<=', 4, '... the error log is not flooded' or diag since();
    $_->close for $w, $all;
    $p{a}->cue('exit 0');
    push @seen, $v->rest(20);
    $v->close;
    is $seen[-1]{event}, 'end', '... to the end';
    is scalar(grep { /^[OE] \d/ } lines_of(@seen)), 700, '... each line';
    said_once(qr{BL0250 .*\Q$state\E/logs}, '... its row cannot be written, the administrator is told');
    rename "$state/away", "$state/logs" or die "logs: $!\n";
    ends_alike($s, $id, 'succeeded', name => 'logs/ is back: the build');
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... of which everything that was shown is there';
    works_again('logs/ is back');
}

# ---- the directory of logs: removed ------------------------------------------------------------------

{
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a}, 'count 200');
    system('cp', '-a', "$state/logs", "$state/copy") == 0 or die "no copy\n";
    remove_tree("$state/logs");
    $p{a}->cue('count 300', 'exit 0');
    push @seen, $v->rest(20);
    $v->close;
    is $seen[-1]{event}, 'end', 'logs/ is removed: who looks on sees the build to its end';
    is scalar(grep { /^[OE] \d/ } lines_of(@seen)), 500, '... each line';
    is $s->build_record($id)->{state}, 'succeeded', '... which is told of';
    is $s->request('GET', "/api/project/builds/$id/log")->{status}, 404, '... its log is not, there is none';
    refused($p{b}, qr/cannot be stored: No such file or directory/, '... meanwhile');
    # What the administrator has from a backup.
    rename "$state/copy", "$state/logs" or die "copy: $!\n";
    works_again('a copy of logs/');
    ends_alike($s, $first, 'succeeded', name => '... an old build');
}

# ---- the directory of logs: not there when a runner begins -----------------------------------------------

{
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a}, 'count 100');
    rename "$state/logs", "$state/away" or die "logs: $!\n";
    kill 'KILL', $s->pids->{runner};
    ok eval { wait_until { times_said($s, qr{No such file or directory.*BL0246 cannot read \Q$state\E/logs}, $mark) > 1 } 90, 'BL0246' },
        'no logs/ for a new runner: the administrator is told, it is tried again' or diag since();
    refused($p{b}, qr/The process that runs builds/, '... meanwhile');
    my $list = $s->get_json('/api/project/builds');
    is scalar(grep { $_->{id} == $first } @{ $list->{builds} }), 1, '... the list has what has ended';
    rename "$state/away", "$state/logs" or die "logs: $!\n";
    wait_until { ($s->error_log =~ /.*BL0240 runner (\d+) begins/s)[0] == ($s->pids->{runner} // 0) } 60, 'a runner';
    ends_alike($s, $id, 'lost', name => 'logs/ is back: what ran');
    push @seen, eval { $v->rest(20) };
    $v->close;
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... its viewer has each line';
    works_again('another runner');
}

# ---- directories that may not be written -----------------------------------------------------------------

{
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a});
    chmod 0500, "$state/logs" or die "logs: $!\n";
    refused($p{b}, qr/cannot be stored: Permission denied/, 'logs/ is read-only');
    said_once(qr{Permission denied.*BL0243 .*\Q$state\E/logs}, '... the administrator is told');
    $p{a}->cue('count 100', 'exit 0');
    push @seen, $v->rest(20);
    $v->close;
    ends_alike($s, $id, 'succeeded', name => '... what runs goes on');
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... with each line';
    ends_alike($s, $first, 'succeeded', name => '... what is stored is readable');

    # What is too much cannot go: it stays what it is.
    $s->configure("${conf}BuildLogKeep count=1 age=0 size=0\n");
    $s->graceful;
    said_once(qr/Permission denied.*BL0216 BuildLogKeep: the log of build 1 cannot be removed/, '... an old log cannot be removed, the administrator is told');
    ends_alike($s, $first, 'succeeded', name => '... and its build stays in the history');
    $s->configure($conf);
    $s->graceful;
    wait_until { times_said($s, qr/BL0245/, $mark) == 2 } 15, 'new limits';
    chmod 02750, "$state/logs" or die "logs: $!\n";
    works_again('logs/ may be written');
}

{
    $mark = length $s->error_log;
    chmod 0500, "$state/queue" or die "queue: $!\n";
    my ($id, $v) = running($p{a});
    my $second = $p{a}->start('out I waited', 'exit 0');
    is $s->build_record($second)->{state}, 'queued', 'queue/ is read-only: a build that waits is accepted';
    said_once(qr{Permission denied.*BL0214 build $second would not outlive this runner: its order in \Q$state\E/queue},
        '... the administrator is told what it means');
    my ($loud, $w) = running($p{b}, 'slow 300 3');
    is times_said($s, qr/BL0214/, $mark), 1, '... once, however often the runner looks at it' or diag since();
    chmod 0700, "$state/queue" or die "queue: $!\n";
    said_once(qr/BL0217 build $second: its order is stored now/, 'queue/ may be written: the order is stored');
    $s->kill_runner;
    ok eval { $s->wait_for_state($second, 'succeeded', 30) }, '... it has outlived its runner' or diag $@;
    ends_alike($s, $_, 'lost', name => '... what ran has not') for $id, $loud;
    $_->close for $v, $w;
    works_again('queue/ may be written');
}

# ---- no more descriptors ----------------------------------------------------------------------------------

for my $spare (0, 1, 2, 5, 7, 8, 9, 12) {
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a}, 'count 100');
    my $runner = $s->pids->{runner};
    $p{b}->prepare('exit 0');
    leave_descriptors($runner, $spare);
    my ($status, $answer, $r) = $s->post_build($p{b}->path);
    my $name = "$spare descriptors left";
    if ($spare == 12) {
        is $s->wait_for_state($answer->{build}{id}, 'succeeded', 15)->{state}, 'succeeded', "$name: enough for a build";
    }
    elsif ($status == 202 && $spare > 5) {
        my $build = $s->wait_for_state($answer->{build}{id}, 'succeeded|failed', 15);
        like "$build->{state} " . ($build->{reason} // ''), qr/^(?:succeeded |failed no process .*: Too many open files)$/,
            "$name: a build succeeds, or says why not";
    }
    elsif ($status == 202) {
        my $build = $s->wait_for_state($answer->{build}{id}, 'failed', 15);
        like $build->{reason}, qr/^no process could be started: Too many open files/, "$name: a build fails, and says why";
        ends_alike($s, $build->{id}, 'failed', name => '... it');
        said_once(qr/Too many open files.*BL0213 build $build->{id}: no process for it/, '... the administrator is told');
    }
    else {
        is $status, 503, "$name: no build, 503";
        like $r->{json}{detail} // '', qr/cannot be stored: Too many open files/, '... that says why';
        said_once(qr/Too many open files.*BL0243 /, '... the administrator is told');
    }
    $p{a}->cue('count 100', 'out ready');
    push @seen, eval { $v->until(says('ready'), 20) };
    is $@, '', '... what runs goes on';
    is $s->request('POST', "/api/project/builds/$id/cancel")->{status}, 202, '... and can be cancelled';
    push @seen, $v->rest(20);
    $v->close;
    unlimit($runner, 'nofile');
    ends_alike($s, $id, 'cancelled', name => '... it');
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... each line';
    cmp_ok times_said($s, qr/buildlog:(?:warn|error).*BL0(?!242 )/, $mark), '<=', 1, '... nothing else is said' or diag since();
    works_again('descriptors again');
    is $s->pids->{runner}, $runner, '... of the same runner';
}

# Few from the beginning: what runs below the runner has no more than it.
{
    my $few = BuildLog::Server->start('', files => 40);
    my $q   = BuildLog::Puppet->new('faults-few', server => $few);
    my $id  = $q->start('out hello', 'exit 0');
    ends_alike($few, $id, 'succeeded', name => '40 descriptors: a build');
    is times_said($few, qr/buildlog:(?:warn|error).*BL0[12]/), 0, '... of which nobody complains' or diag $few->error_log;
    $few->stop;
}

# ---- no more processes --------------------------------------------------------------------------------------

{
    $mark = length $s->error_log;
    my ($id, $v, @seen) = running($p{a}, 'count 100');
    my $runner = $s->pids->{runner};
    limit($runner, nproc => 0);
    my $failed = $p{b}->start('exit 0');
    my $build  = $s->wait_for_state($failed, 'failed', 15);
    like $build->{reason}, qr/^no process could be started: Resource temporarily unavailable/,
        'no more processes: a build fails, and says why';
    is_deeply [texts($s, $failed)], ["Build failed: $build->{reason}"], '... also in its log';
    said_once(qr/Resource temporarily unavailable.*BL0213 build $failed: no process for it/, '... the administrator is told');
    # The historian cannot be begun again.
    my ($historian) = grep { process_name($_) eq 'buildlog-histor' } processes_below($runner);
    kill 'KILL', $historian;
    eval { wait_until { times_said($s, qr/BL0254/, $mark) } 15, 'BL0254' };
    cmp_ok times_said($s, qr/Resource temporarily unavailable.*BL0254 no process for the history/, $mark), '>=', 1,
        '... of the history as well';
    $p{a}->cue('count 100', 'exit 0');
    push @seen, $v->rest(20);
    $v->close;
    is $seen[-1]{event}, 'end', '... what runs goes on to its end';
    unlimit($runner, 'nproc');
    ends_alike($s, $id,     'succeeded', name => 'processes again: what ran');
    ends_alike($s, $failed, 'failed',    name => '... what did not');
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... each line';
    works_again('processes again');
    is $s->pids->{runner}, $runner, '... of the same runner';
}

{
    $mark = length $s->error_log;
    my ($id, $v) = running($p{steps});
    limit($_, nproc => 0) for @{ $s->pids->{keepers} };
    $p{steps}->cue('exit 0');
    my $reason = 'step "then" could not be started in ' . $p{steps}->path . ': Resource temporarily unavailable';
    is $s->wait_for_state($id, 'failed', 15)->{reason}, $reason, 'none for the next step: the build fails, and says why';
    said_once(qr/BL0213 build $id: no process for its step "then"/, '... the administrator is told');
    $v->close;
    ends_alike($s, $id, 'failed', name => '... it');
    works_again('the next one has its own');
}

{
    $mark = length $s->error_log;
    my $parent = $s->parent;
    my ($id, $v, @seen) = running($p{a}, 'count 100');
    limit($parent, nproc => 0);
    kill 'KILL', $s->pids->{runner};
    ok eval { wait_until { times_said($s, qr/BL0103 no process for the runner/, $mark) } 30, 'BL0103' },
        'none for the runner: the administrator is told' or diag since();
    refused($p{b}, qr/The process that runs builds/, '... meanwhile');
    is $s->request('GET', "/api/project/builds/$first/log")->{status}, 200, '... what is stored is readable';
    my @late = map { $_->{data} // () } eval { my $w = stream($id); my @e = $w->until(says('ready'), 10); $w->close; @e };
    is scalar(grep { /"text":"[OE] \d/ } @late), 100, '... also of what ran';
    unlimit($parent, 'nproc');
    ends_alike($s, $id, 'lost', name => 'processes again: what ran');
    push @seen, eval { $v->rest(20) };
    $v->close;
    is_deeply [lines_of(@seen)], [texts($s, $id)], '... its viewer has each line';
    works_again('another runner');
}

done_testing;
