package BuildLog::Server;

# A second httpd with a configuration of its own, for what is global in the
# first one or would end it. And the processes of either.
#
#   my $s = BuildLog::Server->start("BuildLogMaxClients 2\n");
#   $s->request('GET', '/api/project/projects')      as in BuildLog::Test
#   $s->graceful; $s->restart; $s->stop; $s->begin   (again, after stop)
#   $s->reload                                        graceful, and nobody answers any
#                                                     more with the configuration of before
#   $s->wait_for_viewers(0)                           so many have a place, and no more
#   $s->pids                                          { parent, runner, children, keepers }
#   $s->kill_runner(@more)                            by KILL, with more pids in the same
#                                                     moment; waits for the next, its pid
#   $s->log_records($id)                              of a log: [{ time, stream, tags, text }]
#   BuildLog::Server->main                            the first one, likewise
#
# Its configuration is small: loopback, a state directory of its own, the
# module's addresses, the puppets of BuildLog::Puppet. What start() is given
# stands at its end. Options:
#
#   state => DIR       another state directory
#   tls => 1           one more port, $s->tls_port: the same with TLS, which is
#                      asked by $s->request(..., tls => 1) and the like
#   protocols => 'h2 http/1.1'     of that port (default http/1.1)
#   files => N         its limit of open files
#   cores => 1         core files: without, nobody can look into its runner
#
#   modules(qw(auth_digest session))   LoadModule lines of further modules that
#                                      this httpd has, for its configuration
#   addresses('/x', "Require ...")     the module's addresses below /x as well,
#                                      with these lines for all of them
#
# All processes are ended when the test ends, also when it dies; and its error
# log is looked at as that of the main server is (allow_in_log).

use strict;
use warnings;
use BuildLog::Stream;
# Not all: some have methods of the same name below.
use BuildLog::Test qw(httpd log_since server_pid top vars wait_until);
use Exporter qw(import);
use IO::Socket::INET;
use POSIX ();
use Test::More ();
use Time::HiRes qw(time);

our @EXPORT = qw(process_name process_parent process_is_alive processes_below
    wait_until_gone mpm modules addresses);

my @all;      # servers that were started here
my $owner = $$;
my $count = 0;

# ---- processes ---------------------------------------------------------

sub _stat
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return;
    my $line = <$in> // return;
    # The name may hold anything, also parentheses.
    my ($name, $state, $parent) = $line =~ /^\d+ \((.*)\) (\S) (\d+)/s or return;
    return ($name, $state, $parent);
}

sub process_name   { return (_stat($_[0]))[0] }
sub process_parent { return (_stat($_[0]))[2] }

sub process_is_alive
{
    my (undef, $state) = _stat($_[0]);
    return defined $state && $state !~ /[ZX]/;
}

# The processes whose parent is this one; with deep => 1 all below it.
sub processes_below
{
    my ($root, %opt) = @_;
    my %children;
    for my $pid (map { /(\d+)/ } glob '/proc/[0-9]*') {
        my ($name, $state, $parent) = _stat($pid);
        push @{ $children{$parent} }, $pid
            if defined $parent && $state !~ /[ZX]/;
    }
    my @found = @{ $children{$root} // [] };
    return @found unless $opt{deep};
    for (my $i = 0; $i < @found; $i++) {
        push @found, @{ $children{ $found[$i] } // [] };
    }
    return @found;
}

sub wait_until_gone
{
    my ($seconds, @pids) = @_;
    return wait_until {
        !grep { process_is_alive($_) } @pids;
    } $seconds, "processes @pids end";
}

# Configuration that serves the page.
sub page
{
    my $htdocs = top() . '/htdocs';
    return <<"END";
DocumentRoot "$htdocs"
<Directory "$htdocs">
    Require all granted
</Directory>
DirectoryIndex index.html
AddType text/html       .html
AddType text/css        .css
AddType text/javascript .mjs
AddType image/svg+xml   .svg
END
}

sub modules
{
    my @names = @_;
    open my $in, '<', vars()->{t_conf_file} or die "configuration: $!\n";
    local $/;
    my $text = <$in>;
    my ($dir) = $text =~ m{^\s*LoadModule\s+\S+\s+"?(\S*)/mod_\w+\.so}m or die "no directory of modules\n";
    # The main server may have it, and then this one has it as well.
    return join '', map { "LoadModule ${_}_module \"$dir/mod_$_.so\"\n" }
        grep { -e "$dir/mod_$_.so" && $text !~ /^\s*LoadModule\s+${_}_module\b/m } @names;
}

sub addresses
{
    my ($prefix, $lines) = @_;
    return <<"END";
<Location "$prefix/">
$lines
</Location>
<Location "$prefix/api/project/build">
    SetHandler buildlog-build
</Location>
<Location "$prefix/api/log/push">
    SetHandler buildlog-push
</Location>
<LocationMatch "^$prefix/api/project/(?:builds|projects)(?:/|\$)">
    SetHandler buildlog-api
</LocationMatch>
END
}

# event, worker or prefork: the MPM that the tests run under.
my $mpm;
sub mpm
{
    return $mpm //= do {
        my (undef, $modules) = httpd('-t', '-D', 'DUMP_MODULES');
        $modules =~ /^ mpm_(\w+)_module/m ? $1 : die "no MPM in: $modules\n";
    };
}

# ---- life --------------------------------------------------------------

sub _free_port
{
    while (1) {
        # Below those that the kernel gives to clients, who would keep one for
        # a minute; not of those that t/suite.sh takes; above the last that
        # browsers refuse (10080).
        my $port = 11000 + int rand 9000;
        next unless IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Listen => 1, ReuseAddr => 1);
        return $port;
    }
}

# The configuration that lets projects of BuildLog::Puppet be built.
sub puppets
{
    my $projects = top() . '/t/projects';
    return <<"END";
<Directory "$projects">
    Require all granted
</Directory>
<Directory "$projects/puppet-*">
    BuildLog On
    BuildLogKillGrace 1s
    BuildLogStep play "exec perl $projects/puppet/play.pl"
</Directory>
END
}

# The same server behind TLS: all that is not said here is inherited.
sub _tls
{
    my ($self) = @_;
    return '' unless $self->{tls_port};
    my $top = top();
    return <<"END";
Listen 127.0.0.1:$self->{tls_port}
SSLSessionCache "shmcb:$self->{dir}/sessions(512000)"
<VirtualHost 127.0.0.1:$self->{tls_port}>
    SSLEngine On
    SSLCertificateFile "$top/tls/cert.pem"
    SSLCertificateKeyFile "$top/tls/key.pem"
    Protocols $self->{protocols}
</VirtualHost>
END
}

sub _config
{
    my ($self, $text) = @_;
    open my $in, '<', vars()->{t_conf_file} or die "configuration: $!\n";
    my %seen;
    my @modules = grep { /^\s*LoadModule\s+(\S+)/ && !$seen{$1}++ } <$in>;
    my $top = top();
    return <<"END" . $text;
@modules
LoadModule buildlog_module "$top/.libs/mod_buildlog.so"
ServerName 127.0.0.1
Listen 127.0.0.1:$self->{port}
ServerRoot "$self->{dir}"
DocumentRoot "$self->{dir}/htdocs"
DefaultRuntimeDir "$self->{dir}"
PidFile "$self->{dir}/pid"
ErrorLog "$self->{dir}/error_log"
LogLevel info buildlog:debug
TypesConfig /dev/null
StartServers 2
<IfModule !mpm_prefork_module>
    ServerLimit 4
    ThreadsPerChild 10
    MaxRequestWorkers 40
    MinSpareThreads 10
    MaxSpareThreads 40
</IfModule>
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory "$self->{dir}/htdocs">
    Require all granted
</Directory>
@{[ $self->_tls, puppets() ]}
BuildLogStateDir "$self->{state}"
@{[ $self->{cores} ? qq(CoreDumpDirectory "$self->{dir}") : '' ]}
Include "$top/conf/buildlog.conf"
END
}

sub start
{
    my ($class, $text, %opt) = @_;
    my $self = $class->make($text, %opt);
    my ($status, $out) = $self->begin;
    die "the second server does not start ($status): $out\n"
        . substr($self->error_log, -3000) if $status != 0;
    return $self;
}

# The same without starting it.
sub make
{
    my ($class, $text, %opt) = @_;
    my $dir = top() . '/servers';
    mkdir $dir;
    $dir .= '/' . ++$count . ".$$";
    my $self = bless {
        dir       => $dir,
        port      => _free_port(),
        tls_port  => $opt{tls} ? _free_port() : undef,
        protocols => $opt{protocols} // 'http/1.1',
        state     => $opt{state} // "$dir/state",
        files     => $opt{files},
        cores     => $opt{cores},
        mark      => 0,
    }, $class;
    mkdir $_ or die "$_: $!\n" for $dir, "$dir/htdocs";
    $self->configure($text // '');
    push @all, $self;
    return $self;
}

# Another configuration; it counts from the next start or restart on.
sub configure
{
    my ($self, $text) = @_;
    open my $out, '>', "$self->{dir}/httpd.conf" or die "configuration: $!\n";
    print {$out} $self->_config($text);
    close $out or die "configuration: $!\n";
    return;
}

sub main
{
    my ($class) = @_;
    return bless { main => 1, port => vars()->{port} }, $class;
}

# Start it; (exit status, output). It answers when the status is 0.
sub begin
{
    my ($self) = @_;
    open my $out, '+>', "$self->{dir}/output" or die "output: $!\n";
    # A zombie would count as a server that runs.
    waitpid $self->{pid}, POSIX::WNOHANG() if $self->{pid};
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        # A group of its own, for httpd signals all of its group. In the
        # foreground, so that it is seen how it ends.
        POSIX::setsid();
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>&', $out;
        open STDERR, '>&', $out;
        my @limit = $self->{files}
            ? ('/bin/sh', '-c', 'ulimit -n "$0" && exec "$@"', $self->{files}) : ();
        exec @limit, vars()->{httpd}, '-d', $self->{dir}, '-f', "$self->{dir}/httpd.conf", '-DFOREGROUND'
            or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    my $status = eval {
        my $gone;
        wait_until {
            $gone = waitpid($pid, POSIX::WNOHANG()) != 0;
            $gone || ($self->parent // 0) == $pid;
        } 20, 'a pid file';
        $gone ? $? >> 8 || 1 : $self->wait_until_it_answers && 0;
    };
    local $/;
    seek $out, 0, 0;
    return ($status // 1, (<$out> // '') . ($@ // ''));
}

# It takes builds: its children and its runner are there, and that has begun.
sub wait_until_it_answers
{
    my ($self) = @_;
    return wait_until {
        my $r = eval { $self->request('GET', '/api/project/projects') };
        my $p = $self->pids;
        $r && $r->{status} == 200 && $p->{runner} && $self->error_log =~ /BL0240 runner $p->{runner} begins/;
    } 15, 'the server answers';
}

# As httpd -k graceful and httpd -k restart do it, without a process each.
sub graceful { kill 'USR1', $_[0]->parent or die "graceful: $!\n"; return }
sub restart  { kill 'HUP',  $_[0]->parent or die "restart: $!\n";  return }

# That is so when the children of before have ended: one of them may take a
# connection while those that follow are there already.
sub reload
{
    my ($self) = @_;
    my @old = @{ $self->pids->{children} };
    $self->graceful;
    wait_until_gone(60, @old);
    return $self->wait_until_it_answers;
}

# As the server counts them. One that has left holds its place until that is
# seen, and one that is let in has its place before it has an answer.
sub wait_for_viewers
{
    my ($self, $count) = @_;
    return wait_until {
        my $r = eval { $self->request('GET', '/api/metrics') } // { body => '' };
        my @kinds = $r->{body} =~ /^buildlog_viewers\{[^}]*\} (\d+)$/mg;
        my $sum = 0;
        $sum += $_ for @kinds;
        @kinds && $sum == $count;
    } 60, "$count viewers";
}

# Stop it in an orderly way; true when all its processes are gone in time.
sub stop
{
    my ($self, $seconds) = @_;
    my $parent = $self->parent // return 1;
    my @pids = ($parent, processes_below($parent, deep => 1));
    kill 'TERM', $parent;
    my $done = eval { wait_until_gone($seconds // 20, @pids) };
    waitpid $self->{pid}, POSIX::WNOHANG();
    return $done;
}

# Another one comes at once, or after the back-off when it dies often.
sub kill_runner
{
    my ($self, @more) = @_;
    my $old = $self->pids->{runner} // die "no runner\n";
    # Who stands still sees nothing of the others' end.
    kill 'STOP', $old, @more if @more;
    kill 'KILL', $old, @more;
    return wait_until {
        my $new = $self->pids->{runner};
        $new && $new != $old && $self->error_log =~ /BL0240 runner $new begins/ ? $new : undef;
    } 90, 'a new runner';
}

# ---- what there is of it -----------------------------------------------

sub port  { return $_[0]{port} }
sub state { return $_[0]{main} ? top() . '/state' : $_[0]{state} }
sub dir   { return $_[0]{dir} }
sub url   { return "http://127.0.0.1:$_[0]{port}" }
sub tls_port { return $_[0]{tls_port} // die "a server without TLS\n" }
sub tls_url  { return 'https://127.0.0.1:' . $_[0]->tls_port }

sub parent
{
    my ($self) = @_;
    return server_pid() if $self->{main};
    open my $in, '<', "$self->{dir}/pid" or return undef;
    my ($pid) = (<$in> // '') =~ /(\d+)/ or return undef;
    # An old file may name a process of somebody else by now.
    open my $command, '<', "/proc/$pid/cmdline" or return undef;
    return process_is_alive($pid) && (<$command> // '') =~ /\Q$self->{dir}\E/ ? $pid : undef;
}

sub pids
{
    my ($self) = @_;
    my %found = (parent => $self->parent, children => [], keepers => []);
    return \%found unless $found{parent};
    for my $pid (processes_below($found{parent})) {
        if ((process_name($pid) // '') eq 'buildlog-runner') { $found{runner} = $pid }
        else { push @{ $found{children} }, $pid }
    }
    # Historian and courier stand beside the keepers, and are none.
    $found{keepers} = [grep { (process_name($_) // '') !~ /^buildlog-(?:histor|notify)/ } processes_below($found{runner})]
        if $found{runner};
    return \%found;
}

sub error_log
{
    my ($self) = @_;
    return log_since(0) if $self->{main};
    open my $in, '<', "$self->{dir}/error_log" or return '';
    local $/;
    return <$in> // '';
}

sub log_records
{
    my ($self, $id) = @_;
    my $path = $self->state . "/logs/$id.log";
    open my $in, '<', $path or die "$path: $!\n";
    return [map {
        s/^\0+//;    # the hole of a log beyond its limit
        /^(\S+) (stdout|stderr) (\S+) (.*)$/ or die "$path: no record: $_";
        { time => $1, stream => $2, tags => [split /:/, $3], text => $4 };
    } <$in>];
}

# ---- requests, as in BuildLog::Test ----------------------------------------

# Each takes tls => 1 as well.
sub _port
{
    my ($self, %opt) = @_;
    return (%opt, port => $opt{tls} ? $self->tls_port : $self->{port});
}

sub request
{
    my ($self, $method, $path, %opt) = @_;
    return BuildLog::Test::request($method, $path, $self->_port(%opt));
}

sub get_json    { my ($self, $path, %opt) = @_; return BuildLog::Test::get_json($path, $self->_port(%opt)) }
sub post_build  { my ($self, $path, %opt) = @_; return BuildLog::Test::post_build($path, $self->_port(%opt)) }
sub open_stream { my ($self, $path, %opt) = @_; return BuildLog::Test::open_stream($path, $self->_port(%opt)) }
sub build_record { my ($self, $id) = @_; return scalar $self->get_json("/api/project/builds/$id") }

sub wait_for_state
{
    my ($self, $id, $state, $seconds) = @_;
    return wait_until {
        my $build = $self->build_record($id);
        $build && ($build->{state} // '') =~ /^(?:$state)$/ ? $build : undef;
    } $seconds, "build $id $state";
}

# ---- the end -------------------------------------------------------------

# Each process that has the server's directory in its command line (httpd, its
# children, the runner: all forks of one) and what is below it.
sub _remains
{
    my ($self) = @_;
    my @found;
    for my $pid (map { /(\d+)/ } glob '/proc/[0-9]*') {
        open my $in, '<', "/proc/$pid/cmdline" or next;
        local $/;
        push @found, $pid
            if (<$in> // '') =~ m{\Q$self->{dir}/\E} && process_is_alive($pid);
    }
    return @found;
}

END {
    if ($$ == $owner) {
        my $status = $?;
        $_->close for values %BuildLog::Stream::open;
        for my $server (@all) {
            next if eval { $server->stop } && !$server->_remains;
            my @left = $server->_remains or next;
            Test::More::diag("left behind by the second server: @left");
            kill 'KILL', @left;
            $status ||= 1;
        }
        my @wrong = map { BuildLog::Test::bad_lines($_->error_log) } @all;
        Test::More::diag("error log: $_") for @wrong;
        $? = $status || (@wrong ? 1 : 0);
    }
}

1;
