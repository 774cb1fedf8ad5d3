# 32-many.t - many lines and many viewers: nothing lost, doubled or kept in memory
#
# Promises: 1 (each line to each viewer exactly once, in order), 2 (stdout and
# stderr keep their own order), 3 (a viewer never delays another or the build),
# 4 (memory does not grow with the log or what waits for a slow viewer).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Select;
use JSON::PP ();
use Time::HiRes qw(time);

my $small   = mpm() ne 'event';
my $lines   = $small ? 20_000 : 100_000;
my $viewers = $small ? 6 : 20;
my $burst   = $small ? 4_000_000 : 32_000_000;

my $json = JSON::PP->new->utf8;

# ---- a viewer that checks each line as it comes and keeps none -------------------

# Its numbers: lines (of the build's own output), the next number of each kind,
# the last id, the sum of ids (over the first one), what was wrong.
sub viewer
{
    my ($name, $path, %opt) = @_;
    my $s = open_stream($path, %opt);
    $s->status == 200 or die "$name: status $s->{status}\n";
    my $v = { name => $name, stream => $s, buffer => \$s->{buffer}, lines => 0, at => 0,
              sum => 0, next => { O => 1, E => 1, F => 1 }, wrong => [], end => undef };
    $v->{socket} = $s->socket;
    $v->{socket}->blocking(0);
    return $v;
}

sub wrong
{
    my ($v, $what) = @_;
    push @{ $v->{wrong} }, $what if @{ $v->{wrong} } < 5;
    return;
}

my $base;    # ids are counted from here, so that sums stay exact

sub look
{
    my ($v) = @_;
    my $b = $v->{buffer};
    my $at = $v->{at};
    while (1) {
        # The many, quickly.
        while ($$b =~ /\Gid: (\d+)\ndata: \[[^\]\n]*\] ([OEF]) (\d+) x{40}\n\n/gc) {
            wrong($v, "id $1 after $at") if $1 <= $at;
            wrong($v, "$2 $3, expected $2 $v->{next}{$2}") if $3 != $v->{next}{$2};
            $v->{next}{$2} = $3 + 1;
            $at = $1;
            $v->{sum} += $at - $base;
            $v->{lines}++;
        }
        # The others, one at a time.
        last unless $$b =~ /\G((?:[a-z]+: [^\n]*\n)+)\n/gc;
        my %f = map { /^([a-z]+): (.*)$/ } split /\n/, $1;
        if (exists $f{id} && ($f{event} // '') ne 'ping') {
            wrong($v, "id $f{id} after $at") if $f{id} <= $at;
            $at = $f{id};
        }
        wrong($v, "event $f{event}") if ($f{event} // '') =~ /^(?:gap|busy|error|open)$/;
        # A row that looks like a line and was not taken above is a torn one.
        wrong($v, "torn: $f{data}") if !exists $f{event} && ($f{data} // '') =~ /\] [OEF] \d/;
        $v->{end} = $json->decode($f{data}) if ($f{event} // '') eq 'end';
        $v->{final} = 1 if ($f{event} // '') eq 'build' && $f{data} =~ /"state":"succeeded"/;
    }
    $v->{at} = $at;
    substr $$b, 0, pos($$b) // 0, '';
    return;
}

# Read from all of them until each is done (its stream has ended, or what done
# says). $each is called between two reads.
sub watch
{
    my ($seconds, $vs, $each) = @_;
    my $deadline = time + $seconds;
    my %of = map { fileno($_->{socket}) => $_ } @$vs;
    my $select = IO::Select->new(map { $_->{socket} } @$vs);
    look($_) for @$vs;
    while (%of) {
        time < $deadline or die 'not in time: '
            . join(', ', map { "$_->{name} has $_->{lines} lines" } values %of) . "\n";
        for my $socket ($select->can_read(0.2)) {
            my $v = $of{ fileno $socket };
            my $n = sysread $socket, ${ $v->{buffer} }, 1 << 18, length ${ $v->{buffer} };
            next if !defined $n && $!{EAGAIN};
            look($v) if $n;
            next if $n && !($v->{stops} && $v->{stops}->($v));
            delete $of{ fileno $socket };
            $select->remove($socket);
            $v->{stream}->close;
        }
        for my $new ($each ? $each->() : ()) {
            $of{ fileno $new->{socket} } = $new;
            $select->add($new->{socket});
            look($new);
        }
    }
    return;
}

# The log file as it is: the same numbers.
sub log_numbers
{
    my ($id) = @_;
    my $path = top() . "/state/logs/$id.log";
    open my $in, '<', $path or die "$path: $!\n";
    my %n = (lines => 0, next => { O => 1, E => 1, F => 1 }, wrong => [], stream => {});
    my $last = '';
    while (<$in>) {
        my ($time, $stream, $tags, $text) = /^(\S+) (stdout|stderr) (\S+) (.*)$/
            or push(@{ $n{wrong} }, "no record: $_"), next;
        push @{ $n{wrong} }, "time $time after $last" if $time le $last;
        $last = $time;
        next unless $text =~ /^([OEF]) (\d+) x{40}$/;
        push @{ $n{wrong} }, "$1 $2, expected $n{next}{$1}" if $2 != $n{next}{$1};
        push @{ $n{wrong} }, "$1 on $stream" if $stream ne ($1 eq 'E' ? 'stderr' : 'stdout');
        $n{next}{$1} = $2 + 1;
        $n{lines}++;
    }
    return \%n;
}

my $p = BuildLog::Puppet->new('many');

# ---- many lines, many viewers -----------------------------------------------------

{
    my $id = $p->start('out begin');
    $p->wait_for('begin');
    $base = int(time * 1e6);
    my @v   = map { viewer("viewer $_", "/api/log/push?build=$id") } 1 .. $viewers;
    my $all = viewer('all builds', '/api/log/push');
    # It says how the build ended, but has no end of its own.
    $all->{stops} = sub { $_[0]{final} };
    my ($half, $began) = (undef, time);
    $p->cue("count $lines", 'exit 0');
    watch(300, [@v, $all], sub {
        return if $half || $v[0]{lines} < $lines / 2;
        return $half = viewer('joined at half time', "/api/log/push?build=$id");
    });
    my $took = time - $began;
    note sprintf '%d lines to %d viewers in %.1f s', $lines, $viewers + 2, $took;

    my $end = $v[0]{end};
    ok $half, 'a viewer joined at half time';
    for my $v (@v, $half, $all) {
        is $v->{lines}, $lines, "$v->{name}: every line";
        is_deeply $v->{wrong}, [], "$v->{name}: once, in order";
        is $v->{sum}, $v[0]{sum}, "$v->{name}: with the same ids";
        is_deeply $v->{end}, $end, "$v->{name}: the end" if $v != $all;
    }
    my $log = log_numbers($id);
    is_deeply $log->{wrong}, [], 'the log file: records in order, each on its stream';
    is $log->{lines}, $lines, 'with every line';
    is $log->{next}{O} + $log->{next}{E} - 2, $lines, 'of stdout and stderr';
    is $end->{state}, 'succeeded', 'the build was not disturbed';
    # "begin", the command and the last line are lines, too.
    is $end->{lines}, $lines + 3, 'lines of end';
    my $bytes = 0;
    open my $in, '<', top() . "/state/logs/$id.log" or die $!;
    while (<$in>) {
        next unless /^\S+ \S+ (\S+) (.*)$/ && $1 !~ /\b(?:build|end)\b/;
        $bytes += length($2) + 1;
    }
    is $end->{bytes}, $bytes, 'bytes of end';
}

# ---- a burst, and a viewer that stands still --------------------------------------

# Anonymous memory in kB: runner, and each child.
sub memory
{
    my $pids = BuildLog::Server->main->pids;
    my %kb;
    for my $pid ($pids->{runner}, @{ $pids->{children} }) {
        open my $in, '<', "/proc/$pid/status" or next;
        while (<$in>) {
            $kb{$pid} = $1 if /^RssAnon:\s*(\d+)/;
        }
    }
    return \%kb;
}

sub burst
{
    my ($bytes) = @_;
    my $id = $p->start('out begin');
    $p->wait_for('begin');
    my $stuck = viewer('stands still', "/api/log/push?build=$id", rcvbuf => 4096);
    my $quick = viewer('reads on', "/api/log/push?build=$id");
    my $began = time;
    $p->cue("flood $bytes", 'exit 0');
    watch(300, [$quick]);
    my $took = time - $began;
    # The build is over, and one viewer has not read a byte of it. It reads a
    # part and stands still again: what is held for it now is all there is.
    my $deadline = time + 60;
    while ($stuck->{lines} < $quick->{lines} / 4) {
        time < $deadline or die "the viewer that stood still gets nothing\n";
        IO::Select->new($stuck->{socket})->can_read(0.2) or next;
        sysread $stuck->{socket}, ${ $stuck->{buffer} }, 1 << 16, length ${ $stuck->{buffer} };
        look($stuck);
    }
    cmp_ok $stuck->{lines}, '<', $quick->{lines} / 2, 'most of it still waits';
    my $memory = memory();
    my $end = $quick->{end};
    note sprintf '%d bytes, %d lines in %.1f s', $bytes, $quick->{lines}, $took;
    is $end->{state}, 'succeeded', "$bytes bytes: the build does not wait for a viewer that stands still";
    is $quick->{lines}, $end->{lines} - 3, 'who reads on has every line';
    is_deeply $quick->{wrong}, [], 'once, in order';
    watch(300, [$stuck]);
    is $stuck->{lines}, $quick->{lines}, 'who stood still reads on and has every line, too';
    is_deeply $stuck->{wrong}, [], 'once, in order';
    is $stuck->{sum}, $quick->{sum}, 'with the same ids';
    is_deeply $stuck->{end}, $end, 'and the end';
    return $memory;
}

{
    my $short = burst($burst / 8);
    my $long  = burst($burst);
    my $runner = BuildLog::Server->main->pids->{runner};
    ok $short->{$runner} && $long->{$runner}, 'the runner is the same';
    # What waited for the viewer is at least this much; nobody has it in memory.
    my $more = $burst * 7 / 8 / 1024;
    my $most = $more / 4;
    for my $pid (sort keys %$long) {
        next unless exists $short->{$pid};
        my $grown = $long->{$pid} - $short->{$pid};
        my $who = $pid == $runner ? 'the runner' : 'a child';
        cmp_ok $grown, '<', $most, sprintf '%s: %d kB more for %d kB more log', $who, $grown, $more;
    }
}

done_testing;
