# 54-storm.t - many builds, many viewers, and a graceful restart every two
# seconds: at the end all of them agree
#
# Promises: 1 (each line exactly once, in order), 5 (one final state, the same
# in log, history and stream), 6 (graceful harms no build and no viewer).
#
# STORM: the whole of it. 200 builds of 10 projects, 60 s, 10 viewers of all
# builds; else a fifth of that.
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Server;
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

my $json = JSON::PP->new->utf8->canonical;
my ($builds, $projects, $seconds, $viewers) = $ENV{STORM} ? (200, 10, 60, 10) : (40, 5, 10, 4);
my $pause  = 2;      # between two restarts
my $steps  = 40;     # of a build, 30 ms each
my $burst  = 50;     # lines at its begin, and again at its end
my $lines  = 2 * $burst + $steps;
my $late   = 600;    # seconds for all of it on a machine with much else to do

# What becomes of a build is seen in its number.
sub fails         { return $_[0] % 10 == 3 }
sub waits_cancel  { return $_[0] % 10 == 7 }    # cancelled when it is known
sub runs_cancel   { return $_[0] % 10 == 5 }    # runs on until it is cancelled
sub may_become
{
    my ($id) = @_;
    return fails($id) ? qr/^failed$/ : runs_cancel($id) ? qr/^cancelled$/
        : waits_cancel($id) ? qr/^(?:cancelled|succeeded)$/ : qr/^succeeded$/;
}

my $play = <<"END";
my \$id = \$ENV{BUILDLOG_ID};
my \@to = (\\*STDOUT, \\*STDERR);
my \@n  = (0, 0);
sub text { my (\$s) = \@_; my \$n = ++\$n[\$s]; return "\$s \$id \$n " . 'x' x (\$n * 37 % 80) . "\\n" }
sub burst { for my \$s (0, 1) { syswrite \$to[\$s], join '', map { text(\$s) } 1 .. $burst } }
burst();
for (my \$i = 0; \$i < $steps || \$id % 10 == 5; \$i++) {
    syswrite \$to[\$_], text(\$_) for 0, 1;
    select undef, undef, undef, 0.03;
}
burst();
exit(\$id % 10 == 3 ? 3 : 0);
END

my @dirs = map { make_project("storm-$_", 'exec perl ./play.pl') } 1 .. $projects;
write_file("$_/play.pl", $play) for @dirs;
# When its end was seen nothing is to come any more.
my $last_dir = make_project('storm-last', 'echo over');

my $s = BuildLog::Server->start(<<"END", tls => 1);
BuildLogMaxBuilds 5
BuildLogMaxQueue $builds
<Directory "@{[ project('made-storm-*') ]}">
    BuildLog On
    BuildLogStep run "sh ./run.sh"
    BuildLogKillGrace 1s
</Directory>
END

# ---- viewers -------------------------------------------------------------------

# Each is a process with a file. A line of it: "id build text" of a line,
# "id build =state" of a record, "gap", "end build state", "start id",
# "connected", "died why".
my @watchers;
my $deadline = time + $late;

sub watcher
{
    my ($what) = @_;
    my $file   = File::Temp->new(UNLINK => 1);
    my $parent = $$;
    my $pid    = fork // die "fork: $!\n";
    if (!$pid) {
        srand $$;
        my $alive = sub {
            die "not in time\n" if time > $deadline;
            die "the test has gone\n" if getppid != $parent;
        };
        my $ok = eval { $what->($file, $alive); 1 };
        print {$file} "died $@" if !$ok;
        $file->flush;
        POSIX::_exit($ok ? 0 : 1);
    }
    my $w = { pid => $pid, file => $file };
    push @watchers, $w;
    return $w;
}

END { kill 'KILL', map { $_->{pid} } grep { !$_->{ended} } @watchers }

# One connection, as long as it lives. take: what is done with each event; true:
# that was all. *last: the id to come back with. True: it is over.
sub connection
{
    my ($path, $last, $take, %opt) = @_;
    my $stream = eval {
        BuildLog::Stream->new(path => $path, port => $opt{tls} ? $s->tls_port : $s->port, tls => $opt{tls},
            timeout => 60, headers => { defined $$last ? ('Last-Event-ID' => $$last) : () });
    } or return 0;
    my $over = 0;
    if ($stream->status == 200) {
        my $left = $opt{drops} ? 1 + int rand 2000 : 0;
        while (my $event = $stream->event(60)) {
            $$last = $event->{id} if exists $event->{id};
            $over  = $take->($event);
            last if $over || ($left && --$left == 0);
        }
    }
    $over = 1 if $stream->status == 204;
    $stream->close;
    return $over || 0;
}

sub line_of
{
    my ($event) = @_;
    # As they all are; JSON::PP would take ten times as long.
    if ($event->{data} =~ /^\{"build":(\d+),"id":"(\d+)",[^\\]*"text":"([^"\\]*)"/) {
        return "$2 $1 $3\n";
    }
    my $line = $json->decode($event->{data});
    return "$line->{id} $line->{build} $line->{text}\n";
}

# Of all builds, from now on.
sub watch_all
{
    my ($out, $alive, %opt) = @_;
    my ($last, $started);
    my $take = sub {
        my ($event) = @_;
        my $name = $event->{event} // 'line';
        if ($name eq 'ping') {
            # Nothing is posted before all have begun.
            print {$out} "start $event->{id}\n" if !$started;
            $out->flush if !$started++;
        }
        elsif ($name eq 'line') {
            print {$out} line_of($event) if exists $event->{data};
        }
        # Without an id: what it is told of when it comes.
        elsif ($name eq 'build' && exists $event->{id}) {
            my $build = $json->decode($event->{data});
            print {$out} "$event->{id} $build->{id} =$build->{state}\n";
            return $build->{project} eq $last_dir && $build->{state} eq 'succeeded';
        }
        elsif ($name ne 'build') { print {$out} "$name $event->{data}\n" }
        return 0;
    };
    while (1) {
        $alive->();
        print {$out} "connected\n";
        last if connection('/api/log/push?format=json', \$last, $take, %opt);
        sleep rand 0.1;
    }
    return;
}

# Of one build after the other, each from its beginning to its end.
sub watch_some
{
    my ($out, $alive, $first, $each) = @_;
    for (my $id = $first; $id <= $builds; $id += $each) {
        my $last;
        my $take = sub {
            my ($event) = @_;
            my $name = $event->{event} // 'line';
            print {$out} line_of($event) if $name eq 'line' && exists $event->{data};
            print {$out} "end $id " . $json->decode($event->{data})->{state} . "\n" if $name eq 'end';
            print {$out} "gap\n" if $name eq 'gap';
            return 0;    # the server ends it, and says 204 when one comes back
        };
        do { $alive->(); sleep 0.05 } until connection("/api/log/push?build=$id&format=json", \$last, $take);
    }
    return;
}

sub seen
{
    my ($w) = @_;
    wait_until { waitpid($w->{pid}, POSIX::WNOHANG()) != 0 } 120, 'a viewer';
    $w->{ended} = 1;
    my %seen = (lines => [], gaps => [], connections => 0, died => '', ends => {}, other => []);
    open my $in, '<', $w->{file}->filename or die "$!\n";
    while (<$in>) {
        chomp;
        if    (/^\d+ \d+ /)        { push @{ $seen{lines} }, $_ }
        elsif (/^start (\d+)/)     { $seen{start} = $1 }
        elsif (/^end (\d+) (.*)/)  { push @{ $seen{ends}{$1} }, $2 }
        elsif (/^gap/)             { push @{ $seen{gaps} }, $_ }
        elsif (/^connected/)       { $seen{connections}++ }
        elsif (/^died (.*)/)       { $seen{died} = $1 }
        else                       { push @{ $seen{other} }, $_ }
    }
    return \%seen;
}

# Two by TLS: httpd goes on keeping those. Every second one also drops its
# connection now and then.
my @all;
for my $i (1 .. $viewers) {
    my %opt = (tls => $i > $viewers - 2, drops => $i % 2 == 0);
    push @all, watcher(sub { watch_all(@_, %opt) });
}
my @some = map { my $first = $_; watcher(sub { watch_some(@_, $first, 3) }) } 1 .. 3;
wait_until { !grep { !-s $_->{file}->filename } @all } 60, 'the viewers begin';

# ---- the storm -----------------------------------------------------------------

# What is asked of the server while it restarts is answered.
my @refused;
sub ask
{
    my (@request) = @_;
    my $r = eval { $s->request(@request, timeout => 60) };
    push @refused, "@request: " . ($r ? "$r->{status} $r->{body}" : $@) if !$r || $r->{status} >= 500;
    return $r // { status => 0, json => {} };
}

sub listed
{
    my ($query) = @_;
    my ($before, @found) = ('');
    while (1) {
        my $page = ask('GET', "/api/project/builds?limit=200$query$before")->{json};
        push @refused, 'a list without the history' if $page->{incomplete};
        push @found, @{ $page->{builds} // [] };
        return @found unless $page->{next};
        $before = "&before=$page->{next}";
    }
}

my $per    = $builds / $projects;
my @curls  = map {
    my $file = File::Temp->new(UNLINK => 1);
    my $pid  = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>&', $file;
        open STDERR, '>&', $file;
        exec 'curl', '-q', '-sS', '-w', '\n%{http_code}\n', '-d', "projectPath=$_",
            $s->url . "/api/project/build?n=[1-$per]" or POSIX::_exit(127);
    }
    { pid => $pid, file => $file };
} @dirs;

sub posted
{
    return map {
        open my $in, '<', $_->{file}->filename or die "$!\n";
        local $/;
        (<$in> // '') =~ /"build":\s*\{"id":(\d+)/g;
    } @curls;
}

my (%cancelled, %running_seen);
sub cancel
{
    my ($id) = @_;
    return if exists $cancelled{$id};
    $cancelled{$id} = ask('POST', "/api/project/builds/$id/cancel")->{status};
    return;
}

my ($begun, $next, $restarts, @ids) = (time, 0, 0);
my $stormy = eval {
    wait_until {
        if (time >= $next) {
            $s->graceful;
            $restarts++;
            $next = time + $pause;
        }
        @ids = posted() if @ids < $builds;
        cancel($_) for grep { waits_cancel($_) } @ids;
        my @running = listed('&state=running');
        $running_seen{ $_->{id} } = 1 for @running;
        cancel($_->{id}) for grep { runs_cancel($_->{id}) } @running;
        for my $c (grep { !$_->{ended} } @curls) {
            $c->{ended} = 1 if waitpid($c->{pid}, POSIX::WNOHANG()) != 0;
        }
        sleep 0.05;
        # A busy machine takes longer for as many restarts.
        $restarts >= $seconds / $pause && time > $begun + $seconds && !@running && !(grep { !$_->{ended} } @curls)
            && !listed('&state=queued') && !listed('&state=running');
    } $late, 'all builds end';
} or diag $@;
ok $stormy, 'all builds end';
note sprintf '%d builds in %.0f s, %d restarts; %d were seen to run', scalar @ids, time - $begun, $restarts,
    scalar keys %running_seen;
is_deeply \@refused, [], 'no request was refused or broken' or diag explain [@refused[0 .. ($#refused < 5 ? $#refused : 5)]];
is_deeply [sort { $a <=> $b } posted()], [1 .. $builds], 'each post was a build, and each build a post'
    or diag map { my $f = $_->{file}->filename; `tail -3 $f` } @curls;
cmp_ok $restarts, '>=', $seconds / $pause, 'as many restarts as were wanted';

my $last = $s->wait_for_state(start_build($last_dir, port => $s->port), 'succeeded', 60)->{id};
is $last, $builds + 1, 'one more, the last';

# ---- log, history and API --------------------------------------------------------

my %second;
sub id_of
{
    my ($time) = @_;
    my ($date, $micro) = $time =~ /^(.*)\.(\d{6})Z$/ or return 0;
    my ($y, $m, $d, $h, $min, $sec) = split /[-T:]/, $date;
    $second{$date} //= timegm($sec, $min, $h, $d, $m - 1, $y);
    return $second{$date} * 1_000_000 + $micro;
}

my $db = $s->state . '/history.db';
sub sql
{
    open my $out, '-|', 'sqlite3', '-readonly', '-cmd', '.timeout 10000', $db, $_[0] or die "sqlite3: $!\n";
    my @rows = <$out>;
    close $out or die "sqlite3: status $?\n";
    chomp @rows;
    return @rows;
}
ok eval { wait_until { (sql('SELECT COUNT(*) FROM buildlog_builds'))[0] == $last } 60, 'the history' },
    'all of them are in the history' or diag $@;
my %history  = map { my ($id, $state, $record) = split /\|/, $_, 3; $id => [$state, $json->decode($record)] }
    sql('SELECT id, state, record FROM buildlog_builds');
my %in_list = map { $_->{id} => $_ } listed('');

my (%lines_of, %state_of, @records, @wrong);
for my $id (1 .. $last) {
    my ($at, @end, %n) = (0);
    my $records = $s->log_records($id);
    for my $r (@$records) {
        my $stamp  = id_of($r->{time});
        my $record = grep { $_ eq 'build' || $_ eq 'end' } @{ $r->{tags} };
        push @wrong, "$id: id $stamp after $at" if $stamp <= $at;
        $at = $stamp;
        push @end, $r if grep { $_ eq 'end' } @{ $r->{tags} };
        push @records, [$stamp, "$stamp $id " . ($record ? '=' . $json->decode($r->{text})->{state} : $r->{text})];
        push @{ $lines_of{$id} }, $records[-1][1] if !$record;
        next unless $r->{text} =~ /^([01]) (\d+) (\d+) (x*)$/;
        push @wrong, "$id: $r->{text}" if $2 != $id || $3 != ++$n{$1} || length $4 != $3 * 37 % 80;
    }
    push @wrong, "$id: " . @end . ' ends' if @end != 1;
    push @wrong, "$id: something behind its end" if @end && $end[-1] != $records->[-1];
    next if !@end;
    my $final = $json->decode($end[-1]{text});
    my $text  = $json->encode($final);
    $state_of{$id} = $final->{state};
    push @wrong, "$id: the API says something else"  if $json->encode($s->build_record($id)) ne $text;
    push @wrong, "$id: the list says something else" if $json->encode($in_list{$id} // {}) ne $text;
    my $past = $history{$id}[0] // 'nothing';
    push @wrong, "$id: the history says $past" if $past ne $final->{state};
    push @wrong, "$id: the history's record is another" if $json->encode($history{$id}[1] // {}) ne $text;
    next if $id == $last;
    push @wrong, "$id: $final->{state}" if $final->{state} !~ may_become($id);
    my $said = $cancelled{$id} // 409;
    push @wrong, "$id: cancelled with $said, but $final->{state}"
        if $said != ($final->{state} eq 'cancelled' ? 202 : 409);
    push @wrong, "$id: $n{0} and $n{1} lines" if $final->{state} ne 'cancelled' && "$n{0} $n{1}" ne "$lines $lines";
}
is_deeply \@wrong, [], 'each build has one end, which is the same in log, history and API; its log is whole'
    or diag explain [@wrong[0 .. ($#wrong < 10 ? $#wrong : 10)]];
is_deeply [sort { $a <=> $b } keys %in_list], [1 .. $last], 'the list has all of them, once';
my %count;
$count{$_}++ for values %state_of;
note join ', ', map { "$_: $count{$_}" } sort keys %count;
cmp_ok $count{$_} // 0, '>', 0, "some are $_" for qw(succeeded failed cancelled);

# ---- viewers, again --------------------------------------------------------------

# The first things that differ.
sub same
{
    my ($got, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my (%g, %e);
    $g{$_}++ for @$got;
    $e{$_}++ for @$expected;
    my @differ = ((map { "missing: $_" } grep { !$g{$_} } @$expected), (map { "more than once: $_" } grep { $g{$_} > 1 } keys %g),
        map { "not in a log: $_" } grep { !$e{$_} } @$got);
    push @differ, 'another order' if !@differ && join("\n", @$got) ne join("\n", @$expected);
    is_deeply \@differ, [], "$name: each of " . @$expected . ' once, in order'
        or diag explain [scalar @differ, @differ[0 .. ($#differ < 5 ? $#differ : 5)]];
    return;
}

@records = sort { $a->[0] <=> $b->[0] } @records;
is scalar(grep { $records[$_][0] == $records[ $_ - 1 ][0] } 1 .. $#records), 0, 'no id is of two records';
my $connections = 0;
for my $i (1 .. $viewers) {
    my $seen = eval { seen($all[ $i - 1 ]) } // { died => $@, lines => [], gaps => [], other => [], connections => 0 };
    my $name = "viewer $i" . ($i > $viewers - 2 ? ' by TLS' : '');
    is $seen->{died}, '', "$name came to the end";
    is_deeply [@{ $seen->{gaps} }, @{ $seen->{other} }], [], "$name: no gap, nothing strange";
    my $start = $seen->{start} // 0;
    same($seen->{lines}, [map { $_->[1] } grep { $_->[0] > $start } @records], $name);
    $connections += $seen->{connections};
}
note "$connections connections of viewers of all builds";
cmp_ok $connections, '>', $viewers * $restarts / 4, 'who had to come back often';

for my $i (0 .. $#some) {
    my $seen = eval { seen($some[$i]) } // { died => $@, lines => [], gaps => [], ends => {} };
    my @of   = grep { $_ % 3 == ($i + 1) % 3 } 1 .. $builds;
    is $seen->{died}, '', "viewer of one build after the other, $i: came to the end";
    is_deeply $seen->{gaps}, [], '... without a gap';
    is_deeply $seen->{ends}, { map { $_ => [$state_of{$_}] } @of }, '... each build\'s end once';
    same($seen->{lines}, [map { @{ $lines_of{$_} } } @of], '... and lines');
}
done_testing;
