# 21-detours.t - other ways to the module's addresses than asking for them:
# pages that include them, rewritten addresses, error documents, a directory's
# index; and files .htaccess, whose authors are not the administrator (promise 8)
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(project wait_until write_file);
use BuildLog::Server;
use Digest::SHA qw(sha1_base64);
use File::Path qw(make_path remove_tree);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $json     = JSON::PP->new->utf8;
my $projects = project('');
my $form     = 'application/x-www-form-urlencoded';
my $s        = BuildLog::Server->make('');
my $dir      = $s->dir;
my $docs     = "$dir/htdocs";

sub basic_of { my ($user, $password) = @_; return { Authorization => 'Basic ' . encode_base64("$user:$password", '') } }
sub sha      { return '{SHA}' . sha1_base64($_[0]) . '=' }

write_file("$dir/users",  'alice:' . sha('wonderland') . "\nbob:" . sha('builder') . "\n");
# Whoever writes a .htaccess has users of his own, who may be called alice.
write_file("$dir/mallory", 'alice:' . sha('mallory') . "\n");
write_file("$dir/groups", "admins: alice bob\n");
my %as = (alice => basic_of('alice', 'wonderland'), bob => basic_of('bob', 'builder'),
    wrong => basic_of('alice', 'nonsense'), forged => basic_of('alice', 'mallory'), nobody => {});

my $login = <<"END";
AuthType Basic
AuthName builds
AuthUserFile "$dir/users"
Require valid-user
END
my %project;
my $sections = '';
for (['hers', 'Require user alice'], ['group', 'Require group admins'], ['env', 'Require env passed'], ['all', 'Require all granted']) {
    my ($name, $lines) = @$_;
    $project{$name} = "${projects}det-$name";
    mkdir $project{$name} or $!{EEXIST} or die "$name: $!\n";
    $sections .= "<Directory \"$project{$name}\">\nBuildLog On\nBuildLogStep say \"echo printed-by-$name\"\n$lines\n</Directory>\n";
}
my $config = modules(qw(include rewrite authz_groupfile actions)) . $sections . <<"END" . addresses('/login', $login) . addresses('/open', '');
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
# An error document below the addresses that it is for: httpd does not ask for
# a password again.
<Location "/login/api">
    ErrorDocument 401 /login/api/project/projects
    ErrorDocument 403 /login/api/project/projects
</Location>
<Location "/no">
    ErrorDocument 404 /open/api/log/push?format=json&from=start
</Location>
<Directory "$docs">
    Options Includes FollowSymLinks
    AllowOverride All
    Require all granted
</Directory>
<Directory "$docs/index">
    DirectoryIndex /login/api/project/projects
</Directory>
<Directory "$docs/index-open">
    DirectoryIndex /open/api/project/projects
</Directory>
RewriteEngine On
RewriteRule ^/short/(.*)\$ /login/api/project/\$1 [PT]
RewriteRule ^/by-handler/ - [H=buildlog-api]
RewriteRule ^/index.php/(.*)\$ /open/api/project/\$1 [PT]
END
$s->configure($config);
{
    my ($status, $out) = $s->begin;
    is $status, 0, 'a server' or BAIL_OUT($out);
}
make_path(map { "$docs/$_" } qw(index index-open evil evil/sub));

# A build that alice alone may see.
my $id = do {
    my $r = ($s->post_build($project{hers}, to => '/login/api/project/build', headers => $as{alice}))[2];
    is $r->{status}, 202, 'a build of alice';
    $r->{json}{build}{id};
};
my $see = sub { $s->request('GET', "/login/api/project/builds/$id", headers => $as{ $_[0] }) };
wait_until { $see->('alice')->{json}{state} eq 'succeeded' } 15, 'it ends';

sub get { my ($who, $path, %opt) = @_; return $s->request('GET', $path, %opt, headers => { %{ $as{$who} }, %{ $opt{headers} // {} } }) }

# Nothing of hers.
sub hides
{
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    unlike $r->{body}, qr/printed-by-hers|det-hers/, $name or diag "$r->{status}: $r->{body}";
    return;
}

# ---- detours that the administrator made ---------------------------------------

subtest 'included in a page' => sub {
    for my $path ("/login/api/project/builds/$id", "/login/api/project/builds/$id/log", "/login/api/project/builds/$id/log?follow=1",
        '/login/api/project/projects', '/login/api/project/builds', "/login/api/log/push?build=$id", '/login/api/log/push?from=start') {
        write_file("$docs/page.shtml", "before <!--#include virtual=\"$path\" --> after\n");
        my %r = map { $_ => get($_, '/page.shtml') } keys %as;
        like $r{$_}{body}, qr/^before .* after$/s, "$path: a whole page for $_" for sort keys %as;
        like $r{alice}{body}, qr/printed-by-hers|det-hers/, '... in which alice finds hers';
        hides($r{$_}, "... $_ does not") for qw(bob wrong forged nobody);
        hides(get('alice', '/page.shtml', headers => { Authorization => 'Basic !' }), '... nor does nonsense');
    }
    # A page is asked for by GET: what it includes is no POST.
    write_file("$docs/page.shtml", '<!--#include virtual="/open/api/project/build?projectPath=' . $project{all} . '" -->');
    unlike get('nobody', '/page.shtml')->{body}, qr/"msg"/, 'no page starts a build by including that';
    $s->request('POST', '/page.shtml', body => "projectPath=$project{all}", headers => { 'Content-Type' => $form });
    is_deeply $s->get_json("/open/api/project/builds?project=$project{all}")->{builds}, [], '... nor by being posted to';
    unlink "$docs/page.shtml";
};

subtest 'rewritten' => sub {
    is get($_, "/short/builds/$id")->{status}, 401, "$_ is asked for the password" for qw(wrong forged nobody);
    is get('bob', "/short/builds/$id")->{status}, 404, 'bob: as if it were not there';
    is get('alice', "/short/builds/$id")->{status}, 200, 'alice finds hers';
    hides(get($_, "/by-handler/builds/$id"), "by its handler, where nobody is asked: nothing for $_") for sort keys %as;
    hides(get($_, "/index.php/builds/$id"), "to where nobody is asked: nothing for $_") for sort keys %as;
};

subtest 'an error document' => sub {
    # 401: the password was wrong, and then nobody asks again.
    for my $who (qw(wrong forged nobody bob)) {
        hides(get($who, $_), "$who: $_") for "/login/api/project/builds/$id", '/login/api/project/projects',
            "/login/api/project/builds/$id/log", "/login/api/log/push?build=$id";
        hides(($s->post_build($project{hers}, to => '/login/api/project/build', headers => $as{$who}))[2], "$who: a build");
    }
    is get('wrong', '/login/api/project/projects')->{status}, 401, 'the status is that of the error';
    my $feed = $s->open_stream('/no/such/page');
    is $feed->status, 404, 'a stream as an error document';
    my $last = $s->post_build($project{all}) && $s->get_json('/api/project/builds')->{builds}[0]{id};
    my @events = $feed->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$last,.*"state":"succeeded"/ }, 15);
    $feed->close;
    hides({ body => join('', map { $_->{data} // '' } @events) }, '... has nothing of hers');
};

subtest 'an index' => sub {
    hides(get($_, '/index/'), "$_: nothing of hers") for qw(bob wrong forged nobody);
    hides(get($_, '/index-open/'), "$_: nothing of hers, where nobody is asked") for sort keys %as;
};

# ---- .htaccess -----------------------------------------------------------------

sub said { my ($pattern, $mark) = @_; return substr($s->error_log, $mark) =~ $pattern }

subtest 'a .htaccess makes no address' => sub {
    my $own = "AuthType Basic\nAuthName x\nAuthUserFile \"$dir/mallory\"\nRequire valid-user\n";
    write_file("$docs/evil/page.bl", '');
    write_file("$docs/evil/sub/page.bl", '');
    my @cases = (
        ['SetHandler',  'SetHandler HANDLER'],
        ['<Files>',     "<FilesMatch \".\">\nSetHandler HANDLER\n</FilesMatch>"],
        ['<If>',        "<If \"true\">\nSetHandler HANDLER\n</If>"],
        ['AddHandler',  'AddHandler HANDLER .bl'],
        ['rewrite',     "RewriteEngine On\nRewriteRule . - [H=HANDLER]"],
    );
    my %at = ('buildlog-api' => ["project/builds/$id", "project/builds/$id/log", 'project/projects', 'project/builds', 'page.bl'],
        'buildlog-push' => ["push?build=$id", "page.bl?build=$id"], 'buildlog-build' => ['build', 'page.bl']);
    for (@cases) {
        my ($how, $lines) = @$_;
        for my $handler (sort keys %at) {
            my $mark = length $s->error_log;
            write_file("$docs/evil/.htaccess", $own . $lines =~ s/HANDLER/$handler/r . "\n");
            my @paths = map { "/evil/$_" } @{ $at{$handler} };
            my @wrong;
            for my $path (@paths) {
                my $r = $handler eq 'buildlog-build'
                    ? ($s->post_build($project{all}, to => $path, headers => $as{forged}))[2] : get('forged', $path);
                # Where a rule of AddHandler does not match it is a file, or none.
                push @wrong, "$path: $r->{status} $r->{body}"
                    if $r->{status} < 400 && $r->{body} ne '' || $r->{body} =~ /det-|printed-by/;
                push @wrong, "$path: not said" if $path =~ /page/ && $r->{status} != 403;
            }
            is_deeply \@wrong, [], "$how $handler: nothing";
            ok said(qr/BL0412 .* no <Location> sets its handler/, $mark), '... which the administrator is told of';
        }
    }
    write_file("$docs/evil/.htaccess", "DirectoryIndex sub/page.bl\n");
    write_file("$docs/evil/sub/.htaccess", "${own}SetHandler buildlog-api\n");
    hides(get('forged', '/evil/'), 'by an index below');
    unlink "$docs/evil/.htaccess", "$docs/evil/sub/.htaccess";
};

subtest 'a .htaccess does not say who somebody is' => sub {
    my $login = "AuthType Basic\nAuthName x\nAuthUserFile \"$dir/mallory\"\nRequire valid-user\n";
    my @cases = (
        ['its own users',   $login,                                                        '/open', 'forged', 'hers'],
        ['in <Files>',      "<FilesMatch \".\">\n$login</FilesMatch>\n",                   '/open', 'forged', 'hers'],
        ['in <If>',         "<If \"true\">\n$login</If>\n",                                '/open', 'forged', 'hers'],
        ['its own groups',  "AuthGroupFile \"$dir/groups\"\n",                             '/login', 'bob',   'group'],
        ['a variable',      "SetEnvIf Request_URI . passed\n",                             '/open', 'nobody', 'env'],
        ['a variable set',  "SetEnv passed 1\n",                                           '/open', 'nobody', 'env'],
        ['one rewritten',   "RewriteEngine On\nRewriteRule ^ - [E=passed:1]\n",            '/open', 'nobody', 'env'],
    );
    for (@cases) {
        my ($what, $lines, $prefix, $who, $name) = @$_;
        my $mark = length $s->error_log;
        write_file("$docs/.htaccess", $lines);
        my $r = ($s->post_build($project{$name}, to => "$prefix/api/project/build", headers => $as{$who}))[2];
        is $r->{status}, 403, "$what: no build";
        hides(get($who, "$prefix/api/$_"), "... nothing in $_") for "project/builds/$id", 'project/projects', "log/push?build=$id";
        next if $who ne 'forged';
        ok said(qr/BL0411 user alice counts as nobody: a file \.htaccess in \Q$docs\E\//, $mark), '... which the administrator is told of';
        $r = ($s->post_build($project{all}, to => "$prefix/api/project/build", headers => $as{$who}))[2];
        is $r->{status}, 202, '... what is for all he may';
        is $r->{json}{build}{user}, undef, '... as nobody';
        is get($who, "$prefix/api/project/projects")->{json}{user}, undef, '... and is told so';
        is get('nobody', "$prefix/api/project/projects")->{status}, 401, '... and it may ask for a password';
    }
    write_file("$docs/.htaccess", "Require all denied\n");
    is get('nobody', '/open/api/project/projects')->{status}, 403, 'it may refuse';
    write_file("$docs/.htaccess", "DirectoryIndex x.html\nErrorDocument 500 no\nRewriteEngine On\nRewriteRule ^no - [F]\nRequire all granted\n");
    is +($s->post_build($project{hers}, to => '/login/api/project/build', headers => $as{alice}))[0], 202,
        'what has nothing to do with it changes nothing: alice';
    is +($s->post_build($project{hers}, to => '/login/api/project/build', headers => $as{bob}))[0], 403, '... bob';
    is get('alice', "/login/api/project/builds/$id")->{status}, 200, '... and seeing';
    unlink "$docs/.htaccess";
};

wait_until { !grep { $_->{state} =~ /^(?:queued|running)$/ } @{ get('alice', '/login/api/project/builds')->{json}{builds} } } 30, 'all end';
done_testing;
