# 43-list.t - the list of builds: what waits, runs and has ended, newest first,
# page by page, each once; and nobody is shown what is not his (promises 4, 8)
#
# Most builds of this test are logs that were there before the server began.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $json = JSON::PP->new->utf8->canonical;
my $top  = top();
my %as   = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
    ['alice', 'wonderland'], ['bob', 'builder'];

my $conf = <<"END";
BuildLogKeep count=0 age=0 size=0
BuildLogMaxBuilds 1
<Directory "$top/t/projects/alice">
    BuildLog On
    Require user alice
</Directory>
<Directory "$top/t/projects/shared">
    BuildLog On
    Require user alice bob
</Directory>
<Location "/private/">
    AuthType Basic
    AuthName "builds"
    AuthBasicProvider file
    AuthUserFile "$top/t/conf/users"
    Require valid-user
</Location>
<LocationMatch "^/private/api/project/(?:builds|projects)(?:/|\$)">
    SetHandler buildlog-api
</LocationMatch>
END
my $s = BuildLog::Server->make($conf);
my ($hers, $both) = map { project($_) } qw(alice shared);

# ---- logs of a server before this one ---------------------------------------------

my $begun = time - 7200;

# A second for each number; all have ended before this server began.
sub write_log
{
    my ($id, $path, $state, $title) = @_;
    my ($sec, $min, $hour, $day, $month, $year) = gmtime($begun + $id);
    my $stamp = sprintf '%04d-%02d-%02dT%02d:%02d:%02d', $year + 1900, $month + 1, $day, $hour, $min, $sec;
    my $record = $json->encode({
        id => $id, project => $path, title => 'old', state => $state, step => undef, steps => [],
        created => "$stamp.000001Z", started => "$stamp.000002Z", ended => "$stamp.000003Z",
        exit => undef, signal => undef, user => undef, lines => 1, bytes => 6,
    });
    # JSON::PP takes its time for a long text.
    $record =~ s/"old"/"$title"/ if defined $title;
    write_file($s->state . "/logs/$id.log",
        "$stamp.000004Z stdout F hello\n$stamp.000005Z stdout F:note:end $record\n");
    return;
}

my %of;    # id => [path, state]
mkdir $s->state or die "state: $!\n";
mkdir $s->state . '/logs' or die "logs: $!\n";
for my $id (1 .. 400) {
    $of{$id} = [$id % 3 ? $both : $hers, $id % 4 ? 'succeeded' : 'failed'];
    write_log($id, @{ $of{$id} });
}
# Its last record is no end: it is not shown as a build that runs for ever.
write_log(401, $both, 'running');
{
    my ($status, $out) = $s->begin;
    $status == 0 or die "the server does not start: $out\n";
}
like $s->error_log, qr{BL0231 \S+/logs/401\.log cannot be used}, 'a log with an end that is none is told';

sub body
{
    my ($who, $query) = @_;
    my $stream = $s->open_stream('/private/api/project/builds' . ($query // ''),
        headers => { %{ $as{$who} }, Accept => '*/*', Connection => 'close' });
    $stream->status == 200 or die 'list: ' . $stream->status . "\n";
    my $body = $stream->body(30);
    $stream->close;
    return $body;
}

sub list { return $json->decode(body(@_)) }

# All pages; the numbers as they came.
sub pages
{
    my ($who, $query) = @_;
    my (@ids, $next);
    do {
        # JSON::PP takes half a minute for these.
        my $body = body($who, "?$query" . ($next ? "&before=$next" : ''));
        push @ids, $body =~ /"id":(\d+)/g;
        my ($behind) = $body =~ /"next":(\d+)[,}]/;
        die "no way forward\n" if $next && $behind && $behind >= $next;
        $next = $behind;
    } while ($next);
    return @ids;
}

sub wanted
{
    my ($matches) = @_;
    return [grep { $matches->(@{ $of{$_} }) } sort { $b <=> $a } keys %of];
}

wait_until { my @ids = pages('alice', 'limit=200'); @ids == 400 } 20, 'the history has them all';

# ---- who sees what --------------------------------------------------------------------

for my $limit (7, 50, 200) {
    is_deeply [pages('alice', "limit=$limit")], wanted(sub { 1 }), "alice, $limit a page: all, newest first, each once";
    is_deeply [pages('bob', "limit=$limit")], wanted(sub { $_[0] eq $both }), "bob, $limit a page: not what is hers";
}
is_deeply [pages('bob', "project=$hers")], [], 'bob asks for hers: nothing';
is_deeply [pages('alice', "project=$hers")], wanted(sub { $_[0] eq $hers }), 'alice does: hers';
is_deeply [pages('bob', 'state=failed')], wanted(sub { $_[0] eq $both && $_[1] eq 'failed' }), 'by state';
is_deeply [pages('alice', "state=failed&project=$hers&limit=5")],
    wanted(sub { $_[0] eq $hers && $_[1] eq 'failed' }), 'by both';
is_deeply $s->get_json('/api/project/builds')->{builds}, [], 'without a name: nothing';

# ---- what cannot be asked ---------------------------------------------------------------

for my $query ('project=%ff', 'project=/%c3', 'project=%00', 'state=no', 'limit=0', 'limit=201', 'before=0', '%') {
    is $s->request('GET', "/api/project/builds?$query")->{status}, 400, "$query: 400";
}
is scalar(() = $s->error_log =~ /BL0410/g), 0, 'and nobody is told that the history cannot be read';

# ---- many that are not for who asks --------------------------------------------------------

# The history is read over them page by page, and forgotten page by page.
sub memory
{
    my $kb = 0;
    for my $child (@{ $s->pids->{children} }) {
        open my $in, '<', "/proc/$child/status" or next;
        $kb += $_ for map { /^VmHWM:\s*(\d+)/ ? $1 : () } <$in>;
    }
    return $kb;
}

sub bytes_read_for
{
    my ($query) = @_;
    my @bytes = map {
        my $sum = 0;
        body('bob', $query) if $_;
        for my $child (@{ $s->pids->{children} }) {
            open my $in, '<', "/proc/$child/io" or next;
            $sum += $_ for map { /^rchar:\s*(\d+)/ ? $1 : () } <$in>;
        }
        $sum;
    } 0, 1;
    return $bytes[1] - $bytes[0];
}

SKIP: {
    skip 'a sanitizer keeps what is freed', 3 if vars()->{httpd} =~ /buildlog-/;
    $s->stop or die "the server does not stop\n";
    write_log($_, $hers, 'succeeded', 'x' x 8000) for 401 .. 2400;
    write_log(2500, $both, 'succeeded');
    my ($status, $out) = $s->begin;
    $status == 0 or die "the server does not start: $out\n";
    # The latest 128 are known without it.
    wait_until { (list('alice', '?before=2200&limit=1')->{builds}[0]{id} // 0) == 2199 } 30, 'the history has them';
    my $before = memory();
    is_deeply [map { $_->{id} } @{ list('bob', '?limit=3')->{builds} }], [2500, 400, 398],
        'two thousand builds of somebody else are passed over';
    my $grown = memory() - $before;
    cmp_ok $grown, '<', 20_000, 'and take no memory';
    note "$grown kB for 16 MB of records";

    # By the time that it takes nobody learns of a project that he may not see:
    # what is not for him is not read.
    my %read = map { $_->[0] => bytes_read_for("?limit=200&project=$_->[1]") } ['hers', $hers], ['none', '/no/such/project'];
    cmp_ok $read{hers}, '<', $read{none} + 200_000, 'of a project that bob may not see hardly more is read than of one that is not there';
    note "hers: $read{hers} bytes, none: $read{none}";
}

# ---- another database, by a reload ------------------------------------------------------------------

# Who reads goes on where the historian writes.
{
    my @before = pages('alice', 'limit=200');
    for my $other ('BuildLogDatabase sqlite3 other.db', 'BuildLogDatabase none') {
        $s->configure("$conf\n$other\n");
        my $mark = length $s->error_log;
        $s->graceful;
        wait_until { substr($s->error_log, $mark) =~ /BL0245 new limits/ } 20, 'a reload';
        wait_until { substr($s->error_log, $mark) =~ /AH00489/ } 20, 'a new generation';
        like substr($s->error_log, $mark), qr/BL0114 the history stays /, "$other: the log says that it waits for a stop";
        is_deeply [pages('alice', 'limit=200')], \@before, '... and the list is as long as before';
    }
}

# ---- what lives and what has just ended ---------------------------------------------------------

my $p   = BuildLog::Puppet->new('list', server => $s);
my $id  = $p->start('out ready');
$p->wait_for('ready');
my (undef, $answer) = $s->post_build($p->path);
my $next = $answer->{build}{id};
sub states { return [map { "$_->{id} $_->{state}" } @{ $s->get_json("/api/project/builds$_[0]")->{builds} }] }
is_deeply states(''), ["$next queued", "$id running"], 'what waits, and what runs';
is_deeply states('?state=queued'), ["$next queued"], 'by state';
is $s->request('POST', "/api/project/builds/$next/cancel")->{status}, 202, 'cancelled';
$p->cue('exit 0');
$s->wait_for_state($id, 'succeeded', 10);
is_deeply states(''), ["$next cancelled", "$id succeeded"], 'at once with the end that they have';
is_deeply states('?state=running'), [], 'and no other';

# ---- a list, and a stream that goes on behind it (promise 1) --------------------------------------

# What happens between the two requests is in neither of them without "after".
{
    my $last = $p->start('out begun');
    $p->wait_for('begun');
    my $list = $s->get_json('/api/project/builds?limit=1');
    is $list->{builds}[0]{state}, 'running', 'a list, while a build runs';
    like $list->{after}, qr/^[1-9]\d{15}$/, 'says where it stands';
    $p->cue('exit 0');
    $s->wait_for_state($last, 'succeeded', 10);
    my $stream = $s->open_stream("/api/log/push?only=builds&from=$list->{after}");
    my @events = $stream->until(sub { ($_->{event} // '') eq 'build'
        && $json->decode($_->{data})->{state} eq 'succeeded' }, 10);
    is scalar(grep { ($_->{event} // '') eq 'gap' } @events), 0, 'a stream from there knows the place';
    is $json->decode($events[-1]{data})->{id}, $last, 'and says that it ended meanwhile';
    $stream->close;
    is $s->get_json('/api/project/builds?limit=1')->{after}, $events[-1]{id}, 'where the next list stands';
}

done_testing;
