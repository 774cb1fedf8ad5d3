package Soak::Resources;

# What the processes of a server hold, in moments that are alike: no build, no
# viewer, no request.
#
#   my $r = sample($server);       { time, who => { PID => { role, fds, open, logs, threads } }, segments }
#   descriptors(\@samples)         (text, wrong...): that no process has more than one of its role had
#
# And their memory, at any time:
#
#   my $w = weigh($server);        { time, who => { PID => { role, kb } } }
#   slope(\@weighed, 'runner')     (kB, text): of the processes of the role that were there for
#                                  long enough the one that grew most
#
# A role is parent, runner, historian or child. kb is anonymous memory, its own
# and what it has inherited: files that are mapped are the kernel's.

use strict;
use warnings;
use BuildLog::Server;
use Exporter qw(import);
use List::Util qw(max min);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(sample weigh slope descriptors roles threads_of);

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
    return { role => $role, fds => scalar @fds, threads => threads_of($pid),
             open => [sort @fds], logs => [grep { index($_, "$state/logs/") == 0 } @fds] };
}

# ([PID, role]...), those that are there.
sub _cast
{
    my ($server) = @_;
    my $p = $server->pids;
    my @cast = ([$p->{parent}, 'parent'], map { [$_, 'child'] } @{ $p->{children} });
    return @cast if !$p->{runner};
    return (@cast, [$p->{runner}, 'runner'], map { [$_, 'historian'] }
        grep { (process_name($_) // '') eq 'buildlog-histor' } processes_below($p->{runner}));
}

sub sample
{
    my ($server) = @_;
    my $p = $server->pids;
    my %who = map { $_->[0] => _process(@$_, $server->state) } _cast($server);
    # Memory that is shared beyond a fork: the module's table, the scoreboard.
    open my $in, '<', "/proc/$p->{parent}/maps" or die "maps: $!\n";
    my @shared = grep { /^\S+ rw-s/ } <$in>;
    open $in, '<', '/proc/sysvipc/shm' or die "shm: $!\n";
    my @sysv = grep { (split)[4] =~ /^\d+$/ && $who{ (split)[4] } } <$in>;
    return { time => time, who => \%who, segments => @shared + @sysv };
}

sub weigh
{
    my ($server) = @_;
    return { time => time, who => { map { $_->[0] => { role => $_->[1], kb => _field($_->[0], 'RssAnon') } } _cast($server) } };
}

# So long a process fills its pools and caches...
my $young = 60;
# ...and so often it must have been looked at afterwards: what it needs for a
# moment goes up and down by some MB.
my $often = 20;

# Of those in which a process of the role is the same: how much it grew, in kB.
# What leaks grows by both: the median of the slopes between any two (Theil and
# Sen), and the least of the last third against the least of the first. The most
# of all such; undef: there is none.
sub slope
{
    my ($weighed, $role) = @_;
    my %seen;
    for my $w (@$weighed) {
        push @{ $seen{$_} }, [$w->{time}, $w->{who}{$_}{kb}] for grep { $w->{who}{$_}{role} eq $role } keys %{ $w->{who} };
    }
    my ($most, $text) = (undef, "$role: none was there for long enough");
    for my $pid (keys %seen) {
        my $born = $seen{$pid}[0][0];
        my @at = grep { $_->[0] > $born + $young } @{ $seen{$pid} };
        next if @at < $often;
        my @slopes;
        for my $i (0 .. $#at) {
            push @slopes, ($at[$_][1] - $at[$i][1]) / ($at[$_][0] - $at[$i][0]) for $i + 1 .. $#at;
        }
        my $median = (sort { $a <=> $b } @slopes)[ $#slopes / 2 ];
        my $third = int(@at / 3);
        my $grew = min($median * ($at[-1][0] - $at[0][0]),
            3 / 2 * (min(map { $_->[1] } @at[-$third .. -1]) - min(map { $_->[1] } @at[0 .. $third - 1])));
        next if defined $most && $grew < $most;
        $most = $grew;
        my @kb = sort { $a <=> $b } map { $_->[1] } @at;
        $text = sprintf '%s %d: %d to %d kB, half below %d, looked at %d times over %.0f s, slope %+.2f kB/s', $role, $pid,
            @kb[0, -1], $kb[ $#kb / 2 ], scalar @at, $at[-1][0] - $at[0][0], $median;
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
