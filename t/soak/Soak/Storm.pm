package Soak::Storm;

# What befalls the server of the soak, and when.
#
#   my $storm = Soak::Storm->new(server => $s, disk => $disk or undef, told => sub { line for the board });
#   $storm->turn            whatever is due; steady => 1: nothing that ends a process
#   $storm->calm            the sky is clear: there is room on the disk
#   $storm->counts          { graceful => n, ... }
#   $storm->killed          pids of children that it killed
#
# To the board it adds "runner FROM TO" (no runner, in seconds since the epoch),
# "keeper AT".

use strict;
use warnings;
use BuildLog::Faults;
use BuildLog::Server;
use BuildLog::Test;
use List::Util qw(min);
use Time::HiRes qw(time);

# Every so many seconds, give or take a half.
my %every = (graceful => 12, restart => 50, child => 10, runner => 28, keeper => 20, historian => 30, disk => 25);

sub new
{
    my ($class, %opt) = @_;
    my $self = bless { %opt, counts => {}, killed => [], next => {} }, $class;
    delete local $every{disk} if !$opt{disk};
    $self->{every} = { %every };
    $self->_plan($_, 0.3) for sort keys %{ $self->{every} };
    return $self;
}

sub counts { return $_[0]{counts} }
sub killed { return @{ $_[0]{killed} } }

sub _plan
{
    my ($self, $what, $share) = @_;
    $self->{next}{$what} = time + $self->{every}{$what} * (0.5 + rand) * ($share // 1);
    return;
}

sub turn
{
    my ($self, %opt) = @_;
    $self->_room if $self->{full_until} && time > $self->{full_until};
    for my $what (sort keys %{ $self->{every} }) {
        next if time < $self->{next}{$what};
        $self->_plan($what);
        next if $opt{steady} && $what ne 'disk';
        my $do = "_$what";
        next if !eval { $self->$do };
        $self->{counts}{$what}++;
    }
    die $@ if $@ && $@ =~ /not in time/;
    return;
}

sub calm { my ($self) = @_; $self->_room if $self->{full_until}; return }

sub _room { my ($self) = @_; make_room($self->{disk}); $self->{full_until} = 0; return }

sub _disk
{
    my ($self) = @_;
    return 0 if $self->{full_until};
    fill($self->{disk}, int rand 40);
    $self->{full_until} = time + 1 + rand 4;
    return 1;
}

sub _graceful { my ($self) = @_; $self->{server}->graceful; return 1 }
sub _restart  { my ($self) = @_; $self->{server}->restart; return 1 }

sub _child
{
    my ($self) = @_;
    my @children = @{ $self->{server}->pids->{children} } or return 0;
    my $pid = $children[ rand @children ];
    push @{ $self->{killed} }, $pid;
    return kill 'KILL', $pid;
}

sub _keeper
{
    my ($self) = @_;
    my @keepers = @{ $self->{server}->pids->{keepers} } or return 0;
    $self->{told}->('keeper ' . time);
    return kill 'KILL', $keepers[ rand @keepers ];
}

sub _historian
{
    my ($self) = @_;
    my $runner = $self->{server}->pids->{runner} // return 0;
    return kill 'KILL', grep { (process_name($_) // '') eq 'buildlog-histor' } processes_below($runner);
}

sub _runner
{
    my ($self) = @_;
    my $p = $self->{server}->pids;
    return 0 if !$p->{runner};
    my $from = time;
    # Now and then with keepers: nobody is left who ends what they kept.
    my @more = rand() < 0.3 ? @{ $p->{keepers} } : ();
    $self->{server}->kill_runner(@more);
    $self->{told}->("runner $from " . time);
    return 1;
}

1;
