# 55-stop.t - the server stops, dies and comes back; what it finds, and refuses
#
# Promises: 5 (every build ends in exactly one final state, no process of it is
# left), 6 (nothing left running, the next build works), 7 (a clear message to
# the right person, what was stored stays readable).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
allow_in_log(qr/AH00052: child pid \d+ exit signal Killed/);

sub text  { return $_[0]{data} =~ s/^\[[^\]]*\] //r }
sub lines { return grep { !exists $_->{event} && exists $_->{data} } @_ }

# Processes that run in a puppet's directory.
sub alive_in
{
    my ($puppet) = @_;
    return grep { (readlink("/proc/$_->[0]/cwd") // '') eq $puppet->path } build_processes();
}

# [tags, text] of each record of a log; dies on what is none.
sub log_of
{
    my ($server, $id) = @_;
    my $path = $server->state . "/logs/$id.log";
    open my $in, '<', $path or die "$path: $!\n";
    my ($last, @records) = ('');
    while (<$in>) {
        my ($time, $stream, $tags, $text) = /^(\S+) (stdout|stderr) (\S+) (.*)\n\z/
            or die "build $id: no record: $_\n";
        $time gt $last or die "build $id: $time after $last\n";
        $last = $time;
        push @records, [$tags, $text];
    }
    return @records;
}

# It ended once, in this state, with this last line.
sub ended
{
    my ($server, $id, $state, $line, $name) = @_;
    my @records = log_of($server, $id);
    my @ends = grep { $_->[0] =~ /\bend\b/ } @records;
    is @ends, 1, "$name: the log has one end";
    is $json->decode($ends[0][1] // '{}')->{state}, $state, "$name: $state" if @ends;
    my @lines = grep { $_->[0] !~ /\b(?:build|end)\b/ } @records;
    like $lines[-1][1], $line, "$name: the last line says why";
    like $records[-1][0], qr/\bend\b/, "$name: the end is the last record";
    return;
}

my $s = BuildLog::Server->start('');
my $p = BuildLog::Puppet->new('stop', server => $s);
my $q = BuildLog::Puppet->new('stop-other', server => $s);

# ---- an orderly stop, in the middle of builds ----------------------------------

my ($first, $last, $last_id);
{
    my $done = $p->start('count 100', 'exit 0');
    $s->wait_for_state($done, 'succeeded', 10);
    $first = $done;
    my $one = $p->start('child', 'stubborn', 'child', 'count 100', 'out ready');
    my $two = $q->start('child', 'out ready');
    $_->wait_for('ready') for $p, $q;
    my (undef, $answer) = $s->post_build($q->path);
    $last = $answer->{build}{id};
    my $v = $s->open_stream("/api/log/push?build=$one");
    my @seen = $v->until(sub { exists $_->{data} && text($_) eq 'ready' }, 5);

    my $began = time;
    ok $s->stop(15), 'stop during builds: every process of the server ends';
    note sprintf 'stopped in %.1f s', time - $began;
    is_deeply [alive_in($p), alive_in($q)], [], 'and of the builds, also what is deaf to TERM';
    push @seen, $v->rest(5);
    ok exists $seen[-1]{retry}, 'a viewer is told to come back';
    $v->close;
    ended($s, $one, 'cancelled', qr/server stopped/, 'one that ran');
    ended($s, $two, 'cancelled', qr/server stopped/, 'another that ran');
    ended($s, $last, 'cancelled', qr/server stopped/, 'one that waited');
    my $socket = $s->state . '/runner.sock';
    ok !-e $socket, 'the socket is gone';

    # The same state directory: everything goes on.
    is +($s->begin)[0], 0, 'it starts again';
    for my $id ($done, $one, $two, $last) {
        is $s->build_record($id)->{state}, $id == $done ? 'succeeded' : 'cancelled',
            "builds/$id of the time before";
        my $r = $s->open_stream($id);
        my @old = $r->rest(10);
        $r->close;
        is $old[-1]{event}, 'end', "push?build=$id too";
        $last_id = $old[-1]{id} if ($last_id // 0) < $old[-1]{id};
        my @file = grep { $_->[0] !~ /\b(?:build|end)\b/ } log_of($s, $id);
        is_deeply [map { text($_) } lines(@old)], [map { $_->[1] } @file], 'with every line';
    }
    # Who saw the first part gets the second part, over the restart.
    my $r = $s->open_stream("/api/log/push?build=$one", headers => { 'Last-Event-ID' => $v->last_id });
    my @more = $r->rest(10);
    $r->close;
    is_deeply [grep { /^Build/ } map { text($_) } lines(@more)], ['Build cancelled: the server stopped'],
        'a viewer that was told to come back gets how it ended';
    is scalar(grep { ($_->{event} // '') eq 'gap' } @more), 0, 'without a gap';

    my $next = $p->start('out new', 'exit 0');
    cmp_ok $next, '>', $last, 'numbers go on';
    is $s->wait_for_state($next, 'succeeded', 10)->{state}, 'succeeded', 'builds work';
    my $n = $s->open_stream("/api/log/push?build=$next");
    my ($begin) = grep { exists $_->{id} && ($_->{event} // '') ne 'ping' } $n->rest(10);
    $n->close;
    cmp_ok $begin->{id}, '>', $last_id, 'ids go on';
    $last = $next;
}

# ---- two servers, one state directory ---------------------------------------------

{
    my $id = $p->start('out here');
    $p->wait_for('here');
    my $other = BuildLog::Server->make('', state => $s->state);
    my ($status, $out) = $other->begin;
    isnt $status, 0, 'a second server with the same BuildLogStateDir refuses to start';
    like $out . $other->error_log, qr/BL0101 \Q@{[ $s->state ]}\E is in use by another server/,
        'and says why';
    is $s->build_record($id)->{state}, 'running', 'the first one is not disturbed';
    my $two = $q->start('out fine', 'exit 0');
    is $s->wait_for_state($two, 'succeeded', 10)->{state}, 'succeeded', 'and still takes builds';
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 10);
}

# ---- the parent is killed -----------------------------------------------------------

# Kill the parent; httpd's children do not notice that, they go too.
sub kill_parent
{
    my (@also) = @_;
    my $pids = $s->pids;
    # In this order: what the runner would do without its parent is not wanted.
    kill 'KILL', @also, $pids->{parent}, @{ $pids->{children} };
    wait_until_gone(10, $pids->{parent}, @{ $pids->{children} });
    return $pids;
}

{
    my $one = $p->start('child', 'stubborn', 'child', 'count 10', 'out ready');
    $p->wait_for('ready');
    my $pids = kill_parent();
    ok eval { wait_until_gone(15, $pids->{runner}, @{ $pids->{keepers} }) },
        'the parent is killed: the runner ends by itself' or diag $@;
    is_deeply [alive_in($p)], [], 'and so does what it built';
    ended($s, $one, 'cancelled', qr/server stopped/, 'parent killed');
    is +($s->begin)[0], 0, 'it starts again';
    is $s->build_record($one)->{state}, 'cancelled', 'and knows how the build ended';
}

{
    # Begun again at once, while the runner before still ends its build.
    my $one = $p->start('child', 'stubborn', 'child', 'count 10', 'out ready');
    $p->wait_for('ready');
    my $pids = kill_parent();
    my ($status) = $s->begin;
    is $status, 0, 'the parent is killed and begun again at once: it starts';
    ok eval { wait_until_gone(15, $pids->{runner}, @{ $pids->{keepers} }) }, 'the runner before ends' or diag $@;
    is_deeply [alive_in($p)], [], 'with its build';
    ended($s, $one, 'cancelled', qr/server stopped/, 'two runners');
    is $s->wait_for_state($one, 'cancelled|lost', 10)->{state}, 'cancelled', 'and builds/N says the same';
    my $next = wait_until { my ($st, $a) = $s->post_build($q->path); $st == 202 && $a->{build}{id} } 15, 'a runner';
    cmp_ok $next, '>', $one, 'the next build has a new number';
    $q->cue('exit 0');
    is $s->wait_for_state($next, 'succeeded', 10)->{state}, 'succeeded', 'and works';
}

# ---- everything is killed, and half a record stands in the log --------------------------

{
    my $one = $p->start('child', 'count 50', 'out ready');
    $p->wait_for('ready');
    my $pids = $s->pids;
    kill_parent($pids->{runner});
    ok eval { wait_until { !alive_in($p) } 10, 'they end' },
        'parent and runner are killed: the keeper ends the build';
    wait_until_gone(10, $pids->{runner}, @{ $pids->{keepers} });
    open my $out, '>>', $s->state . "/logs/$one.log" or die $!;
    print {$out} '2026-11-22T10:00:00.12';
    close $out;
    is +($s->begin)[0], 0, 'it starts again';
    is $s->wait_for_state($one, 'lost', 10)->{state}, 'lost', 'the build is lost';
    ended($s, $one, 'lost', qr/^Build lost: .*runner/, 'all killed');
    my $v = $s->open_stream($one);
    my @seen = $v->rest(10);
    $v->close;
    is scalar(grep { text($_) =~ /^[OE] \d/ } lines(@seen)), 50, 'what was stored is there';
    is $json->decode($seen[-1]{data})->{lines}, scalar(lines(@seen)), 'and counted';
}

# ---- the clock steps back ---------------------------------------------------------------

{
    my $model = $p->start('count 20', 'exit 0');
    $s->wait_for_state($model, 'succeeded', 10);
    ok $s->stop, 'stopped';
    # A log of the future, as a clock leaves it that was an hour fast.
    my $future = $model + 100;
    my ($dir, $newest) = ($s->state . '/logs');
    open my $in, '<', "$dir/$model.log" or die $!;
    open my $out, '>', "$dir/$future.log" or die $!;
    my $hour = POSIX::strftime('%Y-%m-%dT%H:', gmtime(time + 3600));
    while (<$in>) {
        s/^\S{13}:/$hour/;
        s/"id":$model,/"id":$future,/;
        ($newest) = /^(\S+)/;
        print {$out} $_;
    }
    close $out;
    is +($s->begin)[0], 0, 'it starts with a log of the future';
    is $s->build_record($future)->{state}, 'succeeded', 'which it can read';

    my $v  = $s->open_stream('/api/log/push?format=json');
    $v->event(5) for 1 .. 2;
    my $id = $p->start('out one');
    cmp_ok $id, '>', $future, 'numbers go on behind it';
    my @seen = eval { $v->until(sub { ($_->{data} // '') =~ /"text":"one"/ }, 4) };
    ok scalar(@seen), 'a line is on the screens at once, though its id is of the future' or diag $@;
    # More than a pipe holds.
    $p->cue('count 20000', 'exit 0');
    my $end = eval { $s->wait_for_state($id, 'succeeded', 15) };
    is $end->{state}, 'succeeded', 'and a long build ends' or diag $@;
    if ($end) {
        push @seen, $v->until(sub { ($_->{data} // '') =~ /"text":"Build finished"/ }, 10);
        my @o = map { $json->decode($_->{data}) } lines(@seen);
        is @o, 20003, 'with each line';
        cmp_ok $o[0]{time}, 'gt', $newest, 'ids are behind those of the future';
        is scalar(grep { $o[$_]{id} <= $o[ $_ - 1 ]{id} } 1 .. $#o), 0, 'and grow';
    }
    $v->close;
    # If it stands still: not for ever.
    $p->cue('exit 0');
    eval { $s->stop(20) };
}

# ---- state directories that cannot be ------------------------------------------------------

{
    my $base = top() . '/servers';
    my %refused = (
        'somebody else\'s' => ['/usr', qr{BL0101 /usr belongs to user 0, but the runner is user \d+}],
        'not writable'     => ["$base/closed", qr{BL0101 cannot make \Q$base\E/closed/logs; see BuildLogStateDir}],
        'in a place that is not there' =>
            ["$base/no/such", qr{No such file or directory: .*BL0101 cannot make \Q$base\E/no/such; see BuildLogStateDir}],
        'a file'   => ["$base/file", qr{BL0101 \Q$base\E/file is no directory}],
        'too long' => ["$base/" . 'x' x 100, qr{BL0101 BuildLogStateDir: .*is too long}],
        'that is a link'      => ["$base/link", qr{BL0101 \Q$base\E/link is no directory of ours}],
        'whose logs are a link' => ["$base/elsewhere", qr{BL0101 \Q$base\E/elsewhere/logs is no directory of ours}],
        'whose lock is a link'  => ["$base/lock-link", qr{BL0101 cannot open \Q$base\E/lock-link/lock}],
        'that is a fifo'      => ["$base/fifo", qr{BL0101 \Q$base\E/fifo is no directory of ours}],
        'where everybody may write' => ["$base/open", qr{BL0101 everybody may write in \Q$base\E/open \(mode 0777\): chmod o-w}],
        'whose logs everybody may write' => ["$base/open-logs", qr{BL0101 everybody may write in \Q$base\E/open-logs/logs \(mode 2757\)}],
        'where everybody may write, each his own' => ["$base/sticky", qr{BL0101 everybody may write in \Q$base\E/sticky \(mode 1777\)}],
    );
    mkdir "$base/closed", 0500 or die $!;
    write_file("$base/file", '');
    mkdir "$base/$_", 0750 or die $! for qw(real elsewhere elsewhere-logs lock-link open open-logs open-logs/logs sticky);
    symlink "$base/real", "$base/link" or die $!;
    symlink "$base/elsewhere-logs", "$base/elsewhere/logs" or die $!;
    symlink "$base/file", "$base/lock-link/lock" or die $!;
    POSIX::mkfifo("$base/fifo", 0600) or die $!;
    chmod 0777, "$base/open" or die $!;
    chmod 01777, "$base/sticky" or die $!;
    chmod 02757, "$base/open-logs/logs" or die $!;
    for my $name (sort keys %refused) {
        my ($state, $message) = @{ $refused{$name} };
        my $t = BuildLog::Server->make('', state => $state);
        my ($status, $out) = $t->begin;
        isnt $status, 0, "a state directory $name: refused";
        like $out . $t->error_log, $message, "$name: says why";
        is_deeply [$t->pids->{parent}], [undef], "$name: nothing runs";
    }
    is_deeply [glob "$base/real/* $base/elsewhere-logs/*"], [], 'nothing was made where a link leads';
    is -s "$base/file", 0, '... nor written';
    # Of the group it is the administrator's to say.
    mkdir "$base/group", 0750 or die $!;
    chmod 0770, "$base/group" or die $!;
    my $t = BuildLog::Server->make('', state => "$base/group");
    is +($t->begin)[0], 0, 'a state directory of our own that its group may write: taken';
    $t->stop;
    chmod 0700, "$base/closed";
}

done_testing;
