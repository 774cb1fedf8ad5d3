package Soak::Resources;

# What the processes of a server hold, in moments that are alike: no build, no
# viewer, no request.
#
#   my $r = sample($server);       { time, who => { PID => { role, fds, open, logs, threads, kb } }, segments }
#   slope(\@samples, 'runner')     (kB, text): of the processes of the role that are in three
#                                  samples or more the one that grew most
#   descriptors(\@samples)         (text, wrong...): that no process has more than one of its role had
#
# A role is parent, runner, historian or child. kb is anonymous memory, its own
# and what it has inherited: files that are mapped are the kernel's.

use strict;
use warnings;
use BuildLog::Server;
use Exporter qw(import);
use List::Util qw(max min);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(sample slope descriptors roles threads_of);

sub roles { return qw(parent runner historian child) }

sub _field
{
    my ($pid, $name) = @_;
    open my $in, '<', "/proc/$pid/status" or return 0;
    while (my $line = <$in>) { return $1 if $line =~ /^$name:\s+(\d+)/ }
    return 0;
}

sub threads_of { return _field($_[0], 'Threads') }

sub _process
{
    my ($pid, $role, $state) = @_;
    my @fds = map { readlink($_) // () } glob "/proc/$pid/fd/*";
    return { role => $role, fds => scalar @fds, kb => _field($pid, 'RssAnon'), threads => threads_of($pid),
             open => [sort @fds], logs => [grep { index($_, "$state/logs/") == 0 } @fds] };
}

sub sample
{
    my ($server) = @_;
    my $p = $server->pids;
    my $state = $server->state;
    my %who = map { $_ => _process($_, 'child', $state) } @{ $p->{children} };
    $who{ $p->{parent} } = _process($p->{parent}, 'parent', $state);
    $who{ $p->{runner} } = _process($p->{runner}, 'runner', $state);
    $who{$_} = _process($_, 'historian', $state)
        for grep { (process_name($_) // '') eq 'buildlog-histor' } processes_below($p->{runner});
    # Memory that is shared beyond a fork: the module's table, the scoreboard.
    open my $in, '<', "/proc/$p->{parent}/maps" or die "maps: $!\n";
    my @shared = grep { /^\S+ rw-s/ } <$in>;
    open $in, '<', '/proc/sysvipc/shm' or die "shm: $!\n";
    my @sysv = grep { (split)[4] =~ /^\d+$/ && $who{ (split)[4] } } <$in>;
    return { time => time, who => \%who, segments => @shared + @sysv };
}

# Of the samples in which a process of the role is the same: how much it grew
# from the second to the last, in kB, by the median of the slopes between any
# two (Theil and Sen), which no single sample moves. The most of all such.
sub slope
{
    my ($samples, $role) = @_;
    my %seen;
    for my $s (@$samples) {
        push @{ $seen{$_} }, [$s->{time}, $s->{who}{$_}{kb}] for grep { $s->{who}{$_}{role} eq $role } keys %{ $s->{who} };
    }
    my ($most, $text) = (0, "$role: not in three samples");
    for my $pid (keys %seen) {
        my @at = @{ $seen{$pid} };
        # It is still filling its pools and caches.
        shift @at if @at > 3;
        next if @at < 3;
        my @slopes;
        for my $i (0 .. $#at) {
            push @slopes, ($at[$_][1] - $at[$i][1]) / ($at[$_][0] - $at[$i][0]) for $i + 1 .. $#at;
        }
        my $median = (sort { $a <=> $b } @slopes)[ $#slopes / 2 ];
        my $grew = $median * ($at[-1][0] - $at[0][0]);
        next if $grew < $most && $text !~ /not in/;
        $most = $grew;
        $text = sprintf '%s %d: %d to %d kB in %d samples over %.0f s, slope %+.2f kB/s', $role, $pid, $at[0][1], $at[-1][1],
            scalar @at, $at[-1][0] - $at[0][0], $median;
    }
    return ($most, $text);
}

# None has more than one of its role had in the first samples, which are of all
# it ever opens.
sub descriptors
{
    my ($samples) = @_;
    my (@text, @wrong);
    my $few = max(1, int(@$samples / 3));
    for my $role (roles()) {
        my @of = map { my $s = $_; [map { $s->{who}{$_} } grep { $s->{who}{$_}{role} eq $role } sort keys %{ $s->{who} }] } @$samples;
        my @most = map { max(0, map { $_->{fds} } @$_) } @of;
        my $first = max(@most[0 .. $few - 1]);
        push @text, "$role " . join(' ', @most);
        for my $i ($few .. $#of) {
            my ($worst) = sort { $b->{fds} <=> $a->{fds} } @{ $of[$i] };
            next if !$worst || $worst->{fds} <= $first;
            my %had;
            my ($like) = grep { $_->{fds} == $first } map { @$_ } @of[0 .. $few - 1];
            $had{ s/\d+//gr }++ for @{ $like->{open} };
            push @wrong, "$role has $worst->{fds} descriptors, had $first; more: "
                . join ' ', grep { $had{ s/\d+//gr }-- <= 0 } @{ $worst->{open} };
        }
    }
    my @logs = map { my $s = $_; map { @{ $_->{logs} } } values %{ $s->{who} } } @$samples;
    push @wrong, "logs that are open though nobody reads: @logs[0 .. min(4, $#logs)]" if @logs;
    return (join('; ', @text), @wrong);
}

1;
