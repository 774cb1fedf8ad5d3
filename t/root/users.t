# users.t - a server that root starts: who its processes, its builds and its
# files are, and what that keeps from builds
#
# Issue 6, items 5 and 6; promise 8; the tables of files in README.md.
#
# `make root` runs it, as root; it needs no Apache::Test, which refuses root.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use HTTP::Tiny ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'only root can become somebody else' if $> != 0;
my $top = abs_path(dirname(__FILE__) . '/../..');
my $apxs = $ENV{APXS} // 'apxs';
chomp(my ($modules, $sbin, $program) = map { scalar qx($apxs -q $_) } qw(LIBEXECDIR SBINDIR progname));
my $module = abs_path($ENV{MODULE} // "$top/.libs/mod_buildlog.so");

# Two users that every system has, and what this one's parent would have left
# them: groups of root's.
my ($web, $builder) = map { [getpwnam $_] } qw(daemon nobody);
plan skip_all => 'no users daemon and nobody' if !@$web || !@$builder;
my @root_groups = (0, 4, 27);

my $dir = tempdir('buildlog-root-XXXXXX', DIR => length($ENV{TMPDIR} // '') <= 50 && $ENV{TMPDIR} || '/tmp', CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/$_" for qw(p p/looks p/writes);
chown @$builder[2, 3], "$dir/p/writes";

my $port;
do { $port = 11000 + int rand 9000 }    # as BuildLog::Server
    until IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);

sub write_file { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!\n"; print {$out} $text; close $out; return }
sub slurp { my ($path) = @_; open my $in, '<', $path or return ''; local $/; return <$in> // '' }

sub wait_until(&$)
{
    my ($condition, $what) = @_;
    my $deadline = time + 120;
    while (1) {
        my $result = $condition->();
        return $result if $result;
        die "not in time: $what\n" if time > $deadline;
        sleep 0.05;
    }
}

sub config
{
    my ($more) = @_;
    write_file("$dir/httpd.conf", <<"END" . $more);
ServerName 127.0.0.1
ServerRoot "$dir"
Listen 127.0.0.1:$port
DefaultRuntimeDir "$dir"
PidFile "$dir/pid"
ErrorLog "$dir/error_log"
LogLevel buildlog:info
User $web->[0]
Group #$web->[3]
LoadModule mpm_event_module  $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule buildlog_module "$module"
BuildLogStateDir "$dir/state"
Include "$top/conf/buildlog.conf"
<Directory "$dir/p/*">
    Require all granted
    BuildLog On
    BuildLogKillGrace 300ms
    BuildLogStep run "sh ./run.sh"
</Directory>
END
    return;
}

# Environment and groups of who starts it: none of it is a build's.
sub begin
{
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        $ENV{BUILDLOG_TEST_SECRET} = 'of-root-alone';
        $) = join ' ', 0, @root_groups;
        open STDERR, '>>', "$dir/output";
        open STDOUT, '>&', \*STDERR;
        open STDIN, '<', '/dev/null';
        POSIX::setsid();
        exec "$sbin/$program", '-d', $dir, '-f', "$dir/httpd.conf", '-DFOREGROUND' or POSIX::_exit(127);
    }
    return $pid;
}
my $server;
sub stop
{
    kill 'TERM', $server if $server;
    waitpid $server, 0 if $server;
    $server = undef;
    return;
}
my $test = $$;
END { if ($$ == ($test // 0)) { local $?; stop() } }

my $http = HTTP::Tiny->new(timeout => 60);
my $url  = "http://127.0.0.1:$port/api";
sub answers { return $http->get("$url/project/projects")->{success} }

# The text of the log of a new build.
sub build
{
    my ($name, $script) = @_;
    write_file("$dir/p/$name/run.sh", $script);
    # The runner has its name before it takes builds.
    my $r = wait_until {
        my $r = $http->post_form("$url/project/build", { projectPath => "$dir/p/$name" });
        $r->{status} == 503 ? undef : $r;
    } "$name: an answer";
    $r->{status} == 202 or die "$name: $r->{status}\n";
    my $id = JSON::PP::decode_json($r->{content})->{build}{id};
    my $state = wait_until {
        my $build = JSON::PP::decode_json($http->get("$url/project/builds/$id")->{content});
        $build->{state} =~ /queued|running/ ? undef : $build->{state};
    } $name;
    return ($id, $state, $http->get("$url/project/builds/$id/log")->{content});
}

sub runner { return (grep { slurp("/proc/$_/comm") eq "buildlog-runner\n" } split ' ', slurp("/proc/$server/task/$server/children"))[0] }
sub who { my ($pid) = @_; my ($uid) = slurp("/proc/$pid/status") =~ /^Uid:\s+(.*)$/m; return $uid }
sub owner { my ($path) = @_; my @s = lstat $path; return @s ? sprintf '%s:%s %04o', (getpwuid $s[4])[0], (getgrgid $s[5])[0], $s[2] & 07777 : 'none' }

# ---- BuildLogUser ------------------------------------------------------------

my $looks = <<'END';
id -u; id -g; id -G; umask
grep -E '^(NoNewPrivs|Cap(Inh|Prm|Eff|Amb)):' /proc/self/status
pid=$$ name=
until [ "$name" = buildlog-runner ]; do
    name=$(cat /proc/$pid/comm)
    tr '\0' '\n' 2>&1 </proc/$pid/environ
    ls -l /proc/$pid/fd/ >/dev/null 2>&1 && echo "sees $name"
    head -c 1 /proc/$pid/mem >/dev/null 2>&1 && echo "reads $name"
    pid=$(cut -d ' ' -f 4 /proc/$pid/stat)
done
cat /proc/$pid/environ >/dev/null 2>&1 && echo "sees httpd"
kill -0 $pid 2>/dev/null && echo "may signal httpd"
cat ../../state/queue/* ../../state/lock 2>/dev/null
touch ../made 2>/dev/null && echo "writes above"
: >made 2>/dev/null && stat -c '%U %a' made
END

for (['BuildLogUser nobody', @$builder[2, 3]], ['BuildLogUser nobody daemon', $builder->[2], $web->[3]], ['', @$web[2, 3]]) {
    my ($directive, $uid, $gid) = @$_;
    my $name = $directive || 'without BuildLogUser';
    chown $uid, $gid, "$dir/p/writes";
    unlink "$dir/p/writes/made";
    config("$directive\n");
    $server = begin();
    wait_until { answers() && runner() } "$name: an answer";
    is who(runner()), join("\t", ($uid) x 4), "$name: the runner's user";
    my ($id, $state, $log) = build('writes', $looks);
    is $state, 'succeeded', '... a build works' or diag $log;
    my @lines = split /\n/, $log;
    is_deeply [@lines[1 .. 4]], [$uid, $gid, $gid, '0022'], '... its user, its group, its groups, its umask' or diag $log;
    like $log, qr/^NoNewPrivs:\s+1$/m, '... no_new_privs';
    is_deeply [grep { !/\b0+$/ } $log =~ /^(Cap\w+:\s+\w+)$/mg], [], '... and no rights of root\'s' or diag $log;
    unlike $log, qr/of-root-alone/, '... httpd\'s environment is not there';
    unlike $log, qr/^(?:sees|reads) (?!sh\b)/m, '... and nobody else\'s memory and descriptors' or diag $log;
    unlike $log, qr/may signal httpd/, '... nor may it signal httpd';
    unlike $log, qr/writes above/, '... nor write elsewhere';
    like $log, qr/^\Q@{[ (getpwuid $uid)[0] ]}\E 644$/m, '... what it writes is its user\'s';

    my ($u, $g) = ((getpwuid $uid)[0], (getgrgid $web->[3])[0]);
    my %want = ('' => "$u:$g 2750", '/logs' => "$u:$g 2750", "/logs/$id.log" => "$u:$g 0640", '/history.db' => "$u:$g 0640",
        '/runner.sock' => "root:$g 0660", '/lock' => undef);
    wait_until { -e "$dir/state/history.db" } 'a history';
    is owner("$dir/state$_"), $want{$_}, "... state$_" for grep { defined $want{$_} } sort keys %want;
    like owner("$dir/state/lock"), qr/^root:\S+ 0600$/, '... state/lock';
    like owner("$dir/state/last-build"), qr/^\Q$u\E:\S+ 0600$/, '... state/last-build';
    like owner("$dir/state/queue"), qr/^\Q$u\E:\S+ [02]700$/, '... state/queue';
    stop();
    system 'rm', '-rf', "$dir/state";
}

# ---- BuildLogCgroup ----------------------------------------------------------------

# The parent makes the group, and gives it to the user; what limits the group
# itself stays root's.
SKIP: {
    my ($mounted) = map { (split ' ')[1] } grep { (split ' ')[2] eq 'cgroup2' } split /\n/, slurp('/proc/mounts');
    skip 'no cgroup2 file system is mounted', 7 if !$mounted;
    my $group = "$mounted/buildlog-root-$$";
    chown @$builder[2, 3], "$dir/p/writes";
    config("BuildLogUser nobody\nBuildLogCgroup $group\n");
    $server = begin();
    if (!eval { wait_until { answers() && runner() } 'an answer' }) {
        my ($why) = slurp("$dir/error_log") =~ /(BL0116 .*)/;
        stop();
        skip $why // 'no server', 7;
    }
    like slurp('/proc/' . runner() . '/cgroup'), qr{^0::\S*/buildlog-root-$$/runner$}m, 'BuildLogCgroup: the runner is in it';
    like owner($group), qr/^nobody:/, '... it is the user\'s';
    like owner("$group/$_"), qr/^nobody:/, "... so is $_" for qw(cgroup.procs runner runner/cgroup.procs);
    like owner("$group/cgroup.max.depth"), qr/^root:/, '... its own limits are not';
    my ($id, $state, $log) = build('writes', 'cat /proc/self/cgroup');
    like $log, qr{/buildlog-root-$$/build-$id$}m, '... a build is in one of its own';
    stop();
    rmdir "$group/runner";
    rmdir $group or diag "$group: $!";
    system 'rm', '-rf', "$dir/state";
}

# ---- never as root -----------------------------------------------------------------

{
    config("BuildLogUser root\n");
    my $out = qx("$sbin/$program" -d "$dir" -f "$dir/httpd.conf" -t 2>&1);
    isnt $?, 0, 'BuildLogUser root stops httpd -t';
    like $out, qr/BuildLogUser: "root" is not allowed/, '... and is named';
}
{
    # The state directory of another user: what is in it is not taken over.
    mkdir "$dir/state";
    chown @$web[2, 3], "$dir/state";
    config("BuildLogUser nobody\n");
    my $pid = begin();
    my $gone = wait_until { waitpid($pid, POSIX::WNOHANG()) == $pid } 'the end of a server';
    isnt $?, 0, 'a state directory of another user: the server does not start';
    like slurp("$dir/error_log"), qr/BL0101 \S+state belongs to user $web->[2], but the runner is user $builder->[2]/,
        '... and says whose it is';
}

done_testing;
