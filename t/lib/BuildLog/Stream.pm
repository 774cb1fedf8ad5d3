package BuildLog::Stream;

# A Server-Sent Events client for tests: one socket, no library in between, so
# that a test sees each byte when it comes. Every read has a deadline and dies
# when it passes; nothing waits for ever. The seconds of a deadline are never
# less than LEAST, whatever a test says: it is for what never comes, and a
# machine with much else to do is no failure.
#
#   my $s = BuildLog::Stream->new(path => '/api/log/push?build=1',
#                                 headers => { 'Last-Event-ID' => $id });
#   $s->status                   200
#   $s->header('Content-Type')   any case
#   my $e = $s->event(5)         { id => ..., event => ..., data => ..., retry => ... }
#                                with what the frame has; undef at the end of the stream
#   my @e = $s->until(sub { ($_->{event} // '') eq 'end' }, 10)
#                                events up to and with the one that matches;
#                                dies if the stream ends before
#   my @e = $s->rest(10)         all events until the server closes
#   $s->lines(10)                data of the rest's message events
#   $s->line(5)                  one line of what is no event stream, without its end; undef at
#                                the end of the stream, also of one that is cut there
#   $s->close                    in an orderly way: over TLS with a word
#   $s->reset                    as a client that crashed: RST, and not a word
#
#   BuildLog::Stream->of($body)  one that somebody else has read, to its end
#
# Options of new: host, port (default: the test server), method, path, headers
# (hash), body, timeout (seconds for connect and header; LEAST), rcvbuf (bytes:
# a client that takes little), version (default "1.1"), tls (whoever the server
# is; by ALPN it is told http/1.1), cert (a PEM file with the client's certificate
# and key).

use strict;
use warnings;
use IO::Select;
use Socket qw(IPPROTO_TCP PF_INET SOCK_STREAM SOL_SOCKET SO_LINGER SO_RCVBUF
              TCP_NODELAY inet_aton pack_sockaddr_in);
use Time::HiRes qw(time);

use constant LEAST => 30;

our %open;    # those not closed yet, for the checks at a test's end

# When a read that may take so long dies.
sub _deadline
{
    my ($seconds) = @_;
    return time + (($seconds // 0) > LEAST ? $seconds : LEAST);
}

sub new
{
    my ($class, %opt) = @_;
    require Apache::Test;
    my $vars = Apache::Test::vars();
    my $self = bless {
        host    => $opt{host} // '127.0.0.1',
        port    => $opt{port} // $vars->{port},
        buffer  => '',       # bytes that came and were not used
        frame   => [],       # lines of an event that has not ended
        last_id => undef,
        eof     => 0,
    }, $class;

    my $deadline = time + ($opt{timeout} // LEAST);
    socket(my $sock, PF_INET, SOCK_STREAM, IPPROTO_TCP) or die "socket: $!";
    # Before connect, or the window is offered larger.
    setsockopt($sock, SOL_SOCKET, SO_RCVBUF, $opt{rcvbuf}) if $opt{rcvbuf};
    connect($sock, pack_sockaddr_in($self->{port}, inet_aton($self->{host})))
        or die "connect $self->{host}:$self->{port}: $!";
    setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);
    _start_tls($sock, $opt{timeout} // LEAST, $opt{cert}) if $opt{tls};
    $self->{tls}    = $opt{tls};
    $self->{sock}   = $sock;
    $self->{select} = IO::Select->new($sock);
    $open{$self}    = $self;

    my %headers = (Host => "$self->{host}:$self->{port}",
                   Accept => 'text/event-stream', %{ $opt{headers} // {} });
    my $body = $opt{body};
    $headers{'Content-Length'} = length $body if defined $body;
    my $request = join "\r\n",
        ($opt{method} // 'GET') . " $opt{path} HTTP/" . ($opt{version} // '1.1'),
        map({ "$_: $headers{$_}" } grep { defined $headers{$_} } sort keys %headers),
        '', $body // '';
    local $SIG{PIPE} = 'IGNORE';
    while (length $request) {
        my $n = syswrite $sock, $request;
        die "write: $!" unless defined $n;
        substr $request, 0, $n, '';
    }
    # There may be bytes to read and none of them ours (session tickets).
    $sock->blocking(0) if $opt{tls};

    $self->_more($deadline, 'response header') or die "no response: closed\n"
        until $self->{buffer} =~ /\r?\n\r?\n/;
    $self->{buffer} =~ s/\A(.*?)\r?\n\r?\n//s;
    my ($first, @rest) = split /\r?\n/, $1;
    $first =~ m{^HTTP/\d\.\d (\d{3})} or die "not HTTP: $first\n";
    $self->{status} = $1;
    for (@rest) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or die "bad header: $_\n";
        push @{ $self->{headers}{lc $name} }, $value;
    }
    return $self;
}

sub of
{
    my ($class, $body) = @_;
    return bless { buffer => $body, frame => [], last_id => undef, eof => 1 }, $class;
}

sub _start_tls
{
    my ($sock, $seconds, $cert) = @_;
    require IO::Socket::SSL;
    IO::Socket::SSL->start_SSL($sock, Timeout => $seconds,
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
        $cert ? (SSL_cert_file => $cert, SSL_key_file => $cert) : (),
        SSL_alpn_protocols => ['http/1.1'])
        or die "TLS: " . IO::Socket::SSL::errstr() . "\n";
    return;
}

sub status  { return $_[0]{status} }
sub header  { return join ', ', @{ $_[0]{headers}{ lc $_[1] } // [] } }
sub last_id { return $_[0]{last_id} }
sub at_end  { return $_[0]{eof} }
sub socket  { return $_[0]{sock} }

# More bytes into the buffer; false at the end of the stream.
sub _more
{
    my ($self, $deadline, $what) = @_;
    return 0 if $self->{eof};
    while (1) {
        $self->can_read($deadline - time)
            or die "no $what in time; got so far: " . substr($self->{buffer}, 0, 500) . "\n";
        my $n = sysread $self->{sock}, $self->{buffer}, 65536, length $self->{buffer};
        return 1 if $n;
        next if !defined $n && $self->{tls} && $!{EAGAIN};
        # A reset is an end, too: the test sees what is missing.
        $self->{eof} = 1;
        return 0;
    }
}

# Are there bytes to read, or the end, within so many seconds? What TLS has
# decrypted already is not in the socket any more.
sub can_read
{
    my ($self, $seconds) = @_;
    return 1 if $self->{tls} && $self->{sock}->pending;
    return $seconds > 0 && $self->{select}->can_read($seconds) ? 1 : 0;
}

# One line without its end, undef at the end of the stream. LF, CRLF and CR end
# lines; a CR at the buffer's end may be half a CRLF.
sub _line
{
    my ($self, $deadline) = @_;
    while (1) {
        if ($self->{buffer} =~ s/\A([^\r\n]*)(?:\r\n|\n|\r(?=[^\n]))//s) {
            return $1;
        }
        $self->_more($deadline, 'event') or return undef;
    }
}

# The next frame that has a field; comments are none. Unlike a browser it also
# returns frames without data (retry alone), for a test may want to see them. A
# frame that the end of the stream cuts is dropped, as a browser drops it.
sub event { my ($self, $seconds) = @_; return $self->_event(_deadline($seconds)) }

sub _event
{
    my ($self, $deadline) = @_;
    while (1) {
        my $line = $self->_line($deadline);
        if (!defined $line) {
            # For a test that wants to know: what was cut off.
            $self->{cut} = [@{ $self->{frame} }, $self->{buffer} ne '' ? $self->{buffer} : ()];
            $self->{frame} = [];
            return undef;
        }
        if ($line ne '') {
            push @{ $self->{frame} }, $line unless $line =~ /^:/;
            next;
        }
        next unless @{ $self->{frame} };
        my %event;
        for (@{ $self->{frame} }) {
            my ($name, $value) = /^([^:]*)(?:: ?(.*))?$/s;
            $value //= '';
            if ($name eq 'data' && exists $event{data}) {
                $event{data} .= "\n$value";
            }
            else {
                $event{$name} = $value;
            }
        }
        $self->{frame} = [];
        $self->{last_id} = $event{id} if exists $event{id};
        return \%event;
    }
}

sub until
{
    my ($self, $match, $seconds) = @_;
    my $deadline = _deadline($seconds);
    my @events;
    while (1) {
        my $event = $self->_event($deadline);
        defined $event
            or die "stream ended after " . @events . " events, before the one waited for\n";
        push @events, $event;
        local $_ = $event;
        return @events if $match->($event);
    }
}

sub rest
{
    my ($self, $seconds) = @_;
    my $deadline = _deadline($seconds);
    my @events;
    while (defined(my $event = $self->_event($deadline))) {
        push @events, $event;
    }
    return @events;
}

sub lines
{
    my ($self, $seconds) = @_;
    return map { $_->{data} }
        grep { !exists $_->{event} && exists $_->{data} } $self->rest($seconds);
}

sub line { my ($self, $seconds) = @_; return $self->_line(_deadline($seconds)) }

# All bytes of the body until the server closes: for what is no event stream.
sub body
{
    my ($self, $seconds) = @_;
    my $deadline = _deadline($seconds);
    my $length = $self->header('Content-Length');
    if ($self->header('Transfer-Encoding') eq 'chunked') {
        my $body = '';
        while (1) {
            $self->_more($deadline, 'chunk') or die "cut in a chunk header\n"
                until $self->{buffer} =~ s/\A([0-9a-fA-F]+)[^\n]*\r\n//;
            my $size = hex $1;
            $self->_more($deadline, 'chunk') or die "cut in a chunk\n"
                until length $self->{buffer} >= $size + 2;
            $body .= substr $self->{buffer}, 0, $size, '';
            substr $self->{buffer}, 0, 2, '';
            return $body if $size == 0;
        }
    }
    while ($length eq '' || length $self->{buffer} < $length) {
        $self->_more($deadline, 'body') or last;
    }
    return $self->{buffer};
}

sub close
{
    my ($self) = @_;
    delete $open{$self};
    close delete $self->{sock} if $self->{sock};
    $self->{eof} = 1;
    return;
}

sub reset
{
    my ($self) = @_;
    my $sock = delete $self->{sock} // return;
    delete $open{$self};
    $self->{eof} = 1;
    setsockopt($sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) or die "SO_LINGER: $!";
    return $self->{tls} ? $sock->close(SSL_no_shutdown => 1) : CORE::close($sock);
}

1;
