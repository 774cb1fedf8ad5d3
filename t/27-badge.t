# 27-badge.t - how a project's last build ended, as a picture
#
# Item 3 of "at home in httpd": an SVG with ETag. Promise 8: whoever may not see
# the project is not told that there is one, and its title is text.
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
my ($old, $hers) = map { project($_) } qw(shared alice);

my $s = BuildLog::Server->make(<<"END");
BuildLogKeep count=0 age=0 size=0
<Directory "$top/t/projects/puppet-badge">
    BuildLogTitle "<b>\\"Shop\\" & 'more'</b>"
</Directory>
<Directory "$old">
    BuildLog On
    BuildLogTitle "Old"
</Directory>
<Directory "$hers">
    BuildLog On
    Require user alice
</Directory>
<Location "/private/">
    AuthType Basic
    AuthName "builds"
    AuthBasicProvider file
    AuthUserFile "$top/t/conf/users"
    Require valid-user
</Location>
<Location "/private/api/project/badge">
    SetHandler buildlog-api
</Location>
END

# Builds that the table has no room for any more: of one project alone.
sub write_log
{
    my ($id, $path, $state) = @_;
    my $stamp = sprintf '2026-01-01T00:%02d:%02d', $id / 60, $id % 60;
    my $record = $json->encode({
        id => $id, project => $path, title => 'old', state => $state, step => undef, steps => [],
        created => "$stamp.000001Z", started => "$stamp.000002Z", ended => "$stamp.000003Z",
        exit => undef, signal => undef, user => undef, lines => 0, bytes => 0,
    });
    write_file($s->state . "/logs/$id.log", "$stamp.000005Z stdout F:note:end $record\n");
    return;
}
mkdir $s->state or die "state: $!\n";
mkdir $s->state . '/logs' or die "logs: $!\n";
write_log(1, $old, 'failed');
write_log(2, $old, 'timed-out');
write_log($_, project('other'), 'succeeded') for 3 .. 140;
{
    my ($status, $out) = $s->begin;
    $status == 0 or die "the server does not start: $out\n";
}

sub escape { return $_[0] =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ger }

sub badge
{
    my ($path, %opt) = @_;
    return $s->request($opt{method} // 'GET', ($opt{at} // '/api/project') . '/badge?projectPath=' . escape($path),
        headers => { Accept => 'image/svg+xml,image/*;q=0.8,*/*;q=0.5', Connection => 'close', %{ $opt{headers} // {} } });
}

# What it says, to who sees it and to who does not.
sub says
{
    my ($path, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r;
    eval { wait_until { ($r = badge($path))->{body} =~ m{<title>\Q$want\E</title>} } 20 };
    ok $r->{body} =~ m{aria-label="\Q$want\E"} && $r->{body} =~ m{<title>\Q$want\E</title>}, $name
        or diag $r->{body};
    my ($word) = $want =~ /: ([^:]+)\z/;
    like $r->{body}, qr{>\Q$word\E</text>}, '... in the picture';
    return $r;
}

# ---- what it says ----------------------------------------------------------------

my $title = '&lt;b&gt;&quot;Shop&quot; &amp; &#39;more&#39;&lt;/b&gt;';
my $p    = BuildLog::Puppet->new('badge', server => $s);
my $path = $p->path;
my $first = says($path, "$title: no result", 'no build yet');
my $id = $p->start('out hello');
$p->wait_for('hello');
says($path, "$title: no result", 'one that runs has no result');
$p->cue('exit 0');
my $good = says($path, "$title: succeeded", 'it has ended well');
$id = $p->start('out again');
$p->wait_for('again');
is badge($path)->{body}, $good->{body}, 'one that runs: the last result stands';
my $waits = (post_build($path, port => $s->port))[1]{build}{id};
is badge($path)->{body}, $good->{body}, 'one that waits: as well';
$s->request('POST', "/api/project/builds/$waits/cancel");
says($path, "$title: cancelled", 'it was cancelled before it began');
$p->cue('exit 2');
my $bad = says($path, "$title: failed", 'it has failed');
says($old, 'Old: timed out', 'one that only the history knows');

# ---- its head ----------------------------------------------------------------------

my $head = $bad->{headers};
is $head->{'content-type'}, 'image/svg+xml; charset=utf-8', 'Content-Type';
is $head->{'content-length'}, length $bad->{body}, 'Content-Length';
is $head->{'cache-control'}, 'private, no-cache', 'asked for each time';
is $head->{'x-content-type-options'}, 'nosniff', 'taken for nothing else';
is $head->{'content-security-policy'}, "default-src 'none'", 'and it may do nothing';
like $head->{etag}, qr/^"[^"]+"$/, 'ETag';
isnt $head->{etag}, $good->{headers}{etag}, 'another result, another ETag';
my $r = badge($path, headers => { 'If-None-Match' => $head->{etag} });
is $r->{status}, 304, 'the same result: 304';
is $r->{headers}{etag}, $head->{etag}, '... with its ETag';
is $r->{body}, '', '... and nothing else';
is badge($path, headers => { 'If-None-Match' => $good->{headers}{etag} })->{status}, 200, 'another: 200';
$r = badge($path, method => 'HEAD');
is $r->{headers}{etag}, $head->{etag}, 'HEAD';
is badge($path, method => 'POST')->{status}, 405, 'POST';

# ---- it is XML ---------------------------------------------------------------------

for my $svg ($first, $good, $bad) {
    my (@open, @wrong);
    while ($svg->{body} =~ m{<(/?)(\w+)((?:\s[\w:-]+="[^"<]*")*)\s*(/?)>|&(?:lt|gt|amp|quot|#\d+);|([<&"'])}g) {
        push @wrong, "a bare $5" if defined $5 && $5 =~ /[<&]/;
        next if !defined $2;
        if ($1) { push @wrong, "end of $2" if (pop @open // '') ne $2 }
        elsif (!$4) { push @open, $2 }
    }
    is join(', ', @wrong, @open), '', 'its elements fit';
}
SKIP: {
    skip 'no xmllint (libxml2-utils)', 1 if system 'command -v xmllint >/dev/null 2>&1';
    write_file("$s->{dir}/badge.svg", $bad->{body});
    is `xmllint --noout '$s->{dir}/badge.svg' 2>&1`, '', 'xmllint finds nothing';
}

# ---- who may -----------------------------------------------------------------------

my $refused = badge("$top/t/projects/nothing-there");
is $refused->{status}, 403, 'not there';
is_deeply [@{ badge($_->[0])->{json} }{qw(status detail)}], [@{ $refused->{json} }{qw(status detail)}], $_->[1]
    for [$hers, 'not for everybody'], ['/etc', 'no project'], ["$path/run.sh", 'no directory'], ['relative', 'no path'];
is $s->request('GET', '/api/project/badge')->{status}, 400, 'no path at all';
is $s->request('GET', '/api/project/badge?projectPath=%zz')->{status}, 400, 'one that is not encoded';
my %private = (at => '/private/api/project');
is badge($hers, %private)->{status}, 401, 'where one has to say who one is: 401';
is badge($hers, %private, headers => $as{bob})->{status}, 403, 'bob is not alice';
$r = badge($hers, %private, headers => $as{alice});
is $r->{status}, 200, 'alice';
is $r->{headers}{'cross-origin-resource-policy'}, 'same-origin', 'what only she may see is for no page of another site';
is $bad->{headers}{'cross-origin-resource-policy'}, 'cross-origin', 'what all may see is for any';
is badge($hers, %private, headers => { %{ $as{bob} }, 'If-None-Match' => $r->{headers}{etag} })->{status}, 403,
    'an ETag opens nothing';

done_testing;
