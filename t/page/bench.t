# bench.t - the page under load: `make bench-page` runs it (no test of the
# suite). It asserts what is shown, and prints times and sizes.
use strict;
use warnings;
use File::Copy qw(copy);
use Test::More;
use BuildLog::Test;
use BuildLog::Server;

my $base = top() . '/projects';
mkdir $base;
my %args = (
    finished => '200000 0',
    burst    => '300000 20000 0',
    million  => '1000000 0 0,100000,300000',
);
my $config = BuildLog::Server::page();
for my $name (sort keys %args) {
    mkdir "$base/$name";
    copy(top() . '/t/page/noisy.pl', "$base/$name/run") or die "$base/$name/run: $!\n";
    chmod 0755, "$base/$name/run";
    $config .= <<"END";
<Directory "$base/$name">
    BuildLog On
    BuildLogStep print "exec ./run $args{$name}"
    Require all granted
</Directory>
END
}
my $s = BuildLog::Server->start($config);
run_page_test('bench.mjs', seconds => 1800, env => { BASE_URL => $s->url, NOISY => $base });

done_testing;
