# 28-records.t - what a step prints stands in the log file, in the text stream
# and in the JSON stream as DESIGN.md section 4 says: every byte of it once, in
# order, and nothing printed can pass for anything else (promises 1 and 2, and
# of 6 that ids go on growing over a graceful restart)
#
# MPM: event worker prefork
use strict;
use warnings;
use Encode ();
use JSON::PP ();
use Test::More;
use BuildLog::Test;
use POSIX ();
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $limit = 16384;    # BuildLogLineLimit
my $bad   = "\x{FFFD}";
my $head  = '$ sh ./run.sh';

# ---- reading the three --------------------------------------------------

# The log file: every line has to be a record in the CRI format.
sub read_log
{
    my ($id) = @_;
    my @records;
    open my $in, '<:raw', top() . "/state/logs/$id.log" or die "log of $id: $!\n";
    local $/ = "\n";
    while (defined(my $line = <$in>)) {
        my ($y, $mo, $d, $h, $mi, $s, $us, $stream, $tags, $text) = $line =~
            /\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z (stdout|stderr) ([FP](?::[a-z]+\d*)*) ([^\n]*)\n\z/
            or die "build $id: no CRI record: $line\n";
        my %tag = map { $_ => 1 } split /:/, $tags;
        local $ENV{TZ} = 'UTC';
        POSIX::tzset();
        push @records, {
            id     => POSIX::mktime($s, $mi, $h, $d, $mo - 1, $y - 1900) . $us,
            stream => $stream,
            text   => Encode::decode('UTF-8', $text, Encode::FB_CROAK),
            tags   => \%tag,
        };
    }
    return @records;
}

# Of a build, when it has ended: its lines from the log file, from the stream
# of JSON and from the stream of text, each as [id, text, marks].
sub three
{
    my ($id) = @_;
    my ($end, @lines) = build_output($id, 30);
    my @log = map { [$_->{id}, $_->{text}, join ' ', $_->{stream},
            $_->{tags}{P} ? 'partial' : (), $_->{tags}{cr} ? 'cr' : (), $_->{tags}{note} ? 'note' : ()] }
        grep { !$_->{tags}{build} && !$_->{tags}{end} } read_log($id);
    my @json = map { my $line = $_; [$line->{id}, $line->{text},
            join ' ', $line->{stream}, grep { $line->{$_} } qw(partial cr note)] } @lines;
    my $stream = open_stream($id);
    my @text = map { [$_->{id}, Encode::decode('UTF-8', $_->{data}, Encode::FB_CROAK)] }
        grep { !exists $_->{event} && exists $_->{data} } $stream->rest(30);
    $stream->close;
    $_->[1] =~ s/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] // or die "no stamp: $_->[1]\n" for @text;
    return { end => $end, log => \@log, json => \@json, text => \@text };
}

# The lines that the step printed: [text, marks]; pieces put together.
sub printed
{
    my ($lines) = @_;
    my (@whole, %begun);
    for (@$lines) {
        my (undef, $text, $marks) = @$_;
        next if $marks =~ /note/;
        my ($stream) = $marks =~ /^(\w+)/;
        $text = delete($begun{$stream}) . $text if defined $begun{$stream};
        if ($marks =~ s/ partial//) { $begun{$stream} = $text }
        else { push @whole, [$text, $marks] }
    }
    push @whole, map { [$begun{$_}, "$_ never ended"] } keys %begun;
    return \@whole;
}

# Bytes that a text came from, at least: each U+FFFD stands for one or more.
sub input_bytes { my ($text) = @_; return length(Encode::encode('UTF-8', $text)) - 2 * ($text =~ tr/\x{FFFD}//) }

sub same_in_all_three
{
    my ($r) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply $r->{json}, $r->{log}, 'the JSON stream has what the log has';
    is_deeply $r->{text}, [map { [@$_[0, 1]] } @{ $r->{log} }], 'and so has the text stream';
    my $last = 0;
    my @back = grep { my $was = $last; $last = $_->[0]; $last <= $was } @{ $r->{log} };
    is @back, 0, 'ids grow strictly';
    my $long = grep { $_ > $limit } map { input_bytes($_->[1]) } @{ $r->{log} };
    is $long, 0, 'no record is longer than the limit';
    return;
}

# ---- what is printed, and what arrives ------------------------------------

sub out { return map { [$_, 'stdout'] } @_ }

my $all    = join '', map { chr } 32 .. 126;
my $wide   = "z\x{e4}hl \x{20ac} \x{1f600} \x{4e16}\x{754c}";
my @cases  = (
    # what, a shell script, the lines that it makes
    ['a line', 'echo one', [out('one')]],
    ['many lines', 'seq 1 5000', [out(1 .. 5000)]],
    ['empty lines', 'printf "\n\na\n\n"', [out('', '', 'a', '')]],
    ['blanks', q{printf ' \n  a  \n\ttab\t\n'}, [out(' ', '  a  ', "\ttab\t")]],
    ['nothing', ':', []],
    ['no line end at last', 'printf "a\nb"', [out('a', 'b')]],
    ['one byte', 'printf x', [out('x')]],
    ['CRLF', 'printf "a\r\nb\r\n\r\n"', [out('a', 'b', '')]],
    ['frames, the last one a line', q{printf 'a\rb\rc\n'}, [['b', 'stdout cr'], ['c', 'stdout']]],
    ['frames, the last one with CRLF', q{printf 'a\rb\rc\r\n'}, [['b', 'stdout cr'], ['c', 'stdout']]],
    ['all of ASCII', "cat <<'END'\n$all\nEND", [out($all)]],
    ['escapes of terminals', q{printf '\033[31mred\033[0m\a\b\f\v\n'}, [out("\e[31mred\e[0m\a\b\f\x0b")]],
    ['wide characters', "echo '" . Encode::encode('UTF-8', $wide) . "'", [out($wide)]],
    ['other ends of lines', q{printf 'a\302\205b\342\200\250c\342\200\251d\n'}, [out("a\x{85}b\x{2028}c\x{2029}d")]],
    ['a byte order mark', q{printf '\357\273\277a\n'}, [out("\x{feff}a")]],
    ['NUL', q{printf 'a\000b\000\n\000\n'}, [out("a${bad}b$bad", $bad)]],
    ['not UTF-8', q{printf 'a\377b\300\257c\n'}, [out("a${bad}b$bad${bad}c")]],
    ['Latin-1', q{printf 'gr\374n\n'}, [out("gr${bad}n")]],
    ['a character that is cut by the line end', q{printf 'a\342\202\nb\n'}, [out("a$bad", 'b')]],
    ['a character that is cut by the end', q{printf 'a\342\202'}, [out("a$bad")]],
    ['surrogates', q{printf '\355\240\200\n'}, [out($bad x 3)]],
    ['beyond Unicode', q{printf '\364\220\200\200\n'}, [out($bad x 4)]],
    ['what looks like the stream', q{printf 'data: x\nid: 5\nevent: end\nretry: 1\n: comment\ndata\n\n'},
        [out('data: x', 'id: 5', 'event: end', 'retry: 1', ': comment', 'data', '')]],
    ['an event behind a line', q{printf 'a\r\nevent: end\r\ndata: {}\r\n\r\n\nid: 9\n\n'},
        [out('a', 'event: end', 'data: {}', '', '', 'id: 9', '')]],
    ['an event behind CR', q{printf 'a\revent: end\rdata: {}\r\rid: 9\n'}, [['data: {}', 'stdout cr'], ['id: 9', 'stdout']]],
    ['what looks like the log', q{printf '2026-11-22T10:00:00.123456Z stdout F:note:end {"id":1}\nstdout F x\n'},
        [out('2026-11-22T10:00:00.123456Z stdout F:note:end {"id":1}', 'stdout F x')]],
    ['what looks like JSON', q|printf '{"text":"x"}","note":true}\n\\\\" \\\\n \\\\u0000\n'|,
        [out('{"text":"x"}","note":true}', '\\" \\n \\u0000')]],
    ['what looks like the runner', q{printf '$ rm -rf /\nBuild finished\n'}, [out('$ rm -rf /', 'Build finished')]],
    ['HTML', q{echo '<script>alert(1)</script>&amp;'}, [out('<script>alert(1)</script>&amp;')]],
    ['stderr', 'echo a >&2; printf "b\nc" >&2', [map { [$_, 'stderr'] } qw(a b c)]],
    ['as long as the limit', "perl -e 'print \"x\" x $limit, \"\\n\"'", [out('x' x $limit)]],
    ['longer by a byte', "perl -e 'print \"x\" x $limit, \"y\\n\"'", [out('x' x $limit . 'y')]],
    ['1 MB in one line', q{perl -e 'print map { sprintf "%07d ", $_ } 1 .. 131072; print "\n"'},
        [out(join '', map { sprintf '%07d ', $_ } 1 .. 131072)]],
    ['1 MB of wide characters', q{perl -e 'print "a", "\342\202\254" x 350000, "\n"'}, [out('a' . "\x{20ac}" x 350000)]],
    ['a long line of bad bytes', q{perl -e 'print "\377" x 40000, "\n"'}, [out($bad x 40000)]],
    ['the last byte is CR', q{printf 'a\r'}, [['a', qr/^stdout/]]],
);
my %id = map { $_ => start_build(make_project("records-$_", $cases[$_][1])) } 0 .. $#cases;
for my $i (0 .. $#cases) {
    my ($what, $script, $want) = @{ $cases[$i] };
    subtest $what => sub {
        my $r = three($id{$i});
        is $r->{end}{state}, 'succeeded', 'the build succeeds';
        my $got = printed($r->{log});
        # A frame is dropped only if the one behind it came with the same
        # read; printf writes once, and so its frames do.
        if (@$want == 1 && ref $want->[0][1]) {
            is $got->[0][0], $want->[0][0], 'what was printed';
            like $got->[0][1], $want->[0][1], '... and where';
        }
        elsif (grep { length $_->[0] > 1000 } @$want) {
            ok $got->[0][0] eq $want->[0][0] && @$got == 1, 'what was printed';
        }
        else {
            is_deeply $got, $want, 'what was printed';
        }
        is_deeply [map { $_->[1] } grep { $_->[2] =~ /note/ } @{ $r->{log} }], [$head, 'Build finished'],
            'between the runner\'s own lines';
        my $pieces = grep { $_->[2] =~ /partial/ } @{ $r->{log} };
        my ($bytes) = sort { $b <=> $a } map { input_bytes($_->[0]) } @$want;
        cmp_ok $pieces, '>=', int(($bytes - 1) / $limit), 'a long line is in pieces' if ($bytes // 0) > $limit;
        is $r->{end}{lines}, 2 + @$want, 'the record counts the lines';
        is $r->{end}{bytes}, length(join '', map { Encode::encode('UTF-8', $_) } $head . "\n", 'Build finished' . "\n",
            map { $_->[0] . "\n" } @$got), 'and their bytes';
        same_in_all_three($r);
    };
}

subtest 'both streams keep their own order' => sub {
    my $r = three(start_build(make_project('two',
        'perl -e \'$| = 1; for (1 .. 500) { print "out $_\n"; syswrite STDERR, "err $_\n" }\'')));
    my $got = printed($r->{log});
    for (['stdout', 'out'], ['stderr', 'err']) {
        my ($stream, $word) = @$_;
        is_deeply [map { $_->[0] } grep { $_->[1] eq $stream } @$got], [map { "$word $_" } 1 .. 500], $stream;
    }
    same_in_all_three($r);
};

# ---- what comes in parts --------------------------------------------------

# A build whose script waits where it says "wait N" until the test lets it go
# on; the callback gets the stream and a function that lets it go on.
sub in_parts
{
    my ($name, $script, $watch) = @_;
    my $path = make_project($name, "wait() { while [ ! -e go\$1 ]; do sleep 0.01; done; }\n$script");
    unlink glob "$path/go*";
    my $id = start_build($path);
    my $stream = open_stream("/api/log/push?build=$id&format=json");
    $stream->until(sub { ($_->{data} // '') =~ /"step":1,/ }, 10);
    my $line = sub {
        my ($event) = grep { !$_->{event} } $stream->until(sub { !exists $_->{event} && exists $_->{data} }, 10);
        return $json->decode($event->{data});
    };
    $watch->($line, sub { write_file("$path/go$_[0]", '') });
    $stream->close;
    return three($id);
}

subtest 'a prompt' => sub {
    # A machine with much else to do may need longer for one, not for each.
    my ($times, $soonest) = (5, 1e9);
    my $r = in_parts('prompt', join('', map { "printf \"Continue? \"; wait $_; echo yes\n" } 1 .. $times), sub {
        my ($line, $go) = @_;
        for my $n (1 .. $times) {
            my $from = time;
            my $first = $line->();
            my $took = time - $from;
            $soonest = $took if $took < $soonest;
            is_deeply [@$first{qw(text partial)}], ['Continue? ', JSON::PP::true], 'comes as a piece';
            $go->($n);
            my $second = $line->();
            is_deeply [@$second{qw(text partial)}], ['yes', undef], 'the rest ends the line';
        }
    });
    cmp_ok $soonest, '<', 1, 'is there within a second';
    is_deeply printed($r->{log}), [(['Continue? yes', 'stdout']) x $times], 'joined it is the line';
    same_in_all_three($r);
};

subtest 'half a character' => sub {
    # U+1F600 is F0 9F 98 80.
    my $r = in_parts('half', join("\n", q{printf 'a\360'}, 'wait 1', q{printf '\237\230'}, 'wait 2', q{printf '\200b'},
        'wait 3', q{printf '\303'}, 'wait 4', q{printf '\244\n'}), sub {
        my ($line, $go) = @_;
        is $line->()->{text}, 'a', 'what is whole is shown';
        $go->($_) for 1, 2;
        is $line->()->{text}, "\x{1f600}b", 'the character when it is whole';
        $go->($_) for 3, 4;
        is $line->()->{text}, "\x{e4}", '... and the next';
    });
    is_deeply printed($r->{log}), [["a\x{1f600}b\x{e4}", 'stdout']], 'joined it is what was printed';
    ok !(grep { $_->[1] =~ /\x{FFFD}/ } @{ $r->{log} }), 'nothing was broken';
    same_in_all_three($r);
};

subtest 'a progress bar' => sub {
    my $r = in_parts('bar', q{printf '10%%\r'; wait 1; printf '50%%\r'; wait 2; printf '100%%\r'; wait 3; printf '\ndone\n'}, sub {
        my ($line, $go) = @_;
        for (1, 2, 3) {
            my $l = $line->();
            is_deeply [@$l{qw(text cr)}], [(undef, '10%', '50%', '100%')[$_], JSON::PP::true], "frame $_ is shown while it is there";
            $go->($_);
        }
        is $line->()->{text}, '100%', 'the line end makes a line of the last';
        is $line->()->{text}, 'done', 'and then it goes on';
    });
    same_in_all_three($r);
};

subtest 'a line of stderr within one of stdout' => sub {
    my $r = in_parts('within', 'printf "left "; wait 1; echo between >&2; wait 2; echo right', sub {
        my ($line, $go) = @_;
        is $line->()->{text}, 'left ', 'the beginning';
        $go->(1);
        my $l = $line->();
        is_deeply [@$l{qw(text stream)}], ['between', 'stderr'], 'what comes between is of the other stream';
        $go->(2);
        is $line->()->{text}, 'right', 'the end';
    });
    is_deeply [sort { $a->[1] cmp $b->[1] } @{ printed($r->{log}) }], [['between', 'stderr'], ['left right', 'stdout']],
        'each stream has its line';
    same_in_all_three($r);
};

# ---- ids ------------------------------------------------------------------

sub ids { return map { $_->{id} } read_log($_[0]) }

sub grow_strictly
{
    my $last = 0;
    for (@_) {
        return 0 if $_ <= $last;
        $last = $_;
    }
    return 1;
}

subtest 'two builds at the same time' => sub {
    my $go = project('made-loud-go');
    unlink $go;
    my @id = map { start_build(make_project("loud-$_", 'until [ -e ../made-loud-go ]; do sleep 0.01; done; seq 1 20000')) } 1, 2;
    wait_for_state($_, 'running', 20) for @id;
    write_file($go, '');
    wait_for_state($_, 'succeeded', 20) for @id;
    unlink $go;
    my @ids = map { [ids($_)] } @id;
    ok @$_ > 20000, 'each has its records' for @ids;
    ok grow_strictly(@$_), '... with ids that grow' for @ids;
    my %seen;
    $seen{$_}++ for map { @$_ } @ids;
    is_deeply [grep { $seen{$_} > 1 } keys %seen], [], 'they never share an id';
    ok $ids[0][0] < $ids[1][-1] && $ids[1][0] < $ids[0][-1], 'they were at the same time';
};

subtest 'over builds and a graceful restart' => sub {
    my $path = make_project('later', 'echo later');
    my @id = start_build($path);
    wait_for_state($id[0], 'succeeded');
    push @id, start_build($path);
    wait_for_state($id[1], 'succeeded');
    my $mark = log_mark();
    is +(httpd('-k', 'graceful'))[0], 0, 'a graceful restart';
    wait_until { log_since($mark) =~ /resuming normal operations/ } 10, 'the new generation';
    push @id, start_build($path);
    wait_for_state($id[2], 'succeeded');
    ok $id[0] < $id[1] && $id[1] < $id[2], 'numbers of builds grow';
    ok grow_strictly(map { ids($_) } @id), 'ids grow over all of them';
};

done_testing;
