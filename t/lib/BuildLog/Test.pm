package BuildLog::Test;

# What the tests of the module share. Each test begins with
#
#   use strict;
#   use warnings;
#   use Test::More;
#   use BuildLog::Test;
#
# and gets the functions below. When it ends, the END block here looks at what
# it left behind and fails the file if that is not nothing:
#   - lines in the error log that speak of a crash, a failed assertion or a
#     sanitizer (allow_in_log(qr/.../) for a test that kills processes itself)
#   - processes of builds
#   - connections that the server still holds though the client has gone

use strict;
use warnings;
use Apache::Test ();
use BuildLog::Stream;
use Exporter qw(import);
use IO::Select;
use JSON::PP ();
use POSIX ();
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
    base_url vars top project server_pid httpd
    request get_json post_build build_record open_stream
    make_project start_build build_output write_file
    wait_until wait_for_state log_mark log_since allow_in_log build_processes
    server_connections run_page_test
);

my $json = JSON::PP->new->utf8;

# ---- the server ------------------------------------------------------

sub vars       { return Apache::Test::vars() }
sub base_url   { return 'http://127.0.0.1:' . vars()->{port} }
sub top        { return vars()->{top_dir} }
sub project    { return top() . "/t/projects/$_[0]" }
sub error_log  { return vars()->{t_logs} . '/error_log' }

sub server_pid
{
    open my $in, '<', vars()->{t_pid_file} or die "pid file: $!\n";
    my ($pid) = <$in> =~ /(\d+)/;
    return $pid;
}

# httpd('-t'), httpd('-k', 'graceful'): the server's own command line with its
# configuration; returns (exit status, output).
sub httpd
{
    my @command = (vars()->{httpd}, '-d', vars()->{serverroot},
                   '-f', vars()->{t_conf_file}, @_);
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    local $/;
    my $text = <$out>;
    close $out;
    return ($? >> 8, $text // '');
}

# ---- requests --------------------------------------------------------

# request(METHOD, PATH, headers => {}, body => '...', timeout => 30): one
# request on a connection of its own. Returns { status, headers, body, json }:
# headers by lower-case name, json if the body is JSON.
sub request
{
    my ($method, $path, %opt) = @_;
    my $stream = BuildLog::Stream->new(
        %opt,
        method  => $method,
        path    => $path,
        headers => { Accept => '*/*', Connection => 'close', %{ $opt{headers} // {} } },
    );
    my $status = $stream->status;
    my $body = $method eq 'HEAD' || $status == 204 || $status == 304
        ? '' : $stream->body($opt{timeout});
    my %headers = map { $_ => $stream->header($_) } keys %{ $stream->{headers} };
    $stream->close;
    my $data;
    if ($method ne 'HEAD'
        && ($headers{'content-type'} // '') =~ m{^application/(?:[\w.-]+\+)?json}) {
        $data = eval { $json->decode($body) };
        Test::More::diag("not JSON: $body") unless defined $data;
    }
    return { status => $status, headers => \%headers, body => $body, json => $data };
}

sub get_json
{
    my ($path, %opt) = @_;
    my $r = request('GET', $path, %opt);
    return wantarray ? ($r->{status}, $r->{json}) : $r->{json};
}

# post_build(PATH, headers => {}, json => 1, to => '/api/project/build'):
# asks for a build of the project directory PATH, as a form, or as JSON.
# Returns (status, decoded answer, the whole response).
sub post_build
{
    my ($path, %opt) = @_;
    my ($type, $body);
    if (delete $opt{json}) {
        $type = 'application/json';
        $body = $json->encode({ defined $path ? (projectPath => $path) : () });
    }
    else {
        $type = 'application/x-www-form-urlencoded';
        $body = defined $path ? 'projectPath=' . _escape($path) : '';
    }
    my $r = request(
        'POST', delete $opt{to} // '/api/project/build',
        %opt,
        body    => $body,
        headers => { 'Content-Type' => $type, %{ $opt{headers} // {} } },
    );
    return ($r->{status}, $r->{json}, $r);
}

sub _escape
{
    my ($s) = @_;
    utf8::encode($s) if utf8::is_utf8($s);
    $s =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ge;
    return $s;
}

sub build_record { return get_json("/api/project/builds/$_[0]") }

# open_stream(PATH or build id, %options of BuildLog::Stream->new)
sub open_stream
{
    my ($path, %opt) = @_;
    $path = "/api/log/push?build=$path" if $path =~ /^\d+$/;
    return BuildLog::Stream->new(%opt, path => $path);
}

# ---- projects and builds that a test makes ---------------------------

sub write_file
{
    my ($path, $bytes) = @_;
    open my $out, '>:raw', $path or die "$path: $!\n";
    print {$out} $bytes;
    close $out or die "$path: $!\n";
    return;
}

# make_project('NAME', 'echo hello'): the directory t/projects/made-NAME; its
# only step, "run", is this shell script. Returns its path. (The section
# "made-*" in t/conf/extra.conf.in.)
sub make_project
{
    my ($name, $script) = @_;
    my $dir = project("made-$name");
    mkdir $dir or $!{EEXIST} or die "$dir: $!\n";
    write_file("$dir/run.sh", "$script\n");
    return $dir;
}

# The number of a new build of the project directory.
sub start_build
{
    my ($path, %opt) = @_;
    my ($status, $answer) = post_build($path, %opt);
    $status == 202 or die "no build of $path: $status\n";
    return $answer->{build}{id};
}

# build_output(ID, seconds): waits for the end of the build. Returns its final
# record and its lines, hashes as format=json has them.
sub build_output
{
    my ($id, $seconds) = @_;
    my $stream = open_stream("/api/log/push?build=$id&format=json");
    my ($end, @lines);
    for my $event ($stream->rest($seconds // 20)) {
        my $name = $event->{event} // 'line';
        push @lines, $json->decode($event->{data})
            if $name eq 'line' && exists $event->{data};
        $end = $json->decode($event->{data}) if $name eq 'end';
    }
    $stream->close;
    die "build $id: the stream ended without an end\n" unless $end;
    return ($end, @lines);
}

# ---- waiting ---------------------------------------------------------

# wait_until { condition } seconds, 'what': true as soon as the condition is;
# dies when the time is over. No test sleeps and hopes. As with BuildLog::Stream
# the time is for what never comes: a busy machine gets LEAST seconds for all.
sub wait_until (&;$$)
{
    my ($condition, $seconds, $what) = @_;
    my $deadline = BuildLog::Stream::_deadline($seconds);
    while (1) {
        my $result = $condition->();
        return $result if $result;
        die "not in time: " . ($what // 'a condition') . "\n" if time > $deadline;
        sleep 0.02;
    }
}

# The build's record once it has one of the states (pattern).
sub wait_for_state
{
    my ($id, $state, $seconds) = @_;
    return wait_until {
        my $build = build_record($id);
        $build && $build->{state} =~ /^(?:$state)$/ ? $build : undef;
    } $seconds, "build $id $state";
}

# ---- the error log ---------------------------------------------------

# my $mark = log_mark(); ...; like log_since($mark), qr/.../
sub log_mark { return -s error_log() // 0 }

sub log_since
{
    my ($mark) = @_;
    open my $in, '<', error_log() or return '';
    seek $in, $mark, 0;
    local $/;
    return <$in> // '';
}

my @allowed;
sub allow_in_log { push @allowed, @_; return }

# ---- what a test may leave behind: nothing ---------------------------

# Processes that a build of this server started: [pid, command], zombies left
# out. They carry BUILDLOG_ID; other servers on this machine have other projects.
# build_processes(ID): those of this build.
sub build_processes
{
    my ($id) = @_;
    my $top = top();
    my @found;
    for my $dir (glob '/proc/[0-9]*') {
        my $environ = _slurp("$dir/environ") // next;
        next unless $environ =~ /(?:^|\0)BUILDLOG_ID=/;
        next if defined $id && $environ !~ /(?:^|\0)BUILDLOG_ID=$id(?:\0|\z)/;
        next unless $environ =~ /\Q$top\E/ || (readlink("$dir/cwd") // '') =~ /^\Q$top\E/;
        my $stat = _slurp("$dir/stat") // next;
        next if $stat =~ /^\d+ \(.*\) [ZX]/s;
        my $command = _slurp("$dir/cmdline") // '';
        $command =~ tr/\0/ /;
        push @found, [$dir =~ /(\d+)$/, $command];
    }
    return @found;
}

sub _slurp
{
    my ($path) = @_;
    open my $in, '<', $path or return undef;
    local $/;
    return scalar <$in>;
}

# Connections that httpd holds on its port: those established and those whose
# client has gone (CLOSE_WAIT), which are the ones that somebody forgot.
sub server_connections
{
    my $local = sprintf '0100007F:%04X', vars()->{port};
    my @found;
    for (split /\n/, _slurp('/proc/net/tcp') // '') {
        my (undef, $from, $to, $state) = split;
        push @found, "$to $state"
            if $from eq $local && ($state eq '01' || $state eq '08');
    }
    return @found;
}

my $bad_line = qr/AH00051|AH00052|exit signal|Assertion|assertion|Sanitizer|runtime error:|BL\d+ .*\bbug\b/;
my ($start_mark, $owner);

INIT {
    $owner = $$;
    $start_mark = log_mark();
}

END {
    # A child of a test that exits is not the test.
    if (defined $owner && $$ == $owner) {
        my $status = $?;
        my @wrong = eval { _left_behind() };
        push @wrong, "the checks at the end failed: $@" if $@;
        Test::More::diag($_) for @wrong;
        $? = $status || (@wrong ? 1 : 0);
    }
}

sub _left_behind
{
    my @wrong;
    $_->close for values %BuildLog::Stream::open;

    # What ends, ends soon.
    eval { wait_until { !build_processes() } undef, 'builds end' };
    push @wrong, "left behind: process $_->[0] of a build: $_->[1]"
        for build_processes();
    eval { wait_until { !server_connections() } undef, 'connections end' };
    push @wrong, "left behind: a connection: $_" for server_connections();

    push @wrong, map { "error log: $_" } bad_lines(log_since($start_mark));
    return @wrong;
}

# Of the text of an error log: what no test may leave in it.
sub bad_lines
{
    my ($text) = @_;
    my @found = grep { $_ =~ $bad_line } split /\n/, $text;
    for my $allowed (@allowed) {
        @found = grep { $_ !~ $allowed } @found;
    }
    return @found;
}

# ---- tests of the page -----------------------------------------------

# run_page_test('basic.mjs', env => {}, seconds => 120): runs t/page/basic.mjs
# in node, which drives a browser and prints TAP; each of its tests becomes one
# here. BASE_URL is in its environment. The seconds are what it takes with much
# else beside it; only what hangs takes five times as many.
sub run_page_test
{
    my ($file, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        # A group of its own: the browser's processes go with it.
        setpgrp 0, 0;
        open STDERR, '>&', \*STDOUT;
        $ENV{BASE_URL} = base_url();
        $ENV{PROJECTS} = top() . '/t/projects';
        $ENV{$_} = $opt{env}{$_} for keys %{ $opt{env} // {} };
        exec 'node', top() . "/t/page/$file" or POSIX::_exit(127);
    }
    my $deadline = time + 5 * ($opt{seconds} // 120);
    my $select   = IO::Select->new($out);
    my ($buffer, $seen, $plan, $late) = ('', 0, undef, 0);
    my $take = sub {
        my ($line) = @_;
        if ($line =~ /^(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)$/) {
            $seen++;
            Test::More::ok(!$1, "$file: $2");
        }
        elsif ($line =~ /^1\.\.(\d+)/)     { $plan = $1 }
        elsif ($line =~ /^Bail out!/)      { Test::More::fail("$file: $line") }
        elsif ($line =~ /^(?:# ?)?(.*\S)/) { Test::More::diag("$file: $1") }
    };
    while (1) {
        my $left = $deadline - time;
        if ($left <= 0 || !$select->can_read($left)) {
            $late = 1;
            last;
        }
        sysread($out, $buffer, 65536, length $buffer) or last;
        $take->($1) while $buffer =~ s/\A([^\n]*)\n//;
    }
    $take->($buffer) if length $buffer;
    # Also after a good end: no browser outlives its test.
    kill 'KILL', -$pid;
    close $out;
    my $status = $?;
    Test::More::ok(!$late, "$file: ended in time") if $late;
    Test::More::is($plan, $seen, "$file: all tests of its plan ran");
    Test::More::is($status, 0, "$file: exit status") if !$late;
    return;
}

1;
