package BuildLog::Poll;

# A viewer over HTTP/2, where a stream is a row of short answers: it polls as a
# browser does, with the last id that it has seen and after the time that it
# was told. Each poll is a curl of its own.
#
#   my $p = BuildLog::Poll->new($server, "/api/log/push?build=$id");
#   my $a = $p->once;            one answer: { status, protocol, headers, events,
#                                retry, bytes, cut }; undef: none (restarts)
#   $p->until(sub { ($_->{event} // '') eq 'end' }, 20)
#                                polls until an event matches; dies if not in time
#   $p->rest(20)                 polls until a 204, as EventSource does
#   $p->events, $p->lines, $p->answers, $p->failures, $p->last_id
#                                of all polls; lines are the events without name
#   BuildLog::Poll::curl($server, $path, @options)
#                                any request over HTTP/2: { status, ..., body }
#
# Options of new: patience (seconds; it never waits longer, whatever it is told:
# tests have little time; 0.3), args (of curl).

use strict;
use warnings;
use BuildLog::Stream;
use List::Util qw(min);
use Time::HiRes qw(sleep time);

sub new
{
    my ($class, $server, $path, %opt) = @_;
    return bless { server => $server, path => $path, patience => 0.3, args => [],
                   %opt, answers => [], failures => [] }, $class;
}

# Undef and a text when there was no whole answer in time.
sub curl
{
    my ($server, $path, @options) = @_;
    open my $out, '-|', 'curl', '-q', '-sSik', '--http2', '-m', BuildLog::Stream::LEAST, '--stderr', '-',
        @options, $server->tls_url . $path or die "curl: $!\n";
    binmode $out;
    local $/;
    my $text = <$out> // '';
    if (!close $out) {
        my $code = $? >> 8;
        return wantarray ? (undef, "curl: $code after " . substr($text, -200)) : undef;
    }
    my ($head, $body) = $text =~ /\A(.*?)\r\n\r\n(.*)\z/s or die "no head: $text\n";
    my ($first, @rest) = split /\r\n/, $head;
    my ($protocol, $status) = $first =~ m{^(HTTP/\S+) (\d{3})} or die "not HTTP: $first\n";
    my %headers = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1 => $2) : () } @rest;
    return { status => $status, protocol => $protocol, headers => \%headers, body => $body };
}

sub once
{
    my ($self) = @_;
    my ($answer, $why) = curl($self->{server}, $self->{path}, '-H', 'Accept: text/event-stream',
        defined $self->{last_id} ? ('-H', "Last-Event-ID: $self->{last_id}") : (),
        @{ $self->{args} });
    if (!$answer) {
        push @{ $self->{failures} }, $why;
        return undef;
    }
    my $stream = BuildLog::Stream->of($answer->{body});
    $answer->{events} = [$stream->rest];
    $answer->{cut}    = $stream->{cut};
    $answer->{bytes}  = length delete $answer->{body};
    for my $event (@{ $answer->{events} }) {
        $self->{retry} = $answer->{retry} = $event->{retry} if exists $event->{retry};
    }
    $self->{last_id} = $stream->last_id // $self->{last_id};
    push @{ $self->{answers} }, $answer;
    return $answer;
}

sub _pause
{
    my ($self) = @_;
    sleep min($self->{patience}, ($self->{retry} // 0) / 1000);
    return;
}

# Polls until $done says so of an answer.
sub _poll
{
    my ($self, $done, $seconds, $what) = @_;
    my $deadline = BuildLog::Stream::_deadline($seconds);
    while (1) {
        my $answer = $self->once;
        return $answer if $answer && $done->($answer);
        time < $deadline
            or die "not in time: $what, after " . $self->answers . ' answers and '
            . $self->failures . " failures\n";
        $self->_pause;
    }
}

sub until
{
    my ($self, $match, $seconds) = @_;
    return $self->_poll(sub {
        for (@{ $_[0]{events} }) {
            return 1 if $match->($_);
        }
        return 0;
    }, $seconds, 'an event');
}

sub rest
{
    my ($self, $seconds) = @_;
    return $self->_poll(sub { $_[0]{status} == 204 }, $seconds, 'a 204');
}

sub answers  { return @{ $_[0]{answers} } }
sub failures { return @{ $_[0]{failures} } }
sub last_id  { return $_[0]{last_id} }
sub events   { return map { @{ $_->{events} } } $_[0]->answers }
sub lines    { return grep { !exists $_->{event} && exists $_->{data} } $_[0]->events }

1;
