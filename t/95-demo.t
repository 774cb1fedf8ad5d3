# 95-demo.t - the main job on real input: a yarn project with a dependency from
# the npm registry is installed and built by the default steps, every line is
# seen, and one that fails is seen to fail (promises 1 and 5)
use strict;
use warnings;
use File::Copy qw(copy);
use JSON::PP ();
use Test::More;
use BuildLog::Test;

my ($yarn) = grep { -x } map { ("$_/yarn", "$_/yarnpkg") } split /:/, $ENV{PATH};
plan skip_all => 'neither yarn nor yarnpkg is installed' if !$yarn;

# The steps call "yarn", which Debian names yarnpkg; its cache wants a HOME.
mkdir top() . "/$_" for qw(bin home);
copy(top() . '/t/yarn.sh', top() . '/bin/yarn') or die "bin/yarn: $!\n";
chmod 0755, top() . '/bin/yarn';

sub build_demo
{
    my ($name, $want) = @_;
    my ($status, $answer) = post_build(project($name));
    is $status, 202, "$name: accepted" or return;
    my $id     = $answer->{build}{id};
    my $stream = open_stream("/api/log/push?build=$id&format=json");
    my $json   = JSON::PP->new->utf8;
    my ($end, @text);
    for my $event ($stream->rest(300)) {
        next if !exists $event->{data};
        my $data = $json->decode($event->{data});
        push @text, $data->{text} if !exists $event->{event};
        $end = $data if ($event->{event} // '') eq 'end';
    }
    is $end->{state}, $want, "$name: $want" or diag join "\n", @text;
    is_deeply [map { $_->{name} } @{ $end->{steps} }], [qw(install build)],
        "$name: by the default steps";
    my $raw = request('GET', "/api/project/builds/$id/log")->{body};
    is scalar(() = $raw =~ /\n/g), $end->{lines}, "$name: the log is whole";
    return ($end, @text);
}

my ($end, @text) = build_demo('demo', 'succeeded');
is $text[0], '$ yarn install', 'the first line names the first step';
ok scalar(grep { $_ eq '$ yarn build' } @text), 'and the second step is named';
is $text[-1], 'Build finished', 'the last line says that it is finished';
ok -s project('demo') . '/node_modules/marked/package.json',
    'the dependency came from the registry';

($end, @text) = build_demo('demo-fails', 'failed');
is $end->{steps}[1]{exit}, 1, 'the failing step has its exit code';
like $text[-1], qr/^Build failed: step "build" exited with code 1/,
    'and the last line says so';

done_testing;
