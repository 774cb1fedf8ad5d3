# 90-page.t - home and the view of a build in a real browser, against the real
# server: what is built is seen line by line, a failure is seen as one, what is
# complete is said to be only when it was compared, and no output is taken for
# markup (promises 1 and 5, and DESIGN.md section 6: output is hostile)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

BuildLog::Puppet->new($_) for qw(view home rows many);
# Nothing to build, and no room for viewers.
my $empty  = BuildLog::Server->start(<<"END");
BuildLogMaxClients 0
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
@{[ BuildLog::Server::page() ]}
END
# Many projects, and little room.
my $many = top() . '/t/projects/many';
mkdir $_ or die "$_: $!\n" for $many, "$many/gone", map { "$many/service-$_" } 1 .. 200;
my $crowd = BuildLog::Server->start(<<"END");
BuildLogMaxBuilds 1
BuildLogMaxQueue 1
<Directory "$many/*">
    BuildLog On
    BuildLogStep say "echo here"
</Directory>
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
<Directory "@{[top()]}/t/projects/puppet-many">
    BuildLog On
    BuildLogTitle "Many"
</Directory>
@{[ BuildLog::Server::page() ]}
END
# Nothing to build, until somebody does what the page says.
my $sample = top() . '/t/logs/sample.conf';
my $bare   = BuildLog::Server->start(<<"END");
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
@{[ BuildLog::Server::page() ]}
IncludeOptional "${sample}*"
END
my %env = (
    MANY_URL   => $crowd->url,
    MANY       => $many,
    SAMPLE_URL => $bare->url,
    SAMPLE_PID => $bare->pids->{parent},
    SAMPLE     => $sample,
    DEMO_OK   => project('page/ok'),
    DEMO_FAIL => project('page/fails'),
    DEMO_XSS  => project('page/markup'),
    HOSTILE   => project('page/hostile'),
    STEPS     => project('page/steps'),
    CORPUS    => project('page/corpus'),
    EMPTY_URL => $empty->url,
);
run_page_test('home.mjs', seconds => 180, env => \%env);
run_page_test('projects.mjs', seconds => 180, env => \%env);
run_page_test('build.mjs', seconds => 240, env => \%env);
run_page_test('build-log.mjs', seconds => 240, env => \%env);

done_testing;
