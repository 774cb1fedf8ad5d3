# 26-figures.t - how the server does, in figures: mod_status and Prometheus
#
# Item 1 of "at home in httpd": a section of mod_status (?auto too), metrics in
# two formats; counters only grow, whoever dies. Promise 8: no name of a project
# and no text of a log is in it.
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

my $has_h2 = mpm() ne 'prefork';
my $s = BuildLog::Server->start(<<'END' . one_child(16) . odd_place(), tls => 1, protocols => 'h2 http/1.1');
ExtendedStatus On
BuildLogMaxQueue 1
BuildLogMaxClients 6
BuildLogPing 200ms
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/all/metrics">
    SetHandler buildlog-metrics
</Location>
<Location "/none/metrics">
    SetHandler buildlog-metrics
    Require all denied
</Location>
END

sub metrics_text
{
    my ($accept) = @_;
    return $s->request('GET', '/api/metrics', headers => { Accept => $accept });
}

# { 'buildlog_builds{state="queued"}' => 0, ... }
sub metrics
{
    my ($name) = @_;
    my %m = metrics_text('*/*')->{body} =~ /^(\w+(?:\{[^}]*\})?) (\S+)$/mg;
    return defined $name ? $m{$name} : \%m;
}

# { Running => 0, ... }
sub keys_of
{
    my %k = $s->request('GET', '/server-status?auto')->{body} =~ /^BuildLog(\S+): (.*)$/mg;
    return \%k;
}

sub becomes
{
    my ($name, $want, $seconds) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got;
    eval { wait_until { ($got = metrics($name) // 'none') eq $want } $seconds // 15 };
    return is $got, $want, "$name: $want";
}

# ---- before anything happens -------------------------------------------------

my $first = metrics();
is $first->{buildlog_runner_up}, 1, 'the runner is up';
is $first->{buildlog_runner_starts_total}, 1, 'one has begun';
cmp_ok abs($first->{buildlog_runner_start_time_seconds} - time), '<', 600, 'not long ago';
cmp_ok $first->{buildlog_state_free_bytes}, '>', 0, 'there is room';
is $first->{buildlog_viewers_limit}, 6, 'BuildLogMaxClients';
is join(' ', map { "$_ $first->{$_}" } grep { /_total/ && !/starts/ && $first->{$_} != 0 } sort keys %$first), '',
    'nothing has happened';
{
    my $k = keys_of();
    is $k->{RunnerPid}, $s->pids->{runner}, 'mod_status: the pid of the runner';
    is $k->{RunnerAnswers}, 1, 'which answers';
    cmp_ok $k->{RunnerUptime}, '<', 600, 'and since when';
}

# ---- builds --------------------------------------------------------------------

my $p = BuildLog::Puppet->new('figures', server => $s);
my $good = $p->start('count 100', 'exit 0');
my $record = wait_until {
    my $r = $s->get_json("/api/project/builds/$good");
    $r->{state} eq 'succeeded' ? $r : undef;
} 15, 'a build that succeeds';
becomes('buildlog_builds_ended_total{state="succeeded"}', 1);
# As its record counts them.
becomes('buildlog_input_lines_total', $record->{lines});
becomes('buildlog_input_bytes_total', $record->{bytes});

$p->start('exit 3');
becomes('buildlog_builds_ended_total{state="failed"}', 1);

my $live = $p->start('out hello');
$p->wait_for('hello');
becomes('buildlog_builds{state="running"}', 1);
my $path = $p->path;
my @to = (port => $s->port);
my $waits = (post_build($path, @to))[1]{build}{id};
becomes('buildlog_builds{state="queued"}', 1);
is +(post_build($path, @to))[0], 503, 'one more: the queue is full';
is +(post_build(undef, @to))[0], 400, 'a request that is none';
is +(post_build('/etc', @to))[0], 403, 'no project';
is metrics("buildlog_builds_refused_total{reason=\"$_\"}"), 1, "refused: $_" for qw(queue-full invalid forbidden);
is metrics('buildlog_builds_refused_total{reason="unavailable"}'), 0, 'and no other';
$s->request('POST', "/api/project/builds/$waits/cancel");
becomes('buildlog_builds_ended_total{state="cancelled"}', 1);
becomes('buildlog_builds{state="queued"}', 0);

# ---- viewers ---------------------------------------------------------------------

my %kinds = (detached => 0, parked => 0, held => 0);
my @viewers;
for my $way (ways()) {
    push @viewers, comes($s, $way, "?build=$live") // BAIL_OUT("no $way viewer");
    $kinds{ kind_of($way) }++;
}
for my $kind (sort keys %kinds) {
    becomes(qq(buildlog_viewers{kind="$kind"}), $kinds{$kind});
    is metrics(qq(buildlog_streams_total{kind="$kind"})), $kinds{$kind}, "streams that began: $kind";
}
{
    # Not all may have begun when the first one answers.
    my $k = wait_until {
        my $k = keys_of();
        my @known = grep { defined } map { $k->{"Child[$_]Pid"} } 0 .. 63;
        "@{[sort @known]}" eq "@{[sort @{ $s->pids->{children} }]}" && $k;
    } 20, 'each child has a slot';
    is $k->{ 'Viewers' . ucfirst }, $kinds{$_}, "mod_status: $_" for sort keys %kinds;
    my %children = map { $k->{"Child[$_]Pid"} => $_ } grep { defined $k->{"Child[$_]Pid"} } 0 .. 63;
    is_deeply [sort keys %children], [sort @{ $s->pids->{children} }], 'by child';
    for my $kind (sort keys %kinds) {
        my $sum = 0;
        $sum += $k->{ "Child[$_]Viewers" . ucfirst $kind } for values %children;
        is $sum, $kinds{$kind}, "... of all children: $kind";
    }
}
{
    my $before = metrics();
    $p->cue('count 50', 'out last');
    $_->until(sub { ($_->{data} // '') =~ /last$/ }, 20) for @viewers;
    # The viewer has it before the pump has counted it.
    my $want = 51 * @viewers;
    my $lines = sub { metrics('buildlog_output_lines_total') - $before->{buildlog_output_lines_total} };
    ok eval { wait_until { $lines->() == $want } 10 }, 'lines out: once for each viewer'
        or diag $lines->(), " of $want";
    ok eval { wait_until { metrics('buildlog_output_bytes_total') - $before->{buildlog_output_bytes_total} > 51 * 40 * @viewers } 10 },
        'bytes out';
    # Nor has it looked since how far behind they are: it does so each second.
    becomes('buildlog_viewers_behind', 0);
}
SKIP: {
    skip 'no HTTP/2 under prefork', 2 if !$has_h2;
    my $before = metrics();
    BuildLog::Poll->new($s, "/api/log/push?build=$good")->once;
    # When it has been answered.
    becomes('buildlog_streams_total{kind="polled"}', 1);
    becomes('buildlog_output_lines_total', $before->{buildlog_output_lines_total} + $record->{lines});
}
push @viewers, comes($s, 'plain', "?build=$live") // BAIL_OUT('no viewer') while @viewers < 6;
is $s->open_stream("/api/log/push?build=$live", headers => { Accept => 'x/y' })->status, 503,
    'one more than BuildLogMaxClients';
is metrics('buildlog_streams_refused_total'), 1, 'is counted';
is keys_of()->{StreamsRefused}, 1, 'mod_status, too';
$_->close for @viewers;
becomes('buildlog_viewers{kind="detached"}', 0, 30);

# ---- one that is behind -------------------------------------------------------

{
    my $v = $s->open_stream("/api/log/push?build=$live", rcvbuf => 4096);
    $v->event;
    $p->cue('flood 3000000', 'out after');
    $p->wait_for('after', 1, 60);
    # A line that comes much later: so much it has before it.
    becomes('buildlog_viewers_behind', 1);
    ok eval { wait_until { metrics('buildlog_viewers_lag_seconds') > 0 } 10 }, 'so much of the log it has before it';
    my $k = keys_of();
    is $k->{ViewersBehind}, 1, 'mod_status: one is behind';
    is scalar(grep { ($k->{"Child[$_]ViewersBehind"} // 0) == 1 } 0 .. 63), 1, 'in one child';
    $v->close;
    becomes('buildlog_viewers_behind', 0);
    ok eval { wait_until { metrics('buildlog_viewers_lag_seconds') == 0 } 10 }, 'and nothing is before anybody';
}

# ---- who dies takes no count along ----------------------------------------------

# Names of what went back.
sub went_back
{
    my ($before) = @_;
    my $after = metrics();
    return join ' ', grep { /_total/ && $after->{$_} < $before->{$_} } sort keys %$before;
}

{
    my $before = metrics();
    $s->kill_runner;
    becomes('buildlog_builds_ended_total{state="lost"}', 1);
    becomes('buildlog_runner_starts_total', 2);
    becomes('buildlog_builds{state="running"}', 0);
    is went_back($before), '', 'a killed runner: no counter goes back';
    my $old = join ' ', sort @{ $s->pids->{children} };
    $s->graceful;
    wait_until {
        my $now = $s->pids->{children};
        @$now && !grep { " $old " =~ / $_ / } @$now;
    } 20, 'other children';
    is went_back($before), '', 'a reload: none either';
    is metrics('buildlog_runner_starts_total'), 2, 'and the same runner';
}
{
    my $runner = $s->pids->{runner};
    kill 'STOP', $runner;
    becomes('buildlog_runner_up', 0, 30);
    is keys_of()->{RunnerAnswers}, 0, 'mod_status: it does not answer';
    like $s->request('GET', '/server-status')->{body}, qr/pid $runner.*does not answer/, 'nor on the page';
    kill 'CONT', $runner;
    becomes('buildlog_runner_up', 1);
}

# ---- the page of mod_status ---------------------------------------------------

{
    # Of a generation of many children the last one may just have begun.
    my $page = wait_until {
        my $page = $s->request('GET', '/server-status')->{body};
        my @wrong = grep { $page !~ m{<tr><td>$_</td>} } @{ $s->pids->{children} };
        !@wrong && $page;
    } 20, 'each child is on the page';
    like $page, qr/Builds \(mod_buildlog\)/, 'a section of the page';
    like $page, qr/Runner: pid \d+, up \d+ seconds/, 'with the runner';
    like $page, qr/0 running, 0 queued; ended: 1 succeeded, 1 failed, 1 cancelled, 0 timed out, 1 lost/, 'builds';
    for my $pid (@{ $s->pids->{children} }) {
        like $page, qr{<tr><td>$pid</td>(?:<td>0</td>){4}}, "child $pid";
    }
    my ($words) = $s->request('GET', '/server-status?notable')->{body} =~ m{(<h2>Builds.*?</dl>.*?</dl>)}s;
    unlike $words, qr/<table/, '?notable: without a table';
    like $words, qr/Viewers: 0 detached, 0 parked, 0 held; of these behind: 0, by 0\.000 seconds/, '... all in words';
    like $words, qr/Viewers of PID $_: 0 detached/, "... child $_, too" for @{ $s->pids->{children} };
    my $auto = $s->request('GET', '/server-status?auto')->{body};
    my ($ours) = $page =~ /(<h2>Builds.*)/s;
    unlike "$ours$auto" . metrics_text('*/*')->{body}, qr/puppet|figures|hello/, 'no project and no line is named';
    unlike $auto, qr/^BuildLog[^:]*(?:<|:.*<)/m, '?auto has no markup';
}

# ---- the two formats -------------------------------------------------------------

my $prometheus = 'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,'
    . 'text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
my $text_type = 'text/plain; version=0.0.4; charset=utf-8';
my $open_type = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
for (['*/*', $text_type], [undef, $text_type], ['text/plain', $text_type], ['text/html', $text_type],
    ['application/openmetrics-text', $open_type], [$prometheus, $open_type],
    ['application/openmetrics-text;q=0.1, text/plain', $text_type]) {
    my ($accept, $type) = @$_;
    my $r = metrics_text($accept);
    is $r->{headers}{'content-type'}, $type, 'Accept: ' . ($accept // 'none');
    is $r->{headers}{vary}, 'Accept', '... Vary';
    is $r->{body} =~ /^# EOF\n\z/m ? $open_type : $text_type, $type, '... in that format';
}
is $s->request('HEAD', '/api/metrics')->{headers}{'content-type'}, $text_type, 'HEAD';
is $s->request('POST', '/api/metrics', body => '')->{status}, 405, 'POST';
is $s->request('GET', '/all/metrics')->{status}, 200, 'at another address';
is $s->request('GET', '/none/metrics')->{status}, 403, 'where Require says no';

# Each family has its head, once, before its samples; names and units fit.
for my $accept ('text/plain', 'application/openmetrics-text') {
    my $open = $accept =~ /open/;
    my (%family, $now, @wrong);
    for (split /\n/, metrics_text($accept)->{body}) {
        if (/^# (HELP|TYPE|UNIT) (\w+) (.+)$/) {
            push @wrong, "again: $_" if $family{$2}{$1};
            $family{$2}{$1} = $3;
            $now = $2;
            next;
        }
        next if $_ eq '# EOF';
        my ($name, $label, $value) = /^(\w+)(?:\{(\w+="[^"\\]+")\})? (\d+(?:\.\d{6})?)$/ or push @wrong, "what: $_";
        my $type = $family{$now}{TYPE} // 'none';
        my $add = !$open ? '' : $type eq 'counter' ? '_total' : $type eq 'info' ? '_info' : '';
        push @wrong, "of another family: $_" if $name ne $now . $add;
        push @wrong, "counter: $_" if ($type eq 'counter') != ($name =~ /_total$/);
        push @wrong, "no help: $_" if !$family{$now}{HELP};
        my ($unit) = $name =~ /_(seconds|bytes)(?:_total)?$/;
        push @wrong, "unit: $_" if $open && ($family{$now}{UNIT} // '') ne ($unit // '');
        push @wrong, "twice: $_" if $family{$now}{seen}{ $label // '' }++;
    }
    is join("\n", @wrong), '', "$accept: as it must be";
    cmp_ok scalar keys %family, '>', 15, '... and that all';
}

# ---- as others read them ----------------------------------------------------------

sub read_by
{
    my ($accept, @command) = @_;
    open my $in, '|-', "@command >$s->{dir}/read_by 2>&1" or die "@command: $!\n";
    print {$in} metrics_text($accept)->{body};
    my $good = close $in;
    open my $out, '<', "$s->{dir}/read_by" or die $!;
    local $/;
    return ($good, <$out> // '');
}

sub there { return !system "command -v $_[0] >/dev/null 2>&1" }

SKIP: {
    skip 'no promtool (make deps-test could not bring it: Debian has it in prometheus)', 1 if !there('promtool');
    my ($good, $said) = read_by('text/plain', 'promtool check metrics');
    ok $good && $said eq '', 'promtool finds nothing' or diag $said;
}
SKIP: {
    my $reader = 'from prometheus_client.openmetrics import parser';
    skip 'no reader of OpenMetrics (python3-prometheus-client)', 1 if !there('python3') || system "python3 -c '$reader' 2>/dev/null";
    my ($good, $said) = read_by('application/openmetrics-text',
        "python3 -c 'import sys; $reader; list(parser.text_string_to_metric_families(sys.stdin.read()))'");
    ok $good, 'a strict reader of OpenMetrics takes it' or diag $said;
}

done_testing;
