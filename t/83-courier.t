# 83-courier.t - whatever receivers do, and whoever is killed, who tells them
# how builds ended loses nothing, tells nothing under two names, and takes no
# more than a little; one that is ill harms no other
#
# Issue 7, item 3 (outgoing): many at once, and faults. What it does when a call
# of the system fails is t/fault/courier_fault.c, what waits and how long
# t/unit/waiting_test.c.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Receiver;
use BuildLog::Server;
use JSON::PP ();

my $json     = JSON::PP->new->utf8->canonical;
my $projects = project('');
my $ill      = BuildLog::Receiver->new;
my $well     = BuildLog::Receiver->new;
my $many     = BuildLog::Receiver->new;

sub notify { return join "\n    ", map {"BuildLogNotify $_"} @_ }
my $s = BuildLog::Server->start(<<"END");
BuildLogMaxBuilds 8
LogLevel info
<Directory "${projects}puppet-courier-hung">
    @{[ notify((map { $ill->url("/hung$_") } 1 .. 10), $well->url('/well')) ]}
</Directory>
<Directory "${projects}puppet-courier-ill">
    @{[ notify($ill->url('/ill')) ]}
</Directory>
<Directory "${projects}puppet-courier-many*">
    @{[ notify(map { $many->url("/many$_") } 1 .. 40) ]}
</Directory>
<Directory "${projects}puppet-courier-all">
    @{[ notify(map { $many->url("/all$_") } 1 .. 4) ]}
</Directory>
END

sub built
{
    my ($name) = @_;
    my $p = BuildLog::Puppet->new("courier-$name", server => $s);
    my $id = $p->start('exit 0');
    $s->wait_for_state($id, 'succeeded', 30);
    return $id;
}
sub notices { return map { m{([^/]+)$} } glob $s->state . '/notices/*' }
sub said    { my ($pattern) = @_; return scalar(() = $s->error_log =~ /$pattern/g) }
sub all_told { return wait_until { !notices() } 120, 'all are told' }
sub courier
{
    my $runner = $s->pids->{runner} or return;
    return (grep { (BuildLog::Server::process_name($_) // '') eq 'buildlog-notify' } BuildLog::Server::processes_below($runner))[0];
}

subtest 'ten that hang, and one that is well' => sub {
    $ill->answer('hold');
    my $id = built('hung');
    ok eval { wait_until { $ill->held == 10 } 60, 'ten' }, 'all that hang are asked at once';
    $well->wait_for($id);
    is said('BL0264'), 0, '... and who is well is told while they hang';
    $ill->answer(200);
    all_told();
    is_deeply [sort map { $_->[0] } $ill->names], [sort map {"hung$_"} 1 .. 10], '... each once, when they are well again';
};

subtest 'a moody one' => sub {
    $ill->answer('moody 500');
    my @ids = map { built('ill') } 1 .. 30;
    all_told();
    is said('BL0262'), 0, 'nothing is given up';
    is scalar(grep { !said("BL0263 how build $_ ended was told") } @ids), 0, 'each is told in the end';
};

subtest 'connections that break' => sub {
    my $before = () = $ill->names;
    $ill->answer('cut 200');
    my $id = built('ill');
    all_told();
    is scalar(() = $ill->names), $before + 1, 'an answer that breaks off behind its status is an answer';
    ok said("BL0263 how build $id ended was told"), '... and the log says so';
    $ill->answer('reset');
    $id = built('ill');
    ok eval { wait_until { said("BL0264 how build $id ended was not told") } 30, 'said' }, 'none at all is none';
    $ill->answer(200);
    all_told();
    my @told = map { $_->[1] } grep { $_->[1] =~ /^build-$id-/ } $ill->names;
    cmp_ok scalar(@told), '>=', 2, '... so it is told again';
    is scalar(keys %{ { map { $_ => 1 } @told } }), 1, '... by the same id';
};

# What came: how often each, and builds with more than one id.
sub came
{
    my (%often, %ids);
    for ($many->names) {
        my ($path, $id) = @$_;
        $often{"$path $id"}++;
        $ids{ $id =~ s/-\d+$//r }{$id} = 1;
    }
    return (\%often, [grep { keys %{ $ids{$_} } > 1 } keys %ids]);
}

subtest 'many at once' => sub {
    my @puppets = map { BuildLog::Puppet->new("courier-many$_", server => $s) } 1 .. 8;
    my @ids;
    for my $round (1 .. 2) {
        push @ids, map { $_->start('exit 0') } @puppets;
        $s->wait_for_state($_, 'succeeded', 60) for @ids;
    }
    all_told();
    my ($often, $double) = came();
    is scalar(keys %$often), 16 * 40, '16 builds are told to 40';
    is scalar(grep { $_ != 1 } values %$often), 0, '... each once';
    is_deeply $double, [], '... by one id';
};

# 600 that waited while the server was down. They are copies of real ones.
subtest 'many that waited' => sub {
    $many->stop;
    my $id = built('all');
    ok eval { wait_until { grep({ /^$id\./ } notices()) == 4 && said("BL0264 how build $id ") >= 4 } 30, 'four' }, 'nobody is there';
    ok $s->stop, 'a stop';
    my $dir = $s->state . '/notices';
    for my $index (0 .. 3) {
        open my $in, '<', "$dir/$id.$index" or die "$index: $!\n";
        my $notice = $json->decode(<$in>);
        close $in;
        for my $n (1 .. 150) {
            my $build = 1000 + $n;
            write_file("$dir/$build.$index", $json->encode({ %$notice, id => "build-$build-17638056${build}00", tries => 0, due => 0 }));
        }
    }
    $many->start;
    $many->answer('moody 503');
    is +($s->begin)[0], 0, 'a start';
    my $memory = 0;
    my $watch = sub {
        my ($until) = @_;
        wait_until {
            if (my $pid = courier()) {
                open my $in, '<', "/proc/$pid/status" or return 0;
                my $status = join '', <$in>;
                my ($kb) = $status =~ /^VmRSS:\s+(\d+)/m;
                $memory = $kb if ($kb // 0) > $memory;
            }
            $until->();
        } 240, 'so far';
    };
    my $mark = () = $many->names;
    my $at = sub { my ($n) = @_; $watch->(sub { $many->names - $mark >= $n }) };
    $at->(100);
    kill 'KILL', courier() or fail 'the courier is there';
    $at->(200);
    $s->kill_runner;
    $at->(300);
    $s->graceful;
    my $build = built('ill');
    pass 'builds begin and end meanwhile';
    $at->(400);
    # Or one that it has been moody about again and again waits for long.
    $many->answer(200);
    ok $s->stop, 'a stop in the middle of it';
    is +($s->begin)[0], 0, 'a start';
    $watch->(sub { !notices() });
    my ($often, $double) = came();
    my @lost = grep { my $n = $_; grep { !$often->{"all$_ build-$n-17638056${n}00"} } 1 .. 4 } 1001 .. 1150;
    is_deeply \@lost, [], 'each was told, whoever was killed';
    is_deeply $double, [], '... by one id';
    is said('BL0262'), 0, '... and none was given up';
    ok $memory > 0 && $memory < 100_000, "memory: at most $memory kB";
};

done_testing;
