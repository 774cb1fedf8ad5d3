# 58-clock.t - the wall clock is set while builds run and viewers look on
#
# Promises: 1 (each line once, in order: ids grow whatever the clock does), 5
# (a build is not ended by a clock).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8;
my $dir  = top() . '/servers';
mkdir $dir;
my ($library, $clock) = ("$dir/clock.so", "$dir/clock");
my $source = top() . '/t/lib/clock.c';
system('cc', '-shared', '-fPIC', '-o', $library, $source) == 0
    or plan skip_all => 'no compiler for a clock that can be set';

sub set_clock
{
    my ($seconds) = @_;
    write_file("$clock.new", "$seconds\n");
    rename "$clock.new", $clock or die "$clock: $!\n";
    return;
}

set_clock(0);
my $s;
{
    local $ENV{LD_PRELOAD} = $library;
    local $ENV{CLOCK_FILE} = $clock;
    $s = BuildLog::Server->start(<<'END');
<Location "/t/ping">
    SetHandler buildlog-push
    BuildLogPing 300ms
</Location>
END
}
my $p = BuildLog::Puppet->new('clock', server => $s);

sub is_text { my ($t) = @_; return sub { !exists $_->{event} && ($_->{data} // '') =~ /\] \Q$t\E$/ } }
sub is_ping { return sub { ($_->{event} // '') eq 'ping' } }

# A sanitizer's httpd is preloaded with something else.
set_clock(86400);
my $r = $s->request('GET', '/api/project/projects');
my $date = $r->{headers}{date} // '';
my @tomorrow = gmtime(time + 86400);
$date =~ /^\w+, 0?$tomorrow[3] / or plan skip_all => 'httpd has another clock';
set_clock(0);

# An hour back, then two forward (which is past BuildLogTimeout), then none.
my $last = 0;
for my $step (-3600, 7200, 0) {
    my $name = sprintf '%+d s', $step;
    my $id = $p->start('out first');
    my $v  = $s->open_stream("/api/log/push?build=$id");
    my $w  = $s->open_stream('/t/ping');
    my @seen = $v->until(is_text('first'), 5);
    $w->until(is_ping(), 5) for 1 .. 2;

    set_clock($step);
    $p->cue('out second', 'raw piece');
    ok eval { push @seen, $v->until(is_text('second'), 5) }, "$name: a viewer gets lines" or diag $@;
    ok eval { push @seen, $v->until(is_text('piece'), 5) }, "$name: also one that has not ended" or diag $@;
    ok eval { $w->until(is_ping(), 5) for 1 .. 3; 1 }, "$name: another gets pings" or diag $@;
    $p->cue('out', 'count 20000', 'exit 0');
    ok eval { push @seen, $v->rest(10); $v->at_end }, "$name: the stream ends" or diag $@;
    is $seen[-1]{event}, 'end', "$name: with the end";
    is $json->decode($seen[-1]{data} // '{}')->{state}, 'succeeded', "$name: the build is not ended by a clock";
    $_->close for $v, $w;

    my @lines = grep { !exists $_->{event} && exists $_->{data} } @seen;
    is scalar(grep { /\] [OE] \d/ } map { $_->{data} } @lines), 20000, "$name: every line";
    my @ids = map { $_->{id} // () } grep { ($_->{event} // '') ne 'ping' } @seen;
    is scalar(grep { $ids[$_] <= ($_ ? $ids[ $_ - 1 ] : $last) } 0 .. $#ids), 0, "$name: ids grow";
    $last = $ids[-1];
}

done_testing;
