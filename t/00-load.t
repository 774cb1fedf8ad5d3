# 00-load.t - the server is up, the module is in it and answers
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;

ok server_pid(), 'the server has a pid file';
ok kill(0, server_pid()), 'its process is there';

my ($status, $modules) = httpd('-t', '-D', 'DUMP_MODULES');
is $status, 0, 'the configuration is accepted' or diag $modules;
like $modules, qr/^ buildlog_module \(shared\)$/m, 'the module is loaded';

is request('GET', '/index.html')->{status}, 200, 'the page is served';

my $r = request('GET', '/api/project/build');
is $r->{status}, 405, 'a build is asked for by POST only';
like $r->{headers}{allow}, qr/\bPOST\b/, 'and Allow says so';

done_testing;
