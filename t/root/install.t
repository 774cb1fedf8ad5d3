# install.t - `make install`, a2enmod, reload, stop as systemd stops, `make
# uninstall`, in Debian's own configuration
#
# Issue 7, item 6. Promises 5 and 6: a reload harms no build, a stop ends them.
#
# `make root` runs it, as root, for the server of Debian is begun by root. The
# configuration is a copy of /etc/apache2 (or of the package's, which t/deps.sh
# unpacks into build/debian); apxs is one that names directories below the
# test's own, so that nothing of this machine is touched.
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

my $top = abs_path(dirname(__FILE__) . '/../..');
plan skip_all => 'only root can become somebody else' if $> != 0;
my ($debian) = grep { -e "$_/etc/apache2/apache2.conf" && -e "$_/usr/sbin/a2enmod" } '', "$top/build/debian";
plan skip_all => 'no configuration of Debian here: make deps-test brings it' if !defined $debian;
plan skip_all => 'no user www-data' if !defined getpwnam 'www-data';
my $apxs = $ENV{APXS} // 'apxs';
my $module = abs_path($ENV{MODULE} // "$top/.libs/mod_buildlog.so");
my $command = abs_path($ENV{COMMAND} // "$top/build/buildlog");

my $dir = tempdir('buildlog-root-XXXXXX', DIR => length($ENV{TMPDIR} // '') <= 50 && $ENV{TMPDIR} || '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my $etc = "$dir/etc/apache2";

sub write_file { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!\n"; print {$out} $text; close $out or die "$path: $!\n"; return }
sub slurp { my ($path) = @_; open my $in, '<', $path or return ''; local $/; return <$in> // '' }
sub edit { my ($path, $how) = @_; local $_ = slurp($path); $how->(); write_file($path, $_); return }

# Runs it; (status, output).
sub run
{
    my (@command) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        open STDIN, '<', '/dev/null';
        # Proxies and the like of who runs the test are not the server's.
        %ENV = (PATH => "$debian/usr/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LANG => 'C', TMPDIR => $dir,
            APACHE_CONFDIR => $etc, APACHE_STATE_DIRECTORY => "$dir/a2state", APACHE_STARTED_BY_SYSTEMD => 'true');
        exec @command or POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    return ($? >> 8, $text);
}

sub runs
{
    my ($name, @command) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $text) = run(@command);
    is $status, 0, $name or diag $text;
    return $text;
}

sub wait_until(&$)
{
    my ($condition, $what) = @_;
    my $deadline = time + 120;
    while (1) {
        my $result = $condition->();
        return $result if $result;
        die "not in time: $what\n" . substr(slurp("$dir/log/error.log"), -2000) . "\n" if time > $deadline;
        sleep 0.05;
    }
}

# ---- a Debian below $dir ------------------------------------------------------

my $port;
do { $port = 11000 + int rand 9000 }    # as BuildLog::Server
    until IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);

mkdir "$dir/$_" for qw(etc run log lock p p/shop p/other);
system('cp', '-a', "$debian/etc/apache2", "$dir/etc/") == 0 or die "no copy of the configuration\n";
chown((getpwnam 'www-data')[2, 3], "$dir/p/shop", "$dir/p/other", "$dir/lock");
# As the package enables them; this machine may have more.
unlink glob "$etc/mods-enabled/* $etc/conf-enabled/* $etc/sites-enabled/*";
runs('the modules that Debian enables', 'a2enmod', '-q', qw(mpm_event access_compat alias auth_basic authn_core authn_file authz_core
    authz_host authz_user autoindex deflate dir env filter mime negotiation reqtimeout setenvif status));
runs('the site that Debian enables', 'a2ensite', '-q', '000-default');
write_file("$etc/ports.conf", "Listen 127.0.0.1:$port\n");
edit("$etc/sites-available/000-default.conf", sub { s/\*:80/*:$port/ });
edit("$etc/envvars", sub {
    $_ .= join '', map { "export $_\n" } "APACHE_RUN_DIR=$dir/run", "APACHE_LOG_DIR=$dir/log", "APACHE_LOCK_DIR=$dir/lock", "APACHE_PID_FILE=$dir/run/apache2.pid";
});
# conf-enabled is read behind mods-enabled: what an administrator says wins.
write_file("$etc/conf-enabled/builds.conf", <<"END");
ServerName 127.0.0.1
<IfModule buildlog_module>
    BuildLogStateDir "$dir/state"
    <Directory "$dir/p/*">
        BuildLog On
        BuildLogStep run "sh ./run.sh"
        BuildLogKillGrace 2s
        Require all granted
    </Directory>
</IfModule>
END

mkdir "$dir/usr";
write_file("$dir/apxs", <<"END");
#!/bin/sh
case "\$1 \$2" in
'-q LIBEXECDIR') echo $dir/usr/lib/modules ;;
'-q SYSCONFDIR') echo $etc ;;
*) exec $apxs "\$@" ;;
esac
END
chmod 0755, "$dir/apxs";

sub make
{
    my ($what, @more) = @_;
    my @places = ("MODULE=$module", "COMMAND=$command", "APXS=$dir/apxs", "PREFIX=$dir/usr", 'DESTDIR=', @more);
    return run('env', @places, "$top/conf/install.sh", $what);
}

# Everything below a directory, but for directories.
sub files
{
    my ($at) = @_;
    my (undef, $text) = run('find', $at, '!', '-type', 'd', '-printf', '%P %m %l\n');
    return join '', sort split /^/m, $text;
}

# ---- the server -----------------------------------------------------------------

my $http = HTTP::Tiny->new(timeout => 60);
my $url  = "http://127.0.0.1:$port";

sub parent { return slurp("$dir/run/apache2.pid") =~ /(\d+)/ ? $1 : 0 }
sub is_alive { return slurp("/proc/$_[0]/stat") =~ /\) ([^ZX]) / ? 1 : 0 }

# Each process that is the server, or below it: all name $dir.
sub processes
{
    my @found;
    for (glob '/proc/[0-9]*') {
        my ($pid) = /(\d+)/;
        next if $pid == $$ || !is_alive($pid);
        my $what = slurp("$_/comm") . slurp("$_/cmdline") . slurp("$_/environ");
        push @found, $pid if $what =~ /\Q$dir\E/ && slurp("$_/comm") =~ /^(?:apache2|buildlog-|sh$|sleep)/m;
    }
    return @found;
}
my $test = $$;
END { if ($$ == $test) { local $?; kill 'KILL', processes() if defined $dir } }

sub build
{
    my ($script, $project) = (@_, 'shop');
    write_file("$dir/p/$project/run.sh", $script);
    my $r = $http->post_form("$url/api/project/build", { projectPath => "$dir/p/$project" });
    $r->{status} == 202 or die "$r->{status} $r->{content}\n";
    return JSON::PP::decode_json($r->{content})->{build}{id};
}
sub record { return JSON::PP::decode_json($http->get("$url/api/project/builds/$_[0]")->{content}) }
sub wait_for { my ($id, $state) = @_; return wait_until { record($id)->{state} eq $state } "build $id $state" }
sub has_printed { my ($id, $text) = @_; return wait_until { slurp("$dir/state/logs/$id.log") =~ /$text/m } "'$text' of build $id" }
sub answers { return wait_until { $http->get("$url/api/health/ready")->{status} == 200 } 'a server that takes builds' }

runs('Debian\'s server starts', 'apachectl', 'start');
is $http->get("$url/buildlog/")->{status}, 404, 'nothing of the module is there';
my $before = files("$dir/etc") . files("$dir/usr");

# ---- install ---------------------------------------------------------------------

my ($status, $said) = make('install');
is $status, 0, 'make install' or BAIL_OUT($said);
like $said, qr/a2enmod buildlog && systemctl reload apache2/, '... says what comes next';
is $http->get("$url/buildlog/")->{status}, 404, '... and changes nothing in a server that runs';
for (['usr/lib/modules/mod_buildlog.so', '0644'], ['usr/bin/buildlog', '0755'], ['etc/apache2/mods-available/buildlog.load', '0644'],
    ['etc/apache2/mods-available/buildlog.conf', '0644'], ['usr/share/mod_buildlog/htdocs/index.html', '0644'],
    ['usr/share/mod_buildlog/buildlog-full.conf', '0644'], ['usr/share/mod_buildlog/systemd.conf', '0644']) {
    my ($file, $mode) = @$_;
    is sprintf('%04o', (stat "$dir/$file")[2] & 07777), $mode, "... $file";
}
like slurp("$etc/mods-available/buildlog.conf"), qr{^\s*BuildLogStateDir /var/lib/buildlog$}m, '... with logs where a reboot leaves them';
($status, $said) = run("$dir/usr/bin/buildlog", '--help');
like $said, qr/buildlog/, '... the command runs';

runs('a2enmod', 'a2enmod', 'buildlog');
runs('reload', 'apachectl', 'graceful');
answers();
pass 'the API answers, and would take a build';
my $r = $http->get("$url/buildlog/");
is $r->{status}, 200, 'the page is there';
like $r->{content}, qr{<script type="module" src="js/page\.mjs">}, '... and is the page';
is $http->get("$url/buildlog")->{status}, 200, '... also without the last slash';
# All that it names, and a module that is imported by one of these.
my @names = ((grep { !m{^(?:#|/api/|https?:)} } $r->{content} =~ /\b(?:href|src)="([^"]+)"/g), 'js/i18n.mjs', 'icons/failed.svg', 'vendor/ansi_up.mjs');
my %type = (mjs => 'text/javascript', css => 'text/css', svg => 'image/svg+xml', html => 'text/html');
for my $name (@names) {
    my $got = $http->get("$url/buildlog/$name");
    my ($ending) = $name =~ /\.(\w+)$/;
    is "$got->{status} " . ($got->{headers}{'content-type'} // '') =~ s/;.*//r, '200 ' . ($type{ $ending // 'html' } // '?'), "... /buildlog/$name";
}

my $id = build("echo hello\n");
wait_for($id, 'succeeded');
pass 'a build runs';
is +(stat "$dir/state/logs/$id.log")[4], (getpwnam 'www-data')[2], '... as Debian\'s user';

is $http->get("$url/buildlog/manual/")->{status}, 200, 'the manual is there';

# ---- reload, as logrotate does it every day -----------------------------------------

$id = build("echo begun; while [ ! -e go ]; do sleep 0.1; done; echo done\n");
has_printed($id, 'begun');
my $pid = parent();
rename "$dir/log/error.log", "$dir/log/error.log.1";
runs('reload while a build runs', 'apachectl', 'graceful');
wait_until { slurp("$dir/log/error.log") =~ /resuming normal operations/ } 'a new error log';
answers();
is parent(), $pid, '... the parent is the same';
write_file("$dir/p/shop/go", '');
wait_for($id, 'succeeded');
has_printed($id, 'F done$');
pass '... the build has come to its end';
unlink "$dir/p/shop/go";
my $old = "$dir/log/error.log.1";
# Children of before have it until they end.
my @hold;
eval { wait_until { !(@hold = grep { my $of = $_; is_alive($of) && grep { (readlink($_) // '') eq $old } glob "/proc/$of/fd/*" } processes()) } 'nobody' };
is_deeply \@hold, [], '... and nobody holds the old error log open';

# ---- a new version while one runs -----------------------------------------------------

$id = build("echo begun; while [ ! -e go ]; do sleep 0.1; done; echo done\n");
has_printed($id, 'begun');
write_file("$dir/usr/share/mod_buildlog/htdocs/old.html", 'of an earlier version');
my $inode = (stat "$dir/usr/lib/modules/mod_buildlog.so")[1];
($status, $said) = make('install');
is $status, 0, 'make install over it' or diag $said;
isnt +(stat "$dir/usr/lib/modules/mod_buildlog.so")[1], $inode, '... the module is another file: who has the old one keeps it';
ok !-e "$dir/usr/share/mod_buildlog/htdocs/old.html", '... a file of the page that is no more is gone';
runs('... reload', 'apachectl', 'graceful');
answers();
write_file("$dir/p/shop/go", '');
wait_for($id, 'succeeded');
pass '... the build has come to its end';
unlink "$dir/p/shop/go";

# ---- stop, as systemd does it with KillMode=mixed ----------------------------------------
# ExecStop (graceful-stop, which does not wait), then TERM to the parent alone;
# when that has gone, KILL for all that is left in the unit.

sub unit_stops
{
    my ($name, $build) = @_;
    my $main = parent();
    runs("$name: graceful-stop while a build runs", 'apachectl', 'graceful-stop');
    kill 'TERM', $main;
    wait_until { !is_alive($main) } 'the end of the parent';
    is_deeply [map { "$_ " . slurp("/proc/$_/comm") } processes()], [], '... when the parent has gone nothing is left to be killed';
    my $log = slurp("$dir/state/logs/$build.log");
    like $log, qr/Build cancelled: the server stopped/, '... the log says why the build ended';
    like $log, qr/\bend \{.*\}\n\z/, '... and has its end';
    return;
}

my $deaf = "trap '' TERM; echo begun; while :; do sleep 0.1; done\n";
$id = build($deaf);
has_printed($id, 'begun');
unit_stops('stop', $id);
runs('start', 'apachectl', 'start');
answers();
is record($id)->{state}, 'cancelled', '... the next server knows it';

# ---- a version that shares nothing with the one that runs (D4) -----------------------------
# The module with another number in it: that of its shared memory.

SKIP: {
    my $other = slurp($module);
    my $count = $other =~ s/\x03ELBATLB/\x04ELBATLB/g;
    skip 'the version of the table is not where it is looked for', 14 if !$count;
    my $goes_on = build("echo begun; while [ ! -e go ]; do sleep 0.1; done; echo done\n");
    $id = build($deaf, 'other');
    has_printed($_, 'begun') for $goes_on, $id;
    write_file("$dir/other.so", $other);
    rename "$dir/other.so", "$dir/usr/lib/modules/mod_buildlog.so";
    runs('another version, and a reload', 'apachectl', 'graceful');
    wait_until { slurp("$dir/log/error.log") =~ /BL0107 / } 'a message';
    my $refused = wait_until { my $is = $http->get("$url/api/project/projects"); $is->{status} == 503 && $is } 'a refusal';
    like $refused->{content}, qr/could not begin/, '... the API says that it cannot';
    is $http->get("$url/buildlog/")->{status}, 200, '... httpd serves all else';
    write_file("$dir/p/shop/go", '');
    has_printed($goes_on, qr/\bend \{.*"succeeded"/);
    pass '... a build comes to its end';
    unlink "$dir/p/shop/go";
    unit_stops('... stop', $id);
    runs('... the new version starts', 'apachectl', 'start');
    answers();
    is record($id)->{state}, 'cancelled', '... and knows the build that was ended';
    is +(make('install'))[0], 0, 'the first one is installed again';
    runs('... (stop)', 'apachectl', 'stop');
    wait_until { !processes() } 'the end of all processes';
    runs('... and starts', 'apachectl', 'start');
    answers();
}

# ---- edited files stay -------------------------------------------------------------------

my $conf = "$etc/mods-available/buildlog.conf";
edit($conf, sub { $_ .= "# mine\n" });
($status, $said) = make('install');
is $status, 0, 'install over an edited file';
like $said, qr/\Q$conf\E was edited and stays/, '... says so';
like slurp($conf), qr/# mine/, '... and it stays';

# ---- uninstall ----------------------------------------------------------------------------

($status, $said) = make('uninstall');
is $status, 0, 'make uninstall' or diag $said;
like $said, qr/a2dismod has disabled the module/, '... says that a2dismod ran';
like $said, qr/restart/, '... that the server still has the module';
like $said, qr/<IfModule buildlog_module>/, '... that directives of one\'s own need a section';
like $said, qr/\Q$conf\E was edited and stays/, '... that an edited file stays';
like $said, qr{logs and history stay .*/var/lib/buildlog}, '... and where logs are';
unlink $conf;
is files("$dir/etc") . files("$dir/usr"), $before, '... and nothing else is left' or diag files("$dir/usr");
is_deeply [glob "$dir/a2state/module/*/buildlog"], [], '... not even with a2enmod';
$pid = parent();
runs('the server goes on without it', 'apachectl', 'graceful');
wait_until { $http->get("$url/buildlog/")->{status} == 404 } 'a server without the module';
runs('... and stops', 'apachectl', 'stop');
wait_until { !is_alive($pid) && !processes() } 'the end of all processes';
pass '... to the last process, the runner\'s too';

# ---- DESTDIR, and no mods-available ---------------------------------------------------------

for (["$dir/dest", $etc, "$etc/mods-available"], ["$dir/other", '/opt/httpd/conf', '/opt/httpd/conf/extra']) {
    my ($dest, $sysconf, $where) = @$_;
    write_file("$dir/apxs", slurp("$dir/apxs") =~ s{(SYSCONFDIR'\) echo )\S+}{$1$sysconf}r);
    ($status, $said) = make('install', "DESTDIR=$dest");
    is $status, 0, "DESTDIR, configuration in $sysconf" or diag $said;
    ok -e "$dest$where/$_", "... $_ is in $where" for qw(buildlog.load buildlog.conf);
    like slurp("$dest$where/buildlog.load"), qr{^LoadModule buildlog_module \Q$dir\E/usr/lib/modules/mod_buildlog\.so$}m, '... the path has no DESTDIR';
    ($status, $said) = make('uninstall', "DESTDIR=$dest");
    is $status, 0, '... uninstall' or diag $said;
    is files($dest), '', '... leaves nothing';
}

my @bad = grep { /exit signal|Assertion|\bBL\d+ .*\bbug\b/ } split /\n/, slurp("$dir/log/error.log.1") . slurp("$dir/log/error.log");
is_deeply \@bad, [], 'no crash in the error log';
done_testing;
