package BuildLog::Receiver;

# A server that is told how builds ended, and answers as a test says.
#
#   my $r = BuildLog::Receiver->new(secret => 's3cret');
#   $r->url                       for BuildLogNotify
#   $r->answer(500)               from now on; besides:
#     'hold'        not before another
#     'reset'       none at all, the connection is reset
#     'cut 200'     it breaks off behind its head
#     'moody 500'   to every second one; 200 to the others
#   $r->taken                     what came so far, hashes: path, headers, body,
#                                 json, good (signed with the secret), at most
#                                 (how many were there at once)
#   $r->names                     much faster: of each, its path and webhook-id
#   $r->held                      how many are there now
#   $r->stop; $r->start           gone, and back at the same port
#
# A process of its own, one more for each connection; they end with the test.

use strict;
use warnings;
use BuildLog::Server ();
use BuildLog::Test;
use Digest::SHA qw(hmac_sha256);
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Socket ();
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->canonical;
my ($count, @all) = (0);

sub new
{
    my ($class, %opt) = @_;
    my $self = bless { %opt }, $class;
    $self->{dir} = top() . '/tmp/receiver-' . ++$count . ".$$";
    mkdir $_ or die "$_: $!\n" for $self->{dir}, "$self->{dir}/taken", "$self->{dir}/now";
    $self->answer(200);
    $self->start;
    push @all, $self;
    return $self;
}

sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}" . ($path // $self->{path} // '/ended') }
sub held { my ($self) = @_; return scalar(() = glob "$self->{dir}/now/*") }

sub answer
{
    my ($self, $what) = @_;
    write_file("$self->{dir}/answer.new", $what);
    rename "$self->{dir}/answer.new", "$self->{dir}/answer" or die "answer: $!\n";
    return;
}

sub start
{
    my ($self) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port} // BuildLog::Server::_free_port(), Listen => 50, ReuseAddr => 1)
        or die "listen: $!\n";
    $self->{port} = $listen->sockport;
    $self->{pid} = fork // die "fork: $!\n";
    return if $self->{pid};
    setpgrp 0, 0;
    local $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $sock = $listen->accept or next;
        my $pid = fork // POSIX::_exit(1);
        if (!$pid) {
            close $listen;
            eval { $self->_serve($sock) };
            close $sock;
            POSIX::_exit(0);
        }
        close $sock;
    }
}

sub stop
{
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', -$pid;
    waitpid $pid, 0;
    unlink glob "$self->{dir}/now/*";
    return;
}

sub _slurp { my ($path) = @_; open my $in, '<:raw', $path or return ''; local $/; return scalar <$in> // '' }

sub _serve
{
    my ($self, $sock) = @_;
    my ($buffer, %headers) = ('');
    until ($buffer =~ /\r\n\r\n/) {
        sysread $sock, $buffer, 65536, length $buffer or return;
    }
    my ($head, $body) = split /\r\n\r\n/, $buffer, 2;
    my ($line, @lines) = split /\r\n/, $head;
    for (@lines) { $headers{ lc $1 } = $2 if /^([^:]+):\s*(.*)$/ }
    while (length $body < ($headers{'content-length'} // 0)) {
        sysread $sock, $body, 65536, length $body or return;
    }
    write_file("$self->{dir}/now/$$", '');
    my $most = () = glob "$self->{dir}/now/*";
    my $record = $json->encode({ line => $line, headers => \%headers, body => $body, time => time, most => $most });
    # In the order in which they came.
    my ($path) = $line =~ m{^POST (\S+)};
    my $name = join '_', sprintf('%.6f.%d', time, $$), ($headers{'webhook-id'} // '') =~ s/[^\w-]//gr, ($path // '') =~ s/[^\w-]//gr;
    write_file("$self->{dir}/$name.new", $record);
    rename "$self->{dir}/$name.new", "$self->{dir}/taken/$name";
    my $answer;
    sleep 0.02 while ($answer = _slurp("$self->{dir}/answer")) eq 'hold';
    my ($status, @more) = split / /, $answer;
    unlink "$self->{dir}/now/$$";
    if ($status eq 'reset') {
        setsockopt $sock, Socket::SOL_SOCKET, Socket::SO_LINGER, pack 'ii', 1, 0;
        return;
    }
    if ($status eq 'cut') {
        syswrite $sock, "HTTP/1.1 @more Answer\r\nContent-Length: 1000\r\n\r\nok";
        return;
    }
    if ($status eq 'moody') {
        my $n = () = glob "$self->{dir}/taken/*";
        $status = $n % 2 ? $more[0] : 200;
        @more = ();
    }
    syswrite $sock, "HTTP/1.1 $status Answer\r\nContent-Length: 3\r\nConnection: close\r\n"
        . join('', map { "$_\r\n" } join(' ', @more) || ()) . "\r\nok\n";
    return;
}

sub taken
{
    my ($self) = @_;
    return map {
        my $r = $json->decode(_slurp($_));
        utf8::encode(my $body = $r->{body});
        my $h = $r->{headers};
        $r->{json} = eval { $json->decode($body) };
        $r->{good} = defined $self->{secret}
            && ($h->{'webhook-signature'} // '') eq 'v1,' . encode_base64(
                hmac_sha256("$h->{'webhook-id'}.$h->{'webhook-timestamp'}.$body", $self->{secret}), '');
        $r;
    } sort glob "$self->{dir}/taken/*";
}

# ["path", "build-42-..."], in the order in which they came.
sub names
{
    my ($self) = @_;
    opendir my $dir, "$self->{dir}/taken" or die "taken: $!\n";
    return map { [(split /_/)[2, 1]] } grep { !/^\./ } sort readdir $dir;
}

# Waits until these builds were told, and returns the requests about them.
sub wait_for
{
    my ($self, @builds) = @_;
    wait_until {
        my %told = map { ($_->{json}{id} => 1) } grep { $_->{json} } $self->taken;
        !grep { !$told{$_} } @builds;
    } 60, "builds @builds are told";
    my %want = map { $_ => 1 } @builds;
    return grep { $want{ $_->{json}{id} } } $self->taken;
}

my $owner;
INIT { $owner = $$ }
END {
    if (defined $owner && $$ == $owner) {
        my $status = $?;
        $_->stop for @all;
        $? = $status;
    }
}

1;
