package BuildLog::Faults;

# What the tests of faults share: a small disk, the limits of processes that
# run, a look at everything that tells how a build ended.
#
#   my $disk = small_disk() // plan skip_all => why_no_disk();
#   fill($disk); fill($disk, 3);           full; with so many free pages
#   make_room($disk);
#   limit($pid, nproc => 0); unlimit($pid, 'nproc');    of a process that runs
#   leave_descriptors($pid, 2); unlimit($pid, 'nofile');
#   my $db = database($path);              a second connection: $db->("SQL") is
#                                          the answer; close_database($db)
#   ends_alike($s, $id, 'failed');         log, history, stream and API of a
#                                          build tell of the same end
#   my ($end, @wrong) = differences($s, $id)      the same without a test
#   lines_of(@events), texts($s, $id)      [text] of a stream; of a log

use strict;
use warnings;
use BuildLog::Stream;
use BuildLog::Test;
use Digest::SHA qw(sha256_hex);
use Exporter qw(import);
use IPC::Open2 qw(open2);
use JSON::PP ();
use Test::More ();

our @EXPORT = qw(small_disk why_no_disk fill make_room limit unlimit leave_descriptors
    database close_database differences ends_alike lines_of texts times_said cpu_seconds);

my $json = JSON::PP->new->utf8->canonical;

# ---- a disk ----------------------------------------------------------------

use constant PAGE => 4096;

sub small_disk  { return ($ENV{NO_SMALL_DISK} // 'x') eq '' ? $ENV{SMALL_DISK} : undef }
sub why_no_disk { return 'no small disk: ' . ($ENV{NO_SMALL_DISK} // 'see t/suite.sh') }

sub fill
{
    my ($disk, $free) = @_;
    open my $out, '>>', "$disk/filler" or die "$disk/filler: $!\n";
    my $size = -s $out;
    while (1) {
        my $n = syswrite $out, 'x' x PAGE;
        last if !defined $n;
        $size += $n;
    }
    $!{ENOSPC} or die "$disk/filler: $!\n";
    truncate $out, $size - ($free // 0) * PAGE or die "$disk/filler: $!\n";
    return;
}

sub make_room { unlink "$_[0]/filler" or die "$_[0]/filler: $!\n"; return }

# ---- limits ----------------------------------------------------------------

# The soft limit alone: who may raise it again?
sub limit
{
    my ($pid, $what, $n) = @_;
    system('prlimit', '--pid', $pid, "--$what=$n:") == 0 or die "prlimit $pid $what $n\n";
    return;
}

sub unlimit
{
    my ($pid, $what) = @_;
    open my $out, '-|', 'prlimit', '--pid', $pid, "--$what", '--output', 'HARD', '--noheadings'
        or die "prlimit: $!\n";
    my ($hard) = (<$out> // '') =~ /(\w+)/;
    close $out;
    return limit($pid, $what, $hard);
}

# Leaves it so many descriptors that it can still open: those below the limit
# that it does not have.
sub leave_descriptors
{
    my ($pid, $spare) = @_;
    my ($n, $free) = (0, 0);
    -l "/proc/$pid/fd/2" or die "$pid cannot be looked into: cores => 1?\n";
    while (1) {
        $free++ if !-l "/proc/$pid/fd/$n";
        last if $free > $spare;
        $n++;
    }
    return limit($pid, nofile => $n);
}

# What it has used of a processor.
sub cpu_seconds
{
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or die "$pid: $!\n";
    my ($user, $system) = (split ' ', <$in> =~ s/.*\)//sr)[11, 12];
    return ($user + $system) / 100;
}

# ---- a database --------------------------------------------------------------

sub database
{
    my ($path) = @_;
    my $pid = open2(my $out, my $in, 'sqlite3', $path);
    my $db = sub {
        my ($sql) = @_;
        local $SIG{PIPE} = 'IGNORE';
        syswrite $in, "$sql;\nSELECT 'over';\n";
        my @rows;
        while (defined(my $row = <$out>)) {
            chomp $row;
            return wantarray ? @rows : $rows[0] if $row eq 'over';
            push @rows, $row;
        }
        die "sqlite3 ended: $sql\n";
    };
    # Its own words are not the test's; whoever holds a lock lets it go.
    $db->(".timeout 20000\n.bail on\nSELECT 1");
    return { ask => $db, in => $in, out => $out, pid => $pid };
}

sub close_database
{
    my ($db) = @_;
    close $db->{in};
    close $db->{out};
    waitpid $db->{pid}, 0;
    return;
}

# ---- what is told of a build --------------------------------------------------

# Lines without those that tell of the build: as text/plain has them.
sub texts
{
    my ($s, $id) = @_;
    return map { $_->{text} } grep { !grep { /^(?:build|end)$/ } @{ $_->{tags} } } @{ $s->log_records($id) };
}

# Of a stream with format=json.
sub lines_of
{
    return map { $json->decode($_->{data})->{text} } grep { !exists $_->{event} && exists $_->{data} } @_;
}

sub times_said
{
    my ($s, $pattern, $mark) = @_;
    my @said = substr($s->error_log, $mark // 0) =~ /^.*$pattern.*$/mg;
    return scalar @said;
}

sub _row
{
    my ($s, $id, $path) = @_;
    # There may be no table yet.
    open my $out, '-|', 'sh', '-c', 'exec sqlite3 -cmd ".timeout 20000" "$0" "$1" 2>/dev/null', $path,
        "SELECT record FROM buildlog_builds WHERE id = $id" or die "sqlite3: $!\n";
    my $row = <$out> // '';
    close $out;
    return eval { $json->decode($row) };
}

# Promise 5, and that each line is there: in the log, the stream and the
# download, which are of the sums that the record has. Returns the record, and
# what is not so. tail => 1: of the stream only its end; as => [PREFIX, { headers }]:
# asked there, by who is let in.
sub differences
{
    my ($s, $id, %opt) = @_;
    my $path = $opt{database} // $s->state . '/history.db';
    my ($prefix, $who) = @{ $opt{as} // ['', {}] };
    my ($row, %end, $stream, @events);
    # First, for it waits for the end.
    $stream = $s->open_stream("$prefix/api/log/push?build=$id&format=json" . ($opt{tail} ? '&from=tail' : ''), headers => $who);
    $stream->status == 200 or die "build $id: its stream: status " . $stream->status . "\n";
    @events = $stream->rest(20);
    $stream->close;
    $end{stream} = $json->decode($events[-1]{data}) if @events && ($events[-1]{event} // '') eq 'end';
    my $records = $s->log_records($id);
    $end{log} = $json->decode($records->[-1]{text}) if @$records && grep { $_ eq 'end' } @{ $records->[-1]{tags} };
    $end{API} = $s->get_json("$prefix/api/project/builds/$id", headers => $who);
    eval { wait_until { $row = _row($s, $id, $path) } 45, 'a row' };
    $end{history} = $row;

    my @wrong = map { "$_ has no end" } grep { !$end{$_} } qw(API history log stream);
    my %told = map { $_ => $json->encode($end{$_} // {}) } keys %end;
    push @wrong, map { "$_: $told{$_}\nand not: " . ($told{log} // '') } grep { $told{$_} ne ($told{log} // '') } sort keys %told;
    my $ends = grep { grep { $_ eq 'end' } @{ $_->{tags} } } @$records;
    push @wrong, "$ends ends" if $ends != 1;
    push @wrong, 'its ids do not rise' if grep { $records->[$_]{time} le $records->[ $_ - 1 ]{time} } 1 .. $#$records;
    my $text  = $s->request('GET', "$prefix/api/project/builds/$id/log", headers => $who)->{body};
    my @lines = grep { !grep { /^(?:build|end)$/ } @{ $_->{tags} } } @$records;
    push @wrong, 'the download is not the log' if $text ne join '', map { $_->{text} . ($_->{tags}[0] eq 'P' ? '' : "\n") } @lines;
    push @wrong, 'nor the stream' if !$opt{tail} && "@{[lines_of(@events)]}" ne "@{[map { $_->{text} } @lines]}";
    push @wrong, 'nor what the record says of it' if sha256_hex($text) ne ($end{log}{sha256} // '');
    return ($end{log}, @wrong);
}

sub ends_alike
{
    my ($s, $id, $state, %opt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $name = $opt{name} // "build $id";
    my ($end, @wrong) = differences($s, $id, %opt);
    push @wrong, 'it ' . ($end->{state} // 'has no state') if ($end->{state} // '') ne $state;
    Test::More::is_deeply(\@wrong, [], "$name: $state in log, history, stream and API, with the same lines");
    return;
}

1;
