# 66-descriptors.t - a child keeps open the logs that it reads, not those of all
# builds that there were
#
# Promises: 1 (each line exactly once), 4 (what a viewer costs does not grow with
# time), 7 (descriptors are for all).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $builds = 60;
my $s = BuildLog::Server->start("BuildLogPing 300ms\nBuildLogKeep count=40\n");
my $p = BuildLog::Puppet->new('descriptors', server => $s);

# The logs that children have open.
sub logs
{
    return grep { defined && m{/logs/\d+\.log} }
        map { readlink } map { glob "/proc/$_/fd/*" } @{ $s->pids->{children} };
}

sub build
{
    my $id = $p->start('count 400', 'exit 0');
    $s->wait_for_state($id, 'succeeded', 30);
    return $id;
}

# A viewer that begins with the oldest and is left in the middle of it: it reads
# a little, and then no more.
sub slow
{
    my $v = $s->open_stream('/api/log/push?from=start', rcvbuf => 4096);
    $v->until(sub { ($_->{data} // '') =~ / O 10 x+$/ }, 20);
    return $v;
}

my $all = $s->open_stream('/api/log/push');
my ($most, %seen, @slow, @ids) = (0);
for my $n (1 .. $builds) {
    push @ids, build();
    my @e = $all->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"succeeded"/ }, 30);
    $seen{ $_->{id} }++ for grep { exists $_->{id} && ($_->{data} // '') =~ / [OE] \d+ x+$/ } @e;
    push @slow, slow() if $n % 12 == 0;     # stands still from now on
    slow()->close      if $n % 6 == 0;      # comes, and vanishes
    my $open = () = logs();
    $most = $open if $open > $most;
}
is scalar(keys %seen), $builds * 400, 'who always follows has each line';
is scalar(grep { $_ > 1 } values %seen), 0, 'once';
# One for each of a few places; with those that are about to come some more.
cmp_ok $most, '<=', 10, "the logs that are open do not grow with the builds that ended: $most";

# Those that stand still need nothing open. (What is removed while it is open
# takes its room on the disk all the same.)
ok eval { wait_until { !logs() } 20 }, 'when nobody reads nothing is open';

# One of them reads on: it is told of what is not there any more, and has the rest.
{
    my $v = $slow[-1];
    my $last = $ids[-1];
    my @e = $v->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /^\{"id":$last,.*"succeeded"/ }, 60);
    my @ids = map { $_->{id} } grep { exists $_->{id} && !exists $_->{event} } @e;
    is scalar(grep { $ids[$_] <= $ids[ $_ - 1 ] } 1 .. $#ids), 0, 'who stood still reads on, in order';
    my $lines = grep { / [OE] \d+ x+$/ } map { $_->{data} // '' } @e;
    my $gap   = grep { ($_->{event} // '') eq 'gap' } @e;
    ok $gap || $lines >= 39 * 400, "with each line that is kept, or a gap: $lines lines, $gap";
    cmp_ok $lines, '>=', 30 * 400, 'most of them';
}

$_->close for $all, @slow;
$s->stop;
done_testing;
