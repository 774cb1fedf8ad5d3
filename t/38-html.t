# 38-html.t - the same addresses are pages for who prefers HTML: lists, a build
# with its log, and forms that start and end builds, without any script
#
# Promises: 1 (each line exactly once, in order), 8 (nobody starts or sees what
# httpd's own configuration does not let them; output is hostile); section 5
# of the contract.
use strict;
use warnings;
use Digest::SHA qw(sha256_base64);
use MIME::Base64 qw(encode_base64);
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
my $api     = '/api/project';

sub page { my ($path, %headers) = @_; return request('GET', $path, headers => { Accept => $browser, %headers }) }

# Send a form as a browser does.
sub send_form
{
    my ($path, $fields, %headers) = @_;
    my $body = join '&', map { "$_=" . BuildLog::Test::_escape($fields->{$_}) } sort keys %$fields;
    return request('POST', $path, body => $body, headers => { Accept => $browser,
        'Content-Type' => 'application/x-www-form-urlencoded', 'Sec-Fetch-Site' => 'same-origin', %headers });
}

# ---- reading a page ----------------------------------------------------------

my %void = map { $_ => 1 } qw(br input meta);
my %reference = (lt => '<', gt => '>', amp => '&', quot => '"', '#39' => "'");

sub decode
{
    my ($text) = @_;
    $text =~ s/&([a-z]+|#39);/$reference{$1} \/\/ "(unknown reference $1)"/ge;
    return $text;
}

# What is wrong with the markup of a page: it has only what ours have, each
# element is ended, nothing runs, and nothing comes from elsewhere.
sub faults
{
    my ($html) = @_;
    my (@open, @wrong);
    push @wrong, 'no doctype' if $html !~ s/\A<!DOCTYPE html>\n//;
    while ($html =~ /\G(?:<(\/?)([a-z0-9]+)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)>|([^<>]+))/gc) {
        my ($end, $name, $attributes, $text) = ($1, $2, $3, $4);
        if (defined $text) {
            push @wrong, "bare & in '$text'" if $text =~ /&(?!(?:lt|gt|amp|quot|#39);)/;
            push @wrong, "control character in '$text'" if $text =~ /[\x00-\x08\x0B-\x1F\x7F]/;
            next;
        }
        push @wrong, "<$name>" if $name =~ /^(?:script|iframe|img|object|svg|link|base)$/;
        (my $names = $attributes // '') =~ s/="[^"]*"/=/g;
        push @wrong, "attribute of $name:$attributes" if $names =~ /\s(?:on[a-z]+|style|src)=/;
        push @wrong, "link:$attributes"
            if ($attributes // '') =~ /\s(?:href|action)="(?!builds|projects|build"|\.\.\/|\d+(?:[\/?]|")|\/(?:private\/)?api\/project\/builds\/\d+")/;
        next if $void{$name};
        if (!$end) { push @open, $name }
        elsif ((my $last = pop @open // 'nothing') ne $name) { push @wrong, "</$name> ends $last" }
    }
    push @wrong, 'not read to its end: ' . substr $html, pos($html) // 0, 80 if (pos($html) // 0) != length $html;
    push @wrong, "open: @open" if @open;
    return @wrong;
}

sub is_page
{
    my ($r, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $r->{status}, $status, "$name: $status";
    is $r->{headers}{'content-type'}, 'text/html; charset=utf-8', '... HTML';
    is_deeply [faults($r->{body})], [], '... well-formed, and nothing in it runs';
    my ($style) = $r->{body} =~ /<style>(.*?)<\/style>/s;
    my $digest = sha256_base64($style) . '=';
    is $r->{headers}{'content-security-policy'}, "default-src 'none'; style-src 'sha256-$digest'; "
        . "base-uri 'none'; form-action 'self'; frame-ancestors 'self'", '... its policy allows its style alone';
    is $r->{headers}{'x-content-type-options'}, 'nosniff', '... nosniff';
    is $r->{headers}{'cache-control'}, 'no-store', '... not kept';
    my $same = eval { my $copy = $r->{body}; utf8::decode($copy) };
    ok $same, '... in UTF-8';
    return;
}

# The forms of a page: { action, fields, button }.
sub forms
{
    my ($html) = @_;
    my @found;
    while ($html =~ /<form method="post" action="([^"]*)">(.*?)<\/form>/gs) {
        my ($action, $inside) = ($1, $2);
        my %fields;
        $fields{$1} = decode($2) while $inside =~ /<input type="hidden" name="([^"]*)" value="([^"]*)">/g;
        my ($button) = $inside =~ /<button(?: aria-label="[^"]*")?>([^<]*)<\/button>/;
        push @found, { action => $action, fields => \%fields, button => decode($button) };
    }
    return @found;
}

# The log that a page shows: the text of its lines.
sub shown
{
    my ($html) = @_;
    my ($log) = $html =~ /<h2>Log<\/h2>.*?<pre>\n(.*?)<\/pre>/s or return;
    $log =~ s/<[^>]*>//g;
    return decode($log);
}

# Where a link or a form of the page at $path leads.
sub address
{
    my ($path, $to) = @_;
    $path =~ s{\?.*}{};
    $path =~ s/[^\/]*$//;
    $to = decode($to);
    $path =~ s/[^\/]*\/$// while $to =~ s/^\.\.\///;
    return "$path$to";
}

# ---- who gets a page -------------------------------------------------------------

my $p  = BuildLog::Puppet->new('html');
my $id = $p->start('out hello', 'err oops', 'exit 0');
wait_for_state($id, 'succeeded');

for my $path ("$api/projects", "$api/builds", "$api/builds/$id", "$api/builds/99999999", "$api/builds?state=x") {
    my $error = $path =~ /9999|x$/;
    my $plain = $error ? 'application/problem+json' : 'application/json';
    for ([$browser, 1], ['text/html', 1], ['text/html, application/json;q=0.9', 1], [undef, 0], ['*/*', 0],
        ['application/json', 0], ['application/json, text/html', 0], ['text/html;q=0.5, */*', 0],
        ['application/json, application/problem+json', 0], ['image/png', 0]) {
        my ($accept, $html) = @$_;
        my $r = request('GET', $path, headers => { Accept => $accept });
        is $r->{headers}{'content-type'}, $html ? 'text/html; charset=utf-8' : $plain,
            "$path, Accept: " . ($accept // 'none');
        is $r->{headers}{vary}, 'Accept', '... Vary';
    }
    my $r = page($path);
    my $h = request('HEAD', $path, headers => { Accept => $browser });
    is $h->{status}, $r->{status}, "HEAD $path";
    is $h->{headers}{$_}, $r->{headers}{$_}, "... $_" for qw(content-type content-security-policy vary);
    is_page $r, $path =~ /9999/ ? 404 : $error ? 400 : 200, $path;
}
{
    my $r = request('GET', "/cors$api/builds", headers => { Accept => $browser, Origin => 'http://127.0.0.1:1' });
    is join(', ', sort split /,\s*/, $r->{headers}{vary}), 'Accept, Origin', 'where other sites may, it says both';
    is page("$api/builds/$id/log")->{headers}{'content-type'}, 'text/plain; charset=utf-8',
        'the log as a document is text also to a browser';
    is page("$api/builds/$id/lines")->{headers}{'content-type'}, 'application/json', 'and windows of it are JSON';
}

# ---- what is shown -----------------------------------------------------------------

{
    my $r    = page("$api/builds/$id");
    my $html = $r->{body};
    like $html, qr/<h1>Build $id: puppet-html, succeeded<\/h1>/, 'a build: what it is, and how it is';
    like $html, qr/<td>play<\/td><td>succeeded<\/td>/, '... its steps';
    like $html, qr/<span class="e">oops<\/span>\n/, '... stderr is told apart';
    like $html, qr/<span class="n">Build finished<\/span>\n/, '... and notes are';
    is shown($html), request('GET', "$api/builds/$id/log")->{body}, '... its log is that of the download';
    unlike $html, qr/http-equiv="refresh"/, '... it has ended: it is not loaded again';
    like $html, qr/<a href="$id\/log">/, '... the log as text';
    is page(address("$api/builds/$id", "$id/log"))->{status}, 200, '... which is there';

    my $list = page("$api/builds?project=" . BuildLog::Test::_escape($p->path))->{body};
    like $list, qr/<a href="builds\/$id">$id<\/a>/, 'the list links to it';
    like $list, qr/<td>succeeded<\/td>/, '... says how it ended';
    like $list, qr/<time datetime="[\d-]{10}T[\d:.]+Z">[\d-]{10} [\d:]{8} UTC<\/time>/, '... when it was asked for';
    like $list, qr/<td>\d+\.\d s<\/td>/, '... how long it took';

    my $projects = page("$api/projects")->{body};
    like $projects, qr/<a href="builds\/$id">$id<\/a> succeeded/, 'the projects say their latest build';
    my ($form) = grep { ($_->{fields}{projectPath} // '') eq $p->path } forms($projects);
    is $form->{action}, 'build', '... with a form that starts one';
    is $form->{button}, 'Build', '... and its button';
    like $projects, qr/<input name="projectPath" /, '... and a field for a directory that is not listed';
}

# ---- hostile text --------------------------------------------------------------------

{
    my $evil = BuildLog::Puppet->new(qq(html-<i>"x"&amp;'y'));
    my $build = $evil->start('out </pre><script>alert(1)</script>', 'out <img src=x onerror=alert(1)> &lt; "q" \'r\'',
        "out \e[1;31mred\e[0m \e]0;title\ax \e]8;;javascript:alert(1)\e\\link\e]8;;\e\\",
        "err bell\a back\bspace \xff\xc0\xaf \xe2\x80\xaeturned", 'raw ' . "\e[38;5");
    wait_until { request('GET', "$api/builds/$build/log")->{body} =~ /turned[^\n]*\n.*38;5\z/s
        || request('GET', "$api/builds/$build/log")->{body} =~ /38;5/ } 10;
    $evil->cue("raw ;196mone", 'out two', "out \e]0;no end", 'out after', 'exit 0');
    wait_for_state($build, 'succeeded');
    my $r = page("$api/builds/$build");
    is_page $r, 200, 'a hostile build';
    my $log = shown($r->{body});
    like $log, qr/^<\/pre><script>alert\(1\)<\/script>$/m, 'markup is text';
    like $log, qr/^<img src=x onerror=alert\(1\)> &lt; "q" 'r'$/m, '... and references are';
    like $log, qr/^red x link$/m, 'escape sequences of terminals are left out';
    like $log, qr/^onetwo$/m, '... also one that came in pieces';
    like $log, qr/^\nafter$/m, '... one without an end takes its line alone';
    my $bad = "\xef\xbf\xbd";
    like $log, qr/^bell$bad back${bad}space (?:$bad)+ ${bad}turned$/m, 'what is no text is said to be none';
    unlike $r->{body}, qr/\e/, 'no escape is left';
    for my $path ("$api/builds", "$api/projects") {
        my $list = page($path);
        is_page $list, 200, "$path with it";
        like decode($list->{body}), qr/\Q@{[ $evil->path ]}\E/, '... has its path as text';
    }
    my ($form) = grep { $_->{fields}{projectPath} && $_->{fields}{projectPath} eq $evil->path }
        forms(page("$api/projects")->{body});
    ok $form, 'its form has the path as it is';
    $evil->prepare('exit 0');
    my $sent = send_form("$api/build", $form->{fields});
    is $sent->{status}, 303, '... and starts it';
    $sent->{headers}{location} =~ /(\d+)$/ and wait_for_state($1, 'succeeded');
    my $named = page("$api/builds?project=" . BuildLog::Test::_escape($evil->path));
    like $named->{body}, qr/>$build<\/a>/, 'the list of its builds alone';

    my $titled = start_build(project('page/markup'));
    wait_for_state($titled, 'succeeded');
    $r = page("$api/builds/$titled");
    is_page $r, 200, 'a title with markup';
    like $r->{body}, qr/<title>Build $titled: Page: &lt;b&gt;markup&lt;\/b&gt;, succeeded<\/title>/, '... is text';
}

# ---- forms -----------------------------------------------------------------------------

{
    my ($form) = grep { ($_->{fields}{projectPath} // '') eq $p->path } forms(page("$api/projects")->{body});
    $p->prepare('out it runs', 'raw half');
    my $to = address("$api/projects", $form->{action});
    my $r  = send_form($to, $form->{fields});
    is_page $r, 303, 'a form starts a build';
    my $at = $r->{headers}{location};
    like $at, qr/^\Q$api\E\/builds\/\d+$/, '... and leads to it';
    my ($live) = $at =~ /(\d+)$/;
    $p->{build} = $live;
    $p->wait_until_told('half');
    my $html = page($at)->{body};
    like $html, qr/<meta http-equiv="refresh" content="\d+">/, 'while it runs its page is loaded again';
    like $html, qr/<h1>Build $live: puppet-html, running<\/h1>/, '... says so';
    like shown($html), qr/it runs\nhalf\z/, '... shows what there is';
    like $html, qr/<a href="$live\/log\?follow=1">/, '... and links to a log that grows';
    unlike page("$at?first=1")->{body}, qr/http-equiv="refresh"/, 'not under who reads further up';
    my ($stop) = $html =~ /<a href="([^"]*)">Stop that<\/a>/;
    my $still = page(address($at, $stop))->{body};
    unlike $still, qr/http-equiv="refresh"/, 'nor under who stopped it';
    is shown($still), shown($html), '... who sees the same';
    like $still, qr/<a href="$live">Load this page again every 5 s<\/a>/, '... and can have it again';
    my @forms = forms($html);
    is_deeply [map { $_->{button} } @forms], ['Cancel'], '... it can be ended';

    # Neither by a page of another site, nor can such a page start one.
    for my $from (['Sec-Fetch-Site' => 'cross-site'], ['Sec-Fetch-Site' => 'same-site'],
        ['Sec-Fetch-Site' => undef, Origin => 'https://evil.example'], ['Sec-Fetch-Site' => undef, Origin => 'null']) {
        for my $target ([address($at, $forms[0]{action}), {}], [$to, $form->{fields}]) {
            is_page send_form(@$target, @$from), 403, "$target->[0] from another site";
        }
    }
    is build_record($live)->{state}, 'running', 'it still runs';
    is scalar(grep { $_->{id} > $live } @{ get_json("$api/builds")->{builds} }), 0, 'and no other was started';

    $r = send_form(address($at, $forms[0]{action}), {});
    is_page $r, 303, 'a form ends it';
    is $r->{headers}{location}, $at, '... and leads back';
    wait_for_state($live, 'cancelled');
    $html = page($at)->{body};
    like $html, qr/<dd>cancelled/, '... where it is said';
    is_page send_form("$at/cancel", {}), 409, 'a second time';
    ($form) = forms($html);
    is $form->{button}, 'Build again', '... it can be built again';
    $p->prepare('exit 0');
    $r = send_form(address($at, $form->{action}), $form->{fields});
    is $r->{status}, 303, '... by a form';
    wait_for_state($r->{headers}{location} =~ /(\d+)$/, 'succeeded');

    # Programs get what they got.
    for my $accept ('*/*', 'application/json', undef) {
        $p->prepare('out x', 'exit 0');
        my ($status, $answer, $whole) = post_build($p->path, headers => { Accept => $accept });
        is $status, 202, 'POST with Accept: ' . ($accept // 'none') . ': 202';
        is $answer->{msg}, 'The build was accepted. Its output follows below.', '... JSON';
        is $whole->{headers}{location}, "$api/builds/$answer->{build}{id}", '... Location';
        wait_for_state($answer->{build}{id}, 'succeeded');
    }
}

# ---- refusals ----------------------------------------------------------------------------

{
    my @cases = (
        ['GET', "$api/builds/0", undef, 404, qr/no such build/],
        ['GET', "$api/builds/$id/nothing", undef, 404, qr/no such build/],
        ['GET', "$api/builds?limit=1000", undef, 400, qr/limit must be/],
        ['GET', "$api/builds/$id/lines?last=0", undef, 400, qr/last must be/],
        ['GET', '/api/log/push?build=99999999', undef, 404, qr/./],
        ['DELETE', "$api/builds/$id", undef, 405, qr/allowed is GET/],
        ['POST', "$api/build", 'x=1', 400, qr/projectPath is missing/],
        ['POST', "$api/build", 'projectPath=%2Fetc', 403, qr/not a project/],
        ['POST', "$api/builds/$id/cancel", '', 409, qr/./],
    );
    for (@cases) {
        my ($method, $path, $body, $status, $detail) = @$_;
        my %options = (defined $body ? (body => $body) : ());
        my @type = defined $body ? ('Content-Type' => 'application/x-www-form-urlencoded') : ();
        my $r = request($method, $path, %options, headers => { Accept => $browser, @type });
        is_page $r, $status, "$method $path";
        like decode($r->{body}), $detail, '... says why';
        $r = request($method, $path, %options, headers => { Accept => '*/*', @type });
        is $r->{status}, $status, '... to a program as well';
        is $r->{headers}{'content-type'}, 'application/problem+json', '... as a problem';
        like $r->{json}{detail}, $detail, '... which says the same';
    }
    is_page page("$api/builds/$id?first=0"), 400, 'lines that cannot be';
    is page('/api/log/push?build=99999999', Accept => 'text/event-stream')->{headers}{'content-type'},
        'application/problem+json', 'an EventSource is no browser that shows a page';
}

{
    my $r = request('GET', "/private$api/builds", headers => { Accept => $browser });
    is $r->{status}, 401, 'who has not signed in: 401';
    like $r->{headers}{'content-type'}, qr/^text\/html/, '... in HTML';
    my $small = BuildLog::Server->start("BuildLogMaxBuilds 1\nBuildLogMaxQueue 1\n");
    my $q = BuildLog::Puppet->new('html-queue', server => $small);
    $q->start('out it runs');
    $q->wait_for('it runs');
    my @sent = map { $small->request('POST', "$api/build", body => 'projectPath=' . BuildLog::Test::_escape($q->path),
        headers => { Accept => $browser, 'Content-Type' => 'application/x-www-form-urlencoded', 'Sec-Fetch-Site' => 'same-origin' }) } 1, 2;
    is $sent[0]{status}, 303, 'one may wait';
    is_page $sent[1], 503, 'two may not';
    like decode($sent[1]{body}), qr/BuildLogMaxQueue allows no more/, '... and that is why';
    ok $sent[1]{headers}{'retry-after'}, '... Retry-After';
    $q->cue('exit 0');
}

# ---- long logs and lists -------------------------------------------------------------------

{
    my $long = $p->start('count 12000', 'exit 0');
    my $end  = wait_for_state($long, 'succeeded', 30);
    my ($at, @parts) = "$api/builds/$long";
    for (1 .. 20) {
        my $html = page($at)->{body};
        unshift @parts, shown($html);
        my ($earlier) = $html =~ /<a href="([^"]*)">Earlier lines<\/a>/ or last;
        $at = address($at, $earlier);
    }
    is scalar @parts, 13, 'a long log is several pages, of which the first shows the end';
    ok join('', @parts) eq request('GET', "$api/builds/$long/log")->{body}, 'page by page each line once, in order';
    like page("$api/builds/$long")->{body}, qr/From line @{[ $end->{lines} - 999 ]}\b/, 'which ones is said';
    my $from_start = page("$api/builds/$long?first=1&count=10")->{body};
    like $from_start, qr/<a href="$long\?first=11&amp;count=1000">Later lines<\/a>/, 'and on, from the first line';
    is scalar(() = shown($from_start) =~ /\n/g), 10, 'as many as were asked for';
    is shown(page("$api/builds/$long?last=1")->{body}), "Build finished\n", 'the last line';
    is shown(page("$api/builds/$long?first=99999999")->{body}), '', 'behind the end';

    # Wide lines, and one that is a log of its own.
    make_project('wide', q{perl -e 'print "W $_ ", "<" x 1000, "\n" for 1 .. 3000; print "one ", "\xC3\xA9" x 1_000_000, "\n"'});
    my $wide = start_build(project('made-wide'));
    $end = wait_for_state($wide, 'succeeded', 30);
    my $tail = page("$api/builds/$wide")->{body};
    cmp_ok $end->{bytes}, '>', 5_000_000, 'a log of some MB';
    cmp_ok length $tail, '<', 4 * 530_000, '... is no page of as many';
    like decode($tail), qr/^one (?:\xC3\xA9)+<[^>]*> \.\.\. and (\d+) bytes more</m, 'of a long line it is said how much is left out';
    my ($begin, $left) = decode($tail) =~ /^one ((?:\xC3\xA9)+)<[^>]*> \.\.\. and (\d+) bytes more/m;
    is length($begin) + $left, 2_000_000, '... which is all of it';
    like shown($tail), qr/\nBuild finished\n\z/, '... the end is there';
    my @numbers = shown($tail) =~ /^W (\d+) /mg;
    is $numbers[-1], 3000, '... and what is before it';
    cmp_ok scalar @numbers, '>', 400, '... as much as there is room for';
    ($at, @numbers) = "$api/builds/$wide?first=1";
    for (1 .. 20) {
        my $html = page($at)->{body};
        push @numbers, shown($html) =~ /^W (\d+) /mg;
        my ($later) = $html =~ /<a href="([^"]*)">Later lines<\/a>/ or last;
        $at = address($at, $later);
    }
    is_deeply \@numbers, [1 .. 3000], 'page by page each wide line once, too';

    my ($next, @seen) = "$api/builds?limit=3&project=" . BuildLog::Test::_escape($p->path);
    while (defined $next && @seen < 100) {
        my $html = page($next)->{body};
        push @seen, $html =~ /<a href="builds\/\d+">(\d+)<\/a>/g;
        my ($link) = $html =~ /<a rel="next" href="([^"]*)">/;
        $next = defined $link ? address($next, $link) : undef;
    }
    my @all = map { $_->{id} }
        @{ get_json("$api/builds?limit=200&project=" . BuildLog::Test::_escape($p->path))->{builds} };
    cmp_ok scalar @all, '>', 6, 'there are some builds by now';
    is_deeply \@seen, \@all, 'page by page the list has what it has as a whole';
    unlink top() . "/state/logs/$long.log";
    my $r = page("$api/builds/$long");
    is_page $r, 200, 'a build whose log was removed';
    like $r->{body}, qr/The log of this build is gone/, '... says so';
}

# ---- who may ---------------------------------------------------------------------------------

{
    my %as = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
        ['alice', 'wonderland'], ['bob', 'builder'];
    my $r = send_form("/private$api/build", { projectPath => project('alice') }, %{ $as{alice} });
    is $r->{status}, 303, 'alice starts a build of hers';
    my $at = $r->{headers}{location};
    like $at, qr/^\/private\Q$api\E\/builds\/\d+$/, '... which is where the form was';
    my ($hers) = $at =~ /(\d+)$/;
    wait_until { page($at, %{ $as{alice} })->{body} =~ /, succeeded<\/h1>/ } 10;
    like page("/private$api/builds", %{ $as{alice} })->{body}, qr/>$hers<\/a>/, 'alice sees it';
    is_page page($at, %{ $as{bob} }), 404, 'bob does not';
    unlike page("/private$api/builds", %{ $as{bob} })->{body}, qr/>$hers<\/a>/, '... nor in the list';
    unlike page("/private$api/projects", %{ $as{bob} })->{body}, qr/\Q@{[ project('alice') ]}\E/, '... nor the project';
    is_page send_form("/private$api/build", { projectPath => project('alice') }, %{ $as{bob} }), 403,
        '... and starts none';
}

# ---- in a browser -------------------------------------------------------------------------------

make_project('nojs', 'echo "<b>bold</b>"; echo oops >&2; while [ ! -e go ]; do sleep 0.05; done');
unlink project('made-nojs') . '/go';
run_page_test('nojs.mjs');

done_testing;
