#!/usr/bin/perl
# store.pl - measures what is asked of a store that has grown: the list of many
# builds, and one large log; for `make bench-store`
#
# It writes so many logs of ended builds, starts the module, and waits until the
# module itself has brought them into its history. Then lists are asked for on
# one connection, 200 times each; then the large log: its last 200 lines as a
# stream, windows of its lines by number, and all of it as text; then the same
# windows of a log as large that still grows. A child's memory is RssAnon, beside
# it the peak of all that is resident: parts of a log that are sent straight from
# the file count there while they are mapped.
#
# BUILDS  ended builds (10000), of 10 projects; another one has the latest half
#         and may not be seen by the one who asks
# LOG     megabytes of the large log (1024; 0: none)
# MODULE and APXS come from the Makefile. KEEP=1 keeps the directory.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use POSIX qw(WNOHANG strftime);
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep time);

my $module = abs_path($ENV{MODULE} || '.libs/mod_buildlog.so');
my $top = abs_path(dirname(abs_path($0)) . '/../..');
my $apxs = $ENV{APXS} || 'apxs';
my $builds = $ENV{BUILDS} || 10_000;
my $large = (length($ENV{LOG} // '') ? $ENV{LOG} : 1024) * 1024 * 1024;
my $times = 200;
$ENV{PATH} .= ':/usr/sbin:/sbin';

my ($tmp, $httpd, $me) = (undef, undef, $$);
END {
    if ($$ == $me) {
        my $status = $?;
        if ($httpd) {
            kill 'TERM', $httpd;
            for (1 .. 1000) {
                last if waitpid($httpd, WNOHANG) != 0;
                sleep 0.02;
            }
        }
        remove_tree($tmp) if defined $tmp && !$ENV{KEEP};
        print STDERR "store: kept $tmp\n" if defined $tmp && $ENV{KEEP};
        $? = $status;
    }
}
$SIG{INT} = sub { exit 130 };
$SIG{TERM} = $SIG{HUP} = sub { exit 143 };

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/;
    return readline($in) // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "store: $file: $!\n";
    print $out $text;
    close $out or die "store: $file: $!\n";
}

sub wait_for {
    my ($what, $seconds, $true) = @_;
    my $until = time + $seconds;
    until ($true->()) {
        die "store: $what; " . substr(slurp("$tmp/error_log"), -500) . "\n"
            if time > $until;
        sleep 0.05;
    }
}

# ---- the store -------------------------------------------------------

# So far apart are two builds: the last one ended a minute ago.
my $apart = 10;
my $epoch = int(time) - 60 - ($builds + 2) * $apart;
my @names = ((map { "project-$_" } 0 .. 9), 'hidden');

sub stamp { # microseconds since the first build
    my ($us) = @_;
    my $s = int($us / 1e6);
    return strftime('%Y-%m-%dT%H:%M:%S', gmtime($epoch + $s))
        . sprintf('.%06dZ', $us - $s * 1_000_000);
}

sub name_of {
    my ($id) = @_;
    return $id > $builds / 2 && $id <= $builds ? 'hidden'
        : 'project-' . $id % 10;
}

sub state_of {
    my ($id) = @_;
    return $id % 50 == 0 ? 'cancelled' : $id % 10 == 3 ? 'failed'
        : 'succeeded';
}

sub record {
    my ($id, $from, $to, $lines, $bytes) = @_;
    my ($name, $state) = (name_of($id), state_of($id));
    my $step = $state eq 'cancelled' ? 'failed' : $state;
    my $exit = $state eq 'succeeded' ? 0 : 1;
    my $sha = '0' x 64;
    return qq({"id":$id,"project":"$tmp/$name","title":"$name",)
        . qq("state":"$state","reason":null,"step":null,"steps":[{"name":)
        . qq("run","state":"$step","started":"$from","ended":"$to",)
        . qq("exit":$exit,"signal":null}],"created":"$from",)
        . qq("started":"$from","ended":"$to","exit":$exit,"signal":null,)
        . qq("user":null,"position":null,"lines":$lines,"bytes":$bytes,)
        . qq("sha256":"$sha"});
}

sub write_logs {
    for my $id (1 .. $builds) {
        my $at = $id * $apart * 1_000_000;
        my ($from, $to) = (stamp($at), stamp($at + 5_000_000));
        my $text = join '', map { stamp($at + $_) . " stdout F line $_\n" }
            1 .. 20;
        spew("$tmp/state/logs/$id.log", $text . stamp($at + 5_000_001)
            . ' stdout F:note:end ' . record($id, $from, $to, 20, 151)
            . "\n");
    }
}

# The last build. Returns how many lines it has.
sub write_large {
    my $id = $builds + 1;
    my $at = $id * $apart * 1_000_000;
    my $filler = 'x' x 50;
    my ($n, $size, $bytes) = (0, 0, 0);
    my $second = int($at / 1e6);
    # A line a microsecond: more would take us beyond now.
    my $second_text = substr stamp($at), 0, 19;
    open my $out, '>', "$tmp/state/logs/$id.log" or die "store: $!\n";
    while ($size < $large) {
        my $lot = '';
        for (1 .. 10_000) {
            my $us = $n % 1_000_000;
            $second_text = substr stamp($at + $n), 0, 19 if $us == 0;
            $n++;
            my $text = "line $n $filler\n";
            $bytes += length $text;
            $lot .= sprintf '%s.%06dZ stdout F %s', $second_text, $us, $text;
        }
        $size += length $lot;
        print $out $lot;
    }
    print $out stamp($at + $n) . ' stdout F:note:end '
        . record($id, stamp($at), stamp($at + $n), $n, $bytes) . "\n";
    close $out or die "store: $!\n";
    return ($n, $bytes);
}

# ---- the server ------------------------------------------------------

my $port;

sub start_httpd {
    my $modules = `$apxs -q LIBEXECDIR`;
    my $program = `$apxs -q SBINDIR` . '/' . `$apxs -q progname`;
    s/\n//g for $modules, $program;
    my $free = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "store: no free port\n";
    $port = $free->sockport;
    close $free;
    spew("$tmp/httpd.conf", <<"END");
ServerName 127.0.0.1
Listen 127.0.0.1:$port
DefaultRuntimeDir $tmp
PidFile $tmp/httpd.pid
ErrorLog $tmp/error_log
LogLevel warn authz_core:crit
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dbd_module $modules/mod_dbd.so
LoadModule buildlog_module $tmp/mod_buildlog.so
ServerLimit 1
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
MaxKeepAliveRequests 0
BuildLogStateDir $tmp/state
BuildLogKeep count=0 age=0 size=0
Include $tmp/buildlog.conf
<Directory "$tmp/project-*">
    BuildLog On
    BuildLogMaxLog 4G
    Require all granted
</Directory>
<Directory "$tmp/live">
    BuildLog On
    BuildLogMaxLog 8G
    BuildLogStep print "exec perl $tmp/print.pl $tmp/live/go $large"
    Require all granted
</Directory>
<Directory "$tmp/hidden">
    BuildLog On
    Require all denied
</Directory>
END
    my @as = $> == 0
        ? qw(setpriv --reuid=nobody --regid=nogroup --clear-groups) : ();
    $httpd = fork // die "store: fork: $!\n";
    if ($httpd == 0) {
        POSIX::setsid();
        open STDOUT, '>>', "$tmp/output";
        open STDERR, '>&', \*STDOUT;
        exec @as, 'env', '-i', "PATH=$ENV{PATH}", 'LANG=C.UTF-8', $program,
            '-D', 'FOREGROUND', '-f', "$tmp/httpd.conf" or POSIX::_exit(127);
    }
}

sub child { # the process that serves
    for my $dir (glob '/proc/[0-9]*') {
        my ($name, $parent) = slurp("$dir/stat") =~ /\((.*)\) \S (\d+)/s;
        next if !defined $parent || $parent != $httpd
            || $name =~ /^buildlog/;
        return $dir;
    }
    die "store: no child\n";
}

sub memory { # kB: RssAnon, and the peak of all
    my $status = slurp(child() . '/status');
    return map { $status =~ /^$_:\s+(\d+)/m ? $1 : 0 } 'RssAnon', 'VmHWM';
}

sub reset_peak { spew(child() . '/clear_refs', 5) }

# ---- requests --------------------------------------------------------

my $line;    # the one connection
my $buffer = '';

sub dial {
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
        or die "store: connect: $!\n";
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
    return $s;
}

sub more {
    sysread $line, $buffer, 1 << 16, length $buffer
        or die "store: the connection ended\n";
}

sub take { # so many bytes
    my ($n) = @_;
    more() while length $buffer < $n;
    return substr $buffer, 0, $n, '';
}

sub get { # body
    my ($path) = @_;
    $line //= dial();
    syswrite $line, "GET $path HTTP/1.1\r\nHost: x\r\n\r\n";
    more() until $buffer =~ s/\A(.*?\r\n)\r\n//s;
    my $head = $1;
    die "store: $path: $head\n" if $head !~ /^HTTP\S+ 200/;
    return take($1) if $head =~ /^Content-Length: (\d+)/mi;
    my $body = '';
    while (1) {
        more() until $buffer =~ s/\A([0-9a-f]+)\r\n//i;
        my $n = hex $1;
        $body .= take($n);
        take(2);
        return $body if $n == 0;
    }
}

sub measure_list {
    my ($query) = @_;
    my $path = '/api/project/builds' . ($query ne '' ? "?$query" : '');
    my ($body, @took);
    for (1 .. $times) {
        my $from = time;
        $body = get($path);
        push @took, (time - $from) * 1000;
    }
    @took = sort { $a <=> $b } @took;
    my $n = @{ decode_json($body)->{builds} };
    printf "%-44s %6d %9.2f %8.2f %8.1f\n", $query eq '' ? '(none)' : $query =~ s{\Q$tmp\E/}{}r,
        $n, $took[$#took / 2], $took[$#took * 0.99], length($body) / 1000;
}

sub figure { printf "  %-42s %s\n", @_ }

sub measure_tail {
    my ($id) = @_;
    my $s = dial();
    my ($from, $seen, $n, @at) = (time, '', 0);
    syswrite $s, "GET /api/log/push?build=$id&tail=200 HTTP/1.1\r\n"
        . "Host: x\r\nAccept: text/event-stream\r\n\r\n";
    while (sysread $s, $seen, 1 << 16, length $seen) {
        while ($seen =~ s/\A.*?\ndata: \[[^\n]*\n\n//s) {
            $n++;
            push @at, time - $from if $n == 1 || $n == 200;
        }
    }
    die "store: $n lines instead of 200\n" if $n != 200;
    return map { 1000 * $_ } @at;
}

sub measure_large {
    my ($lines, $bytes) = @_;
    my $id = $builds + 1;
    printf "a log of %d MB, %d lines:\n", (-s "$tmp/state/logs/$id.log") >> 20, $lines;
    reset_peak();
    my ($anon, $peak) = memory();
    my @tail = map { [measure_tail($id)] } 1 .. 20;
    for my $i (0, 1) {
        my @took = sort { $a <=> $b } map { $_->[$i] } @tail;
        figure("tail=200: line " . ($i ? 200 : 1) . ', ms (of 20; most)',
            sprintf '%.1f; %.1f', $took[$#took / 2], $took[-1]);
    }
    my ($anon_tail, $peak_tail) = memory();
    figure('... RssAnon, peak: grew by kB', ($anon_tail - $anon) . ', ' . ($peak_tail - $peak));
    for my $kind ('text', 'json') {
        reset_peak();
        ($anon, $peak) = memory();
        my $most = $anon;
        my $s = dial();
        my ($from, $got, $chunk, $next) = (time, 0, '', 0);
        syswrite $s, "GET /api/project/builds/$id/log"
            . ($kind eq 'json' ? '?format=json' : '') . " HTTP/1.0\r\n\r\n";
        while (my $n = sysread $s, $chunk, 1 << 18) {
            $got += $n;
            next if $got < $next;
            $next = $got + (1 << 26);
            my ($now) = memory();
            $most = $now if $now > $most;
        }
        my $took = time - $from;
        figure("all of it as $kind, s; MB/s", sprintf '%.1f; %.0f', $took, $got / 1e6 / $took);
        my (undef, $peak_now) = memory();
        figure('... RssAnon, peak: grew by kB', ($most - $anon) . ', ' . ($peak_now - $peak));
        die "store: $got bytes instead of $bytes\n" if $kind eq 'text' && $got < $bytes;
    }
}

# What a page asks for that scrolls: FETCH chunks (htdocs/js/log/records.mjs).
my $window = 4000;

sub measure_windows {
    my ($id, $lines) = @_;
    my ($anon) = memory();
    my $ask = sub {
        my ($what, @queries) = @_;
        my @took;
        for my $query (@queries) {
            my $from = time;
            get("/api/project/builds/$id/lines?$query");
            push @took, (time - $from) * 1000;
        }
        my $first = $took[0];
        @took = sort { $a <=> $b } @took;
        figure("lines: $what, ms (the first; of " . @took . '; most)',
            sprintf '%.1f; %.1f; %.1f', $first, $took[$#took / 2], $took[-1]);
    };
    my $at = sub { "first=$_[0]&count=$window" };
    $ask->('the last 2000', ('last=2000') x 10);
    $ask->('scrolled up from there', map { $at->($lines - $_ * $window) } 1 .. 30);
    $ask->('of the middle, up', map { $at->(int($lines / 2) - $_ * $window) } 1 .. 30);
    $ask->('of the start, down', map { $at->(1 + $_ * $window) } 0 .. 29);
    $ask->('anywhere', map { $at->(1 + int rand($lines - $window)) } 1 .. 50);
    my ($now) = memory();
    figure('... RssAnon grew by kB', $now - $anon);
}

# A build that prints as much, and runs on.
sub measure_live {
    my $body = "projectPath=$tmp/live";
    my $s = dial();
    print $s "POST /api/project/build HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
    my ($id) = do { local $/; readline($s) =~ /"id":(\d+)/ } or die "store: no build\n";
    my $log = "$tmp/state/logs/$id.log";
    undef $line;
    wait_for('the live log does not grow', 600, sub { -e "$tmp/live/go" });
    my $lines = slurp("$tmp/live/go");
    # What was written last is on its way.
    wait_for('the live log has no end', 60, sub {
        open my $in, '<', $log or return 0;
        seek $in, -1000, 2;
        local $/;
        return readline($in) =~ /that is all/;
    });
    printf "a log of %d MB that grows, %d lines:\n", (-s $log) >> 20, $lines;
    measure_windows($id, $lines);
}

# ---- all of it -------------------------------------------------------

$tmp = tempdir('buildlog-store-XXXXXX', DIR => '/tmp');
chmod 0755, $tmp;
copy($module, "$tmp/mod_buildlog.so") or die "store: $module: $!\n";
copy("$top/conf/buildlog.conf", $tmp) or die "store: $!\n";
mkdir "$tmp/$_" for @names, 'live', 'state', 'state/logs';
# Prints so many bytes, at the server's pace, says how many lines, and stays.
spew("$tmp/print.pl", <<'END');
my ($go, $bytes) = @ARGV;
my $filler = 'x' x 50;
my ($n, $size) = (0, 0);
while ($size < $bytes) {
    my $lot = join '', map { "line $_ $filler\n" } $n + 1 .. $n + 1000;
    $n += 1000;
    # As long as they are in the log.
    $size += length($lot) + 1000 * 38;
    print $lot;
}
print "that is all\n";
$| = 1;
print '';
open my $out, '>', "$go.part" or die "$go: $!\n";
print $out $n + 2; # the step's own
close $out;
rename "$go.part", $go;
sleep 3600;
END
my $from = time;
write_logs();
my @large = $large ? write_large() : ();
printf STDERR "store: written in %.0f s\n", time - $from;
if ($> == 0) {
    system('chown', '-R', 'nobody:nogroup', $tmp) == 0 or die "store: chown\n";
}
$from = time;
start_httpd();
wait_for('it does not answer', 60, sub {
    my $s = eval { dial() } or return 0;
    print $s "GET /api/project/projects HTTP/1.0\r\n\r\n";
    local $/;
    return (readline($s) // '') =~ /^HTTP\S+ 200/;
});
printf "it answers after %.1f s\n", time - $from;
my $want = $builds + ($large ? 1 : 0);
wait_for('the history is not complete', 600, sub {
    # Of those that may be seen, some.
    my @some = map { int($builds * $_ / 40) + 2 } 0 .. 19;
    return !grep { get("/api/project/builds?before=$_&limit=1") !~ /"id":@{[ $_ - 1 ]},/ } @some;
});
printf "and has %d builds in its history after %.1f s\n", $want, time - $from;

printf "%-44s %6s %9s %8s %8s\n", 'list', 'builds', 'median ms', 'p99 ms', 'kB';
my ($half, $old) = (int($builds / 2) + 1, int($builds / 10));
my $p = "$tmp/project-3";
reset_peak();
my @before = memory();
measure_list($_) for '', 'limit=200', "before=$half", "before=$old", "project=$p", "project=$p&before=$old",
    'state=failed', "state=failed&before=$half", 'state=cancelled', 'state=lost', 'state=running',
    "project=$p&state=failed", "project=$p&state=lost", "project=$tmp/nowhere", "project=$tmp/hidden";
my @after = memory();
printf "the child's memory, RssAnon, peak: grew by %d, %d kB to %d, %d\n", $after[0] - $before[0],
    $after[1] - $before[1], @after;
if ($large) {
    measure_large(@large);
    measure_windows($builds + 1, $large[0]);
    measure_live();
}
