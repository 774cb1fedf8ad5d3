# soak.t - for a long time: builds and viewers of all kinds, restarts, killed
# children and runners, a disk that is full now and then
#
# Promises: all of DESIGN.md section 8, each by its number; see the end.
#
# `make soak` runs it, no other target. SOAK: seconds, or 20m. SEED: what a run that
# failed has printed: the same builds, viewers and faults, if not in the very
# same moments.
#
# The time has three parts. In the first and the last one everything happens; in
# between no process is ended, so that it is seen whether one grows. Now and then
# there is a calm: no build, no viewer. Then all is looked at that may be left.
use strict;
use warnings;
use Test::More;
use FindBin ();
use lib $FindBin::Bin;
use BuildLog::Test;
use BuildLog::Faults qw(small_disk why_no_disk);
use BuildLog::Kinds qw(connections odd_place viewer);
use BuildLog::Server;
use List::Util qw(max min sum0);
use MIME::Base64 qw(encode_base64);
use Soak::Builds qw(config kind_of may_become projects);
use Soak::Checker;
use Soak::Resources qw(descriptors roles sample slope threads_of weigh);
use Soak::Storm;
use Soak::Viewer;
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

my ($time, $unit) = ($ENV{SOAK} || '20m') =~ /^(\d+)(m|min|s|)$/ or die "TIME is seconds, or 20m\n";
my $seconds = $time * ($unit =~ /m/ ? 60 : 1);
my $seed    = $ENV{SEED} // int rand 1e9;
my @viewers = qw(all all all builds one one one one ndjson ndjson text tail poll document document stall stall ask);
my $dir     = top() . '/t/soak/projects';
my $disk    = small_disk();
my %figure  = (accepted => 0, refused => 0, unanswered => 0);
srand $seed;
diag "SEED=$seed, $seconds s" . ($disk ? '' : '; ' . why_no_disk());

my %project = %{ projects($dir) };
for ($dir, keys %project, "$dir/../work", "$dir/../closed") { mkdir $_ or die "$_: $!\n" }
my $work = "$dir/../work";
my %wrong;    # promise => [text]

sub wrong
{
    my ($promise, $text) = @_;
    push @{ $wrong{$promise} }, $text;
    diag "promise $promise: $text" if @{ $wrong{$promise} } < 10;
    return;
}

# A restart tells as many children to end as there may be: of more, which there
# are when one was killed in the moment of a restart, one would stay. So there
# may be many more than there are.
my %as_alice = (Authorization => 'Basic ' . encode_base64('alice:wonderland', ''));
#
# What leaks is looked for, and not what is kept to be used again: one arena of
# malloc, for those of many threads break up into what nobody uses; and little
# in pools (MaxMemFree).
local $ENV{MALLOC_ARENA_MAX} = 1;
my $s = BuildLog::Server->start(<<"END", tls => 1, protocols => 'h2 http/1.1', cores => 1, $disk ? (state => "$disk/state") : ());
LogLevel warn buildlog:info
Timeout 20
MaxMemFree 128
StartServers 3
ServerLimit 12
ThreadsPerChild 16
MaxRequestWorkers 128
MinSpareThreads 16
MaxSpareThreads 128
BuildLogMaxBuilds 6
BuildLogMaxQueue 12
BuildLogMaxClients 400
BuildLogKeep count=200 size=24M
@{[ config($dir, $seed), odd_place(), addresses('/private', <<"AUTH") ]}
    AuthType Basic
    AuthName "builds"
    AuthBasicProvider file
    AuthUserFile "@{[ top() ]}/t/conf/users"
    Require valid-user
    BuildLogPing 2s
AUTH
<Location "/api">
    BuildLogPing 2s
</Location>
END

# ---- the board ----------------------------------------------------------------------

my (%accepted, %cancelled, @told);

sub told
{
    my ($line) = @_;
    push @told, $line;
    open my $out, '>>', "$work/board" or die "board: $!\n";
    print {$out} "$line\n";
    close $out or die "board: $!\n";
    return;
}

sub phase
{
    my ($phase) = @_;
    write_file("$work/phase.new", $phase);
    rename "$work/phase.new", "$work/phase" or die "phase: $!\n";
    return;
}

# ---- builds ---------------------------------------------------------------------------

# What is asked may meet a child that ends: nothing is wrong with that.
sub ask
{
    my (@request) = @_;
    return eval { $s->request(@request, timeout => 60) };
}

sub builds_now
{
    my $r = ask('GET', '/api/metrics') or return;
    return if $r->{status} != 200 || $r->{body} !~ /^buildlog_runner_up 1$/m;
    return map { $r->{body} =~ /^buildlog_builds\{state="$_"\} (\d+)$/m ? $1 : return } qw(queued running);
}

my $not_before = 0;
my $checked = 0;
write_file("$work/ended", '');
open my $ended, '<', "$work/ended" or die "ended: $!\n";

sub checked
{
    seek $ended, 0, 1;    # its end is no end
    while (<$ended>) { $checked++ if !/unknown/ }
    return $checked;
}

sub post
{
    # Who looks at each build that has ended keeps up with them.
    return if time < $not_before || $figure{accepted} > 60 + checked();
    my ($path) = (sort keys %project)[ rand 1.5 * keys %project ];
    $path //= "$dir/any-" . (1 + int rand 6);
    my $hers = ($project{$path} // '') eq 'alice';
    my ($status, $answer, $r) = eval {
        $s->post_build($path, timeout => 60, json => rand() < 0.5, $hers ? (to => '/private/api/project/build', headers => \%as_alice) : ());
    };
    if (!$status) {
        $figure{unanswered}++;
    }
    elsif ($status == 202) {
        my $id = $answer->{build}{id};
        wrong(5, "build $id: a number twice") if $accepted{$id};
        my $kind = $project{$path} // kind_of($seed, $id);
        $accepted{$id} = { kind => $kind, cancel => Soak::Builds::waits($kind) ? time + 0.5 + rand 4 : 0 };
        $figure{accepted}++;
        told("build $id $kind");
    }
    elsif ($status == 503) {
        $figure{refused}++;
        $not_before = time + 0.2;
        $figure{no_room}++ if ($r->{json}{detail} // '') =~ /cannot be stored/;
        wrong(7, "503 without Retry-After: $r->{body}") if !$r->{headers}{'retry-after'};
        wrong(7, "503 without a reason: $r->{body}") if ($r->{json}{detail} // '') eq '';
    }
    else {
        wrong(6, "a build of $path: $status $r->{body}");
    }
    return;
}

sub cancel
{
    my (@ids) = @_;
    for my $id (@ids) {
        my $hers = $accepted{$id}{kind} eq 'alice';
        my $r = ask('POST', ($hers ? '/private' : '') . "/api/project/builds/$id/cancel", headers => $hers ? \%as_alice : {});
        # It may have been done, though nobody said so.
        $cancelled{$id} = 1 if !$r || $r->{status} != 409;
        delete $accepted{$id}{cancel} if $r && $r->{status} =~ /^(?:202|409|404)$/;
    }
    return;
}

# ---- a calm -----------------------------------------------------------------------------

my (@samples, @weighed, @steady);    # @steady: of those in which no process is ended
my $storm = Soak::Storm->new(server => $s, disk => $disk, told => \&told);

sub in_time
{
    my ($promise, $what, $condition) = @_;
    return eval { wait_until { $condition->() } 180, $what } || do { wrong($promise, "not in time: $what"); 0 };
}

# So that all that a process opens once is open: each child has had viewers.
sub warm_up
{
    for (1 .. 2) {
        my @v = map { eval { viewer($s, $_ % 4 ? 'plain' : 'tls', '') } // () } 1 .. 48;
        eval { $_->event(10) } for @v;
        ask('GET', "/api/project/$_") for map { ($_) x 12 } 'builds?limit=5', 'projects';
        $_->close for @v;
    }
    return;
}

sub threads { return map { threads_of($_) } @{ $s->pids->{children} } }

# Promise 3: a viewer costs no thread. (A child's first one begins its pump.)
sub look_at_threads
{
    my @before = threads();
    my @v = map { eval { viewer($s, $_ % 10 ? 'plain' : 'tls', '') } // () } 1 .. 100;
    eval { $_->event(10) } for @v;
    my @after = threads();
    wrong(3, scalar @v . " viewers, threads of children before @before, with them @after") if max(@after) > max(@before);
    $figure{threads} = scalar(@v) . " more viewers, threads of children before @before, with them @after";
    $_->close for @v;
    return;
}

sub calm
{
    my (%opt) = @_;
    phase('calm');
    $storm->calm;
    in_time(5, 'all builds end', sub {
        cancel(grep { $accepted{$_}{cancel} } keys %accepted);
        my @n = builds_now();
        @n && !sum0(@n);
    });
    in_time(5, 'the last processes of builds end', sub { !build_processes() && !@{ $s->pids->{keepers} } })
        or wrong(5, "left: @$_") for build_processes();
    in_time(3, 'all connections end', sub { !connections($s) })
        or wrong(3, 'connections of clients at ports ' . join ' ', connections($s));
    if (!$opt{steady}) {
        my @old = @{ $s->pids->{children} };
        $s->graceful;
        in_time(6, 'children of a graceful restart end', sub { !grep { process_is_alive($_) } @old })
            or wrong(6, 'of ' . @old . ' there are still ' . join ' ', grep { process_is_alive($_) } @old);
        $s->wait_until_it_answers;
    }
    my ($seen, $since) = ('', time);
    in_time(6, 'the same children for a while', sub {
        my $now = join ' ', sort @{ $s->pids->{children} };
        ($seen, $since) = ($now, time) if $now ne $seen;
        $s->pids->{runner} && time > $since + 0.5;
    });
    warm_up();
    in_time(3, 'all connections end', sub { !connections($s) });
    look_at_threads();
    in_time(3, 'all connections end', sub { !connections($s) });
    # A connection is closed before what was read for it is.
    in_time(4, 'all logs are closed', sub { !map { @{ $_->{logs} } } values %{ sample($s)->{who} } });
    my @orders = glob $s->state . '/queue/*';
    wrong(5, "nothing waits, and there is @orders") if @orders;
    push @samples, sample($s);
    phase('go');
    return;
}

# ---- the time -----------------------------------------------------------------------------

phase('go');
told('begin ' . time);
my %context = (server => $s, dir => $work, seed => $seed, alice => { "$dir/alice" => 1 }, badge => "$dir/any-1",
    not_on => "$dir/../closed", as => ['/private', \%as_alice]);
my @all = (Soak::Checker->start(\%context), map { Soak::Viewer->start($_, \%context) } @viewers);
END { $_->end for @all }

my ($begun, $between) = (time, max(6, $seconds / 16));
my $next = $begun + $between;
my $next_weighed = $begun;
my $is_steady;
my $lives = eval {
    while (time < $begun + $seconds) {
        my $steady = time > $begun + 0.35 * $seconds && time < $begun + 0.7 * $seconds;
        $storm->turn(steady => $steady);
        my ($queued) = builds_now();
        post() for 1 .. (defined $queued && $queued < 4 ? 2 : 0);
        post() if !defined $queued && rand() < 0.1;
        cancel(grep { $accepted{$_}{cancel} && $accepted{$_}{cancel} < time } keys %accepted);
        if (time > $next_weighed && $s->pids->{runner}) {
            push @weighed, weigh($s);
            push @steady, $weighed[-1] if $steady && $is_steady;
            $next_weighed = time + 2;
        }
        if (time > $next) {
            calm(steady => $steady && $is_steady);
            # It begins with new children.
            $is_steady = $steady;
            $next = time + $between;
            my @dead = grep { !$_->is_alive } @all;
            die 'viewers died: ' . join(' ', map { "$_->{kind} $_->{n}" } @dead) . "\n" if @dead;
        }
        sleep 0.03;
    }
    1;
} || diag $@;
ok $lives, 'it goes on to the end';
calm();
my $span = time - $begun;
phase('over');
for my $v (@all) {
    eval { $v->finish(240) } or wrong(6, "viewer $v->{n}, $v->{kind}, does not come to its end");
}
my %total;
my @delay;
for my $v (@all) {
    my $r = $v->report;
    wrong(@$_) for @{ $r->{wrong} };
    $total{ $v->{kind} eq 'check' ? 'check' : 'viewers' }{$_} += $r->{total}{$_} for keys %{ $r->{total} };
    $delay[$_] += $r->{delay}[$_] // 0 for 0 .. $#{ $r->{delay} };
}

# ---- what became of builds --------------------------------------------------------------------

sub seconds_of
{
    my ($y, $m, $d, $h, $min, $sec) = $_[0] =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)Z$/ or return 0;
    return timegm(0, $min, $h, $d, $m - 1, $y) + $sec;
}

# Promise 6: only what ran when its runner, or its keeper, was killed is lost.
sub was_killed
{
    my ($started, $ended) = @_;
    for (@told) {
        my ($what, $from, $to) = split;
        next if $what !~ /^(?:runner|keeper)$/;
        return 1 if $started <= ($to // $from) + 1 && $ended >= $from - 1;
    }
    return 0;
}

my %state;
seek $ended, 0, 0;
while (<$ended>) {
    my ($id, $state, $project, $started, $ended) = split;
    wrong(5, "build $id ended twice: $state{$id}, $state") if exists $state{$id};
    $state{$id} = $state;
    if ($state eq 'unknown') {
        wrong(5, "build $id was accepted, and nobody knows it") if $accepted{$id};
        next;
    }
    my $kind = $project{"$dir/$project"} // kind_of($seed, $id);
    my $may  = may_become($kind);
    next if $state =~ $may || ($state eq 'cancelled' && $cancelled{$id});
    next if $state eq 'lost' && was_killed(seconds_of($started), seconds_of($ended));
    wrong(6, "build $id, $kind: $state, $started to $ended");
}
wrong(5, "build $_ was accepted, and did not end") for grep { !exists $state{$_} } sort { $a <=> $b } keys %accepted;
my %states;
$states{$_}++ for values %state;

# ---- what is left -----------------------------------------------------------------------------

my ($fds, @more) = descriptors(\@samples);
wrong(4, $_) for @more;
my %segments = map { $_->{segments} => 1 } @samples;
wrong(4, 'shared memory: ' . join ' ', map { $_->{segments} } @samples) if keys %segments > 1;
my @memory;
for my $role (roles()) {
    my ($grew, $text) = slope($role eq 'parent' ? \@weighed : \@steady, $role);
    push @memory, $text;
    # What leaks goes on: 4 bytes for each line are more than this. The pools of the
    # runner and of pumps keep 2 MB of what is free, whatever MaxMemFree says.
    wrong(4, "it grows: $text") if ($grew // 0) > 4096;
    wrong(4, $text) if !defined $grew && $seconds >= 600;
}
my $kept = () = glob $s->state . '/logs/*.log';
wrong(4, "$kept logs are kept, of 200") if $kept > 200;
# Promise 7: the right person is told.
my $said = $s->error_log;
wrong(7, 'builds were refused, and the administrator does not know why') if $figure{no_room} && $said !~ /BL0243 /;
{
    my (%waits, %waited);
    while ($said =~ /(BL0201|BL0202) build (\d+): its log/g) { $1 eq 'BL0201' ? ($waits{$2} = 1) : delete $waits{$2}; $waited{$2} = 1 }
    $figure{waited} = keys %waited;
    # A runner that was killed meanwhile has not come to it.
    wrong(7, "build $_ waited for room, and did not go on") for grep { ($state{$_} // '') ne 'lost' } sort keys %waits;
}
wrong(6, "$_") for grep { /BL0104 .*status/ } split /\n/, $said;
allow_in_log(map { qr/AH00052: child pid $_ exit signal Killed/ } $storm->killed);
my @pids = ($s->parent, processes_below($s->parent, deep => 1));
ok $s->stop(60), 'it stops';
wrong(5, "processes are left: @{[ grep { process_is_alive($_) } @pids ]}") if grep { process_is_alive($_) } @pids;

# ---- the figures --------------------------------------------------------------------------------

sub percentile
{
    my ($share) = @_;
    my ($sum, $all) = (0, sum0(@delay));
    for my $i (0 .. $#delay) {
        $sum += $delay[$i];
        return '< ' . 2**$i . ' ms' if $sum >= $share * $all;
    }
    return 'none';
}

my ($v, $c) = @total{qw(viewers check)};
for my $name (qw(lines connections reconnects drops failures polls answers whole ends documents stalled vanished gaps figures
    ended late hidden cut)) {
    $_ //= 0 for $v->{$name}, $c->{$name};
}
my $faults = $storm->counts;
diag sprintf "%.0f s, SEED=%s", $span, $seed;
delete $states{unknown};
diag "builds:     $c->{ended} ended (" . join(', ', map { "$states{$_} $_" } sort keys %states)
    . "), $c->{late} of them removed by age before they were compared, "
    . "$c->{hidden} not known for a while; $figure{accepted} accepted, $figure{refused} refused for a while, $figure{unanswered} not answered";
diag "lines:      $c->{lines} in logs";
diag "deliveries: $v->{lines} lines to viewers; $v->{whole} builds whole, sums as in the record, $v->{ends} seen to their end, "
    . "$v->{documents} documents";
diag "viewers:    $v->{connections} connections, $v->{polls} polls, $v->{answers} answers; $v->{stalled} stalled, $v->{vanished} vanished, "
    . "$v->{drops} left by themselves";
diag "reconnects: $v->{reconnects} by Last-Event-ID; $v->{failures} connections that were refused or broken, $v->{cut} answers cut";
diag 'faults:     ' . join ', ', map { "$faults->{$_} $_" } sort keys %$faults;
diag 'delay:      half ' . percentile(0.5) . ', 99 of 100 ' . percentile(0.99) . ', all ' . percentile(1) . ' (faults included)';
diag "descriptors in " . @samples . " calms: $fds";
diag "memory:     $_" for @memory;
diag 'lost:       ' . scalar(@{ $wrong{1} // [] });

my %promise = (
    1 => "each line once, in order, to each viewer who stays: $v->{whole} builds compared by SHA-256, ids rise over $v->{reconnects} resumes; $v->{gaps} gaps, only of logs beyond their limit",
    2 => 'stdout and stderr each in its own order: numbers of all lines',
    3 => "a viewer costs no thread: $figure{threads}; $v->{stalled} that read nothing delayed nobody to the end",
    4 => 'memory, descriptors and shared memory do not grow: ' . @samples . " calms; $kept logs kept of 200",
    5 => "$c->{ended} builds ended once, alike in log, history, stream and API; no process, order or connection is left in any calm",
    6 => 'restarts, killed children, keepers, historians and runners: none lost but what ran then; counters never fell, ' . "$v->{figures} looks",
    7 => ($faults->{disk} // 0) . " times a full disk: $figure{waited} builds waited and went on, "
        . ($figure{no_room} // 0) . ' were refused with the reason; it was said, and what was stored was read',
    8 => 'nobody saw or started what is alice\'s, no secret was shown',
);
for my $n (sort keys %promise) {
    is scalar(@{ $wrong{$n} // [] }), 0, "promise $n: $promise{$n}" or diag map { "$_\n" } @{ $wrong{$n} }[0 .. min(19, $#{ $wrong{$n} })];
}
is_deeply $wrong{0} // [], [], 'no viewer died';
cmp_ok $c->{late}, '<=', $c->{ended} / 20, 'nearly all builds were compared';
cmp_ok $v->{whole}, '>', 0, 'viewers have seen whole builds';
done_testing;
