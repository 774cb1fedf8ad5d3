# 12-capacity.t - the administrator is told at the start when the server cannot
# hold the viewers that it is configured for, and what to set
#
# Promise: 7 (no more descriptors: a clear message to the right person, service
# goes on); section 7 of the contract: BuildLogMaxClients, BuildLogMaxParked.
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Kinds;
use BuildLog::Server;
use Time::HiRes qw(time);

my $threads = mpm() ne 'prefork';

# What a server says at its start, with this configuration and limit of open
# files: the numbers of its warnings, and the text.
sub said
{
    my ($config, $files) = @_;
    my $s = BuildLog::Server->start($config, files => $files);
    my @lines = grep { /\[buildlog:\w+\].* BL011[123] / } split /\n/, $s->error_log;
    $s->stop;
    my @warnings = map { /\[buildlog:warn\].* (BL\d+) / ? $1 : () } @lines;
    return ("@warnings", join "\n", @lines);
}

sub warns
{
    my ($number, $name, $config, $files) = @_;
    my ($got, $text) = said($config, $files);
    is $got, $number, $name or diag $text;
    return $text;
}

# Four children, whose idle threads are all spared but where a test says so.
sub children
{
    my ($n, $spare) = @_;
    return $threads ? <<"END" : <<"END2";
ServerLimit $n
ThreadsPerChild 10
MaxRequestWorkers ${n}0
MaxSpareThreads $spare
END
ServerLimit $n
MaxRequestWorkers $n
MinSpareServers 1
MaxSpareServers $spare
END2
}
my $spared = $threads ? 40 : 4;

# ---- nothing is said that nobody needs --------------------------------------------

warns('', 'the default configuration: no warning', '');
warns('', 'nor with few descriptors: nobody asked for a number', children(4, $spared), 200);
my $default_log = BuildLog::Server->main->error_log;
unlike $default_log, qr/BL011[123]/, 'the first server: not a word';

# ---- descriptors ---------------------------------------------------------------------

{
    my $text = warns('BL0111', 'BuildLogMaxClients 2000 with 200 descriptors in 4 children: BL0111',
        children(4, $spared) . "BuildLogMaxClients 2000\n", 200);
    like $text, qr/BuildLogMaxClients 2000 cannot be reached/, 'it names directive and value';
    my ($most, $files) = $text =~ /4 children have descriptors for (\d+) viewers each; raise the limit of open files to (\d+)/;
    ok $files, 'and says how many descriptors are needed' or diag $text;
    warns('', "with $files descriptors: no warning", children(4, $spared) . "BuildLogMaxClients 2000\n", $files);
    warns('BL0111', 'with one less: again', children(4, $spared) . "BuildLogMaxClients 2000\n", $files - 1);
    my $reached = 4 * $most;
    warns('', "with BuildLogMaxClients $reached: no warning",
        children(4, $spared) . "BuildLogMaxClients $reached\n", 200);
}

# ---- children that are ended when they are idle ---------------------------------------

{
    my $few = $threads ? 20 : 2;
    my $directive = $threads ? 'MaxSpareThreads' : 'MaxSpareServers';
    my $clients = "BuildLogMaxClients 400\n";
    my $text = warns('BL0112', "$directive $few, and BuildLogMaxClients 400 with 200 descriptors: BL0112",
        children(4, $few) . $clients, 200);
    like $text, qr/BuildLogMaxClients 400 cannot be reached/, 'it names directive and value';
    my ($spare, $files) = $text =~ /set $directive to (\d+), or raise the limit of open files to (\d+)/;
    ok $spare, "and says what $directive is needed" or diag $text;
    warns('', "with $directive $spare: no warning", children(4, $spare) . $clients, 200);
    warns('', "with $files descriptors: no warning", children(4, $few) . $clients, $files);
    warns('BL0112', 'with one less: again', children(4, $few) . $clients, $files - 1);
}

# ---- connections that the event MPM lets in ---------------------------------------------

{
    my $config = children(4, $spared) . "BuildLogMaxParked 25\n";
    my $text = warns(mpm() eq 'event' ? 'BL0113' : '',
        'BuildLogMaxParked 25 for 10 threads: ' . (mpm() eq 'event' ? 'BL0113' : 'nothing is parked'), $config);
    if (mpm() eq 'event') {
        my ($factor, $parked) = $text =~ /set AsyncRequestWorkerFactor to (\d+), or BuildLogMaxParked to (\d+)/;
        ok $factor, 'it says what is needed' or diag $text;
        warns('', "with AsyncRequestWorkerFactor $factor: no warning", $config . "AsyncRequestWorkerFactor $factor\n");
        warns('', "with BuildLogMaxParked $parked: no warning", "${config}BuildLogMaxParked $parked\n");
        warns('BL0113', 'with one more: again', $config . 'BuildLogMaxParked ' . ($parked + 1) . "\n");
        # It does not matter where it stands.
        warns('', 'in a section: no warning', "$config<IfModule mpm_event_module>\nAsyncRequestWorkerFactor $factor\n</IfModule>\n");
    }
}

# ---- and when it is so ---------------------------------------------------------------------

for my $way (grep { kind_of($_) ne 'held' } ways()) {
    my $kind = kind_of($way);
    my $s = BuildLog::Server->start(<<'END' . ($threads ? <<'THREADS' : ''), tls => 1, files => 160);
StartServers 1
ServerLimit 1
MaxRequestWorkers 1
BuildLogMaxClients 10000
END
ThreadsPerChild 10
MaxRequestWorkers 10
BuildLogMaxParked 10000
<IfModule mpm_event_module>
    AsyncRequestWorkerFactor 1000
</IfModule>
THREADS
    # One may be refused because that of the one before is not closed yet, which
    # goes on without it.
    my ($refused, @v) = (0);
    while (@v < 200 && $refused < 10) {
        my $v = comes($s, $way);
        push @v, $v // ();
        $refused = $v ? 0 : $refused + 1;
    }
    # A parked one has two descriptors.
    cmp_ok scalar(@v), '>=', $kind eq 'parked' ? 20 : 50, "$kind: " . @v . ' viewers with 160 descriptors';
    cmp_ok scalar(@v), '<', 160, "$kind: and no more";
    my $tls = $way eq 'tls';
    for my $i (1 .. 3) {
        my $r = $s->request('GET', '/api/log/push', tls => $tls);
        is $r->{status}, 503, "$kind, one more: 503" if $i == 1;
        like $r->{json}{detail}, qr/no more descriptors for viewers/, "$kind: for this reason" if $i == 1;
        my $b = $s->open_stream('/api/log/push', tls => $tls, headers => { Connection => 'close' });
        my @e = BuildLog::Stream->of($b->body(5))->rest;
        $b->close;
        is_deeply [map { $_->{event} // $_->{retry} } @e], [5000, 'busy'], "$kind, a browser: busy" if $i == 1;
    }
    my @told = $s->error_log =~ /BL0406/g;
    is @told, 1, "$kind: the administrator is told once";
    like $s->error_log, qr/\[buildlog:warn\].* BL0406 .*ulimit -n/, "$kind: what to do";

    # A machine with much else to do may need longer for one, not for most.
    my (@status, @took);
    for my $i (1 .. 40) {
        my $began = time;
        push @status, $s->request('GET', '/api/project/projects', tls => $i % 2)->{status};
        push @took, time - $began;
    }
    is_deeply \@status, [(200) x 40], "$kind: ordinary requests are answered";
    cmp_ok((sort { $a <=> $b } @took)[30], '<', 5, "$kind: promptly");
    my $children = join ' ', @{ $s->pids->{children} };
    (pop @v)->close;
    my $next = eval { wait_until { comes($s, $way) } 10, 'a place' };
    ok $next, "$kind: one leaves, one may come";
    $_->close for @v, $next // ();
    wait_until { !connections($s) } 20, 'they leave';
    is join(' ', @{ $s->pids->{children} }), $children, "$kind: the child is still the same";
    $s->stop;
}

done_testing;
