# 65-peak.t - what many builds, or many viewers, need at once is given back
#
# Promise: 4 (memory does not grow with time). An allocator of APR keeps for ever
# all that was in use at once, unless it is told how much it may keep.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Kinds;
use BuildLog::Puppet;
use BuildLog::Server;

# httpd itself stands in another directory.
plan skip_all => 'a sanitizer keeps what is freed' if vars()->{httpd} =~ /buildlog-/;

# In kB. What is kept, and what stands in between; and how much more it was, or
# nothing would be seen here.
my $kept = 6 * 1024;
my $more = 3 * $kept;

my $builds = 16;
my $s = BuildLog::Server->start(one_child(8) . "BuildLogMaxBuilds $builds\n");
my @puppets = map { BuildLog::Puppet->new("peak-$_", server => $s) } 1 .. $builds;

sub memory
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or die "$pid: $!\n";
    my ($kb) = map { /^RssAnon:\s*(\d+)/ ? $1 : () } <$in>;
    return $kb;
}

# All of them at once, and they stay.
sub begin
{
    my (@cues) = @_;
    $_->start(@cues, 'out done') for @puppets;
    $_->wait_for('done', 1, 60) for @puppets;
    return;
}

sub finish
{
    $_->cue('exit 0') for @puppets;
    for my $id (map { $_->build } @puppets) {
        wait_until { $s->request('GET', "/api/project/builds/$id")->{json}{state} eq 'succeeded' } 60, "the end of build $id";
    }
    return;
}

sub given_back
{
    my ($who, $pid, $before, $peak) = @_;
    cmp_ok $peak - $before, '>', $more, "$who needs memory for all of them";
    eval { wait_until { memory($pid) - $before < $kept } 20, 'memory' };
    my $after = memory($pid);
    cmp_ok $after - $before, '<', $kept, "and gives it back: $before kB, $peak kB, $after kB";
    return;
}

my $runner = $s->pids->{runner};
my ($child) = @{ $s->pids->{children} };

# What is opened once is open.
begin('count 10');
finish();

# ---- builds: many lines in one read are a large batch each -----------------------

{
    my $before = memory($runner);
    begin('short 60000');
    my $peak = memory($runner);
    finish();
    given_back('the runner', $runner, $before, $peak);
}

# ---- viewers: of each feed some chunks are kept as long as somebody follows it ---

{
    begin('flood 1500000');
    my $before = memory($child);
    my @v = map { my $id = $_->build; map { viewer($s, 'plain', "?build=$id$_") } '', '&format=json' } @puppets;
    $_->until(sub { ($_->{data} // '') =~ /\bdone\b/ }, 60) for @v;
    my $peak = memory($child);
    $_->close for @v;
    given_back('the child', $child, $before, $peak);
    finish();
}

is $s->pids->{runner}, $runner, 'it is still the same runner';
is $s->pids->{children}[0], $child, 'and the same child';
done_testing;
