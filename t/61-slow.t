# 61-slow.t - a viewer that reads slowly gets the last line too, and not only
# when the next one or a ping comes
#
# Promises: 1 (each line reaches each viewer), 3 (no viewer delays another).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

# No ping pushes anything along while the test lasts.
my $s = BuildLog::Server->start(<<'END', tls => 1);
BuildLogPing 1h
BuildLogMaxClients 20
END
my $lines = 5000;

for my $kind (['plain', 0], ['TLS', 1]) {
    my ($name, $tls) = @$kind;
    my $p  = BuildLog::Puppet->new("slow-$name", server => $s);
    my $id = $p->start("count $lines");
    $p->wait_for(qr/^[OE] \d+ x+$/, $lines);
    $p->cue('out the last one');
    $p->wait_until_told('the last one');
    # Windows are full long before the end; then they are read, little by
    # little. What is left over in the last write depends on how much there is.
    my (@late, @short);
    for my $tail (map { $_ * 250 } 8 .. 20) {
        my $v = $s->open_stream("/api/log/push?build=$id&tail=$tail",
            tls => $tls, rcvbuf => 4096);
        my $seen = 0;
        my @e = eval {
            $v->until(sub {
                select undef, undef, undef, 0.001 if ++$seen % 15 == 0;
                ($_->{data} // '') =~ /the last one$/;
            }, 30);
        };
        push @late, "tail=$tail: $@" if $@;
        my @got = grep { !exists $_->{event} && exists $_->{data} } @e;
        push @short, "tail=$tail: " . @got if @got != $tail;
        $v->close;
    }
    is_deeply \@late, [], "$name: the last line came";
    is_deeply \@short, [], "$name: and all before it";
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 20);
}

$s->stop;
done_testing;
