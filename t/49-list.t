# 49-list.t - the list of builds: filters and pages, over what runs, what ended
# last and what is in the history only
#
# Promises: 5 (the same state wherever one asks), 8 (nobody sees what is not
# for him); section 5 of the contract.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use POSIX qw(strftime);

my $json  = JSON::PP->new->utf8->canonical;
my $count = 700;    # the table keeps 128 that have ended
my %dir   = map { $_ => project("puppet-list-$_") } qw(a b hidden);

# ---- logs of builds that have ended; the module makes its history of them --------

sub stamp { my ($s, $us) = @_; return strftime('%Y-%m-%dT%H:%M:%S', gmtime $s) . sprintf '.%06dZ', $us }

# A stretch of them is hidden, longer than a page, and some more here and there.
sub project_of { my ($id) = @_; return $dir{ $id > 150 && $id <= 450 || $id % 11 == 0 ? 'hidden' : $id % 3 ? 'a' : 'b' } }
sub state_of   { my ($id) = @_; return $id % 97 == 0 ? 'lost' : $id % 7 == 0 ? 'failed' : 'succeeded' }

sub record
{
    my ($id, $s) = @_;
    my ($from, $to) = (stamp($s, 1), stamp($s, 2));
    return { id => $id, project => project_of($id), title => "build $id", state => state_of($id), reason => undef,
        step => undef, steps => [], created => $from, started => $from, ended => $to, exit => 0, signal => undef,
        user => undef, position => undef, lines => 1, bytes => 3, sha256 => '0' x 64 };
}

my $s = BuildLog::Server->make(<<"END");
BuildLogKeep count=0 age=0 size=0
BuildLogMaxBuilds 1
<Directory "$dir{hidden}">
    Require all denied
</Directory>
END
mkdir $_ or die "$_: $!\n" for $s->state, $s->state . '/logs';
my $begin = time - 10 * ($count + 1);
for my $id (1 .. $count) {
    my $second = $begin + 10 * $id;
    write_file($s->state . "/logs/$id.log", stamp($second, 2) . " stdout F hi\n"
        . stamp($second, 3) . ' stdout F:note:end ' . $json->encode(record($id, $second)) . "\n");
}
my ($status, $out) = $s->begin;
is $status, 0, 'the server begins' or BAIL_OUT($out);

my $p = BuildLog::Puppet->new('list-a', server => $s);
my $q = BuildLog::Puppet->new('list-b', server => $s);
my @live = ($p->start('out ready'));
$p->wait_for('ready');
push @live, $q->start('exit 0');
is_deeply \@live, [$count + 1, $count + 2], 'numbers go on';

sub page
{
    my ($query) = @_;
    my ($code, $answer) = $s->get_json("/api/project/builds?$query");
    die "$query: $code\n" if $code != 200 || $answer->{incomplete};
    return $answer;
}
ok eval { wait_until { $s->error_log =~ /BL0252 rows in the history: $count;/ } 60, 'the history' },
    'all that have ended are in the history' or diag $@;

# ---- what there is, and how it is asked for ----------------------------------------

my @all = ({ id => $live[1], project => $q->path, state => 'queued' },
           { id => $live[0], project => $p->path, state => 'running' },
           map { { id => $_, project => project_of($_), state => state_of($_) } } reverse 1 .. $count);

# All pages; complaints go into @$wrong.
sub walk
{
    my ($query, $limit, $before, $wrong) = @_;
    my @found;
    while (1) {
        my $page   = page("limit=$limit$query" . (defined $before ? "&before=$before" : ''));
        my @builds = @{ $page->{builds} };
        push @found, @builds;
        push @$wrong, @builds . ' on a page' if @builds > $limit;
        push @$wrong, 'a page that is short, and another one' if @builds < $limit && $page->{next};
        last if !$page->{next};
        push @$wrong, "next is $page->{next} after $before" if defined $before && $page->{next} >= $before;
        $before = $page->{next};
        last if @$wrong > 5;
    }
    return @found;
}

for my $project (undef, 'a', 'b', 'hidden', 'none') {
    for my $state (undef, qw(succeeded failed lost running queued timed-out)) {
        my $path  = !defined $project ? undef : $dir{$project} // '/nowhere';
        my $query = (defined $path ? "&project=$path" : '') . (defined $state ? "&state=$state" : '');
        my @wrong;
        for my $case ([200], [50], [7], [50, 600], [7, 451], [1, 155]) {
            my ($limit, $before) = @$case;
            my @expected = map { "$_->{id} $_->{state} $_->{project}" }
                grep { $_->{project} ne $dir{hidden} && $_->{id} < ($before // 1e9) }
                grep { (!defined $path || $_->{project} eq $path) && (!defined $state || $_->{state} eq $state) } @all;
            my @found = walk($query, $limit, $before, \@wrong);
            my @got   = map { "$_->{id} $_->{state} $_->{project}" } @found;
            push @wrong, "limit $limit, before " . ($before // 'none') . ": @{[ scalar @got ]} instead of @{[ scalar @expected ]}"
                if "@got" ne "@expected";
            push @wrong, map { "$_->{id}: another record" }
                grep { $_->{id} <= $count && $json->encode($_) ne $json->encode(record($_->{id}, $begin + 10 * $_->{id})) } @found;
        }
        is_deeply \@wrong, [], 'project ' . ($project // 'any') . ', state ' . ($state // 'any');
    }
}

# What ends moves from one filter to the other.
$p->cue('exit 0');
$s->wait_for_state($_, 'succeeded', 20) for @live;
is_deeply [map { $_->{id} } @{ page('state=succeeded&limit=2')->{builds} }], [reverse @live], 'those that ran have succeeded';
is_deeply page('state=running')->{builds}, [], 'nothing runs';
done_testing;
