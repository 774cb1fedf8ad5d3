# 46-maxlog.t - a log that grows beyond BuildLogMaxLog loses its middle, and
# nobody is deceived about it
#
# Promises: 1 (each line exactly once, in order, or the stream says gap), 3 (a
# viewer never delays another or the build), 4 (memory, and here the disk, does
# not grow with the length of a log), 5 (what the final record says can be
# checked), 6 (a killed runner: lost, said so).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use Digest::SHA qw(sha256_hex);
use IO::Select;
use JSON::PP ();
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $limit = 256 * 1024;
my $total = mpm() eq 'event' ? 20_000_000 : 6_000_000;
# Printed at once, and then viewers are waited for: less than what a log keeps
# of the latest output, whatever it is cut into.
my $lot = 40_000;
# What a log may take on the disk beside its limit: a step (1/16), what one
# read became, blocks that are half full.
my $slack = $limit / 16 + 160 * 1024;

our $s = BuildLog::Server->start(<<"END");
BuildLogMaxBuilds 4
<Directory "@{[ top() ]}/t/projects/puppet-maxlog*">
    BuildLogMaxLog 256K
</Directory>
<Directory "@{[ top() ]}/t/projects/puppet-maxlog-steps">
    BuildLogStep one "seq 1 20000"
    BuildLogStep two "seq 1 20000"
    BuildLogStep play "exec perl ../puppet/play.pl"
</Directory>
<Directory "@{[ top() ]}/t/projects/puppet-maxlog-large">
    BuildLogMaxLog 16M
</Directory>
END

# ---- a viewer that keeps what it saw, in short -----------------------------------

# seen: ['F', from, to, id of from, id of to], ['gap', after, from, place],
# ['text', text, id], ['end', record]; wrong: what may not be.
sub viewer
{
    my ($path, %opt) = @_;
    my $stream = $s->open_stream($path, %opt);
    $stream->status == 200 or die "$path: status $stream->{status}\n";
    my $v = { stream => $stream, socket => $stream->socket, buffer => \$stream->{buffer}, at => 0,
              seen => [], wrong => [], build => $opt{build} };
    $v->{socket}->blocking(0);
    return $v;
}

sub wrong { my ($v, $what) = @_; push @{ $v->{wrong} }, $what if @{ $v->{wrong} } < 5; return }

sub place
{
    my ($v, $id) = @_;
    wrong($v, "id $id after $v->{at}") if $id <= $v->{at};
    return $v->{at} = $id;
}

sub take
{
    my ($v) = @_;
    my $b = $v->{buffer};
    my $seen = $v->{seen};
    while (1) {
        while ($$b =~ /\Gid: (\d+)\ndata: \[[^\]\n]*\] F (\d+) x{40}\n\n/gc) {
            my ($id, $n) = ($1, $2);
            place($v, $id);
            my $last = @$seen ? $seen->[-1] : ['none'];
            if ($last->[0] eq 'F' && $n == $last->[2] + 1) { @$last[2, 4] = ($n, $id) }
            else { push @$seen, ['F', $n, $n, $id, $id] }
        }
        last unless $$b =~ /\G((?:[a-z]+: [^\n]*\n)+)\n/gc;
        my %f = map { /^([a-z]+): (.*)$/ } split /\n/, $1;
        my $name = $f{event} // (exists $f{data} ? 'line' : 'retry');
        place($v, $f{id}) if exists $f{id} && $name ne 'ping';
        if ($name eq 'gap') {
            my $gap = $json->decode($f{data});
            push @$seen, ['gap', $gap->{after}, $gap->{from}, $v->{at}];
        }
        elsif ($name eq 'line') {
            (my $text = $f{data}) =~ s/^\[[^\]]*\] //;
            push @$seen, ['text', $text, $f{id}] if $text !~ /^(?:mark \d+|begin|\$ .*)$/;
            $v->{mark} = $1 if $text =~ /^mark (\d+)$/;
            wrong($v, "torn: $text") if $text =~ /x{10}|2026|stdout/ && $text !~ /^\$/;
        }
        elsif ($name eq 'end') { push @$seen, ['end', $v->{end} = $json->decode($f{data})] }
        elsif ($name eq 'build') {
            my $build = $json->decode($f{data});
            $v->{final} = $build if $build->{state} !~ /queued|running/;
        }
        elsif ($name !~ /^(?:ping|retry)$/) { wrong($v, "event $name") }
    }
    substr $$b, 0, pos($$b) // 0, '';
    return;
}

# Read from these until each is where $done wants it, or its stream has ended.
sub read_until
{
    my ($done, @v) = @_;
    my $deadline = time + 300;
    my $select = IO::Select->new(map { $_->{socket} } @v);
    my %of = map { fileno($_->{socket}) => $_ } @v;
    take($_) for @v;
    while (my @left = grep { !$_->{eof} && !$done->($_) } @v) {
        time < $deadline or die "not in time: @{[ map { $_->{mark} // 'no mark' } @left ]}\n";
        for my $socket ($select->can_read(1)) {
            my $v = $of{ fileno $socket };
            my $n = sysread $socket, ${ $v->{buffer} }, 1 << 18, length ${ $v->{buffer} };
            next if !defined $n && $!{EAGAIN};
            take($v) if $n;
            next if $n;
            $v->{eof} = 1;
            $select->remove($socket);
        }
    }
    return;
}

sub close_viewers { $_->{stream}->close for @_; return }

# What it saw without ids: "F 1-500, gap, F 900-1000, Build finished, end".
sub brief
{
    my ($v) = @_;
    return join ', ', map { $_->[0] eq 'F' ? "F $_->[1]-$_->[2]" : $_->[0] eq 'text' ? $_->[1] : $_->[0] } @{ $v->{seen} };
}

sub ranges { my ($v) = @_; return grep { $_->[0] eq 'F' } @{ $v->{seen} } }
sub gaps   { my ($v) = @_; return grep { $_->[0] eq 'gap' } @{ $v->{seen} } }

# Gaps say between what they are.
sub gaps_are_right
{
    my ($v, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @seen = @{ $v->{seen} };
    my @bad;
    for my $i (grep { $seen[$_][0] eq 'gap' } 0 .. $#seen) {
        push @bad, "after $seen[$i][1], but it had $seen[$i][3]" if $seen[$i][3] && $seen[$i][1] != $seen[$i][3];
        push @bad, "from $seen[$i][2], but $seen[$i + 1][3] came"
            if $i < $#seen && $seen[$i + 1][0] eq 'F' && $seen[$i][2] != $seen[$i + 1][3];
    }
    is_deeply \@bad, [], "$name: a gap names what is before and behind it";
    return;
}

# ---- a log ---------------------------------------------------------------------

sub log_path { return $s->state . "/logs/$_[0].log" }
sub room     { return (stat log_path($_[0]))[12] * 512 }

# A build that prints in lots; the next one is printed when those who watch
# have seen the one before. *most: the most room that its log took.
sub print_lots
{
    my ($p, $bytes, $most, @v) = @_;
    my $mark = $p->{mark} // 0;
    while ($bytes > 0) {
        $mark++;
        $p->cue("flood $lot", "out mark $mark");
        read_until(sub { ($_[0]{mark} // 0) == $mark }, @v);
        my $room = room($p->build);
        $$most = $room if $room > $$most;
        $bytes -= $lot;
    }
    $p->{mark} = $mark;
    return;
}

sub text_of
{
    my ($id, %opt) = @_;
    my $r = $s->request('GET', "/api/project/builds/$id/log", timeout => 20, %opt);
    is $r->{status}, 200, 'the log is sent';
    return $r->{body};
}

sub sums_are_right
{
    my ($id, $end, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $text = text_of($id);
    is $end->{sha256}, sha256_hex($text), "$name: sha256 is that of the download";
    is $end->{bytes}, length $text, "$name: and so are bytes";
    is $end->{lines}, ($text =~ tr/\n//), "$name: and lines";
    return $text;
}

# The file: records, and NULs between two of them.
sub file_is_right
{
    my ($id, $name, %want) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    open my $in, '<:raw', log_path($id) or die "log of $id: $!\n";
    my ($last, $holes, @wrong, @notes) = ('', 0);
    while (my $line = <$in>) {
        $holes++ if $line =~ s/^\0+//;
        my ($time, $tags, $text) = $line =~ /^(\S+Z) std(?:out|err) ([FP](?::[a-z0-9]+)*) ([^\0\n]*)\n\z/
            or push(@wrong, 'no record: ' . substr $line, 0, 80), next;
        push @wrong, "$time after $last" if $time le $last;
        $last = $time;
        push @notes, $text if $tags =~ /:gap\b/;
    }
    is_deeply \@wrong, [], "$name: the file is records, with stamps that grow";
    is $holes, $want{holes}, "$name: and $want{holes} holes";
    is scalar @notes, $want{notes}, "$name: and $want{notes} notes of one";
    return $notes[0];
}

sub memory
{
    open my $in, '<', '/proc/' . $s->pids->{runner} . '/status' or die "runner: $!\n";
    my ($kb) = map { /^RssAnon:\s*(\d+)/ ? $1 : () } <$in>;
    return $kb;
}

my $p = BuildLog::Puppet->new('maxlog', server => $s);
my $q = BuildLog::Puppet->new('maxlog-other', server => $s);

# ---- much more than the limit ----------------------------------------------------

{
    my $id   = $p->start('out begin');
    my $path = "/api/log/push?build=$id";
    my $room = 0;
    my $live = viewer($path);
    my $all  = viewer('/api/log/push');
    my @slow = map { viewer($_, rcvbuf => 4096) } $path, '/api/log/push';
    print_lots($p, $total / 4, \$room, $live, $all);
    my $memory = memory();

    # In the middle of it.
    my $late = viewer($path);
    my $text = text_of($id);
    is scalar(() = $text =~ /^Lines were left out here: see BuildLogMaxLog$/mg), 1,
        'a download of what runs says where lines are left out';
    my $inside = (ranges($live))[-1][4];    # the latest now, left out soon
    print_lots($p, $total * 3 / 4, \$room, $live, $all, $late);

    my $last = (ranges($live))[-1][2];
    cmp_ok $last * 47, '>=', $total, 'it has printed enough';
    note sprintf '%d kB of log, at most %d kB on the disk', (-s log_path($id)) / 1024, $room / 1024;
    cmp_ok $room, '<=', $limit + $slack, sprintf 'its log never took more than %d kB of the disk', $room / 1024;
    cmp_ok -s log_path($id), '>', $total, 'though no offset in it has changed';
    cmp_ok memory() - $memory, '<', 1024, 'and the runner needed no more memory for it';

    my $again = viewer($path, headers => { 'Last-Event-ID' => $inside });
    my @tails = map { viewer("$path&tail=$_") } 10, 100000;
    my $mark  = $p->{mark};
    read_until(sub { ($_[0]{mark} // 0) == $mark }, $again, @tails);
    like brief($again), qr/^gap, F \d+-$last$/, 'who comes back with an id of what is left out is told so first';
    gaps_are_right($again, 'coming back');
    is +(gaps($again))[0][1], $inside, '... with its id';
    is brief($tails[0]), "F @{[ $last - 8 ]}-$last", 'tail=10 has nothing to do with it';
    like brief($tails[1]), qr/^F 1-\d+, gap, F \d+-$last$/, 'tail=100000 has all that is there';
    close_viewers($again, @tails);

    # Both slow ones have something in their sockets, and stand far back.
    read_until(sub { ($_[0]{mark} // 0) == $mark }, @slow);
    for (0, 1) {
        my $name = ('of the build', 'of all builds')[$_];
        like brief($slow[$_]), qr/^F 1-\d+, gap, F \d+-$last$/, "a slow viewer $name: a part, a gap, the rest";
        is_deeply $slow[$_]{wrong}, [], '... each line once, in order';
        gaps_are_right($slow[$_], '... and');
    }

    # In each child one who stands still, so that its feed of this build lives
    # on, and one who gets a gap just before there is a note.
    my @stay   = map { viewer($path, rcvbuf => 4096) } 1 .. 8;
    my @before = map { viewer($path) } 1 .. 8;
    read_until(sub { ($_[0]{mark} // 0) == $mark }, @before);
    is scalar(grep { gaps($_) != 1 } @before), 0, 'from the start, at the last moment: a gap';
    close_viewers(@before);

    $p->cue('exit 0');
    read_until(sub { 0 }, $live, $late, $slow[0]);
    my @after = map { viewer($path) } 1 .. 8;
    read_until(sub { 0 }, @after);
    is scalar(map { gaps($_) } @after), 0, 'and a moment later: none'
        or diag map { brief($_) . "\n" } @after;
    close_viewers(@stay, @after);
    read_until(sub { $_[0]{final} }, $all, $slow[1]);
    my $end = $live->{end};
    is $end->{state}, 'succeeded', 'the build was not disturbed';
    is brief($live), "F 1-$last, Build finished, end", 'a live viewer saw every line, and no gap';
    is brief($all), "F 1-$last, Build finished", 'and one of all builds';
    like brief($late), qr/^F 1-\d+, gap, F \d+-$last, Build finished, end$/, 'one that came late: head, one gap, the rest';
    gaps_are_right($late, '... and');
    is_deeply $_->{wrong}, [], '... each once, in order' for $live, $all, $late;
    is_deeply $late->{end}, $end, '... the same end';
    close_viewers($live, $late, $all, @slow);

    # Now there is a note.
    $text = sums_are_right($id, $end, 'the end');
    my $note = file_is_right($id, 'the end', holes => 1, notes => 1);
    my ($gone, $much) = $note =~ /^(\d+) lines \((\d+\.\d MB)\) were left out here: BuildLogMaxLog is 256K$/;
    ok $gone, "its note: $note";
    my $kept = () = $text =~ /^F \d+ x{40}$/mg;
    # Marks were left out, too.
    my $marks = $p->{mark} - (() = $text =~ /^mark \d+$/mg);
    is $gone, $last - $kept + $marks, 'which tells how many lines';
    is scalar(() = $text =~ /^\Q$note\E$/mg), 1, 'and stands in the text';
    cmp_ok room($id), '<=', $limit + $slack, 'the log is short still';
    cmp_ok length($text), '>', $limit / 4, 'but not too short';

    my $whole = viewer($path);
    read_until(sub { 0 }, $whole);
    my ($head, $rest) = ranges($whole);
    is brief($whole), "F 1-$head->[2], $note, F $rest->[1]-$last, Build finished, end", 'a viewer from the start sees it, and no gap';
    is_deeply $whole->{wrong}, [], '... in order';
    is_deeply $whole->{end}, $end, '... the end';
    my ($at) = map { $_->[2] } grep { $_->[0] eq 'text' } @{ $whole->{seen} };

    my %behind = (
        'the last line of the head' => [$head->[4], qr/^\Q$note\E, F $rest->[1]-$last, Build finished, end$/],
        'the note'                  => [$at, qr/^F $rest->[1]-$last, Build finished, end$/],
        'a line that is left out'   => [$inside, qr/^gap, F $rest->[1]-$last, Build finished, end$/],
        'the first line behind it'  => [$rest->[3], qr/^F @{[ $rest->[1] + 1 ]}-$last, Build finished, end$/],
    );
    for (sort keys %behind) {
        my $v = viewer($path, headers => { 'Last-Event-ID' => $behind{$_}[0] });
        read_until(sub { 0 }, $v);
        like brief($v), $behind{$_}[1], "resumed behind $_";
        gaps_are_right($v, '... and');
        close_viewers($v);
    }
    # The lines behind the note, marks and the last one included; the note; two
    # more.
    my ($tail) = $text =~ /^\Q$note\E\n(.*)\z/ms;
    my $count = ($tail =~ tr/\n//) + 3;
    my $v = viewer("$path&tail=$count");
    read_until(sub { 0 }, $v);
    is brief($v), "F @{[ $head->[2] - 1 ]}-$head->[2], $note, F $rest->[1]-$last, Build finished, end", "tail=$count across the hole";
    close_viewers($v, $whole);

    # All builds, from the start.
    $v = viewer('/api/log/push?from=start');
    read_until(sub { $_[0]{final} }, $v);
    is brief($v), "F 1-$head->[2], $note, F $rest->[1]-$last, Build finished", 'all builds, from the start: the note, no gap';
    close_viewers($v);
}

# ---- below the limit -----------------------------------------------------------------

{
    # 2600 lines of 88 bytes are 229 kB of log.
    my $id = $q->start('flood 120000', 'exit 0');
    my $end = $s->wait_for_state($id, 'succeeded', 20);
    cmp_ok -s log_path($id), '>', $limit * 3 / 4, 'a log of three quarters of the limit';
    cmp_ok -s log_path($id), '<', $limit, '... or more';
    file_is_right($id, 'below the limit', holes => 0, notes => 0);
    my $text = sums_are_right($id, $end, 'below the limit');
    my @n = $text =~ /^F (\d+) x/mg;
    is_deeply \@n, [1 .. @n], 'below the limit: all lines are there';
}

# ---- a little more than the limit ------------------------------------------------------

{
    # What was read last goes beyond it, and nothing is printed behind that.
    my $id = $q->start('flood 150000', 'exit 0');
    my $end = $s->wait_for_state($id, 'succeeded', 20);
    cmp_ok -s log_path($id), '>', $limit, 'a log a little longer than the limit';
    sums_are_right($id, $end, 'a little more');
}

# ---- what a child has kept ---------------------------------------------------------------

# All viewers are in one child. Of what it made for the first one, who stands
# still, a part is left out when the next ones come.
{
    local $s = BuildLog::Server->start(<<"END");
<Directory "@{[ top() ]}/t/projects/puppet-maxlog-kept">
    BuildLogMaxLog 256K
</Directory>
StartServers 1
ServerLimit 1
MaxRequestWorkers @{[ mpm() eq 'prefork' ? 1 : 10 ]}
END
    my $r     = BuildLog::Puppet->new('maxlog-kept', server => $s);
    my $id    = $r->start('out begin');
    my $path  = "/api/log/push?build=$id";
    my $first = viewer($path, rcvbuf => 4096);
    # Less than its sockets hold, more than a log's head.
    $r->cue('flood 150000', 'out mark 1');
    read_until(sub { ($_[0]{mark} // 0) == 1 }, $first);
    $r->cue('flood 2000000', 'exit 0');
    $s->wait_for_state($id, 'succeeded', 20);
    my @v = map { viewer($path) } 1 .. 2;
    read_until(sub { 0 }, @v);
    is scalar(map { gaps($_) } @v), 0, 'after the end: no gap' or diag map { brief($_) . "\n" } @v;
    my $note = file_is_right($id, 'what a child has kept', holes => 1, notes => 1);
    my ($head, $rest) = ranges($v[0]);
    is brief($_), "F 1-$head->[2], $note, F $rest->[1]-$rest->[2], Build finished, end", '... but what the log says' for @v;
    close_viewers($first, @v);
}

# ---- a larger one --------------------------------------------------------------------------

# What is left is read again piece by piece, and all of them without a pause.
{
    my $r   = BuildLog::Puppet->new('maxlog-large', server => $s);
    my $id  = $r->start('flood 14000000', 'exit 0');
    my $end = $s->wait_for_state($id, 'succeeded', 40);
    my $v   = viewer("/api/log/push?build=$id");
    read_until(sub { 0 }, $v);
    my ($said) = map { $_->[2] } grep { $_->[1] eq 'Build finished' } @{ $v->{seen} };
    # A pause for each piece would be many times that, on any machine.
    cmp_ok $v->{at} - $said, '<', 15e6, sprintf 'its sums took %.2f s', ($v->{at} - $said) / 1e6;
    sums_are_right($id, $end, 'a larger one');
    cmp_ok room($id), '<=', 17 * 1024 * 1024 + 160 * 1024, 'and it is short';
    close_viewers($v);
}

# ---- the runner is killed ----------------------------------------------------------------

{
    my $id   = $q->start('out begin');
    my $room = 0;
    my $live = viewer("/api/log/push?build=$id");
    my $late = viewer("/api/log/push?build=$id", rcvbuf => 4096);
    print_lots($q, 3_000_000, \$room, $live);
    kill 'KILL', $s->pids->{runner};
    my $end = $s->wait_for_state($id, 'lost', 30);
    read_until(sub { 0 }, $live, $late);
    my $last = (ranges($live))[-1][2];
    is brief($live), "F 1-$last, Build lost: the runner ended while it was running, end", 'the runner is killed: a live viewer sees no gap';
    like brief($late), qr/^F 1-\d+, gap, F \d+-$last, Build lost: .*, end$/, 'a slow one is told of it';
    close_viewers($live, $late);
    my $note = file_is_right($id, 'the runner is killed', holes => 1, notes => 1);
    like $note, qr/^\d+\.\d MB of the log were left out here: see BuildLogMaxLog$/, 'its log says what is missing';
    my $text = sums_are_right($id, $live->{end}, 'the runner is killed');
    my $v = viewer("/api/log/push?build=$id");
    read_until(sub { 0 }, $v);
    my ($head, $rest) = ranges($v);
    is brief($v), "F 1-$head->[2], $note, F $rest->[1]-$last, Build lost: the runner ended while it was running, end",
        'and so does the stream';
    is_deeply $v->{wrong}, [], 'in order';
    close_viewers($v);
}

# What is left out may be the record of the build: then it comes once more, for
# the viewers and for the next runner.
{
    my $r  = BuildLog::Puppet->new('maxlog-steps', server => $s);
    my $id = $r->start('flood 400000', 'out done');
    my $v  = viewer("/api/log/push?build=$id");
    read_until(sub { grep { $_->[1] eq 'done' } @{ $_[0]{seen} } }, $v);
    close_viewers($v);
    kill 'KILL', $s->pids->{runner};
    my $end = $s->wait_for_state($id, 'lost', 30);
    is_deeply [map { $_->{state} } @{ $end->{steps} }], [qw(succeeded succeeded running)],
        'a lost build: its steps are known, though the log has nothing of the second one';
    my $text = sums_are_right($id, $end, 'steps');
    unlike $text, qr/^\$ seq.*^\$ seq/ms, '... not even its beginning';
}

done_testing;
