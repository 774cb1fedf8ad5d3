#!/usr/bin/perl
# bench.pl BINARIES - measures the module beside its bound; for `make bench`
#
# Each load runs against each peer: the module below httpd, the floor (floor.c:
# what one core can do at all), and nginx with nchan, when both are installed.
# For each run the server is started anew, on core 0, on a free port of
# loopback, with its state below a temporary directory; viewers and the build
# are on core 1. Nothing is written elsewhere, and all that was started is
# ended by its pid, also on Ctrl-C.
#
# REPS   runs of each load; the table has medians (1)
# LOADS  idle tls fanout burst one stalled reconnect page; slow, many: only by
#        name. page is none of these: it is page.sh, the last one
# PEERS  module floor nchan
# MODULE and APXS come from the Makefile. NCHAN is nchan's .so, if elsewhere.
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(O_NONBLOCK O_WRONLY);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my $binaries = abs_path($ARGV[0] // 'build/bench')
    or die "bench: no binaries; `make bench` makes them\n";
my $module = abs_path($ENV{MODULE} || '.libs/mod_buildlog.so');
my $top = abs_path(dirname(abs_path($0)) . '/../..');
my $apxs = $ENV{APXS} || 'apxs';
my $reps = $ENV{REPS} || 1;
my @loads = split ' ',
    $ENV{LOADS} || 'idle tls fanout burst one stalled reconnect page';
my $page = grep { $_ eq 'page' } @loads;
@loads = grep { $_ ne 'page' } @loads;
my @peers = split ' ', $ENV{PEERS} || 'module floor nchan';
$ENV{PATH} .= ':/usr/sbin:/sbin';

# The limit of open files that runs get: what is permitted, 51,000 at most.
my $files = descriptors(51_000);
# Of a server's descriptors, those that are not viewers' streams: more than
# enough.
my $room = $files - 200;

# n viewers read, slow and stalled ones come on top. rate 0: at once. few: what
# a peer gets that answers each line by itself, so that it ends in time.
my %load = (
    idle    => { n => [1_000, 10_000] },
    tls     => { n => [1_000, 3_000], tls => 1 },
    fanout  => { n => 1_000, lines => 1_000, rate => 100 },
    burst   => { n => 100, lines => 20_000 },
    one     => { n => 1, lines => 1_000_000, few => 20_000 },
    stalled => { n => 90, stalled => 10, lines => 50_000, few => 10_000 },
    slow    => { n => 90, slow => 10, lines => 50_000, few => 10_000 },
    reconnect => { n => 100, lines => 5_000, rate => 1_000, drop => 1_200,
                   resumes => 1 },
    many    => { n => 50_000, lines => 20, rate => 2 },
);
my %peer = (
    module => { start => \&start_httpd, go => \&begin_build, end => 1,
                resumes => 1, tls => 1 },
    floor  => { start => \&start_floor, go => \&print_to_floor, end => 1 },
    nchan  => { start => \&start_nginx, go => \&print_to_nginx, few => 1,
                resumes => 1 },
);
my $line_bytes = 100;

# ---- processes -------------------------------------------------------

my %started; # pid => name
my $tmp;
my $me = $$;

# In a session of its own: Ctrl-C reaches this script alone, which then ends
# what it has started. %io: stdin, stdout and stderr as handles.
sub start {
    my ($name, $io, @command) = @_;
    my $pid = fork // die "bench: fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open my $null, '+<', '/dev/null' or POSIX::_exit(126);
        open my $log, '>>', "$tmp/$name.log" or POSIX::_exit(126);
        POSIX::dup2(fileno($io->{in} || $null), 0);
        POSIX::dup2(fileno($io->{out} || $log), 1);
        POSIX::dup2(fileno($io->{err} || $log), 2);
        no warnings 'exec';
        exec 'sh', '-c', 'ulimit -n "$0"; exec "$@"', $files, @command;
        POSIX::_exit(127);
    }
    $started{$pid} = $name;
    return $pid;
}

sub ended { # has it ended? (bounded wait)
    my ($pid, $seconds) = @_;
    my $until = time + $seconds;
    while (waitpid($pid, WNOHANG) == 0) {
        return 0 if time > $until;
        sleep 0.02;
    }
    delete $started{$pid};
    return 1;
}

sub stop {
    my ($pid) = @_;
    return if !$started{$pid};
    my %was = map { $_ => birth($_) } tree($pid);
    kill 'TERM', $pid;
    if (!ended($pid, 15)) {
        kill 'KILL', $pid;
        ended($pid, 5);
    }
    # A server waits for its own; what is left is ended here. Its time of birth
    # tells that the number was not given to another process.
    for my $left (grep { $_ != $pid } keys %was) {
        for (1 .. 100) {
            last if birth($left) ne $was{$left};
            sleep 0.05;
        }
        kill 'KILL', $left if birth($left) eq $was{$left};
    }
}

END {
    if ($$ == $me) {
        my $status = $?;
        stop($_) for sort { $a <=> $b } keys %started;
        # Out of it first, or it could not be removed from below us.
        chdir '/';
        remove_tree($tmp) if defined $tmp && !$ENV{KEEP};
        print STDERR "bench: kept $tmp\n" if defined $tmp && $ENV{KEEP};
        $? = $status;
    }
}
$SIG{INT} = sub { exit 130 };
$SIG{TERM} = $SIG{HUP} = sub { exit 143 };
$SIG{PIPE} = 'IGNORE';

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/;
    return readline($in) // '';
}

sub stat_of { # the fields of /proc/PID/stat that follow the name
    my ($pid) = @_;
    my ($rest) = slurp("/proc/$pid/stat") =~ /^.*\) (.*)/s;
    return split ' ', $rest // '';
}

sub birth {
    my ($pid) = @_;
    my @field = stat_of($pid);
    return !@field || $field[0] eq 'Z' ? 'gone' : $field[19];
}

sub tree { # a process and all below it
    my (@found) = @_;
    my %below;
    for my $dir (glob '/proc/[0-9]*') {
        my ($pid) = $dir =~ /(\d+)/;
        my @field = stat_of($pid) or next;
        push @{ $below{ $field[1] } }, $pid;
    }
    for (my $i = 0; $i < @found; $i++) {
        push @found, @{ $below{ $found[$i] } || [] };
    }
    return @found;
}

# The server without the build that it runs.
sub server_pids {
    my ($pid) = @_;
    return grep { slurp("/proc/$_/comm") !~ /^(?:print|sh|taskset)$/ }
        tree($pid);
}

sub cpu_seconds { # { pid/thread => seconds }
    my %of;
    for my $pid (server_pids($_[0])) {
        for my $file (glob "/proc/$pid/task/*/schedstat") {
            my ($ns) = slurp($file) =~ /^(\d+)/;
            $of{$file} = $ns / 1e9 if defined $ns;
        }
    }
    return \%of;
}

sub memory_kb { # { pid => a field of its file }
    my ($pid, $file, $field) = @_;
    my %of;
    for my $p (server_pids($pid)) {
        $of{$p} = $1 if slurp("/proc/$p/$file") =~ /^$field:\s+(\d+)/m;
    }
    return \%of;
}

# What has come to those that are still there: a build's keeper is not.
sub growth {
    my ($before, $after) = @_;
    my $sum = 0;
    $sum += $after->{$_} - ($before->{$_} // 0) for keys %$after;
    return $sum;
}

sub reset_peaks {
    for my $p (server_pids($_[0])) {
        open my $out, '>', "/proc/$p/clear_refs" or next;
        print $out 5; # the peak is what it is now
        close $out;
    }
}

sub descriptors {
    my ($wanted) = @_;
    my $try = "ulimit -n $wanted 2>/dev/null || ulimit -n \$(ulimit -Hn)";
    chomp(my $n = `$try; ulimit -n`);
    return $n =~ /^\d+$/ ? $n : 1024;
}

# ---- servers ---------------------------------------------------------

sub free_port {
    for (1 .. 100) {
        my $port = 20_000 + int rand 10_000;
        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1);
        return $port if $probe;
    }
    die "bench: no free port\n";
}

# Two of the cores that we may use; with one all share it.
my ($list) = slurp('/proc/self/status') =~ /^Cpus_allowed_list:\s+(\S+)/m;
my @cores = map { /(\d+)-(\d+)/ ? ($1 .. $2) : $_ } split /,/, $list // 0;
sub on_core {
    my ($which) = @_;
    return @cores > 1 ? ('taskset', '-c', $cores[$which]) : ();
}

sub unprivileged {
    return $> == 0
        ? qw(setpriv --reuid=nobody --regid=nogroup --clear-groups) : ();
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "bench: $file: $!\n";
    print $out $text;
    close $out or die "bench: $file: $!\n";
}

sub wait_for { # until it is true
    my ($what, $seconds, $true) = @_;
    my $until = time + $seconds;
    until ($true->()) {
        if (time > $until) {
            print STDERR map { "  $_\n" } grep { $_ ne '' }
                map { (split /\n/, slurp($_))[-1] // '' }
                glob "$tmp/*.log $tmp/*/error_log";
            die "bench: $what\n";
        }
        sleep 0.02;
    }
}

sub answers {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
}

sub request { # status, body
    my ($port, $request) = @_;
    my $s = answers($port) or return (0, '');
    print $s $request;
    local $/;
    my $answer = readline($s) // '';
    my ($status) = $answer =~ m{^HTTP/1\.\d (\d+)};
    return ($status // 0, $answer =~ s/^.*?\r\n\r\n//sr);
}

# A directory that the server's user may write into.
sub fresh_dir {
    my ($name) = @_;
    my $dir = "$tmp/$name";
    remove_tree($dir);
    mkdir $dir or die "bench: $dir: $!\n";
    chown((getpwnam 'nobody')[2, 3], $dir) if $> == 0;
    return $dir;
}

sub print_command {
    my ($run) = @_;
    return (on_core(1), "$tmp/print", '-n', $run->{lines} || 0,
        '-b', $line_bytes, '-r', $run->{rate} || 0, '-g', "$tmp/go");
}

# A second port, and room for its viewers.
sub tls_section {
    my ($run, $dir, $modules) = @_;
    $run->{tls_port} = free_port();
    system('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256'
        . " -nodes -days 2 -subj /CN=127.0.0.1 -keyout $dir/key.pem"
        . " -out $dir/cert.pem 2>/dev/null") == 0
        or die "bench: no certificate could be made\n";
    chown((getpwnam 'nobody')[2, 3], "$dir/key.pem") if $> == 0;
    return <<"END";
LoadModule ssl_module $modules/mod_ssl.so
AsyncRequestWorkerFactor 1000
BuildLogMaxParked 100000
Listen 127.0.0.1:$run->{tls_port}
<VirtualHost 127.0.0.1:$run->{tls_port}>
    SSLEngine on
    SSLCertificateFile $dir/cert.pem
    SSLCertificateKeyFile $dir/key.pem
</VirtualHost>
END
}

sub start_httpd {
    my ($run) = @_;
    my $dir = fresh_dir('httpd');
    my $modules = `$apxs -q LIBEXECDIR`;
    my $httpd = `$apxs -q SBINDIR` . '/' . `$apxs -q progname`;
    s/\n//g for $modules, $httpd;
    my $print = join ' ', print_command($run);
    mkdir "$dir/project";
    my $tls = $run->{tls} ? tls_section($run, $dir, $modules) : '';
    # One child, so that memory is that of one pump.
    spew("$dir/httpd.conf", <<"END");
ServerName 127.0.0.1
Listen 127.0.0.1:$run->{port}
ListenBacklog 4096
DefaultRuntimeDir $dir
PidFile $dir/httpd.pid
ErrorLog $dir/error_log
LogLevel warn
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule buildlog_module $tmp/mod_buildlog.so
ServerLimit 1
StartServers 1
ThreadsPerChild 32
MaxRequestWorkers 32
BuildLogStateDir $dir/state
BuildLogMaxClients 1000000
$tls
Include $tmp/buildlog.conf
<Directory "$dir/project">
    BuildLog On
    BuildLogStep print "exec $print"
    Require all granted
</Directory>
END
    $run->{project} = "$dir/project";
    $run->{path} = '/api/log/push';
    $run->{pid} = start('httpd', {}, on_core(0), unprivileged(), 'env', '-i',
        "PATH=$ENV{PATH}", 'LANG=C.UTF-8', $httpd, '-D', 'FOREGROUND',
        '-f', "$dir/httpd.conf");
}

sub begin_build {
    my ($run) = @_;
    my $body = "projectPath=$run->{project}";
    my ($status, $answer) = request($run->{port},
        "POST /api/project/build HTTP/1.0\r\nHost: 127.0.0.1\r\n"
        . "Content-Type: application/x-www-form-urlencoded\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    die "bench: the build was refused: $status $answer\n" if $status != 202;
    my $build = decode_json($answer)->{build}{id};
    $run->{path} = "/api/log/push?build=$build";
}

sub start_floor {
    my ($run) = @_;
    pipe my $in, $run->{lines_to} or die "bench: pipe: $!\n";
    $run->{path} = '/';
    $run->{pid} = start('floor', { in => $in }, on_core(0), unprivileged(),
        "$tmp/floor", $run->{port});
}

sub print_to_floor {
    my ($run) = @_;
    $run->{print} =
        start('print', { out => $run->{lines_to} }, print_command($run));
    close delete $run->{lines_to};
}

sub nchan_module {
    my ($found) = grep { -e } $ENV{NCHAN} // (),
        map { "$_/ngx_nchan_module.so" } qw(/usr/lib/nginx/modules
        /usr/lib64/nginx/modules /usr/share/nginx/modules);
    my ($nginx) = grep { -x } map { "$_/nginx" } split /:/, $ENV{PATH};
    return defined $nginx ? ($nginx, $found) : ();
}

sub nginx_command { # with its configuration written
    my ($run) = @_;
    my $dir = fresh_dir('nginx');
    my ($nginx, $nchan) = nchan_module();
    my $paths = join "\n", map { "    ${_}_temp_path $dir/$_;" }
        qw(client_body proxy fastcgi uwsgi scgi);
    spew("$dir/nginx.conf", <<"END");
load_module $nchan;
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error_log warn;
events { worker_connections @{[$files - 50]}; }
http {
    access_log off;
    keepalive_requests 1000000000;
    nchan_shared_memory_size 1024M;
$paths
    server {
        listen 127.0.0.1:$run->{port} backlog=4096;
        location = /lines {
            nchan_subscriber eventsource;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }
        location = /publish {
            nchan_publisher;
            nchan_channel_id bench;
            nchan_message_buffer_length 100000;
            nchan_message_timeout 10m;
        }
    }
}
END
    return (unprivileged(), $nginx, '-e', "$dir/error_log", '-p', $dir,
        '-c', "$dir/nginx.conf");
}

sub start_nginx {
    my ($run) = @_;
    my @command = nginx_command($run);
    $run->{path} = '/lines';
    $run->{pid} = start('nginx', {}, on_core(0), @command);
}

# Why it cannot be had here; '': it can.
sub nchan_missing {
    my (undef, $nchan) = nchan_module();
    return 'nginx with nchan is not installed' if !defined $nchan;
    # It insists on a directory of its package, which its first start makes.
    my $pid = start('nginx', {},
        nginx_command({ port => free_port() }), '-t');
    return '' if ended($pid, 10) && $? == 0;
    my ($why) = slurp("$tmp/nginx.log") =~ /\[emerg\] (.*)/;
    return 'nginx does not start: ' . ($why // 'see its log');
}

sub print_to_nginx {
    my ($run) = @_;
    pipe my $in, my $out or die "bench: pipe: $!\n";
    $run->{print} = start('print', { out => $out }, print_command($run));
    $run->{post} = start('post', { in => $in }, on_core(1), "$tmp/post",
        $run->{port}, '/publish');
}

# ---- a run -----------------------------------------------------------

# What load says next on this handle; '' when it has ended.
sub heard {
    my ($handle, $seconds) = @_;
    return '' if !IO::Select->new($handle)->can_read($seconds);
    return readline($handle) // '';
}

sub start_load {
    my ($run) = @_;
    pipe my $in, $run->{until} or die "bench: pipe: $!\n";
    pipe $run->{result}, my $out or die "bench: pipe: $!\n";
    pipe $run->{said}, my $err or die "bench: pipe: $!\n";
    my @options = map { ("-$_->[0]", $_->[1]) } grep { $_->[1] }
        ['p', $run->{port}], ['u', $run->{path}], ['n', $run->{viewers}],
        ['w', $run->{slow}], ['s', $run->{stalled}], ['l', $run->{lines}],
        ['b', $line_bytes], ['d', $run->{drop}], ['t', 100];
    push @options, '-e' if $peer{ $run->{peer} }{end};
    push @options, '-g' if $run->{peer} eq 'module';
    $run->{load} = start('load', { in => $in, out => $out, err => $err },
        on_core(1), "$tmp/load", @options);
    close $_ for $in, $out, $err;
    my $word = heard($run->{said}, 60);
    die "bench: the viewers did not come: $word\n" if $word ne "ready\n";
}

# print opens the fifo to read when its build has begun.
sub go {
    my $fifo;
    wait_for('the build did not begin', 20,
        sub { sysopen $fifo, "$tmp/go", O_WRONLY | O_NONBLOCK });
    close $fifo;
}

sub result {
    my ($run) = @_;
    my $line = heard($run->{result}, 120);
    die "bench: no result: " . heard($run->{said}, 0) . "\n" if $line eq '';
    return decode_json($line);
}

sub start_server {
    my ($run) = @_;
    $run->{port} = free_port();
    $peer{ $run->{peer} }{start}->($run);
    wait_for("$run->{peer} did not start", 10,
        sub { answers($run->{port}) });
    sleep 0.2; # its threads begin
}

sub finish_run {
    my ($run) = @_;
    close $_ for grep { defined } delete @$run{qw(until lines_to)};
    for my $pid (grep { defined } @$run{qw(load post print)}) {
        stop($pid) if !ended($pid, 3);
    }
    stop($run->{pid});
}

sub measure_idle {
    my ($run) = @_;
    my $before = memory_kb($run->{pid}, 'smaps_rollup', 'Pss');
    start_load($run);
    sleep 1;
    my $kb = growth($before, memory_kb($run->{pid}, 'smaps_rollup', 'Pss'));
    close delete $run->{until};
    my $got = result($run);
    return { got => $got, 'mem kB' => $kb / ($got->{answered} || 1) };
}

# Viewers over TLS, who stay.
sub measure_tls {
    my ($run) = @_;
    my $before = memory_kb($run->{pid}, 'smaps_rollup', 'Pss');
    pipe my $in, $run->{until} or die "bench: pipe: $!\n";
    pipe $run->{result}, my $out or die "bench: pipe: $!\n";
    pipe $run->{said}, my $err or die "bench: pipe: $!\n";
    $run->{load} = start('crowd', { in => $in, out => $out, err => $err },
        on_core(1), "$tmp/crowd", '-k', 'tls', '-m', 'stay', '-T', 4,
        '-p', $run->{tls_port}, '-u', $run->{path}, '-n', $run->{viewers},
        '-t', 100);
    close $_ for $in, $out, $err;
    my $word = heard($run->{said}, 60);
    die "bench: the viewers did not come: $word\n" if $word ne "ready\n";
    sleep 1;
    my $kb = growth($before, memory_kb($run->{pid}, 'smaps_rollup', 'Pss'));
    close delete $run->{until};
    my $got = result($run);
    return { got => { lines => 0, refused => $run->{viewers} - $got->{held} },
        'mem kB' => $kb / ($got->{held} || 1) };
}

sub measure {
    my ($run) = @_;
    start_server($run);
    if ($run->{tls}) {
        my $row = measure_tls($run);
        finish_run($run);
        return $row;
    }
    if (!$run->{lines}) {
        my $row = measure_idle($run);
        finish_run($run);
        return $row;
    }
    $peer{ $run->{peer} }{go}->($run);
    start_load($run);
    reset_peaks($run->{pid});
    my $peak = memory_kb($run->{pid}, 'status', 'VmHWM');
    my $before = cpu_seconds($run->{pid});
    go();
    my $got = result($run);
    my $after = cpu_seconds($run->{pid});
    my $growth = growth($peak, memory_kb($run->{pid}, 'status', 'VmHWM'));
    finish_run($run);

    my $cpu = growth($before, $after);
    return {
        got => $got,
        's' => $got->{wall_s},
        'lines/s' => $got->{lines} / ($got->{wall_s} || 1),
        'cpu s' => $cpu,
        'lines/cpu s' => $got->{lines} / ($cpu || 1),
        'p50 ms' => $got->{p50_ms},
        'p99 ms' => $got->{p99_ms},
        'max ms' => $got->{max_ms},
        'mem kB' => $growth,
        'client s' => $got->{cpu_s},
    };
}

# ---- the table -------------------------------------------------------

my @columns = ('s', 'lines/s', 'cpu s', 'lines/cpu s', 'p50 ms', 'p99 ms',
    'max ms', 'mem kB', 'client s');
my @table;
my $harmed = 0;

sub figure {
    my ($x) = @_;
    return '-' if !defined $x;
    return sprintf '%.2f', $x if abs $x < 10;
    return sprintf '%.1f', $x if abs $x < 100;
    my $n = sprintf '%.0f', $x;
    1 while $n =~ s/^(-?\d+)(\d{3})/$1,$2/;
    return $n;
}

sub median {
    my @sorted = sort { $a <=> $b } grep { defined } @_;
    return @sorted ? $sorted[$#sorted / 2] : undef;
}

# What viewers did not get as they should, in words.
sub faults {
    my ($run, @rows) = @_;
    my @said;
    for my $what (qw(lost doubled disordered cut id_errors refused closed)) {
        my $n = 0;
        $n += $_->{got}{$what} // 0 for @rows;
        push @said, "$what $n" if $n > 0;
    }
    if ($run->{lines} && $peer{ $run->{peer} }{end}) {
        my $missing = 0;
        $missing += $run->{viewers} - $_->{got}{ended} for @rows;
        push @said, "no end $missing" if $missing > 0;
    }
    return join ', ', @said;
}

sub add_row {
    my ($run, @rows) = @_;
    my %of = map { my $c = $_; $c => median(map { $_->{$c} } @rows) } @columns;
    my $wrong = faults($run, @rows);
    $harmed = 1 if $run->{peer} eq 'module' && $wrong ne '';
    my $resumes = $rows[0]{got}{resumed};
    push @table, [$run->{title}, $run->{peer}, $run->{viewers},
        $run->{lines} || '-', (map { figure($of{$_}) } @columns),
        ($wrong || 'none') . ($resumes ? " in $resumes resumes" : '')];
    return \%of;
}

sub add_ratio {
    my ($title, $module, $floor) = @_;
    push @table, [$title, 'module/floor', '', '',
        (map { $module->{$_} && $floor->{$_}
            ? sprintf('x%.2f', $module->{$_} / $floor->{$_}) : '-' } @columns),
        ''];
}

sub print_table {
    my @head = ('load', 'peer', 'viewers', 'lines', @columns, 'faults');
    my @width = map { my $i = $_; my $w = 0;
        for (\@head, @table) { $w = length $_->[$i] if length $_->[$i] > $w }
        $w } 0 .. $#head;
    for my $row (\@head, @table) {
        my $line = join '  ', map {
            my $left = $_ < 2 || $_ == $#head ? '-' : '';
            sprintf "%$left*s", $width[$_], $row->[$_] } 0 .. $#head;
        print $line =~ s/ +$//r, "\n";
    }
}

# ---- all of it -------------------------------------------------------

sub run_of { # what one load is against one peer, undef: it cannot be
    my ($name, $peer, $viewers) = @_;
    my %run = (%{ $load{$name} }, peer => $peer, viewers => $viewers);
    return if $run{resumes} && !$peer{$peer}{resumes};
    return if $run{tls} && !$peer{$peer}{tls};
    $run{lines} = $run{few} if $run{few} && $peer{$peer}{few};
    $run{title} = $name;
    my $others = ($run{slow} || 0) + ($run{stalled} || 0);
    $run{viewers} = $room - $others if $viewers + $others > $room;
    return \%run;
}

sub run_load {
    my ($name, $viewers) = @_;
    my %of;
    for my $peer (@peers) {
        my $run = run_of($name, $peer, $viewers) or next;
        my @rows;
        for my $rep (1 .. $reps) {
            print STDERR "bench: $name, $run->{viewers} viewers, $peer\n";
            push @rows, measure({%$run});
        }
        $of{$peer} = add_row($run, @rows);
    }
    add_ratio($name, @of{qw(module floor)}) if $of{module} && $of{floor};
}

sub prepare {
    my $in = $ENV{TMPDIR} || '/tmp';
    # A unix socket lives below it, and its name has at most 107 bytes.
    $in = '/tmp' if length $in > 40;
    $tmp = tempdir('buildlog-bench-XXXXXX', DIR => $in);
    chmod 0755, $tmp;
    for my $file ((map { "$binaries/$_" } qw(load print floor post crowd)), $module,
        "$top/conf/buildlog.conf") {
        copy($file, $tmp) or die "bench: $file: $!\n";
    }
    chmod 0755, map { "$tmp/$_" } qw(load print floor post crowd);
    rename "$tmp/" . ($module =~ s{.*/}{}r), "$tmp/mod_buildlog.so";
    POSIX::mkfifo("$tmp/go", 0644) or die "bench: fifo: $!\n";
    chmod 0644, "$tmp/go";
}

for my $name (@loads) { die "bench: no load $name\n" if !$load{$name} }
for my $name (@peers) { die "bench: no peer $name\n" if !$peer{$name} }
prepare();
if (grep { $_ eq 'nchan' } @peers) {
    my $why = nchan_missing();
    if ($why ne '') {
        print STDERR "bench: nchan is left out: $why\n";
        @peers = grep { $_ ne 'nchan' } @peers;
    }
}
print STDERR "bench: one core only: server and viewers share it\n"
    if @cores < 2;
for my $name (@loads) {
    my $n = $load{$name}{n};
    for my $viewers (ref $n ? @$n : $n) {
        print STDERR "bench: $name: $room viewers instead of $viewers: "
            . "$files descriptors are permitted\n" if $viewers > $room;
        run_load($name, $viewers);
    }
}
print_table() if @table;
if ($harmed) {
    print STDERR "bench: the module's viewers did not get what they should\n";
    exit 1;
}
if ($page) {
    $| = 1;
    print "\n" if @table;
    exit(system("$top/t/bench/page.sh") == 0 ? 0 : 1);
}
