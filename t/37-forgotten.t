# 37-forgotten.t - who comes back after more builds than the server keeps rows
# for is told by a gap, never left to believe that it has everything (promise 1);
# an old build is still there by its log
use strict;
use warnings;
use JSON::PP ();
use Test::More;
use BuildLog::Test;

# More than the rows of bl_table.h that ended builds keep (BL_TABLE_RECENT), and
# those that wait meanwhile (BuildLogMaxQueue).
my $builds = 128 + 64 + 20;
my $json   = JSON::PP->new->utf8;

my $first  = start_build(project('hello'));
wait_for_state($first, 'succeeded');
my ($place) = grep { defined } map { $_->{id} }
    open_stream("/api/log/push?build=$first")->rest(10);
ok $place, 'the first build has a place';

my $last;
for (2 .. $builds) {
    # One at a time of a project: the queue fills, and empties.
    wait_until { ($last = (post_build(project('hello')))[1]{build}{id}) } 20, "build $_ is accepted";
}
wait_for_state($last, 'succeeded', 30);

my $stream = open_stream('/api/log/push?format=json', headers => { 'Last-Event-ID' => $place });
my ($gap, %lines);
while (my $event = $stream->event(20)) {
    my $data = $json->decode($event->{data} // '{}');
    if (($event->{event} // '') eq 'gap') {
        is_deeply [sort keys %lines], [], 'the gap is said before any line';
        $gap = $data;
    }
    $lines{ $data->{build} }++ if !exists $event->{event} && exists $event->{data};
    last if ($lines{$last} // 0) == 4;
}
$stream->close;
is $gap->{after}, $place, 'the gap begins behind the place';
cmp_ok $gap->{from}, '>', $place, '... and ends where lines go on';
is_deeply [grep { $lines{$_} != 4 } keys %lines], [], 'what is kept is whole: four lines a build';
cmp_ok scalar(keys %lines), '>=', 100, scalar(keys %lines) . ' builds are kept';

is scalar(open_stream("/api/log/push?build=$first")->lines(10)), 4, 'the first build is still there, by its log';
is request('GET', "/api/project/builds/$first")->{json}{state}, 'succeeded', '... and its record';

done_testing;
