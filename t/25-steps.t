# 25-steps.t - the steps of a build: their order and how each may end, what a
# step finds when it begins, and that nothing of it is left (promises 5 and 7;
# the environment of DESIGN.md section 6)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use Time::HiRes qw(time);

sub note_texts { return map { $_->{text} } grep { $_->{note} } @_ }
sub said       { return map { $_->{text} } grep { !$_->{note} } @_ }

sub is_alive
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return 0;
    return (<$in> // '') !~ /^\d+ \(.*\) [ZX]/s;
}

sub parent_of
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return undef;
    return (<$in> // '') =~ /^\d+ \(.*\) \S (\d+)/s ? $1 : undef;
}

# Those that take their time begin first and run beside the others (two at
# once, as BuildLogMaxBuilds says).
my %slow = map { $_ => start_build(project($_)) } qw(stubborn timeout idle);

# ---- order, and the end ----------------------------------------------

# What the three steps do; states of the steps, state of the build, exit,
# signal, the last line, what was printed.
my $step = sub { qr/^Not this time: step "$_[0]" $_[1]$/ };
my @cases = (
    ['all succeed', ['echo 1', 'echo 2', 'echo 3'],
        [qw(succeeded succeeded succeeded)], 'succeeded', 0, undef, qr/^All is well$/, [1, 2, 3]],
    ['the second fails', ['echo 1', 'echo 2; exit 3', 'echo 3'],
        [qw(succeeded failed pending)], 'failed', 3, undef, $step->('two', 'exited with code 3'), [1, 2]],
    ['the first fails', ['exit 255', 'echo 2', 'echo 3'],
        [qw(failed pending pending)], 'failed', 255, undef, $step->('one', 'exited with code 255'), []],
    ['the last fails', ['true', 'true', 'false'],
        [qw(succeeded succeeded failed)], 'failed', 1, undef, $step->('three', 'exited with code 1'), []],
    ['ended by TERM', ['kill -TERM $$; sleep 5', 'echo 2', 'echo 3'],
        [qw(failed pending pending)], 'failed', undef, 'TERM', $step->('one', 'was ended by signal TERM'), []],
    ['ended by KILL', ['true', 'echo 2; kill -KILL $$; sleep 5', 'echo 3'],
        [qw(succeeded failed pending)], 'failed', undef, 'KILL', $step->('two', 'was ended by signal KILL'), [2]],
    ['ended by a signal without a name', ['kill -40 $$; sleep 5', '', ''],
        [qw(failed pending pending)], 'failed', undef, 'SIG40', $step->('one', 'was ended by signal SIG40'), []],
    ['its whole group ended without a word', ['kill -KILL 0; sleep 5', '', ''],
        [qw(failed pending pending)], 'failed', undef, 'KILL', $step->('one', 'was ended by signal KILL'), []],
    ['its whole group ended', ['kill -TERM 0; sleep 5', '', ''],
        [qw(failed pending pending)], 'failed', undef, 'TERM', $step->('one', 'was ended by signal TERM'), []],
    ['no such command', ['true', 'no-such-command --now', ''],
        [qw(succeeded failed pending)], 'failed', 127, undef,
        $step->('two', 'exited with code 127 \(command not found\)'), [qr/no-such-command.*not found/]],
    ['not executable', ['true', 'true', './one.sh'],
        [qw(succeeded succeeded failed)], 'failed', 126, undef,
        $step->('three', 'exited with code 126 \(command cannot be executed\)'), [qr/one\.sh.*[Pp]ermission denied/]],
    ['a step that prints on after its end was asked for', ['echo a; (echo b >&2); echo c', 'echo d', 'printf e'],
        [qw(succeeded succeeded succeeded)], 'succeeded', 0, undef, qr/^All is well$/, [qw(a b c d e)]],
);
for (@cases) {
    my ($what, $do, $states, $state, $exit, $signal, $last, $printed) = @$_;
    subtest $what => sub {
        my $path = project('steps');
        my @names = qw(one two three);
        write_file("$path/$names[$_].sh", "$do->[$_]\n") for 0 .. 2;
        my $id = start_build($path);
        my ($end, @lines) = build_output($id);
        is_deeply [map { $_->{state} } @{ $end->{steps} }], $states, 'the states of the steps';
        is_deeply [@$end{qw(state exit signal step)}], [$state, $exit, $signal, undef], 'how the build ended';
        my ($of) = grep { $_->{state} eq 'failed' } @{ $end->{steps} };
        is_deeply [@$of{qw(exit signal)}], [$exit, $signal], '... and the step that failed' if $of;
        my $begun = grep { $_ ne 'pending' } @$states;
        my @heads = grep { $_->{step} } @lines;
        is_deeply [map { [$_->{step}, $_->{text}] } @heads], [map { [$_ + 1, "\$ . ./$names[$_].sh"] } 0 .. $begun - 1],
            'each step that began has a header, those behind it have none';
        ok !(grep { !$_->{note} } @heads), '... written by the runner';
        like $lines[-1]{text}, $last, 'the last line says how it ended';
        ok $lines[-1]{note}, '... and is the runner\'s';
        my @said = said(@lines);
        is @said, @$printed, 'as many lines as were printed' or diag explain \@said;
        # Across the two streams the order is that of reading: as sets.
        like join("\n", sort @said), ref $printed->[0] ? $printed->[0] : qr/^\Q@{[join "\n", sort @$printed]}\E$/,
            '... and these';
        is_deeply scalar build_record($id), $end, 'the record is the one that the stream ended with';
        ok $end->{steps}[$_]{started} ge $end->{steps}[$_ - 1]{ended}, 'one after the other'
            for 1 .. $begun - 1;
    };
}

# What a step printed is read before the next one begins, however much is in the
# pipes when it ends.
subtest 'lines stand below their step' => sub {
    my $path = project('steps');
    my @names = qw(one two three);
    write_file("$path/$_.sh", "seq -f '$_ %.0f' 4000\nseq -f '$_ %.0f' 4000 >&2\nprintf '$_ end'\n") for @names;
    my ($end, @lines) = build_output(start_build($path));
    my (%of, $at);
    for (@lines) {
        if ($_->{step}) { $at = $names[$_->{step} - 1] }
        elsif (!$_->{note}) { push @{ $of{$at}{ $_->{stream} } }, $_->{text} }
    }
    for my $name (@names) {
        my @all = map { "$name $_" } 1 .. 4000;
        is_deeply $of{$name}, { stdout => [@all, "$name end"], stderr => \@all }, "all that step $name printed, in order";
    }
};

subtest 'the default last lines' => sub {
    my ($end, @lines) = build_output(start_build(make_project('last', 'true')));
    is_deeply [note_texts(@lines)], ['$ sh ./run.sh', 'Build finished'], 'succeeded';
    ($end, @lines) = build_output(start_build(make_project('last', 'exit 7')));
    is_deeply [note_texts(@lines)], ['$ sh ./run.sh', 'Build failed: step "run" exited with code 7'], 'failed';
};

# ---- a directory that goes -------------------------------------------

subtest 'the directory goes while the build waits' => sub {
    my $path = make_project('goes', 'while [ ! -e ../made-goes-now ]; do sleep 0.02; done');
    my $now = project('made-goes-now');
    my $first = start_build($path);
    wait_for_state($first, 'running');
    my $second = start_build($path);
    unlink "$path/run.sh";
    rmdir $path or die "$path: $!\n";
    is build_record($second)->{state}, 'queued', 'it waits, and can still be seen';
    write_file($now, '');
    my ($end, @lines) = build_output($second, 10);
    unlink $now;
    is $end->{state}, 'failed', 'it fails in its turn';
    is_deeply [map { $_->{state} } @{ $end->{steps} }], ['failed'], '... its step, too';
    like $lines[-1]{text},
        qr/^Build failed: step "run" could not be started in \Q$path\E: No such file or directory$/,
        '... and the last line names the directory and the reason';
    is +(post_build($path))[0], 403, 'then it is no project any more';
};

subtest 'the directory goes, or closes, between two steps' => sub {
    my $path = project('steps');
    my $away = project('made-away');
    for (['mv ../steps ../made-away', qr/No such file or directory/, sub { rename $away, $path }],
         ['chmod 0 .', qr/Permission denied/, sub { chmod 0755, $path }],
         ['mv ../steps ../made-away; : >../steps', qr/Not a directory|Permission denied/, sub { unlink $path; rename $away, $path }]) {
        my ($do, $reason, $undo) = @$_;
        write_file("$path/one.sh", "$do\n");
        # Who may see a build is asked of its directory: that has to be there
        # again before the log is read.
        my $id = start_build($path);
        wait_until {
            open my $log, '<', top() . "/state/logs/$id.log" or return 0;
            scalar grep { / stdout \S*:end / } <$log>;
        } 10, "the end of build $id";
        $undo->() or die "undo '$do': $!\n";
        my ($end, @lines) = build_output($id, 10);
        is_deeply [map { $_->{state} } @{ $end->{steps} }], [qw(succeeded failed pending)], "$do: the states";
        is $end->{state}, 'failed', '... failed';
        like $lines[-1]{text}, qr/^Not this time: step "two" could not be started in \Q$path\E: $reason$/,
            '... and the last line says why';
    }
};

# ---- what a step finds -----------------------------------------------

subtest 'a clean beginning' => sub {
    my $path = project('clean');
    my ($end, @lines) = build_output(my $id = start_build($path));
    is $end->{state}, 'succeeded', 'the build succeeds';
    my (%of, $at);
    for (@lines) {
        if ($_->{step}) { $at = $end->{steps}[$_->{step} - 1]{name} }
        elsif (!$_->{note}) { push @{ $of{$at} }, $_->{text} }
    }
    my %env = map { /^(\w+)=(.*)$/ } @{ $of{env} };
    delete @env{qw(PWD OLDPWD SHLVL _)};    # the shell's own
    my (undef, undef, undef, undef, undef, undef, undef, $home) = getpwuid $<;
    is_deeply \%env, {
        PATH => '/usr/local/bin:/usr/bin:/bin', HOME => $home, LANG => 'C.UTF-8', CI => 'true',
        FORCE_COLOR => 1, BUILDLOG_ID => $id, BUILDLOG_PROJECT => $path,
        BUILDLOG_SERVER => top() . '/state',
    }, 'the environment is this and nothing else';
    is_deeply $of{stdin}, ['/dev/null'], 'stdin is /dev/null';
    my %fd = map { /(\d+) -> (.*)/ } @{ $of{files} };
    is join(' ', sort keys %fd), '0 1 2', 'three descriptors and no other' or diag explain \%fd;
    like $fd{$_}, qr/^pipe:/, "descriptor $_ is a pipe" for 1, 2;
    isnt $fd{1}, $fd{2}, '... each its own';
    is_deeply $of{umask}, ['0022'], 'umask';
    is_deeply $of{pwd}, [$path], 'the working directory';

    my @stat = (join ' ', @{ $of{stat} }) =~ /^\d+ \(.*\) \S (.*)$/s ? split(' ', $1) : ();
    my ($session, $tty) = @stat[2, 3];
    is $tty, 0, 'no terminal';
    my ($keeper) = @{ $of{parent} };
    isnt $session, $_->[1], "the session is not that of $_->[0]" for
        ['httpd', _session(server_pid())], ['the test', _session($$)],
        ['the runner', _session(_runner())], ['the keeper', _session($keeper)];

    my %status = map { /^(\w+):\s*(.*)$/ } @{ $of{status} };
    # Signals 32 and 33 are the C library's; no program can set them back that
    # was started with them ignored.
    no warnings 'portable';
    is hex($status{$_} // 'ffff') & ~0x180000000, 0, "$_ is empty" for qw(SigIgn SigBlk SigCgt SigPnd);
    is $status{Threads}, 1, 'one thread';
};

sub _session
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return 'none';
    return (<$in> // '') =~ /^\d+ \(.*\) \S \d+ \d+ (\d+)/s ? $1 : 'none';
}

sub _runner
{
    for my $dir (glob '/proc/[0-9]*') {
        my ($pid) = $dir =~ /(\d+)$/;
        next unless (parent_of($pid) // 0) == server_pid();
        open my $in, '<', "$dir/comm" or next;
        return $pid if (<$in> // '') =~ /^buildlog-runner/;
    }
    die "no runner\n";
}

subtest 'configured limits and variables' => sub {
    my ($end, @lines) = build_output(start_build(project('limits')));
    is $end->{state}, 'succeeded', 'the build succeeds';
    my @said = said(@lines);
    my %limit = map { /^Max (.*?) {2,}(\S+) +(\S+)/ ? ($1 => "$2 $3") : () } @said;
    is $limit{'cpu time'}, '70 90', 'RLimitCPU';
    is $limit{processes}, '1500 2000', 'RLimitNPROC';
    is $limit{$_}, '800000000 900000000', "RLimitMEM: $_" for grep { defined $limit{$_} } 'address space';
    my %env = map { /^(\w+)=(.*)$/ } @said;
    is $env{LANG}, 'de_DE.UTF-8', 'BuildLogSetEnv replaces what is there by itself';
    is $env{TEXT}, 'a=b c"d', '... and takes any text';
    is $env{TMPDIR}, top() . '/tmp', 'BuildLogPassEnv hands on what httpd has';
    ok !exists $env{NO_SUCH_VARIABLE}, '... and nothing that it has not';
    is +(grep { /^LANG=/ } @said), 1, 'each once';
};

# ---- processes that are left ------------------------------------------

# A script that leaves something behind and prints "pid N" for each of it.
my $bg = 'echo pid $!';
# Until that which is left has come so far.
my $said = 'until [ -e said ]; do sleep 0.02; done';
my @left = (
    ['one', "sleep 600 & $bg", 1],
    ['two', "sleep 600 & $bg; sleep 601 & $bg", 2],
    ['silent', "sleep 600 >/dev/null 2>&1 </dev/null & $bg", 1],
    ['session', "setsid sh -c 'echo pid \$\$; : >said; exec sleep 600' & $said", 1],
    ['orphan', "(sh -c 'echo pid \$\$; sleep 600 & echo pid \$!; : >said; wait' &) ; $said", 2],
    ['hidden', "here=\$PWD; cd /; env -i /bin/sh -c \"echo pid \\\$\\\$; : >\$here/said; exec sleep 600\" & cd \$here; $said", 1],
    ['deaf', "sh -c 'trap \"\" TERM HUP INT; echo pid \$\$; : >said; while :; do sleep 0.1; done' & $said", undef],
    ['stopped', "sleep 600 & $bg; kill -STOP \$!", 1],
    ['loud', "while :; do echo loud; : >said; sleep 0.01; done & echo pid \$! >&2; $said", undef],
);
for (@left) {
    my ($name, $script, $count) = @$_;
    subtest "left behind: $name" => sub {
        my $from = time;
        my $path = make_project("left-$name", $script);
        unlink "$path/said";
        my ($end, @lines) = build_output(start_build($path), 60);
        cmp_ok time - $from, '<', 60, 'the build does not wait for it';
        is $end->{state}, 'succeeded', '... and has succeeded, for its step has';
        my @pids = map { /^pid (\d+)$/ } said(@lines);
        ok @pids >= ($count // 1), 'it is known what was left' or diag explain [said(@lines)];
        is_deeply [grep { is_alive($_) } @pids], [], '... and nothing of it lives when the build has ended';
        # What has a child at times counts as one or two.
        my $many = defined $count ? $count == 1 ? '1 process that the build left behind was ended'
            : "$count processes that the build left behind were ended" : qr/^[12] process/;
        my ($note) = grep { /left behind/ } note_texts(@lines);
        ref $many ? like $note, $many, 'a note says so' : is $note, $many, 'a note says so';
        is $lines[-1]{text}, 'Build finished', 'the last line is the usual one';
    };
}

subtest 'nothing is said of what ends by itself' => sub {
    # It ends when its step has ended, as soon as it is seen; a machine with much
    # else to do may need longer than it is waited for, but not each time.
    my $path = make_project('brief', '(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; echo late) & echo now');
    my ($end, @lines);
    for my $try (1 .. 5) {
        ($end, @lines) = build_output(start_build($path));
        last if note_texts(@lines) == 2;
        diag "try $try: ", explain [note_texts(@lines)];
    }
    is $end->{state}, 'succeeded', 'the build succeeds';
    is_deeply [note_texts(@lines)], ['$ sh ./run.sh', 'Build finished'], 'no note';
    is_deeply [said(@lines)], ['now', 'late'], 'and what it printed is there';
};

# ---- time -------------------------------------------------------------

sub seconds
{
    my ($from, $to) = map { m/T(\d+):(\d+):([\d.]+)Z/ ? $1 * 3600 + $2 * 60 + $3 : die "no time: $_\n" } @_;
    return $to - $from + ($to < $from ? 86400 : 0);
}

subtest 'BuildLogTimeout' => sub {
    my ($end, @lines) = build_output($slow{timeout});
    is $end->{state}, 'timed-out', 'the state';
    is_deeply [map { $_->{state} } @{ $end->{steps} }], [qw(succeeded failed)], 'the steps';
    is $lines[-1]{text}, 'Build timed out: not over after 3 s', 'the last line';
    my $took = seconds(@$end{qw(started ended)});
    cmp_ok $took, '>=', 3, 'not before its time';
    cmp_ok $took, '<', 60, 'and soon after: who takes TERM does not cost the grace';
};

subtest 'BuildLogIdleTimeout' => sub {
    my ($end, @lines) = build_output($slow{idle});
    is $end->{state}, 'timed-out', 'the state';
    is_deeply [map { $_->{state} } @{ $end->{steps} }], [qw(succeeded failed)],
        'a step that speaks may take longer than that';
    is scalar(said(@lines)), 7, '... and says all';
    is $lines[-1]{text}, 'Build timed out: no output for 3 s', 'the last line';
    cmp_ok seconds($end->{steps}[0]{started}, $end->{steps}[0]{ended}), '>', 3, 'it did take longer';
    my $silent = seconds($end->{steps}[1]{started}, $end->{ended});
    cmp_ok $silent, '<', 60, 'the silent one is ended soon';
};

subtest 'BuildLogKillGrace' => sub {
    my ($end, @lines) = build_output($slow{stubborn});
    is $end->{state}, 'timed-out', 'the state';
    is $end->{signal}, 'KILL', 'who does not hear TERM gets KILL';
    is $lines[-1]{text}, 'Patience is over: not over after 2 s', 'the configured last line';
    my ($pid) = map { /^pid (\d+)$/ } said(@lines);
    ok $pid && !is_alive($pid), 'it is gone';
    my $took = seconds(@$end{qw(started ended)});
    cmp_ok $took, '>=', 2.4, 'it had its time';
    cmp_ok $took, '<', 60, '... and not for ever';
};

is_deeply [build_processes()], [], 'no process of any build is left';

done_testing;
