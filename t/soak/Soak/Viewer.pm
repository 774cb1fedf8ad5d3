package Soak::Viewer;

# The viewers of the soak, each kind a process: they come, stall, vanish, come
# back, and look at all that they get (Soak::Tally).
#
#   my $v = Soak::Viewer->start('one', $context);
#   $v->report                     { total => { lines => ... }, wrong => [[promise, text]], delay => [] }
#   $v->is_alive; $v->finish(60)   waits for its end, which the phase "over" brings
#
#   kind        what it is
#   all         EventSource of all builds, and stays: each line of each build; comes back by Last-Event-ID
#   builds      likewise, only=builds: the end of each
#   one         EventSource of one build from its begin to its end, by all ways
#   ndjson      likewise, objects
#   text        as curl: lines for a terminal; who is cut off begins anew
#   tail        the last lines of a build, then live
#   poll        short polls over HTTP/2
#   document    the log as a document: followed, in parts, as lines by number
#   stall       many that read nothing, then vanish, leave, or read on to the end
#   ask         what else can be asked: lists, badge, metrics, pages; and what is refused
#
# The context, the same for all: server, dir, seed, alice (projects that are
# hers). In dir are "phase" (go; calm: no new viewers, and those of all builds
# leave; over) and "board", to which the driver adds "build ID KIND" for each
# build that was accepted.

use strict;
use warnings;
use BuildLog::Kinds;
use BuildLog::Poll;
use BuildLog::Stream;
use BuildLog::Test;
use JSON::PP ();
use List::Util qw(min);
use POSIX ();
use Soak::Tally;
use Time::HiRes qw(sleep time);

our %kinds = (
    all => \&_all, builds => \&_builds, one => \&_one, ndjson => \&_ndjson, text => \&_text, tail => \&_tail,
    poll => \&_poll, document => \&_document, stall => \&_stall, ask => \&_ask,
);
my $json  = JSON::PP->new->utf8;
my $final = qr/^(?:succeeded|failed|cancelled|timed-out|lost)$/;
my $count = 0;

# ---- its process ----------------------------------------------------------------

sub start
{
    my ($class, $kind, $context) = @_;
    my $n = ++$count;
    my $v = bless { %$context, kind => $kind, n => $n, file => "$context->{dir}/viewer-$n", total => {}, wrong => [],
                    delay => [], said => 0 }, $class;
    my $parent = $$;
    $v->{pid} = fork // die "fork: $!\n";
    return $v if $v->{pid};
    srand $v->{seed} + $n;
    $v->{parent} = $parent;
    my $ok = eval {
        while ($v->phase ne 'over') {
            # A turn is a build, a connection, a question.
            if ($v->phase eq 'go') { $kinds{$kind}->($v) }
            else                   { $v->_let_go; sleep 0.1 }
        }
        $v->_let_go;
        $v->at_end;
        1;
    };
    $v->wrong(0, "it died: $@") if !$ok;
    $v->_say;
    POSIX::_exit($ok ? 0 : 1);
}

sub at_end { }

sub phase
{
    my ($v) = @_;
    my $now = time;
    if ($now - ($v->{looked} // 0) > 0.2) {
        $v->{looked} = $now;
        die "the test has gone\n" if getppid != $v->{parent};
        $v->{phase} = _file("$v->{dir}/phase");
        $v->_say if $now - $v->{said} > 3;
    }
    return $v->{phase};
}

sub _file
{
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}

sub wrong
{
    my ($v, $promise, $text) = @_;
    $v->{total}{wrong}++;
    push @{ $v->{wrong} }, [$promise, sprintf('%.3f %s %d: %s', time, $v->{kind}, $v->{n}, $text)] if @{ $v->{wrong} } < 20;
    $v->{said} = 0;
    return;
}

# Replaced whole: whoever reads it meanwhile has the one before.
sub _say
{
    my ($v) = @_;
    write_file("$v->{file}.new", $json->encode({ map { $_ => $v->{$_} } qw(total wrong delay) }));
    rename "$v->{file}.new", $v->{file} or die "$v->{file}: $!\n";
    $v->{said} = time;
    return;
}

sub report
{
    my ($v) = @_;
    return -e $v->{file} ? $json->decode(_file($v->{file})) : { total => {}, wrong => [], delay => [] };
}

sub is_alive { my ($v) = @_; return !$v->{ended} && !($v->{ended} = waitpid($v->{pid}, POSIX::WNOHANG()) != 0) }
sub finish   { my ($v, $seconds) = @_; return wait_until { !$v->is_alive } $seconds, "viewer $v->{n}, $v->{kind}" }
sub end      { my ($v) = @_; return if !$v->is_alive; kill 'KILL', $v->{pid}; waitpid $v->{pid}, 0; return }

# ---- what it can look at ----------------------------------------------------------

# One of the latest builds: (number, kind).
sub _some_build
{
    my ($v, $of) = @_;
    my @all;
    if (!$v->{board}) { open $v->{board}, '<', "$v->{dir}/board" or die "board: $!\n"; $v->{latest} = [] }
    my $in = $v->{board};
    seek $in, 0, 1;    # its end is no end
    while (<$in>) {
        push @{ $v->{latest} }, [$1, $2] if /^build (\d+) (\S+)$/ && $2 ne 'alice';
    }
    splice @{ $v->{latest} }, 0, -12;
    my @latest = @{ $v->{latest} };
    splice @latest, 0, -$of if @latest > $of;
    return @latest ? @{ $latest[ rand @latest ] } : do { sleep 0.1; () };
}

sub _connect
{
    my ($v, $way, $query, $last, %opt) = @_;
    my $s = eval {
        viewer($v->{server}, $way, $query, timeout => 60, %opt, headers => {
            $opt{accept} ? (Accept => $opt{accept}) : (), defined $last ? ('Last-Event-ID' => $last) : () });
    };
    # A server that begins anew, a child that was killed.
    $v->{total}{$s ? 'connections' : 'failures'}++;
    $v->{total}{reconnects}++ if $s && defined $last;
    return $s;
}

# The next thing of a stream, of either form: { name, id, data }; undef: its
# end; 0: nothing yet.
sub _next
{
    my ($s, $objects) = @_;
    if (!$objects) {
        my $e = eval { $s->event(0.3) };
        return $@ ? 0 : undef if !$e;
        return { name => $e->{event} // (exists $e->{data} ? 'line' : 'retry'), id => $e->{id}, data => $e->{data} };
    }
    my $line = eval { $s->line(0.3) };
    return $@ ? 0 : undef if !defined $line;
    if (my ($name, $id) = $line =~ /^\{"event":"(\w+)"(?:,"id":"(\d+)")?/) {
        return { name => $name, id => $id, data => substr $line, index($line, '"data":') + 7, -1 };
    }
    return { name => 'line', id => $line =~ /"id":"(\d+)"/ ? $1 : undef, data => $line };
}

# An object of a line; most need no parser, which takes ten times as long.
sub _line
{
    my ($data) = @_;
    if (index($data, '\\') < 0
        && (my ($build, $stream, $text) = $data =~ /^\{"build":(\d+),.*"stream":"(\w+)".*"text":"([^"]*)"/)) {
        return { build => $build, stream => $stream, text => $text, partial => scalar $data =~ /"partial":true/ };
    }
    my $line = $json->decode($data);
    utf8::encode($line->{text});
    return $line;
}

# Ids rise, over all connections. A ping may say again where the stream is.
sub _id
{
    my ($v, $place, $item) = @_;
    my $id = $item->{id} // return;
    my $last = $place->{last};
    $v->wrong(1, "$item->{name}: id $id after $last")
        if defined $last && ($item->{name} eq 'ping' ? $id < $last : $id <= $last);
    $place->{last} = $id;
    return;
}

# How late it is: by powers of two, in milliseconds.
sub _late
{
    my ($v, $id) = @_;
    my $ms = (time - $id / 1e6) * 1000;
    $v->{delay}[ $ms < 1 ? 0 : 1 + int(log($ms) / log 2) ]++;
    return;
}

# ---- one build ---------------------------------------------------------------------

# From its begin to its end, by as many connections as it takes. options: way,
# objects, drops (so many things until it leaves by itself), stream (the first,
# which is open already), query, from_start.
sub _follow
{
    my ($v, $id, $kind, %opt) = @_;
    my %place;
    my $whole = $opt{from_start} // 1;
    my $t = Soak::Tally->new($id, sub { $v->wrong(@_) }, from_start => $whole);
    my $query = '?build=' . $id . ($opt{objects} ? '' : '&format=json') . ($opt{query} // '');
    while ($v->phase ne 'over' || ($v->{patience} //= time + 120) > time) {
        my $s = delete $opt{stream} // _connect($v, $opt{way}, $query, $place{last},
            accept => $opt{objects} && 'application/x-ndjson');
        my $status = $s ? $s->status : 0;
        if ($status == 200) {
            return 1 if _until_end($v, $s, $t, \%place, $kind, %opt);
        }
        $s->close if $s;
        if ($status == 204 || $status == 404) {
            # Only one that is kept no longer, or that has been told its end.
            $v->wrong(5, "build $id: $status without its end, after " . ($place{last} // 'nothing'))
                if $status == 204 || ($place{last} && !_is_old($v, $id));
            return 0;
        }
        $v->wrong(6, "build $id: status $status") if $status && $status != 200 && $status != 503;
        sleep 0.02 + rand 0.2;
    }
    $v->wrong(6, "build $id: not to its end in time");
    return 0;
}

sub _is_old { my ($v, $id) = @_; $v->_some_build(1); return $id < $v->{latest}[-1][0] - 20 }

# True: that was its end.
sub _until_end
{
    my ($v, $s, $t, $place, $kind, %opt) = @_;
    my $left = $opt{drops} ? 1 + int rand $opt{drops} : -1;
    while (1) {
        my $item = _next($s, $opt{objects}) // last;
        $v->phase;
        next if !$item;
        $v->_id($place, $item);
        if ($item->{name} eq 'line') {
            my $line = _line($item->{data});
            $v->wrong(1, "build $t->{build}: a line of build $line->{build}") if $line->{build} != $t->{build};
            $t->line($line->{stream}, $line->{text}, partial => $line->{partial});
            $v->{total}{lines}++;
        }
        elsif ($item->{name} eq 'gap') {
            # Said, and only where a log has lost its middle.
            $v->{total}{gaps}++;
            $v->wrong(1, "build $t->{build}, $kind: $item->{data}") if $kind ne 'over';
            $t->gap;
        }
        elsif ($item->{name} eq 'end') {
            my $record = $json->decode($item->{data});
            $v->{total}{ $t->end($record, limited => $kind eq 'over') ? 'whole' : 'ends' }++;
            $v->wrong(5, "build $t->{build}: an end, and it is $record->{state}") if $record->{state} !~ $final;
            $s->close;
            return 1;
        }
        if (--$left == 0) { $v->{total}{drops}++; last }
    }
    rand() < 0.5 ? $s->close : $s->reset;
    return 0;
}

sub _way { my ($v) = @_; return (qw(plain plain tls odd))[ rand 4 ] }

sub _one
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(4) or return;
    $v->_follow($id, $kind, way => $v->_way, drops => rand() < 0.5 ? 400 : 0);
    return;
}

sub _ndjson
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(4) or return;
    $v->_follow($id, $kind, way => $v->_way, objects => 1, drops => rand() < 0.5 ? 400 : 0);
    return;
}

# Its last lines, then live: once, in order, to its end.
sub _tail
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(4) or return;
    $v->_follow($id, $kind, way => $v->_way, from_start => 0, drops => 200,
        query => rand() < 0.3 ? '&from=tail' : '&tail=' . int rand 300);
    return;
}

# ---- as curl ------------------------------------------------------------------------

# Lines for a terminal: who is cut off cannot resume.
sub _text
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(4) or return;
    my $s = _connect($v, 'plain', "?build=$id", undef, accept => '*/*') or return;
    my ($odd, @next) = (0, 1, 1);
    while ($s->status == 200) {
        my $line = eval { $s->line(0.3) };
        last if !defined $line && !$@;
        $v->phase;
        next if !defined $line;
        $v->{total}{lines}++;
        $line =~ s/\e\[[0-9;]*m//g;
        # A piece is a line here, and its line none that has a number.
        if ($line !~ /^\[[^\]]*\] ([01]) $id (\d+) (x*)$/) { $odd = 1; next }
        $v->wrong(2, "build $id: $2, not $next[$1]") if $2 < $next[$1] || ($2 > $next[$1] && !$odd && $kind ne 'over');
        ($next[$1], $odd) = ($2 + 1, 0);
    }
    $s->close;
    return;
}

# ---- all builds -----------------------------------------------------------------------

sub _all    { my ($v) = @_; return $v->_stay('plain', '?format=json') if $v->{n} % 3; return $v->_stay('tls', '?format=json') }
sub _builds { my ($v) = @_; return $v->_stay('plain', '?only=builds') }

# Until all is over: what it has seen goes from connection to connection.
sub _stay
{
    my ($v, $way, $query) = @_;
    my ($place, $tallies) = ($v->{place} //= {}, $v->{tallies} //= {});
    my $s = _connect($v, $way, $query, $place->{last}) or return sleep 0.05;
    my $left = $v->{n} % 2 && rand() < 0.5 ? 1 + int rand 3000 : -1;
    while ($s->status == 200 && $v->phase eq 'go') {
        my $item = _next($s) // last;
        next if !$item;
        $v->_id($place, $item);
        $v->_take_of_all($place, $tallies, $item);
        if (--$left == 0) { $v->{total}{drops}++; last }
    }
    rand() < 0.5 ? $s->close : $s->reset;
    sleep 0.02;
    return;
}

sub _take_of_all
{
    my ($v, $place, $tallies, $item) = @_;
    my $wrong = sub { $v->wrong(@_) };
    if ($item->{name} eq 'line') {
        my $line = _line($item->{data});
        my $t = $tallies->{ $line->{build} } //= Soak::Tally->new($line->{build}, $wrong);
        $v->wrong(5, "build $line->{build}: a line behind its end") if $place->{ended}{ $line->{build} };
        $t->line($line->{stream}, $line->{text}, partial => $line->{partial});
        $v->{total}{lines}++;
        $v->_late($item->{id});
    }
    elsif ($item->{name} eq 'gap') {
        $v->{total}{gaps}++;
        push @{ $place->{gaps} }, $item->{data};
        # Whose middle was left out it does not say; none but those lose any.
        $_->gap for values %$tallies;
        $v->wrong(1, "all builds: $item->{data}") if !$place->{over};
    }
    # Without an id: what it is told of when it comes.
    elsif ($item->{name} =~ /^(?:build|end)$/ && exists $item->{id}) {
        my $record = $json->decode($item->{data});
        my $id = $record->{id};
        $v->wrong(8, "build $id is alice's") if $record->{project} =~ m{/alice$};
        $tallies->{$id} = Soak::Tally->new($id, $wrong, from_start => 1)
            if $record->{state} eq 'queued' && !$tallies->{$id};
        $place->{over} ||= $record->{project} =~ m{/over$};
        return if $record->{state} !~ $final;
        $v->wrong(5, "build $id ended twice: $record->{state}") if $place->{ended}{$id}++;
        my $t = delete $tallies->{$id};
        my $limited = $record->{project} =~ m{/over$};
        $v->{total}{ $v->{kind} eq 'all' && $t && $t->end($record, limited => $limited) ? 'whole' : 'ends' }++;
    }
    return;
}

# ---- over HTTP/2 ------------------------------------------------------------------------

sub _poll
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(4) or return;
    my $p = BuildLog::Poll->new($v->{server}, "/api/log/push?build=$id&format=json");
    my $t = Soak::Tally->new($id, sub { $v->wrong(@_) }, from_start => 1);
    my ($place, $over) = ({}, 0);
    my $deadline = time + 200;
    until ($over) {
        my $a = eval { $p->once };
        my $status = $a ? $a->{status} : 0;
        $v->{total}{ $a ? 'polls' : 'failures' }++;
        if ($status == 204 || $status == 404) {
            $v->wrong(5, "build $id: $status without its end") if $status == 204 || ($place->{last} && !_is_old($v, $id));
            return;
        }
        my $bytes = '';
        for my $e ($status == 200 ? @{ $a->{events} } : ()) {
            my $item = { name => $e->{event} // (exists $e->{data} ? 'line' : 'retry'), id => $e->{id}, data => $e->{data} };
            $v->_id($place, $item);
            if ($item->{name} eq 'line') {
                my $line = _line($item->{data});
                $t->line($line->{stream}, $line->{text}, partial => $line->{partial});
                $v->{total}{lines}++;
            }
            $t->gap if $item->{name} eq 'gap';
            $v->wrong(1, "build $id, $kind: $item->{data}") if $item->{name} eq 'gap' && $kind ne 'over';
            next if $item->{name} ne 'end';
            $v->{total}{ $t->end($json->decode($item->{data}), limited => $kind eq 'over') ? 'whole' : 'ends' }++;
            $over = 1;
        }
        @{ $p->{answers} } = @{ $p->{failures} } = ();
        $v->phase;
        return $v->wrong(6, "build $id: not to its end in time") if time > $deadline;
        sleep min(0.3, ($p->{retry} // 0) / 1000);
    }
    return;
}

# ---- documents ----------------------------------------------------------------------------

sub _request
{
    my ($v, $method, $path, %opt) = @_;
    my $r = eval { $v->{server}->request($method, $path, timeout => 60, %opt) };
    $v->{total}{ $r ? 'answers' : 'failures' }++;
    # Cut in the middle: the server says how long it is.
    if ($r && $method eq 'GET' && length($r->{headers}{'content-length'} // '')
        && length($r->{body}) != $r->{headers}{'content-length'} && $r->{status} !~ /^(?:204|304)$/) {
        $v->{total}{cut}++;
        return undef;
    }
    return $r;
}

# As it grows, then as it is: what was followed is where it begins.
sub _document
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(rand() < 0.5 ? 2 : 12) or return;
    my $way  = rand() < 0.3 ? 'tls' : 'plain';
    my $path = "/api/project/builds/$id";
    my $seen;
    if (rand() < 0.6) {
        my $s = eval { $v->{server}->open_stream("$path/log?follow=1", tls => $way eq 'tls', timeout => 60, headers => { Accept => '*/*' }) };
        if ($s && $s->status == 200) {
            $v->phase while !eval { $s->body(0.5); 1 } && $@ =~ /in time/;
            $seen = $s->body(0.5);
        }
        $s->close if $s;
    }
    my ($record, $deadline) = (undef, time + 200);
    until ($record) {
        my $r = $v->_request('GET', $path, tls => $way eq 'tls');
        return if $r && $r->{status} == 404;
        $record = $r->{json} if $r && $r->{status} == 200 && $r->{json}{state} =~ $final;
        $v->phase;
        return $v->wrong(5, "build $id: no end in time") if time > $deadline;
        sleep 0.2 if !$record;
    }
    my $text = $v->_in_parts("$path/log", $record) // return;
    $v->wrong(1, "build $id: the download is " . length($text) . " bytes of $record->{bytes}, or others")
        if Digest::SHA::sha256_hex($text) ne $record->{sha256};
    $v->wrong(1, "build $id: what was followed is another log")
        if defined $seen && $kind ne 'over' && substr($text, 0, length $seen) ne $seen;
    $v->{total}{documents}++;
    $v->{total}{lines} += $record->{lines};
    return;
}

# Whole, or in ranges; undef: the server was not there, or keeps it no longer.
sub _in_parts
{
    my ($v, $path, $record) = @_;
    my $parts = rand() < 0.5 || !$record->{bytes} ? 1 : 1 + int rand 4;
    my ($size, $text, $from) = (POSIX::ceil($record->{bytes} / $parts), '', 0);
    while ($parts == 1 || $from < $record->{bytes}) {
        my $to = $from + $size - 1;
        my $r = $v->_request('GET', $path, headers => $parts == 1 ? {} : { Range => "bytes=$from-$to" }) // return undef;
        return undef if $r->{status} !~ /^20[06]$/;
        $text .= $r->{body};
        $from += $size;
        last if $parts == 1;
    }
    return $text;
}

# ---- who reads nothing -----------------------------------------------------------------------

sub _stall
{
    my ($v) = @_;
    my ($id, $kind) = $v->_some_build(2) or return;
    my @s = grep { $_ && $_->status == 200 }
        map { _connect($v, rand() < 0.2 ? 'tls' : 'plain', "?build=$id&format=json", undef, rcvbuf => 4096) } 1 .. 12;
    $v->{total}{stalled} += @s;
    my $until = time + 1 + rand 8;
    while (time < $until && $v->phase eq 'go') { sleep 0.1 }
    my ($last) = rand() < 0.7 ? pop @s : ();
    for my $s (@s) {
        my $how = rand;
        if    ($how < 0.4) { $s->reset }
        elsif ($how < 0.7) { $s->close }
        # Its cable is pulled; what is its connection ends when all do.
        elsif (!$s->{tls}) { vanish($s); push @{ $v->{gone} }, $s; $v->{total}{vanished}++ }
        else               { $s->reset }
    }
    (shift @{ $v->{gone} })->reset while @{ $v->{gone} // [] } > 6;
    # Late, and all is there.
    $v->_follow($id, $kind, way => 'plain', stream => $last) if $last;
    return;
}

sub _let_go { my ($v) = @_; $_->reset for splice @{ $v->{gone} //= [] }; return }

# ---- whatever can be asked ----------------------------------------------------------------------

sub _ask
{
    my ($v) = @_;
    my ($id) = $v->_some_build(12) or return;
    my $alice = (keys %{ $v->{alice} })[0];
    my %page  = (headers => { Accept => 'text/html' });
    my $form  = 'application/x-www-form-urlencoded';
    my @ask = (
        ['/api/project/builds?limit=100'], ['/api/project/builds?state=running'], ['/api/project/projects'],
        ["/api/project/builds/$id"], ["/api/project/builds/$id/lines?last=50"], ["/api/project/builds/$id/log?format=asciicast"],
        ['/api/project/badge?projectPath=' . $v->{badge}], ['/api/metrics'], ['/api/health/live'], ['/api/health/ready'],
        ["/api/project/builds/$id", %page], ['/api/project/builds', %page], ['/api/metrics'],
        [$alice, refused => 403], ["/api/project/badge?projectPath=$alice", refused => 403],
        [$v->{not_on}, refused => 403], ['/api/log/push?build=x', refused => 400],
        [$v->{badge}, refused => 403, headers => { 'Sec-Fetch-Site' => 'cross-site' }],
    );
    push @ask, ["/api/project/builds/$v->{hers}", refused => 404], ["/api/log/push?build=$v->{hers}", refused => 404]
        if $v->{hers} //= $v->_hers;
    my ($path, %opt) = @{ $ask[ rand @ask ] };
    my $refused = delete $opt{refused};
    my $r = $path =~ m{^/api/}
        ? $v->_request('GET', $path, %opt)
        : $v->_request('POST', '/api/project/build', body => "projectPath=$path",
            headers => { 'Content-Type' => $form, %{ $opt{headers} // {} } });
    return sleep 0.1 if !$r;
    my $may = $refused ? qr/^$refused$/ : qr/^(?:200|304|404|503)$/;
    $v->wrong($refused ? 8 : 6, "$path: status $r->{status} $r->{body}") if $r->{status} !~ $may;
    $v->_figures($r->{body}) if $path eq '/api/metrics' && $r->{status} == 200;
    sleep 0.05;
    return;
}

# A build of alice, whom nobody here is.
sub _hers
{
    my ($v) = @_;
    return _file("$v->{dir}/board") =~ /^build (\d+) alice$/m ? $1 : undef;
}

# Counters do not fall, whoever dies.
sub _figures
{
    my ($v, $text) = @_;
    while ($text =~ /^(buildlog_\w+_total\S*) (\d+)$/mg) {
        my $before = $v->{figures}{$1} // 0;
        $v->wrong(6, "$1: $2 after $before") if $2 < $before;
        $v->{figures}{$1} = $2;
    }
    $v->{total}{figures}++;
    return;
}

1;
