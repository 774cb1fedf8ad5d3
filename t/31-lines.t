# 31-lines.t - lines of a log by their numbers: every window shows the lines
# that the download has there, and a stream goes on exactly behind it
#
# Promises: 1 (each line exactly once, in order, or it says gap), 4 (memory
# does not grow with a log), 7 (a log that is gone or damaged is said), 8
# (nobody sees what httpd's configuration does not let them); section 5 of the
# contract: .../builds/42/lines.
use strict;
use warnings;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use BuildLog::Test;
use BuildLog::Faults qw(cpu_seconds);
use BuildLog::Puppet;
use BuildLog::Server;

my $json = JSON::PP->new->utf8;
srand 31;

sub lines_path { my ($id, $query) = @_; return "/api/project/builds/$id/lines" . ($query // '') }

sub get
{
    my ($path, %headers) = @_;
    return request('GET', $path, headers => \%headers, timeout => 30);
}

# The window, decoded.
sub window
{
    my ($id, $query) = @_;
    my $r = get(lines_path($id, "?$query"));
    $r->{status} == 200 or die "$query: $r->{status} $r->{body}\n";
    return $r->{json};
}

# What all windows of a log are made from: the objects of the download, with
# the numbers that they have as lines of the text.
sub numbered
{
    my ($id) = @_;
    my $number = 1;
    my @objects = map { $json->decode($_) } split /\n/, get("/api/project/builds/$id/log?format=json")->{body};
    for my $o (@objects) {
        delete $o->{build};
        $o->{line} = $number;
        $number++ if !$o->{partial};
    }
    return ($number, @objects);
}

# Are these the objects that should be there? (is_deeply takes a minute.)
sub same_lines
{
    my ($got, @want) = @_;
    return 0 if @$got != @want;
    for my $i (0 .. $#want) {
        my ($g, $w) = ($got->[$i], $want[$i]);
        delete local $g->{gap};
        return 0 if join('|', map { "$_=$g->{$_}" } sort keys %$g) ne join '|', map { "$_=$w->{$_}" } sort keys %$w;
    }
    return 1;
}

# ---- a log of everything that it may hold --------------------------------------

my $p  = BuildLog::Puppet->new('lines');
my $id = $p->start('out first', 'raw a piece');
$p->wait_for('a piece');
$p->cue('err between', 'out and its rest', 'out', "raw 10%\r", 'out done', 'raw ' . 'long ' x 12_000, 'out end',
    "err caf\xc3\xa9 \"quoted\" \\", 'count 6000', 'raw no line end', 'exit 0');
my $record = wait_for_state($id, 'succeeded', 30);
my ($next, @all) = numbered($id);
my $total = $next - 1;
is $total, $record->{lines}, 'the lines of the record are as many as the text has';

{
    my @text = split /\n/, get("/api/project/builds/$id/log")->{body}, -1;
    my ($wrong, %line) = (0);
    $line{ $_->{line} } .= $_->{text} for @all;
    for my $n (1 .. $total) {
        my $text = $line{$n};
        utf8::encode($text);
        $wrong++ if $text ne $text[ $n - 1 ];
    }
    is $wrong, 0, 'a number is that of the line in the text: sed -n Np';
}

{
    my $w = window($id, 'first=1');
    is_deeply [sort keys %$w], [qw(after build ended first lines next)], 'what a window says';
    is $w->{build}, $id, 'build';
    is $w->{first}, 1, 'first';
    is $w->{next}, 1001, 'next: a thousand lines, when nobody says how many';
    ok $w->{ended}, 'ended';
    is ref \$w->{first}, 'SCALAR', 'numbers';
    like get(lines_path($id))->{body}, qr/^\{"build":$id,"first":1,"lines":\[\{"line":1,"id":"\d+","time":"/,
        'without a query: from the first line on';
    my @want = grep { $_->{line} <= 1000 } @all;
    ok same_lines($w->{lines}, @want), 'its lines';
    is $w->{after}, $want[-1]{id}, 'after: the id of the last one';
    ok !(grep { exists $_->{build} } @{ $w->{lines} }), 'a line does not say of which build';
    is $w->{lines}[0]{step}, 1, 'the note that begins a step says so';
    ok $w->{lines}[0]{note}, '... and that it is one';
    ok +(grep { $_->{partial} } @all), 'pieces are in this log';
    ok +(grep { $_->{cr} } @all), 'and a frame';
}

sub window_is
{
    my ($query, $first, $end) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $w = window($id, $query);
    my @want = grep { $_->{line} >= $first && $_->{line} < $end } @all;
    my $good = $w->{first} == $first && $w->{next} == ($end > $next ? $next : $end)
        && same_lines($w->{lines}, @want) && (!@want || $w->{after} >= $want[-1]{id});
    diag "$query: first $w->{first}, next $w->{next}, ", scalar @{ $w->{lines} }, ' objects' if !$good;
    return $good;
}

{
    my $wrong = 0;
    for (1 .. 80) {
        my ($first, $count) = (1 + int rand $total, 1 + int rand($_ % 4 ? 60 : 2000));
        $wrong += !window_is("first=$first&count=$count", $first, $first + $count);
    }
    is $wrong, 0, '80 windows at random';
    for (1 .. 30) {
        my $last = 1 + int rand($_ % 3 ? 60 : 5000);
        $wrong += !window_is("last=$last", $total - $last + 1, $next);
    }
    is $wrong, 0, '30 times the last lines';
    ok window_is("first=$_&count=1", $_, $_ + 1), "line $_ alone" for 1 .. 12, $total - 1, $total;
    ok window_is('first=2&count=1', 2, 3) && @{ window($id, 'first=2&count=1')->{lines} } >= 1,
        'a line that came in pieces is not cut';
    ok window_is('last=1', $total, $next), 'the last line alone';
    ok window_is('first=3&count=5000', 3, 5003), 'the most that may be asked for';

    # From window to window: everything, and nothing twice.
    my ($at, @seen) = (1);
    while ($at < $next) {
        my $w = window($id, "first=$at&count=777");
        push @seen, @{ $w->{lines} };
        last if $w->{next} <= $at;
        $at = $w->{next};
    }
    ok same_lines(\@seen, @all), 'window after window: all of it, once';
}

for my $first ($next, $next + 1, 99_999_999_999) {
    my $w = window($id, "first=$first");
    is_deeply $w->{lines}, [], "first=$first, behind the end: no lines";
    is $w->{first}, $first, '... first is what was asked for';
    is $w->{next}, $next, '... next is the one to come';
    is open_stream("/api/log/push?build=$id&format=json&from=$w->{after}")->status, 204,
        '... and behind it there is nothing to be had';
}

{
    my $small = $p->start('out only', 'exit 0');
    wait_for_state($small, 'succeeded');
    my ($n, @o) = numbered($small);
    my $w = window($small, 'last=5000');
    is $w->{first}, 1, 'more than there are: from the first on';
    ok same_lines($w->{lines}, @o), '... all of them';
}

# ---- its head --------------------------------------------------------------------

{
    my $path = lines_path($id, '?first=10&count=2');
    my $r    = get($path);
    my $head = $r->{headers};
    is $head->{'content-type'}, 'application/json', 'Content-Type';
    is $head->{'x-content-type-options'}, 'nosniff', 'nosniff';
    is $head->{'cache-control'}, 'private, no-cache', 'ended: it may be kept, and has to be asked for again';
    like $head->{etag}, qr/^"$record->{sha256}-\d+-lines"$/, 'ETag';
    my $again = get($path, 'If-None-Match' => $head->{etag});
    is $again->{status}, 304, 'If-None-Match: 304';
    is $again->{body}, '', '... without a body';
    is get($path, 'If-None-Match' => qq("$record->{sha256}"))->{status}, 200, 'the ETag of the text is another';
    is get($path, Range => 'bytes=0-9')->{status}, 200, 'no parts of it';
    my $h = request('HEAD', $path);
    is $h->{status}, 200, 'HEAD';
    is $h->{headers}{$_}, $head->{$_}, "HEAD: $_" for qw(content-type etag last-modified cache-control);
}

# ---- what is refused ---------------------------------------------------------------

for my $none (lines_path(99999999), lines_path('x'), lines_path(0), lines_path($id) . '/x',
    lines_path(99999999, '?first=0')) {
    my $r = get($none);
    is $r->{status}, 404, "$none: 404";
    is $r->{headers}{'content-type'}, 'application/problem+json', '... as a problem';
}
{
    my %bad = (
        'first=0' => qr/^first .*from 1/, 'first=' => qr/^first /, 'first=-1' => qr/^first /,
        'first=1x' => qr/^first /, 'first=01' => qr/^first /, 'first=9999999999999999999' => qr/^first /,
        'count=0' => qr/^count .*1 to 5000/, 'count=5001' => qr/^count /, 'first=3&count=' => qr/^count /,
        'count=1e3' => qr/^count /, 'last=0' => qr/^last .*1 to 5000/, 'last=5001' => qr/^last /,
        'last=' => qr/^last /, 'last' => qr/^last /, 'first=1&last=1' => qr/^last stands alone/,
        'count=1&last=1' => qr/^last stands alone/, 'first=%zz' => qr/encoded/,
        'after=17&last=1' => qr/^last stands alone/, 'after=17' => qr/^after stands with first/,
        'first=1&after=0' => qr/^after must be the id/, 'first=1&after=x' => qr/^after must/, 'first=1&after=' => qr/^after must/,
    );
    for my $query (sort keys %bad) {
        my $r = get(lines_path($id, "?$query"));
        is $r->{status}, 400, "$query: 400";
        like $r->{json}{detail}, $bad{$query}, '... which says what is allowed';
        is $r->{headers}{etag}, undef, '... without an ETag';
    }
    my $r = request('POST', lines_path($id), body => '');
    is $r->{status}, 405, 'POST: 405';
    is $r->{headers}{allow}, 'GET, HEAD, OPTIONS', '... with Allow';
}

# ---- a build that runs ---------------------------------------------------------------

# A window, and behind it a stream: what comes together is the log.
sub window_and_stream
{
    my ($live, $query) = @_;
    my $w = window($live, $query);
    my $s = open_stream("/api/log/push?build=$live&format=json&from=" . ($w->{after} // 'start'));
    return ($w, $s);
}

{
    my $live = $p->start('count 3000', 'raw half a line');
    $p->wait_until_told('half a line');
    my $r = get(lines_path($live));
    is $r->{headers}{'cache-control'}, 'no-store', 'a build that runs: nothing to be kept';
    is_deeply [map { $r->{headers}{$_} } qw(etag last-modified)], [undef, undef], '... no validators';
    my @begun = map { [$_, window_and_stream($live, $_)] }
        'last=5', 'last=5000', 'first=1&count=5000', 'first=2990&count=5', 'first=1&count=10', 'first=9000';
    ok !$begun[0][1]{ended}, '... not ended';
    is $begun[0][1]{lines}[-1]{text}, 'half a line', 'the last lines have also the one that has no end yet';
    ok $begun[0][1]{lines}[-1]{partial}, '... which is a piece';
    is $begun[0][1]{lines}[-1]{line}, $begun[0][1]{next}, '... with the number to come';
    $p->cue('out and its end', "raw 10%\r", 'err more', 'count 2000', 'exit 3');
    my $end = wait_for_state($live, 'failed');
    my ($to_come, @o) = numbered($live);
    for (@begun) {
        my ($query, $w, $s) = @$_;
        my @events = map { $json->decode($_->{data}) }
            grep { !defined $_->{event} && defined $_->{data} } $s->rest(20);
        $s->close;
        # As a page counts: from "next" on.
        my $number = $w->{next};
        for my $o (@events) {
            delete $o->{build};
            $o->{line} = $number;
            $number++ if !$o->{partial};
        }
        my @want = grep { $_->{line} >= $w->{first} } @o;
        # Behind the end: a piece that was there was passed, too.
        @want = grep { $_->{id} > $w->{after} } @o if $w->{first} > $w->{next};
        ok same_lines([@{ $w->{lines} }, @events], @want), "$query, and a stream from there: each line once, with its number";
        is $number, $to_come, '... to the last one';
    }
    is $end->{lines}, $to_come - 1, 'which is what the record says';
}

{
    my $first = $p->start('out first');
    wait_for_state($first, 'running');
    my (undef, $answer) = post_build($p->path);
    my $w = window($answer->{build}{id}, 'last=10');
    is_deeply [@$w{qw(first next lines)}], [1, 1, []], 'a build that waits has no lines';
    ok !$w->{ended}, '... and has not ended';
    $p->cue('exit 0');
    wait_for_state($answer->{build}{id}, 'succeeded');
}

# ---- holes ---------------------------------------------------------------------------

{
    my $s = BuildLog::Server->start(qq(<Directory "@{[ top() ]}/t/projects/puppet-lines-hole">\n    BuildLogMaxLog 256K\n</Directory>\n));
    my $q    = BuildLog::Puppet->new('lines-hole', server => $s);
    my $live = $q->start('flood 1500000', 'out mark');
    $q->wait_for('mark');
    my $of = sub { $s->request('GET', lines_path($live, "?$_[0]"))->{json} };
    my ($n, @o, @gaps) = (1);
    my $look = sub {
        ($n, @o) = (1);
        while (1) {
            my $w = $of->("first=$n&count=5000");
            push @o, @{ $w->{lines} };
            last if $w->{next} == $n;
            $n = $w->{next};
        }
        @gaps = grep { $o[$_]{gap} } 0 .. $#o;
        is scalar(grep { $o[$_]{id} <= $o[ $_ - 1 ]{id} } 1 .. $#o), 0, 'ids grow';
        is scalar(grep { $o[$_]{line} != $_ + 1 } 0 .. $#o), 0, 'numbers grow by one';
    };
    $look->();
    is scalar @gaps, 1, 'what was left out of a log that grows is one line';
    my $gap = $o[ $gaps[0] ];
    is $gap->{text}, 'Lines were left out here: see BuildLogMaxLog', '... which says so';
    ok $gap->{note}, '... a note';
    is $of->('last=3')->{next}, $n, 'the last lines count it, too';
    is $of->('last=3')->{lines}[-1]{text}, 'mark', '... and are the last ones';
    $q->cue('exit 0');
    my $end = $s->wait_for_state($live, 'succeeded');
    $look->();
    is scalar @gaps, 1, 'after the end the log has a note';
    like $o[ $gaps[0] ]{text}, qr/^\d+ lines \(.*\) were left out here: BuildLogMaxLog is 256K$/, '... with how much it was';
    is $n - 1, $end->{lines}, 'the lines are those of the record';
    for my $first ($gaps[0] - 1 .. $gaps[0] + 3, $n - 3) {
        my $w = $of->("first=$first&count=2");
        is_deeply $w->{lines}, [@o[ $first - 1, $first ]], "lines $first and the next, wherever they are counted from";
    }
    $s->stop;
}

# What a child has counted of a log that grows, and remembers, is nothing worth
# when lines have vanished into a hole.
{
    my $s = BuildLog::Server->start(qq(<Directory "@{[ top() ]}/t/projects/puppet-lines-marks">\n    BuildLogMaxLog 8M\n</Directory>\n));
    my $q    = BuildLog::Puppet->new('lines-marks', server => $s);
    my $live = $q->start('out begin');
    my ($n, $gaps) = (0, 0);
    my $look = sub {
        my ($what) = @_;
        my @text = split /\n/, $s->request('GET', "/api/project/builds/$live/log", timeout => 30)->{body};
        my $of = sub { $s->request('GET', lines_path($live, "?$_[0]"), timeout => 30)->{json} };
        $gaps = grep { /^\d* ?[Ll]ines .*left out here/ } @text;
        my $wrong = 0;
        # Often enough for each child.
        for my $at ((map { 1 + int rand @text } 1 .. 60), $#text - 1) {
            my $w = $of->("first=$at&count=2");
            $wrong++ if $w->{first} != $at || $w->{lines}[0]{text} ne $text[ $at - 1 ] || $w->{lines}[1]{text} ne ($text[$at] // '');
        }
        is $wrong, 0, "$what: the lines are those of the text, wherever they were counted from";
        is $of->('last=3')->{next}, @text + 1, '... and as many';
    };
    my $grow = sub {
        $q->cue("flood $_[0]", 'out mark ' . ++$n);
        $q->wait_for("mark $n");
    };
    $grow->(3_500_000);
    $look->('a log that grows');
    is $gaps, 0, '... is whole';
    for my $what ('something is left out of it', 'and more') {
        $grow->(2_500_000);
        $look->($what);
        is $gaps, 1, '... which is told once';
    }
    $q->cue('exit 0');
    $s->wait_for_state($live, 'succeeded');
    $look->('it has ended');
    is $gaps, 1, '... with its note';
    $s->stop;
}

# ---- who may ---------------------------------------------------------------------------

{
    my %as = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
        ['alice', 'wonderland'], ['bob', 'builder'];
    my (undef, $answer) = post_build(project('alice'), to => '/private/api/project/build', headers => $as{alice});
    my $hers = "/private/api/project/builds/$answer->{build}{id}";
    wait_until { request('GET', $hers, headers => $as{alice})->{json}{state} eq 'succeeded' } 10;
    my $r = request('GET', "$hers/lines?last=9", headers => $as{alice});
    is $r->{status}, 200, 'alice sees lines of hers';
    like $r->{body}, qr/for alice alone/, '... what they say';
    my $strange = request('GET', "$hers/lines?last=9", headers => $as{bob});
    is $strange->{status}, 404, 'bob does not';
    is $strange->{body}, request('GET', '/private/api/project/builds/99999999/lines', headers => $as{bob})->{body},
        '... as if there were no such build';
    is request('GET', "$hers/lines")->{status}, 401, 'nobody else is asked for a name';
}

# ---- damage ----------------------------------------------------------------------------

{
    my $short = $p->start('count 3000', 'exit 0');
    wait_for_state($short, 'succeeded');
    my $file = top() . "/state/logs/$short.log";
    open my $in, '<:raw', $file or die $!;
    my @records = <$in>;
    close $in;
    my $lost = join '', @records[1000 .. 1999];
    write_file($file, join '', @records[0 .. 999], 'x' x (length($lost) - 1), "\n", @records[2000 .. $#records]);
    for my $query ('first=1&count=5000', 'last=5000', 'first=2900', 'first=1200&count=10') {
        my $r = get(lines_path($short, "?$query"));
        is $r->{status}, 200, "a log that lost lines, $query: an answer";
        ok ref $r->{json} eq 'HASH', '... whole';
    }
    my $w = window($short, 'last=2');
    is $w->{lines}[-1]{text}, 'Build finished', '... the last line';
    unlink $file;
    my $r = get(lines_path($short));
    is $r->{status}, 404, 'a log that was removed: 404';
    like $r->{json}{detail}, qr/gone/, '... which says so';
}

# ---- an answer is no larger than a page can take ------------------------------------------

# Answer after answer, as a client goes on: all objects, and how large they were.
sub go_on
{
    my ($of, $query) = @_;
    my (@objects, @sizes);
    while (1) {
        my $r = $of->($query);
        my $w = $r->{json};
        push @objects, @{ $w->{lines} };
        push @sizes, length $r->{body};
        last if @sizes > 100 || !$w->{more} && $w->{next} > $w->{lines}[-1]{line} && $w->{next} >= $_[2];
        $query = $w->{more} ? "first=$w->{next}&after=$w->{after}&count=5000" : "first=$w->{next}&count=5000";
    }
    return (\@sizes, @objects);
}

{
    my $s = BuildLog::Server->start('');
    my $q = BuildLog::Puppet->new('lines-wide', server => $s);
    # 500 lines of 16 kB, half of it what JSON makes six times as long; then one of
    # 9 MB; then a few short ones.
    my $wide = $q->start('out first');
    $q->wait_for('first');
    my $text = ("\e" . 'x') x 8000;
    $q->cue((map { "out $_ $text" } 1 .. 500), 'out half', (map { 'raw ' . 'long ' x 20_000 } 1 .. 90), 'out', 'out last', 'exit 0');
    my $end = $s->wait_for_state($wide, 'succeeded', 60);
    my $of  = sub { $s->request('GET', lines_path($wide, "?$_[0]"), timeout => 30) };
    my $n   = 1;
    my @all = map { $json->decode($_) } split /\n/,
        $s->request('GET', "/api/project/builds/$wide/log?format=json", timeout => 30)->{body};
    for my $o (@all) {
        delete $o->{build};
        $o->{line} = $n;
        $n++ if !$o->{partial};
    }
    my ($sizes, @got) = go_on($of, 'first=1&count=5000', $n);
    cmp_ok $_, '<', 5_000_000, "an answer of $_ bytes" for @$sizes;
    cmp_ok scalar(@$sizes), '>', 10, 'so it takes some';
    ok same_lines(\@got, @all), 'but from one to the next: each line once, each piece';

    my $first = $of->('first=1&count=5000')->{json};
    ok $first->{more}, 'an answer that ends before what was asked for says so';
    is $first->{next}, $first->{lines}[-1]{line} + 1, '... behind a whole line';
    is $first->{after}, $first->{lines}[-1]{id}, '... which is its place';
    ok !exists $of->('first=1&count=3')->{json}{more}, 'one that has all of it does not';
    my ($giant) = grep { $_->{partial} && $_->{text} =~ /^long/ } @all;
    my $cut = $of->("first=$giant->{line}&count=1")->{json};
    ok $cut->{more}, 'a line that is longer than an answer';
    is $cut->{next}, $giant->{line}, '... is cut: next is its own number';
    my $s2 = $s->open_stream("/api/log/push?build=$wide&format=json&from=$cut->{after}");
    my ($piece) = grep { defined $_->{data} && !defined $_->{event} } $s2->until(sub { defined $_->{data} && !defined $_->{event} }, 20);
    $s2->close;
    my ($then) = grep { $_->{id} > $cut->{after} } @all;
    is $piece->{id}, $then->{id}, '... and a stream goes on there, too';

    my $tail = $of->('last=5000')->{json};
    is $tail->{lines}[-1]{text}, 'Build finished', 'the last lines: to the end';
    ok !exists $tail->{more}, '... there is no more';
    my @want = grep { $_->{line} >= $tail->{first} } @all;
    ok same_lines($tail->{lines}, @want), '... from the first on that there is room for';
    cmp_ok $tail->{first}, '>', 500, '... which is behind the long ones';
    is $of->("first=3&after=$all[0]{id}&count=1")->{json}{lines}[0]{id}, $all[1]{id}, 'after= is where, first= is what it is called';
    is_deeply $of->("first=$n&after=$all[-1]{id}")->{json}{lines}, [], 'behind the end nothing comes';
    my $nojs = $s->request('GET', "/api/project/builds/$wide?last=5000", headers => { Accept => 'text/html' });
    like $nojs->{body}, qr/Build finished/, 'a page without a script has the end of it';
    cmp_ok length $nojs->{body}, '<', 4_000_000, '... and no more than it may';
    $s->stop;
}

# ---- memory and time -------------------------------------------------------------------

# The most that a child ever had, in kB.
sub peaks
{
    my ($server) = @_;
    my %found;
    for my $pid (@{ $server->pids->{children} }) {
        open my $in, '<', "/proc/$pid/status" or next;
        /^VmHWM:\s+(\d+)/ and $found{$pid} = $1 while <$in>;
    }
    return \%found;
}

{
    # A server of its own: nobody else has to read this log.
    my $s   = BuildLog::Server->start('');
    my $q   = BuildLog::Puppet->new('lines-big', server => $s);
    my $big = $q->start('flood 64000000', 'exit 0');
    my $end = $s->wait_for_state($big, 'succeeded', 120);
    my $of  = sub { $s->request('GET', lines_path($big, "?$_[0]"), timeout => 30) };
    $of->('last=1') for 1 .. 8;    # whatever a first request costs
    my $before = peaks($s);
    cmp_ok length $of->('last=5000')->{body}, '>', 500_000, 'an answer of half a megabyte and more';
    # Of a processor: what else the machine does is not counted.
    my $used = sub { my $sum = 0; $sum += cpu_seconds($_) for @{ $s->pids->{children} }; return $sum };
    my %took;
    for my $query ('last=1000', 'first=1', 'first=' . int($end->{lines} / 2), 'first=' . ($end->{lines} - 2000)) {
        my $began = $used->();
        is $of->($query)->{json}{ended}, 1, "$query of $end->{lines} lines";
        $took{$query} = $used->() - $began;
    }
    note sprintf '%s: %.1f ms', $_, 1000 * $took{$_} for sort keys %took;
    # From the near end: hundreds of megabytes a second would do.
    cmp_ok $_, '<', 2, 'comes soon' for values %took;
    my $after = peaks($s);
    my ($growth) = sort { $b <=> $a } map { $after->{$_} - $before->{$_} } grep { $before->{$_} } keys %$after;
    cmp_ok $growth, '<', 4000, 'no child grew by what it read';
    note "growth $growth kB";
    $s->stop;
}

done_testing;
