# screenshots.t - pictures of the page: `make screenshots` runs it (no test of
# the suite). SHOTS is the directory for them, on this machine; LOOK=1 makes
# those of every view, size and theme, to be looked at.
use strict;
use warnings;
use File::Copy qw(copy);
use Test::More;
use BuildLog::Test;
use BuildLog::Server;

my $show = './run';
my $base = top() . '/projects';
mkdir $base;
my %steps = (
    shop     => ['Web shop',      install => "$show install", build => "$show build", test => "$show test"],
    rates    => ['Exchange rates', install => "$show install", test => "$show broken", publish => 'true'],
    handbook => ['Handbook',      pages   => "$show build"],
    fleet    => ['Fleet',         install => "$show install", deploy => "$show deploy"],
    crawler  => ['Crawler',       crawl   => "$show crawl 200000"],
);
my $projects = '';
for my $name (sort keys %steps) {
    my ($title, @steps) = @{ $steps{$name} };
    mkdir "$base/$name";
    copy(top() . '/t/page/show.pl', "$base/$name/run") or die "$base/$name/run: $!\n";
    chmod 0755, "$base/$name/run";
    my $lines = '';
    while (my ($step, $command) = splice @steps, 0, 2) {
        $lines .= qq(    BuildLogStep $step "$command"\n);
    }
    $projects .= qq(<Directory "$base/$name">\n    BuildLog On\n    BuildLogTitle "$title"\n$lines</Directory>\n);
}
my $htdocs = top() . '/htdocs';
my $page   = <<"END";
DocumentRoot "$htdocs"
<Directory "$htdocs">
    Require all granted
</Directory>
<Directory "$base">
    Require all granted
</Directory>
DirectoryIndex index.html
AddDefaultCharset utf-8
AddType text/html       .html
AddType text/css        .css
AddType text/javascript .mjs
AddType image/svg+xml   .svg
BuildLogMaxBuilds 1
END
# No project here but ours.
$page .= <<"END";
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
END
my $empty = BuildLog::Server->start($page);
my $s     = BuildLog::Server->start($page . $projects);
run_page_test('screenshots.mjs', seconds => 400, env => {
    BASE_URL  => $s->url,
    EMPTY_URL => $empty->url,
    SHOW      => $base,
});

done_testing;
