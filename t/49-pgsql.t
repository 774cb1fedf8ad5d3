# 49-pgsql.t - the history in PostgreSQL: listed, away and back, and one
# server's alone (promise 7; the database itself is t/unit/history_test.c's)
use strict;
use warnings;
use File::Temp ();
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use POSIX ();
use Time::HiRes qw(time);

my $script = top() . '/t/pg.sh';
my $why = qx(sh $script check 2>&1);
plan skip_all => $why if $why ne '';

# A socket's name is short.
my $dir = File::Temp->newdir('pg-XXXXXX', TMPDIR => 1);
my $pg;

sub begin_pg
{
    $pg = fork // die "fork: $!\n";
    if (!$pg) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec 'sh', $script, 'run', "$dir" or POSIX::_exit(127);
    }
    wait_until { -S "$dir/.s.PGSQL.5432" && `psql -h $dir -U buildlog -Atc 'select 1' postgres 2>/dev/null` eq "1\n" }
        60, 'a PostgreSQL';
    return;
}

sub end_pg
{
    my ($signal) = @_;
    return if !$pg;
    kill $signal, $pg;
    waitpid $pg, 0;
    undef $pg;
    return;
}

END {
    local $?;
    end_pg('QUIT');
}

begin_pg();
my $conf = <<"END";
BuildLogDatabase pgsql "host=$dir user=buildlog dbname=postgres"
BuildLogKeep count=0 age=0 size=0
END
my $s = BuildLog::Server->start($conf);
my $p = BuildLog::Puppet->new('pgsql', server => $s);

sub rows { return `psql -h $dir -U buildlog -Atc 'select id, title, state from buildlog_builds order by id' postgres` }
sub list { my ($server) = @_; return scalar $server->get_json('/api/project/builds?state=succeeded', timeout => 30) }
sub ids  { return [map { $_->{id} } @{ list($_[0])->{builds} }] }

sub build
{
    my ($puppet, $server, @cues) = @_;
    my $id = $puppet->start(@cues, 'exit 0');
    $server->wait_for_state($id, 'succeeded', 20);
    return $id;
}

my @ids = map { build($p, $s, 'out hello') } 1 .. 3;
wait_until { rows() eq join '', map { "$_|puppet-pgsql|succeeded\n" } @ids } 10, 'a row each';
is_deeply ids($s), [reverse @ids], 'listed, newest first';

# ---- a second server ---------------------------------------------------------------

{
    my $t = BuildLog::Server->start($conf);
    my $q = BuildLog::Puppet->new('pgsql-other', server => $t);
    my @others = map { build($q, $t, 'out other') } 1 .. 4;
    wait_until { $t->error_log =~ /BL0250/ } 20, 'it is said';
    like $t->error_log, qr/BL0250 the history cannot be written, .* another server/, 'another server with this database says so';
    push @ids, build($p, $s, 'out hello');
    my $wanted = join '', map { "$_|puppet-pgsql|succeeded\n" } @ids;
    ok eval { wait_until { rows() eq $wanted } 10 }, 'and changes nothing in it' or diag rows();
    $s->stop or die "the server does not stop\n";
    $wanted = join '', map { "$_|puppet-pgsql-other|succeeded\n" } @others;
    ok eval { wait_until { rows() eq $wanted } 60 }, 'the first has gone: all rows are those of the other' or diag rows();
    $t->stop or die "the server does not stop\n";
    my ($status, $out) = $s->begin;
    is $status, 0, 'and the other way round' or diag $out;
    $wanted = join '', map { "$_|puppet-pgsql|succeeded\n" } @ids;
    ok eval { wait_until { rows() eq $wanted } 60 }, '... also under the same numbers' or diag rows();
}

# ---- away, and back ------------------------------------------------------------------

{
    end_pg('QUIT');
    my $list = list($s);
    ok $list->{incomplete}, 'no database: the list says that it is not all';
    is_deeply [map { $_->{id} } @{ $list->{builds} }], [reverse @ids], '... and has what the table has';
    push @ids, build($p, $s, 'out hello');
    pass 'and builds go on';
    begin_pg();
    my $wanted = join '', map { "$_|puppet-pgsql|succeeded\n" } @ids;
    ok eval { wait_until { rows() eq $wanted } 60 }, 'it is back: all rows are there' or diag rows();
    ok eval { wait_until { !list($s)->{incomplete} } 20 }, '... and the list is whole';
}

ok $s->stop, 'stopped';
done_testing;
