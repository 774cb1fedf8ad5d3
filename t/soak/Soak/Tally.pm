package Soak::Tally;

# What a viewer has got of one build, and whether that is all of it, once and in
# order. It keeps no line.
#
#   my $t = Soak::Tally->new($build, \&wrong, from_start => 1);
#   $t->line($text, partial => 0)      a line, or a piece of one; bytes
#   $t->gap                            the stream said that something is missing
#   $t->end($record, limited => 0)     the final record: true if all was compared
#   $t->lines                          how many came (pieces are none)
#
# Promise 1: numbers grow by one (Soak::Builds), and the sums are those of the
# record; 2: on each stream. wrong(promise, text) is called for what is not so.

use strict;
use warnings;
use Digest::SHA ();
use Soak::Builds qw(alice filler secret);

sub new
{
    my ($class, $build, $wrong, %opt) = @_;
    return bless { build => $build, wrong => $wrong, sha => Digest::SHA->new(256), lines => 0, bytes => 0,
                   next => $opt{from_start} ? [1, 1] : [], held => {}, whole => $opt{from_start}, alice => $opt{alice} },
        $class;
}

sub lines { return $_[0]{lines} }
sub gap   { $_[0]{whole} = 0; $_[0]{next} = []; $_[0]{held} = {}; return }

sub line
{
    my ($self, $stream, $text, %opt) = @_;
    $self->{sha}->add($text, $opt{partial} ? () : "\n");
    $self->{bytes} += length($text) + ($opt{partial} ? 0 : 1);
    if ($opt{partial}) {
        $self->{held}{$stream} .= $text if $self->{whole};
        return;
    }
    $self->{lines}++;
    if (exists $self->{held}{$stream}) {
        $text = delete($self->{held}{$stream}) . $text;
    }
    $self->_look($text);
    return;
}

sub _look
{
    my ($self, $text) = @_;
    if ($text =~ /^([01]) (\d+) (\d+) (x*)$/) {
        my $next = $self->{next}[$1];
        $next = $self->_over($1, $3) if defined $next && $self->{left_out} && $3 > $next;
        $self->{wrong}->(1, "build $self->{build}: a line of $2") if $2 != $self->{build};
        $self->{wrong}->($3 < ($next // 0) ? 1 : 2, "build $self->{build}: stream $1: $3, not $next")
            if defined $next && $3 != $next;
        $self->{wrong}->(1, "build $self->{build}: a line that was cut: $text") if $4 ne filler($3);
        $self->{next}[$1] = $3 + 1;
    }
    elsif ($text =~ /^(\d+) lines \(.* left out here: BuildLogMaxLog/) {
        $self->{left_out} = $1;
        $self->{over}     = [0, 0];
    }
    elsif ($text =~ /^= (\d+) (\d+) (\d+)$/) {
        # stderr may be read behind it.
        $self->{said} = [$2, $3];
    }
    elsif (index($text, secret()) >= 0) {
        $self->{wrong}->(8, "build $self->{build} shows its secret");
    }
    elsif (!$self->{alice} && index($text, alice()) >= 0) {
        $self->{wrong}->(8, "build $self->{build} is alice's");
    }
    return;
}

# The log has a note of what was left out: so many lines are missing there on
# this stream, once, and on both together those that it tells of.
sub _over
{
    my ($self, $s, $n) = @_;
    return $self->{next}[$s] if $self->{over}[$s];
    $self->{over}[$s] = $n - $self->{next}[$s];
    return $self->{next}[$s] = $n;
}

# limited: lines of the log were left out; who had them before has others than
# those of the record.
sub end
{
    my ($self, $record, %opt) = @_;
    return 0 if !$self->{whole} || ($opt{limited} && !$self->{left_out});
    if ($self->{left_out} && $self->{said}) {
        $self->_over($_, $self->{said}[$_] + 1) for grep { $self->{said}[$_] >= $self->{next}[$_] } 0, 1;
        my $over = $self->{over}[0] + $self->{over}[1];
        # Of notes (the log waited for room) there may be some among them.
        $self->{wrong}->(1, "build $self->{build}: $over lines are missing, $self->{left_out} were left out")
            if $over > $self->{left_out} || $over < $self->{left_out} - 8;
    }
    if ($self->{said} && $record->{state} ne 'lost') {
        my $got = join ' ', map { $_ - 1 } @{ $self->{next} };
        $self->{wrong}->(1, "build $self->{build}: lines $got, printed @{$self->{said}}") if $got ne "@{$self->{said}}";
    }
    my $sha = $self->{sha}->clone->hexdigest;
    for ([lines => $self->{lines}], [bytes => $self->{bytes}], [sha256 => $sha]) {
        my ($what, $is) = @$_;
        $self->{wrong}->(1, "build $self->{build}: $what is $is, the record says " . ($record->{$what} // 'nothing'))
            if ($record->{$what} // '') ne $is;
    }
    return 1;
}

1;
