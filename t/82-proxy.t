# 82-proxy.t - streams behind nginx, HAProxy and httpd's mod_proxy, with the
# settings of README.md, over HTTP/1.1 and HTTP/2: each line comes through before
# the next one is printed; who was cut off resumes; who leaves is seen to leave
#
# Issue 7, item 7; promise 1. That nothing is held back is seen by the order of
# what happens: the build prints a line only when the one before has arrived, and
# nothing else is sent meanwhile that could push it (BuildLogPing).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Proxy;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();

my $json = JSON::PP->new->utf8;
my $name = BuildLog::Proxy::NAME;

# "Listen" is that of the test.
my $behind = BuildLog::Proxy->settings('behind') =~ s/^Listen .*\n//mr;
my $s = BuildLog::Server->start(<<"END");
$behind
<Location "/api">
    BuildLogPing 1h
</Location>
<Location "/quick/push">
    SetHandler buildlog-push
    BuildLogPing 200ms
</Location>
END
my $p = BuildLog::Puppet->new('proxy', server => $s);

sub viewers
{
    my $sum = 0;
    $sum += $_ for $s->request('GET', '/api/metrics')->{body} =~ /^buildlog_viewers\{[^}]*\} (\d+)$/mg;
    return $sum;
}
sub text { my ($e) = @_; return !exists $e->{event} && exists $e->{data} ? $e->{data} =~ s/^\[[^\]]*\] //r : '' }

# The next line must be this one; what else comes is no line.
sub next_line
{
    my ($v, $want, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = eval {
        while (1) {
            my $e = $v->event(20) // die "the stream ended\n";
            die "a gap\n" if ($e->{event} // '') eq 'gap';
            return text($e) if text($e) ne '' && text($e) !~ /^\$ /;
        }
    };
    is $got, $want, $what or diag $@;
    return;
}

for my $what (qw(nginx haproxy httpd)) {
    SKIP: {
        my $why = BuildLog::Proxy->why_not($what);
        skip $why, 1 if $why;
        my $proxy = BuildLog::Proxy->start($what, $s);
        for my $version (1, 2) {
            my $title = "$what, HTTP/$version";
            my $mark = length $s->error_log;

            # A page asks for a build: it is of the site that the proxy has.
            $p->prepare('out 1');
            my ($status, $body) = $proxy->ask($version, '/api/project/build',
                '-H', "Origin: https://$name", '--data-urlencode', 'projectPath=' . $p->path);
            is $status, 202, "$title: a build is asked for" or diag $body, $proxy->said;
            my $id = $p->{build} = $json->decode($body)->{build}{id};
            ($status) = $proxy->ask($version, '/api/project/build',
                '-H', 'Origin: https://evil.example.org', '--data-urlencode', 'projectPath=' . $p->path);
            is $status, 403, '... and not by the page of another site';

            my $v = $proxy->open_stream("/api/log/push?build=$id", $version);
            like $v->{head}, qr{^HTTP/$version\S* 200}, '... a stream' or diag $proxy->said;
            next_line($v, '1', '... its first line');
            for my $n (2 .. 5) {
                $p->cue("out $n");
                next_line($v, $n, "... line $n, before the next one is printed");
            }
            like substr($s->error_log, $mark), qr/BL0402 .*build $id\b.*detached/, '... for httpd it is a stream like any other over HTTP/1.1';

            # Cut off, while more is printed.
            my $last = $v->last_id;
            BuildLog::Proxy->leave($v);
            $p->cue('out 6', 'out 7');
            $p->wait_for('7');
            $v = $proxy->open_stream("/api/log/push?build=$id", $version, 'Last-Event-ID' => $last);
            next_line($v, $_, "... resumed by Last-Event-ID: $_") for 6, 7;
            $p->cue('out 8');
            next_line($v, '8', '... and live again');

            # Text for a terminal, and the log as a document: they have no pings.
            for (['a terminal', "/api/log/push?build=$id&tail=1", 'text/plain'], ['the log, followed', "/api/project/builds/$id/log?follow=1", '*/*']) {
                my ($kind, $path, $accept) = @$_;
                my $t = $proxy->open_stream($path, $version, Accept => $accept);
                for my $line ("a $kind", "b $kind") {
                    $p->cue("out $line");
                    my $seen = eval { until ($t->{buffer} =~ /\Q$line\E/) { $t->_more(time + 20, 'line') or die "ended\n" } 1 };
                    ok $seen, "... $kind: each line at once" or diag $@;
                    next_line($v, $line, '... as in the stream');
                }
                BuildLog::Proxy->leave($t);
            }

            # Its end, and what comes behind it.
            $p->cue('exit 0');
            next_line($v, 'Build finished', '... the last line');
            my $end = eval { my $e; do { $e = $v->event(20) } while $e && ($e->{event} // '') ne 'end'; $e };
            is $json->decode($end->{data} // '{}')->{state}, 'succeeded', '... and the end';
            is eval { $v->event(20) }, undef, '... with which the stream ends';
            is $@, '', '... by itself';
            ($status) = $proxy->ask($version, "/api/log/push?build=$id", '-H', 'Accept: text/event-stream', '-H', "Last-Event-ID: $end->{id}");
            is $status, 204, '... and who has all of it is told so';

            # Who leaves is seen to leave: by a ping or two at the latest.
            $id = $p->start('out here');
            my $before = eval { wait_until { viewers() == 0 } 20, 'nobody' };
            ok $before, '... of those who left nobody is there' or diag viewers();
            $v = $proxy->open_stream("/quick/push?build=$id", $version);
            next_line($v, 'here', '... a viewer comes');
            is viewers(), 1, '... and is counted';
            BuildLog::Proxy->leave($v);
            ok eval { wait_until { viewers() == 0 } 20, 'nobody' }, '... leaves, and is seen to leave';
            $p->cue('exit 0');
            $s->wait_for_state($id, 'succeeded');
        }
        # A name that is not the server's: the settings keep Host as it came.
        my ($status) = $proxy->ask(1, '/api/project/projects', '-H', 'Host: evil.example.org');
        isnt $status, 200, "$what: another name is not answered" if $what ne 'httpd';
        $proxy->stop;
    }
}

done_testing;
