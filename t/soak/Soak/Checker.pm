package Soak::Checker;

# A process that looks at each build when it has ended: promise 5 (one final
# state, the same in log, history, stream and API), 1 (the log's sums are the
# record's), 4 (what is kept is limited).
#
#   my $c = Soak::Checker->start($context);      see Soak::Viewer
# In its directory it leaves the file "ended": "ID STATE PROJECT STARTED ENDED",
# or "ID unknown" of a number that no build has, or has any more.
#
# It goes by the numbers of builds, so those whose answer was lost with a child
# are looked at, too.

use strict;
use warnings;
use BuildLog::Faults;
use BuildLog::Test;
use JSON::PP ();
use List::Util qw(max min);
use POSIX ();
use Soak::Builds qw(kind_of);
use Time::HiRes qw(sleep time);
use parent 'Soak::Viewer';

my $final = qr/^(?:succeeded|failed|cancelled|timed-out|lost)$/;
my $json = JSON::PP->new->utf8;

BEGIN { $Soak::Viewer::kinds{check} = \&_turn }

sub start { my ($class, $context) = @_; return Soak::Viewer::start($class, 'check', { %$context, next => 1, live => {} }) }

# Not of those that alice alone may see: of them the log and the history.
sub _turn
{
    my ($v) = @_;
    my ($prefix, $who) = @{ $v->{as} };
    my $top = eval { $v->{server}->get_json("$prefix/api/project/builds?limit=200", headers => $who) };
    return sleep 0.1 if !$top || !$top->{builds} || $top->{incomplete};
    my %record = map { $_->{id} => $_ } @{ $top->{builds} };
    my $newest = max(0, keys %record);
    for (; $v->{next} <= $newest; $v->{next}++) {
        $v->{live}{ $v->{next} } = 1;
    }
    for my $id (sort { $a <=> $b } keys %{ $v->{live} }) {
        my $record = $record{$id};
        if (!$record) {
            # Refused before it began: its number is not used again. Or its
            # runner was killed on a full disk: for 10 s or so, until its end
            # can be written, the next one does not know it.
            $v->{missing}{$id} //= time;
            next if time < $v->{missing}{$id} + 40;
            $v->_told($id, 'unknown');
            delete $v->{live}{$id};
            next;
        }
        $v->{total}{hidden}++ if delete $v->{missing}{$id};
        next if $record->{state} !~ $final;
        last if $v->phase eq 'calm';
        delete $v->{live}{$id};
        $v->_check($id, $record);
    }
    sleep 0.2;
    return;
}

sub _check
{
    my ($v, $id, $record) = @_;
    my ($end, @wrong);
    # A server that begins anew cuts answers off; what is stored does not change.
    for my $try (1 .. 30) {
        ($end, @wrong) = eval { differences($v->{server}, $id, tail => 1, as => $v->{as}) };
        @wrong = ($@) if $@;
        # Not kept any more: it came too late. The list has told its state.
        my $is_gone = grep { /status 404|No such file/ } @wrong;
        $v->{total}{late}++ if $is_gone;
        ($end, @wrong) = $record if $is_gone;
        last if !@wrong;
        sleep 0.5;
        $v->phase;
    }
    $v->wrong(5, "build $id: $_") for @wrong;
    return if !$end;
    $v->{total}{ended}++;
    $v->{total}{lines} += $end->{lines};
    $v->{total}{ $end->{state} }++;
    $v->_told($id, $end->{state}, $end->{project} =~ m{([^/]+)$}, $end->{started} // '-', $end->{ended} // '-');
    return;
}

sub _told
{
    my ($v, @what) = @_;
    open my $out, '>>', "$v->{dir}/ended" or die "ended: $!\n";
    print {$out} "@what\n";
    close $out or die "ended: $!\n";
    return;
}

# None that has begun is left out.
sub at_end
{
    my ($v) = @_;
    my $deadline = time + 120;
    do {
        $v->_turn;
        $v->wrong(5, 'no end in time: ' . join ' ', sort { $a <=> $b } keys %{ $v->{live} }) and return if time > $deadline;
    } while %{ $v->{live} };
    return;
}

1;
