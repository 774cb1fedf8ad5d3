# 23-mask.t - the values of BuildLogMask: *** before disk and before wire,
# however they are printed, in whatever reads they come; nowhere on disk, also
# while a build waits; and what is said of values that cannot be masked
#
# Issue 6, item 5 (secrets); promises 5 and 6 (a build that waits outlives the
# runner; one final state) and 8.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Server;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $json     = JSON::PP->new->utf8;
my $projects = project('');

my %value = (
    TOKEN   => 'open sesame/7',
    LONGER  => 'open sesame/7 and more',
    PASSED  => 'wunderbar & "co"',
    KEY     => "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----",
    SHORT   => 'xyz',
    EMPTY   => '',
);
$ENV{BUILDLOG_TEST_PASSED} = $value{PASSED};
$ENV{KEY} = $value{KEY};

sub quoted { my ($text) = @_; return '"' . ($text =~ s/(["\\])/\\$1/gr) . '"' }

my $conf = <<"END";
BuildLogMaxBuilds 3
LogLevel info buildlog:trace8
BuildLogMask TOKEN
<Directory "${projects}made-mask-*">
    BuildLog On
    BuildLogKillGrace 300ms
    BuildLogStep run "sh ./run.sh"
    BuildLogSetEnv TOKEN @{[ quoted($value{TOKEN}) ]}
    BuildLogSetEnv SHORT $value{SHORT}
    BuildLogSetEnv EMPTY " "
    BuildLogSetEnv PLAIN "nothing secret"
    BuildLogPassEnv BUILDLOG_TEST_PASSED KEY
    BuildLogMask BUILDLOG_TEST_PASSED KEY EMPTY
</Directory>
# What an inner section says comes in addition.
<Directory "${projects}made-mask-inner">
    BuildLogSetEnv LONGER @{[ quoted($value{LONGER}) ]}
    BuildLogMask LONGER
</Directory>
<Directory "${projects}made-mask-short">
    BuildLogMask SHORT
</Directory>
<Directory "${projects}made-mask-words">
    BuildLogStep "for $value{TOKEN}" "echo 'it is $value{TOKEN}'; exit 3"
    BuildLogMessage failed "No $value{TOKEN} for you"
    BuildLogTitle "The $value{TOKEN} of 7"
</Directory>
<Directory "${projects}made-mask-waits">
    BuildLogMessage cancelled "No $value{TOKEN} today"
</Directory>
<Directory "${projects}made-mask-large">
    BuildLogSetEnv LARGE "@{[ 'x' x 40_000 ]}"
    BuildLogMask LARGE
</Directory>
END
# More bytes than a line of a configuration may have.
$conf =~ s/^.*"x{40000}"\n//m;
my $large = join '', map { "    BuildLogSetEnv LARGE$_ \"@{[ 'x' x 4000 ]}\"\n    BuildLogMask LARGE$_\n" } 1 .. 9;
$conf =~ s/^    BuildLogMask LARGE\n/$large/m;

my $s = BuildLog::Server->start($conf);

sub start { my ($name, $script) = @_; return start_build(make_project("mask-$name", $script), port => $s->port) }

my %ends = map { $_ => 1 } qw(succeeded failed cancelled timed-out lost);

sub ended { my ($id) = @_; return $s->wait_for_state($id, join('|', keys %ends), 30) }

# Texts of the log's records, put together where they came in pieces, first
# those of stdout; but not the build's own.
sub said
{
    my ($id, %opt) = @_;
    my (%lines, %begun);
    for my $r (@{ $s->log_records($id) }) {
        next if grep { /^(?:build|end)$/ } @{ $r->{tags} };
        next if !$opt{notes} && grep { $_ eq 'note' } @{ $r->{tags} };
        my $text = ($begun{ $r->{stream} } // '') . $r->{text};
        if ($r->{tags}[0] eq 'P') { $begun{ $r->{stream} } = $text }
        else { push @{ $lines{ $r->{stream} } }, $text; delete $begun{ $r->{stream} } }
    }
    return map { @{ $lines{$_} // [] } } qw(stdout stderr);
}

# What a test's build printed, line by line: a script, and what comes of it.
sub prints
{
    my ($name, $script, @want) = @_;
    my $id = start($name, $script);
    ended($id);
    is_deeply [said($id)], \@want, $name;
    return $id;
}

# ---- what is printed -------------------------------------------------------

prints('plain', 'echo "token=$TOKEN."; echo "$TOKEN$TOKEN" >&2; echo "$PLAIN, open sesame"',
    'token=***.', 'nothing secret, open sesame', '***');
prints('passed', 'echo "$BUILDLOG_TEST_PASSED"', '***');
prints('environment', 'env | grep -E "^(TOKEN|BUILDLOG_TEST_PASSED|SHORT|PLAIN|EMPTY)=" | sort',
    'BUILDLOG_TEST_PASSED=***', 'EMPTY= ', 'PLAIN=nothing secret', 'SHORT=xyz', 'TOKEN=***');
prints('inner', 'echo "$TOKEN and more; $TOKEN and; $LONGER"', '***; *** and; ***');
prints('lines', 'echo "$KEY"; echo "$KEY" | sed "s/^/> /"', '***', map { '> ***' } 1 .. 4);
prints('encoded', join("\n",
        'printf "%s" "$TOKEN" | base64; printf "ali:%s" "$TOKEN" | base64; printf "%s\n" "$TOKEN" | base64',
        q(perl -e '($_ = $ENV{TOKEN}) =~ s/([^\w.~-])/sprintf "%%%02X", ord $1/ge; print "?t=$_&x\n"')),
    '***', 'YWxpOm***', '***o=', '?t=***&x');
{
    my $id = start('again', ':');
    ended($id);
    is +(said($id))[0], undef, 'nothing is printed, nothing is said';
}

# ---- reads that cut it -----------------------------------------------------

prints('bytes', <<'END', ('<***>') x 2);
perl -e '
    $| = 1;
    for my $out (\*STDOUT, \*STDERR) {
        for (split //, "<$ENV{TOKEN}>\n") { syswrite $out, $_; select undef, undef, undef, 0.003 }
    }'
END

# Every cut, and after each a pause in which an incomplete line is shown: a
# file tells when what stands before the value was shown.
{
    my $id = start('pauses', <<'END');
perl -e '
    $| = 1;
    my $value = $ENV{TOKEN};
    for my $cut (1 .. length($value) - 1) {
        syswrite STDOUT, "cut $cut: " . substr($value, 0, $cut);
        select undef, undef, undef, 0.01 until -e "go$cut";
        syswrite STDOUT, substr($value, $cut) . "\n";
    }'
END
    my $path = project('made-mask-pauses');
    my $pieces = 0;
    for my $cut (1 .. length($value{TOKEN}) - 1) {
        wait_until { grep { $_->{tags}[0] eq 'P' && $_->{text} =~ /^cut $cut: / } @{ $s->log_records($id) } }
            20, "the beginning of line $cut is shown";
        $pieces += grep { $_->{tags}[0] eq 'P' && $_->{text} eq "cut $cut: " } @{ $s->log_records($id) };
        write_file("$path/go$cut", '');
    }
    ended($id);
    is $pieces, length($value{TOKEN}) - 1, 'each line is shown up to where the value may begin';
    is_deeply [said($id)], [map { "cut $_: ***" } 1 .. length($value{TOKEN}) - 1], '... and then without it';
}

prints('unfinished', 'printf "a: open sesa"', 'a: ***');
prints('nearly', 'printf "a: ope"', 'a: ope');
prints('streams', 'printf "open ses"; printf "ame/7" >&2; printf "\n"; printf "\n" >&2', 'open ses', 'ame/7');
prints('progress', 'printf "10%%\r$TOKEN\r100%%\n"', '***', '100%');

# ---- the runner's own words ---------------------------------------------------

{
    my $id = start('words', ':');
    my $end = ended($id);
    is_deeply [said($id, notes => 1)],
        ["\$ echo 'it is ***'; exit 3", 'it is ***', 'No *** for you: step "for ***" exited with code 3'],
        'the command, the output, the last line';
    is $end->{reason}, 'step "for ***" exited with code 3', 'the reason in its record';
    is $end->{steps}[0]{name}, 'for ***', 'the name of its step';
    is $end->{title}, 'The *** of 7', 'its title';
}
{
    my $mark = length $s->error_log;
    my $id   = start('short', 'echo "$SHORT $TOKEN"');
    is ended($id)->{state}, 'succeeded', 'a value that is too short: the build works';
    my $said = 'the value of SHORT is not masked: it has less than 4 bytes';
    is_deeply [said($id, notes => 1)],
        ["BuildLogMask: $said", '$ sh ./run.sh', 'xyz ***', 'Build finished'], '... and its log says so';
    like substr($s->error_log, $mark), qr/BL0219 build $id of \S+made-mask-short: \Q$said\E/, '... and the error log';
}
{
    my $end = ended(start('large', 'echo never'));
    is $end->{state}, 'failed', 'values that are too large: the build does not begin';
    is $end->{reason}, 'BuildLogMask: the values have more than 32768 bytes together', '... and says why';
    is_deeply [$end->{title}, map { $_->{name} } @{ $end->{steps} }], ['***', '***'],
        '... and shows no words in which one may be';
}

# ---- what viewers get ------------------------------------------------------------

my $secret = qr/open sesame\/7|\Q@{[ encode_base64($value{TOKEN}, '') ]}\E|wunderbar|MIIBV|hkiG9/;
{
    my $id = start('viewers', 'echo "one $TOKEN"; echo "two $TOKEN" >&2; echo "$KEY"');
    ended($id);
    for (["/api/log/push?build=$id", qr/one \*\*\*/], ["/api/log/push?build=$id&format=json", qr/"one \*\*\*"/],
         ["/api/project/builds/$id/log", qr/^one \*\*\*$/m], ["/api/project/builds/$id/log?format=json", qr/"one \*\*\*"/],
         ["/api/project/builds/$id/lines", qr/"one \*\*\*"/], ["/api/project/builds/$id", qr/succeeded/]) {
        my ($path, $want) = @$_;
        my $body = $s->request('GET', $path)->{body};
        like $body, $want, "$path: masked";
        unlike $body, $secret, '... and nothing else of it';
    }
    my $page = $s->request('GET', "/api/project/builds/$id", headers => { Accept => 'text/html' })->{body};
    like $page, qr/one \*\*\*/, 'the page without JavaScript: masked';
    unlike $page, $secret, '... and nothing else of it';
}

# ---- on disk, and in what others can see of processes ------------------------------

# Where something of them stands: files below the state directory, and the
# error log.
sub nothing_stored
{
    my ($name) = @_;
    my @found = $s->error_log =~ /^(.*$secret.*)$/mg;
    open my $find, '-|', 'find', $s->state, '-type', 'f' or die "find: $!\n";
    for my $file (<$find>) {
        chomp $file;
        push @found, $file if slurp($file) =~ $secret;
    }
    close $find;
    is_deeply \@found, [], $name;
    return;
}

sub slurp
{
    my ($file) = @_;
    open my $in, '<:raw', $file or return '';
    local $/;
    return <$in> // '';
}

sub command_lines
{
    return grep { $_ =~ $secret } map { slurp($_) } glob '/proc/[0-9]*/cmdline';
}

nothing_stored('nothing of them is stored');
my $waits = <<'END';
[ -e go ] || touch began
until [ -e go ]; do sleep 0.02; done
[ "$TOKEN" = "open sesame/7" ] && [ "$KEY" = "$(printf '%s\n' "-----BEGIN KEY-----" MIIBVgIBADANBgkq hkiG9w0BAQEFAASC "-----END KEY-----")" ] &&
    echo "it is $TOKEN"
END
sub one_that_waits
{
    my $path  = make_project('mask-waits', $waits);
    unlink "$path/go", "$path/began";
    my $first = start_build($path, port => $s->port);
    wait_until { -e "$path/began" } 20, 'a build runs';
    my $next = start_build($path, port => $s->port);
    wait_until { -e $s->state . "/queue/$next.order" } 10, 'the order of the one behind it is stored';
    return ($first, $next, "$path/go");
}

{
    my ($first, $next, $go) = one_that_waits();
    nothing_stored('nor of a build that waits');
    unlike slurp($s->state . "/queue/$next.order"), qr/PLAIN=|TOKEN|run\.sh/, '... nor is what it says besides, where they might stand';
    is_deeply [command_lines()], [], 'nor in the command line of a process';
    $s->kill_runner;
    is $s->build_record($first)->{state}, 'lost', 'the runner is killed: what ran is lost';
    nothing_stored('nothing of them is stored');
    write_file($go, '');
    is ended($next)->{state}, 'succeeded', '... what waited has them all the same';
    is_deeply [said($next)], ['it is ***'], '... and does not show them';
}

# One that never began.
{
    my ($first, $next, $go) = one_that_waits();
    is $s->request('POST', "/api/project/builds/$next/cancel")->{status}, 202, 'a build that waits is cancelled';
    ended($next);
    is_deeply [said($next, notes => 1)], ['No *** today: by 127.0.0.1'], '... its last line is masked, too';
    write_file($go, '');
    ended($first);
}

# The whole server is killed: what was sealed is lost with the key.
{
    my ($first, $next, $go) = one_that_waits();
    my $p = $s->pids;
    my @all = ($p->{parent}, $p->{runner}, @{ $p->{children} });
    my @below = processes_below($p->{runner});
    kill 'STOP', $p->{runner};
    kill 'KILL', @all;
    wait_until_gone(20, @all, @below);
    nothing_stored('the server is killed: nothing of them is stored');
    my ($status, $out) = $s->begin;
    is $status, 0, 'it begins again' or diag $out;
    my $reason = 'the server ended while it was waiting, and the values of its BuildLogMask with it';
    my $end = $s->wait_for_state($next, 'lost', 20);
    is $end->{reason}, $reason, 'a build that waited is lost, and says why';
    is_deeply [said($next, notes => 1)], ["Build lost: $reason"], '... in its log, too';
    ok eval { wait_until { !glob $s->state . '/queue/*' } 20 }, '... and its order is gone';
}

# ---- names that nobody gives ---------------------------------------------------------

{
    my $dir = top() . '/tmp/mask';
    mkdir $dir or $!{EEXIST} or die "$dir: $!\n";
    my $modules = vars()->{src_dir};
    write_file("$dir/test.conf", <<"END");
ServerName 127.0.0.1
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
ErrorLog "$dir/error_log"
LoadModule mpm_event_module  $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule buildlog_module "@{[ top() ]}/.libs/mod_buildlog.so"
BuildLogMask SET PASSED MISSPELT
<Directory "$dir">
    BuildLogSetEnv SET "a value"
    BuildLogPassEnv PASSED
    BuildLogMask INNER
</Directory>
END
    my ($status, $out) = httpd('-f', "$dir/test.conf", '-t');
    is $status, 0, 'a name that no directive gives does not stop httpd -t' or diag $out;
    is_deeply [sort $out =~ /BL0115 BuildLogMask (\w+) masks nothing/g], [qw(INNER MISSPELT)], '... which warns of it';
}

done_testing;
