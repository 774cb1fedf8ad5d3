package BuildLog::Follower;

# A viewer in a process of its own that does what a browser does: when the
# stream ends it comes back with the last id it has seen.
#
#   my $f = BuildLog::Follower->start($server, "/api/log/push?build=$id");
#   ... restarts ...
#   my $seen = $f->finish(20);   { events => [...], connections => n, gaps => n,
#                                retries => [...], lived => [...] } the last two of
#                                connections that the server ended: what it said
#                                last, and the seconds
#
# It ends by itself behind the event "end" (or what until => sub says). It does
# not wait as long as retry asks for: tests have little time. With tls => 1 it
# comes to the server's port with TLS.

use strict;
use warnings;
use BuildLog::Stream;
use BuildLog::Test qw(wait_until vars);
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8;

sub start
{
    my ($class, $server, $path, %opt) = @_;
    my $self = bless { file => File::Temp->new(UNLINK => 1), path => $path }, $class;
    my $parent = $$;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        # A client that the test closes later would not be closed.
        POSIX::close(fileno $_->socket) for values %BuildLog::Stream::open;
        # Nobody shall wait for it when the test has died.
        my $port = $opt{tls} ? $server->tls_port : $server->port;
        my $ok = eval { _follow($self->{file}, $port, $path, $parent, %opt); 1 };
        print { $self->{file} } $json->encode({ died => $@ }), "\n" if !$ok;
        $self->{file}->flush;
        POSIX::_exit($ok ? 0 : 1);
    }
    $self->{pid} = $pid;
    wait_until { -s $self->{file}->filename || _gone($pid) } 10, 'the first bytes of a viewer';
    return $self;
}

sub _gone { return waitpid($_[0], POSIX::WNOHANG()) != 0 }

sub _follow
{
    my ($file, $port, $path, $parent, %opt) = @_;
    my $until = $opt{until} // sub { ($_->{event} // '') eq 'end' };
    my $deadline = time + ($opt{seconds} // 60);
    my ($last, $tries) = (undef, 0);
    $file->autoflush(1);
    while (1) {
        die "not in time: $path\n" if time > $deadline;
        die "the test has gone\n" if getppid != $parent;
        my $s = eval {
            BuildLog::Stream->new(path => $path, port => $port, tls => $opt{tls}, timeout => 5,
                headers => { defined $last ? ('Last-Event-ID' => $last) : () });
        };
        # A server that begins anew has not taken the connection.
        if (!$s || $s->status != 200) {
            $s->close if $s;
            return if $s && $s->status == 204;
            sleep 0.02;
            next;
        }
        print {$file} $json->encode({ connected => time }), "\n";
        while (my $event = $s->event($deadline - time)) {
            $last = $event->{id} if exists $event->{id};
            print {$file} $json->encode($event), "\n";
            local $_ = $event;
            if ($until->($event)) {
                $s->close;
                return;
            }
        }
        $s->close;
        print {$file} $json->encode({ closed => time }), "\n";
    }
}

# What it has seen so far.
sub seen
{
    my ($self) = @_;
    open my $in, '<', $self->{file}->filename or die $!;
    my %seen = (events => [], connections => 0, gaps => 0, died => '', retries => [], lived => []);
    my ($retry, $began);
    while (<$in>) {
        last unless /\n\z/;
        my $e = $json->decode($_);
        $seen{connections}++ if $e->{connected};
        $began = $e->{connected} if $e->{connected};
        $seen{died} = $e->{died} if $e->{died};
        push @{ $seen{retries} }, $retry if $e->{closed};    # the last words
        push @{ $seen{lived} }, $e->{closed} - $began if $e->{closed};
        next if $e->{connected} || $e->{closed} || $e->{died};
        $retry = $e->{retry};
        $seen{gaps}++ if ($e->{event} // '') eq 'gap';
        push @{ $seen{events} }, $e;
    }
    return \%seen;
}

# Its data lines: "id text", the text without the stamp.
sub lines
{
    my ($self) = @_;
    return map { "$_->{id} " . ($_->{data} =~ s/^\[[^\]]*\] //r) }
        grep { !exists $_->{event} && exists $_->{data} } @{ $self->seen->{events} };
}

# Wait for its end, then seen().
sub finish
{
    my ($self, $seconds) = @_;
    if (!$self->{ended}) {
        wait_until { _gone($self->{pid}) } $seconds // 30, "the viewer of $self->{path}";
        $self->{ended} = 1;
    }
    return $self->seen;
}

sub DESTROY
{
    my ($self) = @_;
    return if $self->{ended} || !$self->{pid};
    local $?;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

1;
