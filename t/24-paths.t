# 24-paths.t - a path names a project or it does not, whatever stands in the file
# system; and no build runs anywhere but in the directory that was asked about,
# whatever takes its place meanwhile (promise 8)
#
# What 20-build.t has of paths is not repeated here.
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(log_since project top wait_until write_file);
use BuildLog::Server;
use File::Path qw(make_path remove_tree);
use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use Time::HiRes qw(sleep time);

my $projects = project('');
my $root     = "${projects}paths";
make_path("$root/plain", "$root/closed/inside", "$root/outer/own", "$root/outer/inherits", "$root/outer/off/on",
    "$root/race/real/p", "$root/race/out/p");

# Each step tells where it runs, and leaves a file there.
my $where = 'BuildLogStep where "pwd -P; : >ran"';
my $config = <<"END";
BuildLogMaxBuilds 1
<Directory "$root/*">
    BuildLog On
    $where
</Directory>
<Directory "$root/outer">
    BuildLogTitle "Outer"
    BuildLogStep outer "echo outer; pwd -P"
</Directory>
<Directory "$root/outer/own">
    BuildLogStep own "echo own; pwd -P"
</Directory>
<Directory "$root/outer/off">
    BuildLog Off
</Directory>
<Directory "$root/outer/off/on">
    BuildLog On
</Directory>
# Only the innermost: what stands beside it is no project.
<Directory "$root/race">
    BuildLog Off
</Directory>
<Directory "$root/race/real/p">
    BuildLog On
</Directory>
<Directory "$root/steps">
    BuildLogStep one "pwd -P; touch begun; while [ ! -e go ]; do sleep 0.02; done; rm go"
    BuildLogStep two "pwd -P; : >ran"
</Directory>
<Directory "$root/gate">
    BuildLogStep wait "touch begun; while [ ! -e go ]; do sleep 0.02; done; rm go begun"
</Directory>
END
my $s = BuildLog::Server->start($config);

my $refused = do {
    my $r = ($s->post_build('/no/such'))[2];
    is $r->{status}, 403, 'nothing there';
    $r->{body};
};

# Bytes of a path, as a form.
sub ask { my ($path) = @_; return ($s->post_build($path))[2] }

sub is_refused
{
    my ($path, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r = ask($path);
    is "$r->{status} $r->{body}", "403 $refused", "$name: as if nothing were there";
    return;
}

sub is_project
{
    my ($path, $real, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r = ask($path);
    is $r->{status}, 202, $name or return diag $r->{body};
    my $id = $r->{json}{build}{id};
    is $r->{json}{build}{project}, $real, '... the real path';
    my $build = $s->wait_for_state($id, 'succeeded|failed', 15);
    is $build->{state}, 'succeeded', '... builds';
    my @lines = map { $_->{text} } grep { grep { $_ eq 'F' } @{ $_->{tags} } and !grep { /^(?:build|end|note)$/ } @{ $_->{tags} } }
        @{ $s->log_records($id) };
    is $lines[-1], $real, '... there';
    return @lines;
}

# ---- what is no directory ------------------------------------------------------

subtest 'no directory' => sub {
    my $at = "$root/plain";
    mkfifo("$at/fifo", 0600) or die "fifo: $!\n";
    # Shorter than the names of sockets may be.
    my $here = "/proc/self/fd/" . do { opendir my $d, $at or die $!; our $keep = $d; fileno $d };
    my $socket = IO::Socket::UNIX->new(Local => "$here/socket", Listen => 1) or diag "socket: $!";
    write_file("$at/file", 'x');
    symlink 'file', "$at/link-to-file";
    symlink 'fifo', "$at/link-to-fifo";
    symlink "$at/nothing", "$at/dangling";
    # A fifo that somebody opened would never answer.
    is_refused("$at/$_", $_) for qw(fifo socket file link-to-file link-to-fifo dangling fifo/ file/ file/. file/.. dangling/..);
    is_refused($_, $_) for qw(/dev/null /dev/zero /dev/tty /dev/stdin /dev/fd/0 /proc/self/fd/0 /proc/self/mem /proc/1/root /proc/self/exe
        /proc/self/environ /sys);
    unlink map { "$at/$_" } qw(fifo socket file link-to-file link-to-fifo dangling);
};

# ---- names -----------------------------------------------------------------------

subtest 'names' => sub {
    my $at = "$root/plain";
    is_refused($_, $_) for "$root/PLAIN", "$root/Plain", uc $at, "$at ", " $at", "$at\t", "$at/ ", "$at\\", $at =~ s{/}{\\}gr,
        "$at;", "$at#x", "$at?x=1", "$at%2f", "$at/...", "$at/....//", "$at/./../plain/../no", "$root/pla*", "$root/{plain}", "$root/[p]lain",
        "\$PWD", "~nobody", "file:$at", "./$at", "..$at", "$at\r", "$at\x7f", "$at\x01";
    is_project($_, $at, $_) for "$at/", "$at//", "$at/.", "$at/./.", "//$at", "/.$at", "/..$at", "$root/outer/../plain", "$root//plain",
        "/proc/self/root$at";
    # Overlong forms, halves, what is no character.
    is_refused("$root/$_", 'not UTF-8: ' . join '', map { sprintf '%%%02X', ord } split //, $_)
        for "plain\xff", "plain\xc0\xaf", "\xc0\xae\xc0\xae/plain", "plain\xed\xa0\x80", "plain\xf8\x88\x80\x80\x80", "plain\xe2\x82";
    for my $bad ("bad\xff\xfe", "bad\nline", "bad\x1b[31m", "bad\ttab", "bad\x7f") {
        mkdir "$root/$bad" or die "$!\n";
        is_refused("$root/$bad", 'a directory whose name has ' . join '', map { /[ -~]/ ? $_ : sprintf '\x%02x', ord } split //, $bad);
        is_refused("$root/$bad/../$bad", '... by a detour');
    }
    ok !(grep { $_->{path} =~ /bad/ } @{ $s->get_json('/api/project/projects')->{projects} }), 'they are in no list';
    for my $good ("\xe4\xb8\xad\xe6\x96\x87", "\xf0\x9f\x94\xa8", "a'b\"c`d\$e", 'a&b=c;d|e', '--version', '<b>', ' x ', '..x', 'x..', '%2e%2e') {
        mkdir "$root/$good" or die "$!\n";
        my $r = ask("$root/$good");
        is $r->{status}, 202, "a directory called $good";
        my $build = $s->wait_for_state($r->{json}{build}{id}, 'succeeded|failed', 15);
        ok $build->{state} eq 'succeeded' && -e "$root/$good/ran", '... in which it ran';
    }
    remove_tree(map { my $n = $_; "$root/$n" } grep { !/^(?:\.\.?|plain|closed|outer|race)$/ } do { opendir my $d, $root or die $!; readdir $d });
};

# From one below the longest path that a project may have to far above what the
# system takes.
subtest 'lengths' => sub {
    my $most = 1023;
    my $deep = "$root/plain";
    $deep .= '/' . 'd' x 99 while length($deep) + 100 < $most - 100;
    $deep .= '/' . 'e' x ($most - length($deep) - 1);
    is length $deep, $most, "a path of $most bytes";
    make_path($deep);
    is_project($deep, $deep, '... is a project');
    is_project("$deep/.", $deep, '... also said in more');
    make_path("$deep/f", "$deep/ff");
    is_refused("$deep/f", 'one of two more') ;
    is_refused("$deep/ff", 'one of three more');
    is_refused("$root/plain/" . 'x' x $_, "a name of $_ bytes") for 255, 256, 257, 1000;
    for my $length (4094, 4095, 4096, 4097, 8191, 20_000, 60_000) {
        is_refused('/' . 'x' x ($length - 1), "a name of $length bytes");
        is_refused(substr("$root/plain" . '/y' x $length, 0, $length), "a path of $length bytes");
    }
    # Long, but it leads to where it says.
    my $long = "$root/plain" . '/.' x 1900;
    is_project($long, "$root/plain", 'a path of ' . length($long) . ' bytes that is a short one');
    remove_tree("$root/plain/" . 'd' x 99);
};

# ---- inside each other -------------------------------------------------------------

subtest 'a project inside of a project' => sub {
    my $outer = "$root/outer";
    is_deeply [is_project($outer, $outer, 'the outer one')], ['outer', $outer], '... its step';
    is_deeply [is_project("$outer/inherits", "$outer/inherits", 'one inside')], ['outer', "$outer/inherits"], '... the same step, there';
    is_deeply [is_project("$outer/own", "$outer/own", 'one that says for itself')], ['own', "$outer/own"], '... its own step';
    is_refused("$outer/off", 'one that is off');
    is_deeply [is_project("$outer/off/on", "$outer/off/on", 'one inside of that, which is on')], ['outer', "$outer/off/on"], '... the step of the outer';
    symlink "$outer/off", "$outer/link-off";
    symlink "$outer/own", "$outer/off/link-own";
    is_refused("$outer/link-off", 'by a link inside: off');
    is_refused("$outer/inherits/../off", 'by a detour: off');
    is_deeply [is_project("$outer/off/link-own", "$outer/own", 'from what is off, by a link')], ['own', "$outer/own"], '... to what is on';
    unlink "$outer/link-off", "$outer/off/link-own";
};

# ---- closed -------------------------------------------------------------------------

SKIP: {
    skip 'root may enter everything', 1 if $< == 0;
    subtest 'no permission to enter' => sub {
        my $at = "$root/closed";
        for my $mode (0, 0600, 0644) {
            chmod $mode, $at or die $!;
            is_refused("$at/inside", sprintf 'inside of a directory of mode %04o', $mode);
            my $r = ask($at);
            is $r->{status}, 202, '... itself is a project';
            my $build = $s->wait_for_state($r->{json}{build}{id}, 'succeeded|failed', 15);
            is "$build->{state}: $build->{reason}", "failed: step \"where\" could not be started in $at: Permission denied", '... that cannot be built';
        }
        # To read it is not needed.
        chmod 0300, $at;
        is_project($at, $at, 'a directory that cannot be read');
        chmod 0700, $at;
        is_project("$at/inside", "$at/inside", 'open again');
    };
}

# ---- swapped --------------------------------------------------------------------------

# Ordered while another build runs, begun when something else is there.
subtest 'swapped while it waits' => sub {
    my ($real, $out) = ("$root/race/real", "$root/race/out");
    make_path("$root/gate");
    my $other = sub { rename "$root/race/real", "$root/race/away" or die $! };
    my @cases = (
        ['a link above it',              sub { $other->(); symlink $out, $real or die $! }, sub { unlink $real }, qr/a symbolic link stands in this path now/],
        ['a relative link above it',     sub { $other->(); symlink 'out', $real or die $! }, sub { unlink $real }, qr/a symbolic link stands in this path now/],
        ['a link to where it went',      sub { $other->(); symlink 'away', $real or die $! }, sub { unlink $real }, qr/a symbolic link stands in this path now/],
        ['a link in its own place',      sub { $other->(); mkdir $real or die $!; symlink "$out/p", "$real/p" or die $! },
                                         sub { unlink "$real/p"; rmdir $real }, qr/a symbolic link stands in this path now/],
        ['nothing',                      sub { $other->() }, sub { }, qr/No such file or directory/],
        ['a file',                       sub { $other->(); write_file($real, '') }, sub { unlink $real }, qr/Not a directory/],
        ['a fifo',                       sub { $other->(); mkfifo($real, 0600) or die $! }, sub { unlink $real }, qr/Not a directory/],
    );
    for (@cases) {
        my ($what, $swap, $back, $why) = @$_;
        my $gate = ask("$root/gate")->{json}{build}{id};
        wait_until { -e "$root/gate/begun" } 15, 'the gate';
        my $r = ask("$real/p");
        is $r->{status}, 202, "$what: it was a project when it was asked for";
        $swap->();
        write_file("$root/gate/go", '');
        my $build = $s->wait_for_state($r->{json}{build}{id}, 'succeeded|failed', 15);
        is $build->{state}, 'failed', '... and is not built';
        like $build->{reason}, qr{^step "where" could not be started in \Q$real\E/p: }, '... which it says';
        like $build->{reason}, $why, '... with the reason';
        ok !-e "$out/p/ran" && !-e "$root/race/away/p/ran", '... nothing ran elsewhere';
        $back->();
        rename "$root/race/away", $real or die $!;
        $s->wait_for_state($gate, 'succeeded', 15);
    }
    is_project("$real/p", "$real/p", 'as it was before it is built');
    unlink "$real/p/ran";
};

subtest 'swapped between two steps' => sub {
    my ($at, $away, $out) = ("$root/steps", "$root/away", "$root/race/out/p");
    make_path($at);
    my @cases = (
        ['a link',            sub { symlink $out, $at or die $! }, qr/a symbolic link stands in this path now/],
        ['another directory', sub { mkdir $at or die $! }, qr/another directory has taken its place/],
        ['nothing',           sub { }, qr/No such file or directory/],
    );
    for (@cases) {
        my ($what, $swap, $why) = @$_;
        my $id = ask($at)->{json}{build}{id};
        wait_until { -e "$at/begun" } 15, 'the first step';
        rename $at, $away or die $!;
        $swap->();
        write_file("$away/go", '');
        my $build = $s->wait_for_state($id, 'succeeded|failed', 15);
        is $build->{state}, 'failed', "$what in its place: it fails";
        is $build->{steps}[0]{state}, 'succeeded', '... after the first step';
        like $build->{reason}, qr{^step "two" could not be started in \Q$at\E: }, '... the second does not begin';
        like $build->{reason}, $why, '... and why';
        ok !-e "$out/ran" && !-e "$at/ran" && !-e "$away/ran", '... nothing ran elsewhere';
        -l $at ? unlink $at : rmdir $at;
        unlink "$away/begun";
        rename $away, $at or die $!;
    }
};

# As fast as it goes: no order of swaps and questions lets one through.
subtest 'swapped all the time' => sub {
    my ($race, $seconds) = ("$root/race", 4);
    my $parent = $$;
    my $swapper = fork // die "fork: $!\n";
    if (!$swapper) {
        my $until = time + 120;
        $SIG{TERM} = sub { $until = 0 };
        while (time < $until && getppid() == $parent) {
            rename "$race/real", "$race/away";
            symlink 'out', "$race/real";
            sleep 0.0005 * int rand 6;
            unlink "$race/real";
            rename "$race/away", "$race/real";
            sleep 0.0005 * int rand 6;
        }
        POSIX::_exit(0);
    }
    my (%said, @ids, @wrong);
    my $until = time + $seconds;
    # On a machine with much else to do as long as it takes to hit one.
    while (time < $until || (!@ids && time < $until + 60)) {
        my $r = eval { ask("$race/real/p") } or next;
        $said{ $r->{status} }++;
        push @ids, $r->{json}{build}{id} if $r->{status} == 202;
        push @wrong, "refused with $r->{body}" if $r->{status} == 403 && $r->{body} ne $refused;
        # The queue is small, and holds no secret of this test.
        sleep 0.05 if $r->{status} == 503;
    }
    my %ended;
    for my $id (@ids) {
        my $build = $s->wait_for_state($id, 'succeeded|failed', 60);
        $ended{"$build->{state}" . ($build->{reason} ? ': ' . ($build->{reason} =~ s/.*: //r) : '')}++;
        for (@{ $s->log_records($id) }) {
            push @wrong, "build $id ran in $_->{text}" if $_->{text} =~ m{^/} && $_->{text} !~ m{^\Q$race\E/(?:real|away)/p$};
        }
    }
    kill 'TERM', $swapper;
    waitpid $swapper, 0;
    note join ', ', map({ "$_: $said{$_}" } sort keys %said), map { "$_: $ended{$_}" } sort keys %ended;
    is_deeply \@wrong, [], 'each build ran where it was asked for, or did not';
    ok !-e "$race/out/p/ran", 'nothing ran elsewhere';
    cmp_ok scalar(@ids), '>', 0, '... and some were accepted';
};

# ---- addresses ---------------------------------------------------------------------------

subtest 'addresses' => sub {
    my $id = ask("$root/plain")->{json}{build}{id};
    $s->wait_for_state($id, 'succeeded', 15);
    for my $path ("$id/../../../../../etc/passwd", "$id%2f..%2f..%2flock", "..%2f..%2flock", '%2e%2e/lock', "$id/log/../lock", "$id/log%00", "$id.log",
        "$id/log/", "$id//lock", "0$id/log", "$id/log.txt", "../../../lock", "$id/Log", "$id/log;x", "$id/log%2f") {
        my $r = $s->request('GET', "/api/project/builds/$path");
        ok $r->{status} =~ /^(?:400|404)$/, "builds/$path: $r->{status}";
        unlike $r->{body}, qr/root:|ran$/m, '... and nothing of any file';
    }
};

done_testing;
