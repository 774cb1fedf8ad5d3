# proxy.t - from the moment a line is printed until a viewer has it: without a
# proxy, and behind each, over HTTP/1.1 and HTTP/2; `make bench-proxy` runs it (no
# test of the suite)
#
# One way after the other, one viewer each, so that none waits for another. All
# viewers but that of polls are curl and a pipe, whose time is in each figure.
# Ratios of one run are what can be compared.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Poll;
use BuildLog::Proxy;
use BuildLog::Server;
use List::Util qw(min);
use Time::HiRes qw(sleep time);

my $lines = $ENV{LINES} || 300;
my $dir = top() . '/p';
mkdir $dir;
my $behind = BuildLog::Proxy->settings('behind') =~ s/^Listen .*\n//mr;
my $s = BuildLog::Server->start(<<"END", tls => 1, protocols => 'h2 http/1.1');
$behind
<Directory "$dir">
    Require all granted
    BuildLog On
    BuildLogStep print "exec perl -MTime::HiRes=time,sleep -e '\$|=1; for (1..$lines) { sleep 0.02; printf qq(t %.6f\\\\n), time }'"
</Directory>
END

my @late;
sub note_event
{
    my ($e) = @_;
    push @late, 1000 * (time - $1) if !exists $e->{event} && ($e->{data} // '') =~ /\] t (\d+\.\d+)$/;
    return ($e->{event} // '') eq 'end';
}

sub begin
{
    @late = ();
    my ($status, $json) = $s->post_build($dir);
    die "no build: $status\n" if $status != 202;
    return "/api/log/push?build=$json->{build}{id}";
}

sub by_stream
{
    my ($way, $version) = @_;
    my $v = $way->open_stream(begin(), $version);
    while (my $e = $v->event(60)) { last if note_event($e) }
    BuildLog::Proxy->leave($v);
    return;
}

sub by_polls
{
    my $p = BuildLog::Poll->new($s, begin());
    while (1) {
        my $answer = $p->once or die "no answer\n";
        return if grep { note_event($_) } @{ $answer->{events} };
        sleep min(2, ($answer->{retry} // 1000) / 1000);
    }
}

my %proxy = map { BuildLog::Proxy->why_not($_) ? () : ($_ => BuildLog::Proxy->start($_, $s)) } qw(nginx haproxy httpd);
my $none = BuildLog::Proxy->none($s);
my $tls  = BuildLog::Proxy->none($s, tls => 1);
my @ways = (['no proxy, HTTP/1.1, plain', sub { by_stream($none, 1) }], ['no proxy, HTTP/1.1, TLS', sub { by_stream($tls, 1) }],
    ['no proxy, HTTP/2: polls', \&by_polls]);
for my $what (grep { $proxy{$_} } qw(nginx haproxy httpd)) {
    push @ways, map { my $version = $_; ["$what, HTTP/" . ($version == 1 ? '1.1' : 2) . ', TLS', sub { by_stream($proxy{$what}, $version) }] } 1, 2;
}
diag sprintf '%-28s %8s %8s %8s %8s', "$lines lines", 'p50 ms', 'p99 ms', 'max ms', 'p50 to 1';
my $first;
for (@ways) {
    my ($name, $run) = @$_;
    $run->();
    is scalar @late, $lines, "$name: all lines";
    my @sorted = sort { $a <=> $b } @late;
    my $p50 = $sorted[ @sorted / 2 ];
    $first //= $p50;
    diag sprintf '%-28s %8.2f %8.2f %8.2f %8.1f', $name, $p50, $sorted[ @sorted * .99 ], $sorted[-1], $p50 / $first;
}
$_->stop for values %proxy;
done_testing;
