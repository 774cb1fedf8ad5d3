# 10-config.t - what the directives take and refuse, where they may stand, and
# what a directory inherits (promise 8: nobody starts what the configuration
# does not let them; and DESIGN.md section 7: a wrong value stops httpd -t with
# a line that names the directive, the value and what is allowed)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Server ();
use IO::Socket::INET;
use POSIX ();

my $dir     = top() . '/tmp/config';
my $modules = vars()->{src_dir};
mkdir $dir or $!{EEXIST} or die "$dir: $!\n";

my $minimal = <<"END";
ServerName 127.0.0.1
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/pid"
ErrorLog "$dir/error_log"
LoadModule mpm_event_module  $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
END
my $load = 'LoadModule buildlog_module "' . top() . "/.libs/mod_buildlog.so\"\n";

# What httpd -t says of a configuration with these lines.
sub check
{
    my ($lines) = @_;
    write_file("$dir/test.conf", $lines);
    return httpd('-f', "$dir/test.conf", '-t');
}

# A section that a directive may stand in, for short.
sub in
{
    my ($section, $lines) = @_;
    return $lines if $section eq '';
    my ($name) = split ' ', $section;
    return "<$section>\n$lines\n</$name>";
}

my $directory = "Directory $dir";
my $location  = 'Location /x';

# ---- values ----------------------------------------------------------

# Directive, where it stands, right values, wrong values: each with the word
# that the message is about (or undef: the whole value), and what it says is
# allowed.
my $count  = sub { qr/a whole number from $_[0] to $_[1]/ };
my $time   = sub { qr/a time from $_[0] to 720h/ };
# httpd itself counts the words, and "" is none.
my $one    = qr/takes one argument/;
my $two    = qr/takes two arguments/;
my $origin = qr{an origin such as https://};
my $name   = qr/a name of letters, digits and _/;
# Files with secrets, good and bad.
my %file = (good => "  s3cret\n", coded => 'whsec_c2VjcmV0IGJ5dGVzIQ==', miscoded => 'whsec_c2VjcmV0', empty => " \n", open => 'x', nul => "a\0b",
    large => 'x' x 4097, none => undef);
for (grep { defined $file{$_} } keys %file) {
    write_file("$dir/$_", $file{$_});
    chmod $_ eq 'open' ? 0644 : 0640, "$dir/$_";
}
my $forge = qr/github, gitlab, gitea or plain/;
my $hook_name = qr/a name of 1 to 64 letters, digits/;

my @values = (
    ['BuildLogStateDir', '',
        ['state', '/var/lib/buildlog', '"a b"'],
        [['""', '', $one]]],
    ['BuildLogUser', '',
        ['nobody', 'nobody nogroup'],
        [['no-such-user', undef, qr/name of a user/],
         ['root', undef, qr/other than the superuser/],
         ['nobody no-such-group', 'no-such-group', qr/name of a group/]]],
    ['BuildLogCgroup', '',
        # What is no control group does not stop a value; t/26-cgroup.t has that.
        [],
        [['buildlog', undef, qr/the absolute path of a directory of a cgroup2 file system/],
         ['/', undef, qr/the absolute path/], ['//', undef, qr/the absolute path/],
         ['/' . 'x' x 1024, undef, qr/the absolute path/],
         (map { ["/x $_", $_, qr/memory=BYTES from 4M to 1T, .*pids=N from 8 to 4194304/] }
            qw(memory memory= memory=0 memory=3M memory=2T memory=1.5G memory=-1 memory=x Memory=1G
               pids=7 pids=0 pids= pids=4194305 pids=-8 pids=x 512M cpu=1)),
         ['/x memory=8M 100', '100', qr/pids=N/],
         ['/x memory=8M pids=8 pids=9', '', qr/takes one, two or three arguments/]]],
    ['BuildLogMaxBuilds', '', ['1', '128'],
        [map { [$_, undef, $count->(1, 128)] }
            qw(0 129 -1 +1 2x 1.5 0x10 many 99999999999999999999)]],
    ['BuildLogMaxQueue', '', ['0', '64'],
        [map { [$_, undef, qr/a whole number from 0 to \d+/] } qw(-1 1000000 x)]],
    ['BuildLogMaxClients', '', ['0', '1000000'],
        [map { [$_, undef, $count->(0, 1000000)] } qw(-1 1000001 10k)]],
    ['BuildLogLineLimit', '', ['256', '1048576'],
        [map { [$_, undef, $count->(256, 1048576)] } qw(255 1048577 16k)]],
    ['BuildLogKeep', '',
        ['count=1', 'count=0 age=0 size=0', 'age=36500d', 'age=12h size=10G', 'size=1t', 'count=10000000'],
        [(map { [$_, undef, qr/count=N \(up to 10000000\), age=TIME .*size=BYTES .*0 is no limit/] }
            qw(10 count count= count=-1 count=x count=1.5 count=10000001 age= age=-1d age=1x age=36501d age=d
               size= size=1X size=-1 size=1GB size=99999999T Count=1 days=3 =1)),
         ['count=1 nonsense', 'nonsense', qr/0 is no limit/]]],
    ['BuildLog', $directory, ['On', 'off', 'ON'],
        [map { [$_, undef, qr/On or Off/] } qw(yes 1 Onn)]],
    ['BuildLogStep', $directory,
        ['build "make all"', ('s' x 64) . ' true', "1 'echo \"x\" >&2'"],
        [['build ""', '', $two], ['"" true', '', $two], ['build', '', $two],
         ['build make all', '', $two],
         [('s' x 65) . ' true', 's' x 65, qr/a name of 1 to 64 bytes/]]],
    ['BuildLogTitle', $directory, ['Shop', '"The shop <b>&amp;"', 't' x 200],
        [['""', '', $one], ['t' x 201, undef, qr/1 to 200 bytes/]]],
    (map { [$_, $directory, ['100ms', '1', '30s', '10min', '1h', '720h'],
        [map { [$_, undef, $time->('100ms')] } qw(0 99ms 721h -5 5x soon 1.5s
            99999999999999999999 9223372036854775807h)]] }
        qw(BuildLogTimeout BuildLogIdleTimeout)),
    ['BuildLogKillGrace', $directory, ['0', '500ms', '5s'],
        [map { [$_, undef, $time->('0s')] } qw(721h -1 x)]],
    ['BuildLogMaxLog', $directory,
        ['65536', '64K', '64k', '100000', '256M', '1m', '1G', '1T', '1099511627776'],
        [map { [$_, undef, qr/a number of bytes from 64K to 1T/] } qw(0 1 65535 63K 0M -1 -1G
            1025G 1099511627777 1048577M 2T 1.5M 64KB 64KK M 0x10000 +64K many
            99999999999999999999 9223372036854775807G 17592186044416K 1E)]],
    ['BuildLogSetEnv', $directory, ['A 1', '_a9 x', 'PATH "/a:/b c"', 'B \'x "y"\''],
        [['1A x', '1A', $name], ['A=B x', 'A=B', $name], ['"" x', '', $two],
         ['"A B" x', 'A B', $name], ["\xc3\xa4 x", "\xc3\xa4", $name]]],
    ['BuildLogPassEnv', $directory, ['HOME', 'A B C'],
        [['A=1', undef, $name], ['GOOD 2BAD', '2BAD', $name], ['*', undef, $name]]],
    ['BuildLogMask', $directory, ['TOKEN', '_a9 B C'],
        [['A=1', undef, $name], ['GOOD 2BAD', '2BAD', $name], ['*', undef, $name],
         ["\xc3\xa4", undef, $name]]],
    ['BuildLogHook', $directory,
        ["a github good", "a.b-c_9 gitlab $dir/good", "x gitlab coded branch=main", "y plain coded branch=a branch=!b",
         'z gitea good path=src/* "path=!a b" branch=*', ('n' x 64) . ' plain good'],
        [(map { ["$_ plain good", $_, $hook_name] } '.a', '-a', 'a/b', 'a?b', 'n' x 65),
         (map { ["a $_ good", $_, $forge] } qw(GitHub bitbucket good)),
         ['a github good main', 'main', qr/branch=PATTERN or path=PATTERN/],
         ['a github good Branch=main', 'Branch=main', qr/branch=PATTERN or path=PATTERN/],
         (map { ["a gitea good $_", $_, qr/a pattern such as main/] } qw(branch= path= branch=! path=!!x)),
         ['a plain good path=x', 'path=x', qr/a plain delivery names no files/],
         (map { ["a $_", '', qr/takes a name, .*the file of a secret/] } '', 'github')]],
    (map { my $where = $_; ['BuildLogNotify', $where,
        ['http://127.0.0.1/', 'https://ci.example.org:8443/a/b?c=d secret=good', "http://[::1]:80 secret=$dir/coded", 'none', 'https://a'],
        [(map { [$_, undef, qr{none, or a URL such as https://}] } 'x', '/x', 'ftp://a/', 'https:///x', 'https://u:p@a/', 'https://a/#b', 'HTTP://a', 'nobody',
            "https://a/\xc3\xa4", 'https://a/' . 'x' x 2000),
         ['none secret=good', 'none', qr/none, or a URL/],
         ['http://a good', 'good', qr/secret= and the path of a file/], ['http://a Secret=good', 'Secret=good', qr/secret= and the path/]]] }
        '', $directory),
    (map { my $where = $_; ['BuildLogMessage', $where,
        ['succeeded "All done"', 'timed-out late', 'accepted "Here we go"', 'lost x',
         'failed x', 'cancelled x', 'failed ' . 'x' x 1000],
        [(map { ["$_ text", $_, qr/accepted, succeeded, failed, cancelled, timed-out or lost/] }
            qw(running queued ended Failed)),
         ['failed ' . 'x' x 1001, 'x' x 1001, qr/at most 1000 bytes/]]] }
        $directory, $location),
    ['BuildLogPing', $location, ['100ms', '15', '1h'],
        [map { [$_, undef, $time->('100ms')] } qw(0 99ms 721h never)]],
    ['BuildLogRetry', $location, ['1ms', '2'],
        [map { [$_, undef, $time->('1ms')] } qw(0 721h 2d)]],
    ['BuildLogFlush', $location, ['0', '10ms'],
        [map { [$_, undef, $time->('0s')] } qw(-1 721h x)]],
    ['BuildLogTimeFormat', $location, ['%H:%M:%S', '"%Y-%m-%d %T"', 'plain'],
        [['""', '', $one],
         ['x' x 500, undef, qr/format for strftime/]]],
    ['BuildLogAllowOrigin', $location,
        ['https://ci.example.org', 'http://a:8080 https://b', 'http://[::1]:80'],
        [(map { [$_, undef, $origin] } qw(* null ci.example.org
            https://a/ https://a/x https://a?b https://a@b https:// //a)),
         ['https://good http://bad/', 'http://bad/', $origin]]],
);

for (@values) {
    my ($directive, $where, $right, $wrong) = @$_;
    subtest "$directive in <" . ($where || 'the server') . '>' => sub {
        # All right ones at once; one by one only to tell which it is.
        my ($status, $out) = check(join "\n", $minimal, $load,
            map { in($where, "$directive $_") } @$right);
        is $status, 0, 'right values are taken' or diag $out;
        for (@$wrong) {
            my ($value, $word, $allowed) = @$_;
            $word //= $value;
            # httpd writes bytes that are not ASCII as \xNN.
            (my $shown = $word) =~ s/([\x80-\xff])/sprintf '\\x%02x', ord $1/ge;
            my $short = length $value > 40 ? substr($value, 0, 40) . '...' : $value;
            ($status, $out) = check("$minimal$load" . in($where, "$directive $value"));
            isnt $status, 0, "$short stops httpd -t";
            like $out, $allowed =~ /takes/ ? qr/^\Q$directive\E $allowed/m
                : qr/^\Q$directive: "$shown"\E is not allowed; it must be .*$allowed/m,
                "... with the directive, the value and what is allowed";
        }
    };
}

{
    my $steps = sub { in($directory, join "\n", map { "BuildLogStep s$_ true" } 1 .. $_[0]) };
    is +(check($minimal . $load . $steps->(32)))[0], 0, '32 steps are taken';
    my ($status, $out) = check($minimal . $load . $steps->(33));
    isnt $status, 0, '33 are not';
    like $out, qr/BuildLogStep: "s33" is not allowed; it must be one of at most 32 steps/,
        '... and the message says so';
}

# What is wrong with a hook besides its words.
subtest 'secrets of hooks, and their places' => sub {
    my %says = (empty => qr/is empty/, open => qr/may be read, or written, by everybody: chmod o= it/, nul => qr/has a NUL byte/,
        large => qr/has more than 4096 bytes/, none => qr/cannot be read: .*No such file/, folder => qr/is no file/,
        miscoded => undef);
    mkdir "$dir/folder";
    for my $file (sort keys %says) {
        my ($status, $out) = check($minimal . $load . in($directory, "BuildLogHook a plain $file"));
        $says{$file} //= qr/begins with whsec_, but what follows is not the base64 of a key/;
        if ($file eq 'miscoded') {    # the base64 of some key: padding makes it one that is none
            is $status, 0, 'a key of another length is one';
            write_file("$dir/miscoded", 'whsec_c2VjcmV');
            ($status, $out) = check($minimal . $load . in($directory, "BuildLogHook a plain $file"));
        }
        isnt $status, 0, "$file stops httpd -t";
        like $out, qr/^BuildLogHook: the secret's file \S*\Q$file\E $says{$file}/m, '... and it says what is wrong';
    }
    for my $file (sort keys %says) {
        my ($status, $out) = check($minimal . $load . "BuildLogNotify http://a secret=$file");
        isnt $status, 0, "... so it does as that of a receiver: $file";
        like $out, qr/^BuildLogNotify: the secret's file \S*\Q$file\E $says{$file}/m, '... and it says what is wrong';
    }
    my $many = sub { join "\n", $minimal, $load, map { "BuildLogNotify http://a/$_" } 1 .. $_[0] };
    is +(check($many->(64)))[0], 0, '64 receivers are taken';
    like +(check($many->(65)))[1], qr{^BuildLogNotify: "http://a/65" is not allowed; it must be one of at most 64 receivers}m, '65 are not';
    my $twice = sub { join '', map { in("Directory $dir/$_", 'BuildLogHook shop github good') . "\n" } @_ };
    my ($status, $out) = check($minimal . $load . $twice->('one', 'two'));
    isnt $status, 0, 'two hooks of one name stop httpd -t';
    like $out, qr{^BuildLogHook: there is a hook shop already, of \Q$dir\E/one/}m, '... and it says where the other one is';
    ($status, $out) = check($minimal . $load . in('VirtualHost *:1', $twice->('one')) . "\n" . $twice->('two'));
    isnt $status, 0, '... in whatever virtual host';
    for my $section ("Directory $dir/*", "DirectoryMatch ^$dir", "Directory ~ $dir", 'Directory /srv/[ab]') {
        ($status, $out) = check($minimal . $load . in($section, 'BuildLogHook shop github good'));
        isnt $status, 0, "<$section> names no project";
        like $out, qr/^BuildLogHook: only directly inside a <Directory> that names one project/m, '... and it says so';
    }
    ($status, $out) = check($minimal . $load . in($directory, in('If true', 'BuildLogHook shop github good')));
    isnt $status, 0, 'nor does an <If> inside one';
};

# ---- places ----------------------------------------------------------

my @server = ('BuildLogStateDir x', 'BuildLogUser nobody', 'BuildLogMaxBuilds 1',
    'BuildLogMaxQueue 1', 'BuildLogMaxClients 1', 'BuildLogLineLimit 1024');
my @project = ('BuildLog On', 'BuildLogStep a b', 'BuildLogTitle x', 'BuildLogTimeout 1h',
    'BuildLogIdleTimeout 1h', 'BuildLogKillGrace 1', 'BuildLogMaxLog 1M', 'BuildLogSetEnv A b',
    'BuildLogPassEnv A', 'BuildLogMask A', 'BuildLogNotify http://a');
my @hook = ('BuildLogHook shop plain good');
my @endpoint = ('BuildLogPing 1', 'BuildLogRetry 1', 'BuildLogFlush 1',
    'BuildLogTimeFormat %s', 'BuildLogAllowOrigin http://a', 'BuildLogMessage failed x');

my @places = (
    ['in a virtual host', ['VirtualHost *:1'], \@server],
    ['in a directory', [$directory], \@server],
    ['in a location', [$location, 'LocationMatch ^/x'], [@server, @project, @hook]],
    ['in a section of files', ['Files x', 'FilesMatch x'], [@server, @project, @hook]],
    ['outside of a directory', [''], ['BuildLog On', @hook]],
    ['in a virtual host, outside of a directory', ['VirtualHost *:1'], ['BuildLog On']],
    ['in <If>, outside of a directory', ['If true'], ['BuildLog On']],
);
for (@places) {
    my ($where, $sections, $lines) = @$_;
    subtest "refused $where" => sub {
        for my $section (@$sections) {
            for my $line (@$lines) {
                my ($directive) = split ' ', $line;
                my ($status, $out) = check($minimal . $load . in($section, $line));
                isnt $status, 0, "$line in <$section>";
                like $out, qr/^\Q$directive\E\b/m, '... and the message names it';
            }
        }
    };
}
{
    my ($status, $out) = check(join "\n", $minimal, $load, @server,
        in($directory, join "\n", @project, @hook, @endpoint),
        in($location, join "\n", @endpoint),
        in('VirtualHost *:1', in($directory, join "\n", @project)),
        'BuildLog Off', grep { $_ ne 'BuildLog On' } @project, @endpoint);
    is $status, 0, 'each directive is taken where it belongs' or diag $out;
}

subtest 'a file .htaccess may use none of them' => sub {
    my $place = vars()->{documentroot} . '/made-htaccess';
    mkdir $place or $!{EEXIST} or die "$place: $!\n";
    write_file("$place/page.html", 'here');
    is request('GET', '/made-htaccess/page.html')->{status}, 200, 'the page is there';
    for my $line (@server, @project, @hook, @endpoint) {
        my ($directive) = split ' ', $line;
        my $mark = log_mark();
        write_file("$place/.htaccess", "$line\n");
        is request('GET', '/made-htaccess/page.html')->{status}, 500, $line;
        like log_since($mark), qr/\b\Q$directive\E not allowed here/, '... and the log names it';
    }
    unlink "$place/.htaccess", "$place/page.html";
    rmdir $place;
};

subtest 'a file .htaccess makes nothing a project, but may say who' => sub {
    my ($outer, $on) = (project('htaccess'), project('htaccess/on'));
    is +(post_build($on))[0], 202, 'the project can be built';
    my @cases = (
        [$outer, 'BuildLog On', 403],
        [$outer, "<If true>\nBuildLog On\n</If>", 403],
        [$on, 'BuildLogStep mine "echo mine"', 403],
        [$on, 'Require all denied', 403],
        [$on, 'Require all granted', 202],
    );
    for (@cases) {
        my ($path, $line, $status) = @$_;
        write_file("$path/.htaccess", "$line\n");
        is +(post_build($path))[0], $status, "$line: $status";
        unlink "$path/.htaccess";
    }
};

# ---- merging ---------------------------------------------------------

subtest 'what a directory inherits' => sub {
    my $id = start_build(project('merge/inner'));
    my ($end, @lines) = build_output($id);
    my %env = map { $_->{text} =~ /^(\w+)=(.*)$/ ? ($1 => $2) : () } @lines;
    is_deeply [map { $_->{name} } @{ $end->{steps} }], ['only'],
        'its steps replace those of the directory above, as a whole';
    is $env{BOTH},  'inner', 'a variable that both set is the inner one';
    is $env{OUTER}, 'outer', 'one that only the outer sets is inherited';
    is $env{INNER}, 'inner', 'one that only the inner sets is there';
    is $env{case},  'outer', 'names that differ in case are two names';
    is $env{CASE},  'inner', '... both';
    is $end->{title}, 'Outer', 'the title is inherited';
    is $end->{state}, 'timed-out', 'the timeout is inherited';
    like $lines[-1]{text}, qr/^Outer says: too slow/, 'and messages one by one';

    is +(post_build(project('merge/off')))[0], 403, 'Off below On is off';
    is +(post_build(project('merge')))[0], 202, 'and On above it stays';
};

# ---- with next to no configuration -----------------------------------

# A server of its own with these lines; runs the tests and ends it.
sub with_server
{
    my ($lines, $tests) = @_;
    my $port = BuildLog::Server::_free_port();
    write_file("$dir/test.conf", "$minimal${lines}Listen 127.0.0.1:$port\n");
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>', "$dir/out";
        open STDERR, '>&', \*STDOUT;
        exec vars()->{httpd}, '-f', "$dir/test.conf", '-DFOREGROUND' or POSIX::_exit(127);
    }
    my $ok = eval {
        wait_until { IO::Socket::INET->new("127.0.0.1:$port") } 10, 'the server listens';
        $tests->($port);
        1;
    };
    diag $@ unless $ok;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    is $?, 0, 'the server stops by itself';
    return;
}

{
    open my $in, '<', top() . '/conf/buildlog.conf' or die "buildlog.conf: $!\n";
    my @said = grep { !/^\s*#/ } <$in>;
    is join('', grep { m{/} && !m{^\s*</?(?:Location|LocationMatch|IfModule)\b|^\s*Require expr "-R '} } @said), '',
        'conf/buildlog.conf holds no path but those of its addresses';
    my $include = 'Include "' . top() . "/conf/buildlog.conf\"\n";
    for my $with ('', $load) {
        my ($status, $out) = check("$minimal$with$include");
        is $status, 0, 'it can be included ' . ($with ? 'with' : 'without') . ' the module' or diag $out;
    }

    subtest 'a server that says nothing but LoadModule' => sub {
        my $htdocs = vars()->{documentroot};
        with_server("${load}DocumentRoot $htdocs\n", sub {
            my ($port) = @_;
            is request('GET', '/index.html', port => $port)->{status}, 200, 'its pages are served';
            is +(post_build('/', port => $port))[0], 404, 'and ours are not there';
        });
    };
    subtest 'a server that includes conf/buildlog.conf and says no project' => sub {
        with_server("$load$include", sub {
            my ($port) = @_;
            is_deeply [get_json('/api/project/projects', port => $port)],
                [200, { projects => [], streamOrigin => undef, user => undef }], 'there are no projects';
            is +(post_build(project('hello'), port => $port))[0], 403, 'nothing may be built';
            is +(post_build('/', port => $port))[0], 403, 'not even that';
        });
    };
}

done_testing;
