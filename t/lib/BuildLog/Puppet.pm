package BuildLog::Puppet;

# Builds that do what a test says, when it says it.
#
#   my $p = BuildLog::Puppet->new('a', server => $s);   t/projects/puppet-a
#   my $id = $p->start('out hello', 'count 100');       a build, with first cues
#   $p->cue('exit 0');                                   see puppet/play.pl
#   $p->wait_for('hello');                               it stands in the log
#   $p->wait_until_told('hello');                        and viewers have it
#
# The directory is made when it is not there; the wildcard section for puppet-*
# in t/conf/extra.conf.in says that it is a project. Without server it is the
# main one; another needs BuildLog::Server::puppets() in its configuration.

use strict;
use warnings;
use BuildLog::Test;

sub new
{
    my ($class, $name, %opt) = @_;
    my $self = bless { path => $opt{path} // project("puppet-$name"), %opt }, $class;
    if (!-d $self->{path}) {
        mkdir $self->{path} or die "$self->{path}: $!\n";
    }
    return $self;
}

sub path { return $_[0]{path} }

# The cues of the next build to begin; one that runs keeps its own.
sub prepare
{
    my ($self, @cues) = @_;
    open my $out, '>', "$self->{path}/cue.new" or die "cue: $!\n";
    print {$out} map { "$_\n" } @cues;
    close $out or die "cue: $!\n";
    rename "$self->{path}/cue.new", "$self->{path}/cue" or die "cue: $!\n";
    return;
}

# Ask for a build; its number. It plays the cues given here and then waits.
sub start
{
    my ($self, @cues) = @_;
    $self->prepare(@cues);
    my ($status, $json) = post_build($self->{path},
        $self->{server} ? (port => $self->{server}->port) : ());
    $status == 202 or die "build of $self->{path}: status $status\n";
    return $self->{build} = $json->{build}{id};
}

sub build { return $_[0]{build} }

sub cue
{
    my ($self, @cues) = @_;
    open my $out, '>>', "$self->{path}/cue" or die "cue: $!\n";
    syswrite $out, join '', map { "$_\n" } @cues;
    close $out;
    return;
}

# Wait until a line (its text, or a pattern) is in the log, so many times.
sub wait_for
{
    my ($self, $text, $times, $seconds) = @_;
    my $path = ($self->{server} ? $self->{server}->state : top() . '/state')
        . "/logs/$self->{build}.log";
    my $pattern = ref $text ? $text : qr/^\Q$text\E$/;
    my ($seen, $in) = (0);
    return wait_until {
        # Logs only grow: each look begins where the one before ended.
        $in // (open($in, '<', $path) or return 0);
        my $at = tell $in;
        while (defined(my $line = <$in>)) {
            last unless chomp $line;    # the rest of it is still to come
            $at = tell $in;
            $seen++ if $line =~ s/^\S+ \S+ \S+ // && $line =~ $pattern;
        }
        seek $in, $at, 0;
        $seen >= ($times // 1);
    } $seconds // 15, "'$text' in the log of build $self->{build}";
}

# The same, and whoever comes from now on finds it there: a line stands in the
# file before it is published.
sub wait_until_told
{
    my ($self, $text, $times, $seconds) = @_;
    my $pattern = ref $text ? $text : qr/^\Q$text\E$/;
    my $left    = $times // 1;
    my $viewer  = open_stream($self->{build}, $self->{server} ? (port => $self->{server}->port) : ());
    $viewer->until(sub {
        !exists $_->{event} && ($_->{data} // '') =~ s/^\[[^\]]*\] //r =~ $pattern && --$left == 0;
    }, $seconds);
    $viewer->close;
    return;
}

1;
