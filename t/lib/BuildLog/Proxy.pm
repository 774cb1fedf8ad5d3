package BuildLog::Proxy;

# A proxy in front of a server of tests, with the settings that README.md says
# ("sit behind a proxy"), word for word but for addresses and files.
#
#   my $p = BuildLog::Proxy->start('nginx', $server);     haproxy, httpd
#   BuildLog::Proxy->why_not('nginx')                      undef: it is installed
#   BuildLog::Proxy->settings('behind')                    the block itself
#   my $v = $p->open_stream($path, 2, 'Last-Event-ID' => $id);
#   BuildLog::Proxy->none($server)                         no proxy, to compare; with
#   BuildLog::Proxy->none($server, tls => 1)               the server's own TLS
#
# It listens on 127.0.0.1:$p->port, with TLS, HTTP/1.1 and HTTP/2, and is asked for
# the name ci.example.org. open_stream is curl in a process of its own: a
# BuildLog::Stream that has also {pid} and, when its header has come, {head}; the
# second argument is the version of HTTP. All are ended when the test ends.

use strict;
use warnings;
use BuildLog::Server;
use BuildLog::Stream;
use BuildLog::Test qw(top vars wait_until);
use File::Temp ();
use IO::Select;
use POSIX ();

use constant NAME => 'ci.example.org';

my $owner = $$;
my (@all, @viewers);

# ---- README.md -------------------------------------------------------------

# Indented blocks of the section, by the word in bold before them.
sub settings
{
    my ($class, $what) = @_;
    open my $in, '<', top() . '/README.md' or die "README.md: $!\n";
    local $/;
    my ($section) = <$in> =~ /^### sit behind a proxy\n(.*?)^### /ms or die "README.md: no section\n";
    my %title = (nginx => 'nginx', haproxy => 'HAProxy', httpd => 'httpd', behind => 'The httpd behind it');
    my ($block) = $section =~ /^.*\*\*\Q$title{$what}\E\*\*[^\n]*\n(?:[^\s][^\n]*\n)*\n((?:    [^\n]*\n)+)/m
        or die "README.md: no block of $what\n";
    return $block =~ s/^    //mgr;
}

sub _program
{
    my ($what) = @_;
    return vars()->{httpd} if $what eq 'httpd';
    my ($path) = grep { -x } map { "$_/$what" } '/usr/sbin', '/usr/local/sbin', split /:/, $ENV{PATH};
    return $path;
}

sub why_not { my ($class, $what) = @_; return _program($what) ? undef : "$what is not installed: make deps-test brings it" }

# ---- life --------------------------------------------------------------------

# A text with each pattern replaced, which must be there.
sub _with
{
    my ($text, @changes) = @_;
    while (my ($from, $to) = splice @changes, 0, 2) {
        $text =~ s/$from/$to/g or die "README.md: no $from in:\n$text";
    }
    return $text;
}

sub _nginx
{
    my ($self, $tls) = @_;
    my $server = _with(settings(undef, 'nginx'), 'listen 443 ' => "listen 127.0.0.1:$self->{port} ",
        '/etc/ssl/\S+\.pem' => "$tls/cert.pem", '/etc/ssl/\S+\.key' => "$tls/key.pem",
        '127\.0\.0\.1:8081' => "127.0.0.1:$self->{behind}");
    my $temp = join '', map { "    ${_}_temp_path $self->{dir}/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi);
    return ("daemon off;\npid $self->{dir}/pid;\nerror_log $self->{dir}/error_log;\nworker_processes 1;\n"
        . "events { worker_connections 512; }\nhttp {\n    access_log off;\n$temp$server}\n",
        '-p', $self->{dir}, '-e', "$self->{dir}/error_log", '-c', "$self->{dir}/conf");
}

sub _haproxy
{
    my ($self, $tls) = @_;
    open my $both, '>', "$self->{dir}/both" or die "$!\n";
    for ("$tls/cert.pem", "$tls/key.pem") { open my $in, '<', $_ or die "$_: $!\n"; print {$both} <$in> }
    close $both;
    my $text = _with(settings(undef, 'haproxy'), 'bind :443 ' => "bind 127.0.0.1:$self->{port} ",
        '/etc/ssl/\S+' => "$self->{dir}/both", '127\.0\.0\.1:8081' => "127.0.0.1:$self->{behind}");
    return ("global\n    maxconn 512\n$text", '-db', '-f', "$self->{dir}/conf");
}

sub _httpd
{
    my ($self, $tls) = @_;
    my $site = _with(settings(undef, 'httpd'), '\*:443' => "127.0.0.1:$self->{port}",
        '/etc/ssl/\S+\.pem' => "$tls/cert.pem", '/etc/ssl/\S+\.key' => "$tls/key.pem",
        '127\.0\.0\.1:8081' => "127.0.0.1:$self->{behind}");
    open my $in, '<', vars()->{t_conf_file} or die "configuration: $!\n";
    my %seen;
    my @modules = grep { /^\s*LoadModule\s+(\S+)/ && $1 ne 'buildlog_module' && !$seen{$1}++ } <$in>;
    # It speaks HTTP/2, which prefork does not, whichever MPM is tested behind it.
    s/mpm_(?:worker|prefork)/mpm_event/g for @modules;
    return (join('', @modules) . modules(qw(proxy proxy_http http2)) . <<"END", '-d', $self->{dir}, '-f', "$self->{dir}/conf", '-DFOREGROUND');
ServerName 127.0.0.1
ServerRoot "$self->{dir}"
DefaultRuntimeDir "$self->{dir}"
PidFile "$self->{dir}/pid"
ErrorLog "$self->{dir}/error_log"
TypesConfig /dev/null
Listen 127.0.0.1:$self->{port}
$site
END
}

sub start
{
    my ($class, $what, $server) = @_;
    my $dir = top() . '/servers';
    mkdir $dir;
    $dir .= "/$what.$$";
    mkdir $dir or die "$dir: $!\n";
    my $self = bless { dir => $dir, port => BuildLog::Server::_free_port(), behind => $server->port, what => $what }, $class;
    my %make = (nginx => \&_nginx, haproxy => \&_haproxy, httpd => \&_httpd);
    my ($text, @args) = $make{$what}->($self, top() . '/tls');
    open my $conf, '>', "$dir/conf" or die "$dir/conf: $!\n";
    print {$conf} $text;
    close $conf or die "$dir/conf: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid();
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$dir/output";
        open STDERR, '>&', \*STDOUT;
        exec _program($what), @args or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    push @all, $self;
    wait_until {
        die "$what does not begin: " . $self->said if waitpid($pid, POSIX::WNOHANG()) != 0;
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
    } 20, "$what answers";
    return $self;
}

sub none
{
    my ($class, $server, %opt) = @_;
    return bless { what => 'none', $opt{tls} ? (port => $server->tls_port) : (url => $server->url) }, $class;
}

sub port { return $_[0]{port} }

# What it has said about itself.
sub said
{
    my ($self) = @_;
    my $text = '';
    for (grep { -e } "$self->{dir}/output", "$self->{dir}/error_log") {
        open my $in, '<', $_ or next;
        local $/;
        $text .= <$in> // '';
    }
    return $text;
}

# ---- viewers -------------------------------------------------------------------

sub _curl
{
    my ($self, $version, $path, %headers) = @_;
    my %flag = (1 => '--http1.1', 2 => '--http2');
    return ('curl', '-s', '-N', '-k', $flag{$version}, $self->{url} ? () : ('--connect-to', NAME . ":443:127.0.0.1:$self->{port}"),
        (map { ('-H', "$_: $headers{$_}") } sort keys %headers), ($self->{url} // 'https://' . NAME) . $path);
}

sub open_stream
{
    my ($self, $path, $version, %headers) = @_;
    my $head = File::Temp->new(UNLINK => 1);
    my @command = $self->_curl($version, $path, Accept => 'text/event-stream', %headers);
    splice @command, 1, 0, '-D', $head->filename;
    my $pid = open(my $out, '-|', @command) // die "curl: $!\n";
    my $v = bless {
        sock => $out, select => IO::Select->new($out), buffer => '', frame => [], last_id => undef, eof => 0,
        pid => $pid, file => $head,
    }, 'BuildLog::Stream';
    push @viewers, $v;
    wait_until {
        seek $head, 0, 0;
        local $/;
        $v->{head} = <$head> // '';
        $v->{head} =~ /\r?\n\r?\n\z/ || !kill 0, $pid;
    } 15, "a header through $self->{what}";
    return $v;
}

# The viewer goes, without a word.
sub leave
{
    my ($class, $v) = @_;
    return if !$v->{sock};
    kill 'KILL', $v->{pid};
    local $?;
    CORE::close delete $v->{sock};    # waits for curl
    $v->{eof} = 1;
    return;
}

# (status, body) of one request.
sub ask
{
    my ($self, $version, $path, @more) = @_;
    my @command = $self->_curl($version, $path);
    splice @command, 1, 0, '-m', BuildLog::Stream::LEAST, '-w', '\n%{http_code}', @more;
    open my $out, '-|', @command or die "curl: $!\n";
    local $/;
    my $text = <$out>;
    CORE::close $out;
    my ($body, $status) = $text =~ /\A(.*)\n(\d+)\z/s or die "curl: $text\n";
    return ($status, $body);
}

# ---- the end ---------------------------------------------------------------------

sub stop
{
    my ($self) = @_;
    return if !$self->{pid};
    # QUIT and USR1 are their ways to end softly; TERM ends each of them now.
    kill 'TERM', $self->{pid};
    my $gone = eval { wait_until { waitpid($self->{pid}, POSIX::WNOHANG()) != 0 } 15, 'its end' };
    kill 'KILL', -$self->{pid} if !$gone;
    delete $self->{pid};
    return;
}

END {
    if ($$ == $owner) {
        local $?;
        __PACKAGE__->leave($_) for @viewers;
        $_->stop for @all;
    }
}

1;
