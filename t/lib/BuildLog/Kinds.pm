package BuildLog::Kinds;

# The kinds in which a server keeps the connections of its viewers (DESIGN.md
# section 3), and the ways to come to it that lead to them.
#
#   my $s = BuildLog::Server->start(one_child(24) . odd_place(), tls => 1);
#   for my $way (ways()) {             one for each kind that the MPM has
#       my $v = viewer($s, $way, "?build=$id", %options of BuildLog::Stream);
#       my $f = follower($s, $way, "?build=$id", %options of BuildLog::Follower);
#       kind_of($way)                  detached, parked or held
#   }
#
#   way     what                                        kind
#   plain   HTTP/1.1                                    detached
#   tls     HTTP/1.1 over TLS                           parked (event), held
#   odd     HTTP/1.1 with a filter that nobody knows    held
#
# And what a viewer that has left must not leave behind:
#
#   connections($s)                    sockets of clients that its children hold
#   has_connection($s, $v)             of this one
#   my $before = descriptors($s);      of each child, when none has a connection
#   descriptors_are($s, $before, 'name')      a test: the same children, the same
#   places_are_free($s, $way, $n, 'name')     a test: n may come, and no one more
#
# vanish($v): whatever comes to this client is dropped by its kernel, which
# answers nothing any more: as if its cable had been pulled. End it by reset.

use strict;
use warnings;
use BuildLog::Follower;
use BuildLog::Server;
use BuildLog::Stream;
use BuildLog::Test;
use Exporter qw(import);
use Socket qw(IPPROTO_IP unpack_sockaddr_in);
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT = qw(ways kind_of viewer follower one_child odd_place
    connections has_connection descriptors descriptors_are places_are_free
    comes vanish lines_of stored_lines);

# ---- kinds ---------------------------------------------------------------------

sub ways { return mpm() eq 'event' ? qw(plain tls odd) : qw(plain tls) }

sub kind_of
{
    my ($way) = @_;
    return $way eq 'plain' ? 'detached' : $way eq 'tls' && mpm() eq 'event' ? 'parked' : 'held';
}

sub _path { my ($way, $query) = @_; return ($way eq 'odd' ? '/odd/push' : '/api/log/push') . $query }

sub viewer
{
    my ($server, $way, $query, %opt) = @_;
    return $server->open_stream(_path($way, $query), tls => $way eq 'tls', %opt);
}

sub follower
{
    my ($server, $way, $query, %opt) = @_;
    return BuildLog::Follower->start($server, _path($way, $query), tls => $way eq 'tls', %opt);
}

# Where a filter of mod_dumpio stands between a stream and its socket.
sub odd_place
{
    return <<'END';
<Location "/odd/push">
    SetHandler buildlog-push
    SetOutputFilter DUMPIO_OUT
</Location>
END
}

# One child at a time (prefork: as many as that has threads), for all of its
# server's life: a quarter of n may be held.
sub one_child
{
    my ($n) = @_;
    my $more = $n + 1;
    return <<"END";
<IfModule !mpm_prefork_module>
    StartServers 1
    ServerLimit 4
    ThreadsPerChild $n
    MaxRequestWorkers $n
    MinSpareThreads 1
    MaxSpareThreads $more
</IfModule>
<IfModule mpm_prefork_module>
    StartServers $n
    MaxRequestWorkers $n
    MinSpareServers 1
    MaxSpareServers $more
</IfModule>
END
}

# ---- lines -----------------------------------------------------------------------

# Of events: "id text" of each line, the text without its stamp.
sub lines_of
{
    return map { "$_->{id} " . ($_->{data} =~ s/^\[[^\]]*\] //r) }
        grep { !exists $_->{event} && exists $_->{data} } @_;
}

# Of a build that has ended: the same, as a plain viewer gets it now.
sub stored_lines
{
    my ($server, $id) = @_;
    my @e;
    # The child that answers may be just about to end.
    wait_until {
        my $v = viewer($server, 'plain', "?build=$id");
        @e = $v->rest(30);
        $v->close;
        ($e[-1]{event} // '') eq 'end';
    } 30, "the whole log of build $id";
    return lines_of(@e);
}

# ---- connections -----------------------------------------------------------------

# The client's port of each connection that is open in a process of the server;
# what the kernel still sends behind a close is not.
sub connections
{
    my ($server) = @_;
    my %port = map { sprintf('0100007F:%04X', $_) => 1 } grep { $_ } @$server{qw(port tls_port)};
    open my $in, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";
    my @found;
    while (<$in>) {
        my (undef, $from, $to, $state, $inode) = (split)[0 .. 3, 9];
        push @found, hex($to =~ s/.*://r)
            if $port{$from} && $state ne '0A' && $inode;
    }
    return @found;
}

sub port_of { return (unpack_sockaddr_in(getsockname($_[0]->socket)))[0] }

sub has_connection
{
    my ($server, $v) = @_;
    my $port = port_of($v);
    return scalar grep { $_ == $port } connections($server);
}

# Packets of all that are farther away than no hop at all are dropped (GTSM): so
# it goes without a privilege, which a socket filter may need.
sub vanish
{
    my ($v) = @_;
    my $ip_minttl = 21;
    setsockopt($v->socket, IPPROTO_IP, $ip_minttl, pack 'i', 255) or die "IP_MINTTL: $!\n";
    return;
}

# ---- descriptors -----------------------------------------------------------------

sub _count
{
    my ($server) = @_;
    my %count;
    for my $pid (@{ $server->pids->{children} }) {
        opendir my $dir, "/proc/$pid/fd" or next;
        $count{$pid} = grep { /^\d/ } readdir $dir;
    }
    return \%count;
}

sub descriptors
{
    my ($server) = @_;
    wait_until { !connections($server) } 20, 'no connections';
    # All children have begun, and are ready.
    return wait_until {
        my $count = $server->error_log =~ /resuming normal operations/ && _count($server);
        $count && keys %{ { reverse %$count } } == 1 ? $count : undef;
    } 20, 'children with the same descriptors each';
}

sub descriptors_are
{
    my ($server, $before, $name, $seconds) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $show = sub { return join ' ', map { "$_:$_[0]{$_}" } sort keys %{ $_[0] } };
    # What was the last to be closed is closed soon.
    eval { wait_until { $show->(_count($server)) eq $show->($before) } $seconds // 10 };
    my $after = _count($server);
    my $ok = Test::More::is($show->($after), $show->($before), "$name: the same children with the same descriptors");
    if (!$ok) {
        for my $pid (grep { $after->{$_} != ($before->{$_} // 0) } keys %$after) {
            Test::More::diag("$pid: $_ -> " . (readlink($_) // '')) for glob "/proc/$pid/fd/*";
        }
    }
    return $ok;
}

# ---- places ------------------------------------------------------------------------

# A viewer that was let in and has its first ping; undef: it was told to come
# back.
sub comes
{
    my ($server, $way, $query) = @_;
    my $v = eval { viewer($server, $way, $query // '') } or return undef;
    my $first = $v->status == 200 ? $v->event(5) : undef;
    if ($first && ($first->{retry} // 0) == 2000) {
        my $ping = $v->event(5);
        return $v if $ping && $ping->{event} eq 'ping';
    }
    $v->close;
    return undef;
}

sub places_are_free
{
    my ($server, $way, $n, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @v;
    eval {
        wait_until { push @v, comes($server, $way) // (); @v == $n } 15, "$n places";
    } or Test::More::diag($@);
    Test::More::is(scalar @v, $n, "$name: $n places for " . kind_of($way) . ' viewers are free');
    my $more = comes($server, $way);
    Test::More::ok(!$more, "$name: and no more");
    $_->close for @v, $more // ();
    wait_until { !connections($server) } 20, 'they have left';
    $server->wait_for_viewers(0);
    return;
}

1;
