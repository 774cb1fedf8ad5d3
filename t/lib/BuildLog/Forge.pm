package BuildLog::Forge;

# A forge that says what was pushed: payloads of the structure that each forge
# documents, with its headers, signed with the hook's secret.
#
#   my $forge = BuildLog::Forge->new('github', name => 'shop', secret => 's3cret', server => $s);
#   my $r = $forge->push('main');                     request() of BuildLog::Test
#   my $r = $forge->push('main', commits => [{ added => ['a'] }], forced => 1);
#   my $d = $forge->delivery($forge->pushed('main')); { headers, body }, signed
#   my $r = $forge->send($d);
#
# Kinds: github, github-form, gitea, gitlab (token), gitlab-signed, plain. The
# id of a delivery is a new one each time, as with a forge.

use strict;
use warnings;
use BuildLog::Test ();
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha1_hex);
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);

my $json = JSON::PP->new->utf8->canonical;
my $none = '0' x 40;
my $count = 0;

sub new
{
    my ($class, $kind, %opt) = @_;
    return bless { kind => $kind, to => '/api/project/hook', %opt }, $class;
}

# The commit that a number stands for.
sub commit { return sha1_hex("commit $_[1]") }

# ---- payloads --------------------------------------------------------

sub pushed
{
    my ($self, $branch, %opt) = @_;
    my $ref = $opt{ref} // "refs/heads/" . ($branch // q());
    my ($before, $after) = ($opt{before} // $self->commit(1), $opt{after} // $self->commit(++$count + 1));
    my @commits = map { {
        id => $after, message => "Change things\n\nAll of them.", timestamp => '2026-11-22T10:00:00+01:00',
        url => "https://forge.example/team/shop/commit/$after",
        author => { name => 'Ada', email => 'ada@example.org', username => 'ada' },
        added => [], removed => [], modified => [], %$_,
    } } @{ $opt{commits} // [{ modified => ['src/main.c'] }] };
    return { $branch ? (ref => $ref) : (), $opt{after} || $branch ? (commit => $after) : () } if $self->{kind} eq 'plain';
    return {
        object_kind => $ref =~ m{^refs/tags/} ? 'tag_push' : 'push', event_name => 'push',
        before => $before, after => $after, ref => $ref, ref_protected => JSON::PP::true,
        checkout_sha => $after eq $none ? undef : $after, message => undef,
        user_id => 7, user_name => 'Ada', user_username => 'ada', project_id => 3,
        project => { id => 3, name => 'shop', path_with_namespace => 'team/shop', default_branch => 'main',
            web_url => 'https://forge.example/team/shop', visibility_level => 0 },
        commits => \@commits, total_commits_count => $opt{total} // scalar @commits, push_options => {},
        repository => { name => 'shop', url => 'git@forge.example:team/shop.git', visibility_level => 0 },
    } if $self->{kind} =~ /^gitlab/;
    return {
        ref => $ref, before => $before, after => $after,
        compare_url => "https://forge.example/team/shop/compare/$before...$after",
        commits => \@commits, total_commits => $opt{total} // scalar @commits, head_commit => $commits[-1],
        repository => { id => 3, name => 'shop', full_name => 'team/shop', default_branch => 'main', private => JSON::PP::false,
            owner => { id => 7, login => 'team' }, updated_at => '2026-11-22T10:00:00+01:00', push => $count },
        pusher => { id => 7, login => 'ada' }, sender => { id => 7, login => 'ada' },
    } if $self->{kind} eq 'gitea';
    return {
        ref => $ref, before => $before, after => $after, base_ref => undef,
        created => $before eq $none ? JSON::PP::true : JSON::PP::false,
        deleted => $after eq $none ? JSON::PP::true : JSON::PP::false,
        forced => $opt{forced} ? JSON::PP::true : JSON::PP::false,
        compare => "https://forge.example/team/shop/compare/$before...$after",
        commits => [map { { %$_, tree_id => $before, distinct => JSON::PP::true } } @commits],
        head_commit => $after eq $none ? undef : $commits[-1],
        repository => { id => 3, name => 'shop', full_name => 'team/shop', default_branch => 'main',
            pushed_at => 1795334400 + $count, owner => { login => 'team', id => 7 } },
        pusher => { name => 'ada', email => 'ada@example.org' }, sender => { login => 'ada', id => 7 },
    };
}

# ---- deliveries ------------------------------------------------------

sub _key
{
    my ($secret) = @_;
    return $secret =~ /^whsec_(.*)/ ? decode_base64($1) : $secret;
}

# delivery(PAYLOAD or bytes, event => , id => , time => , secret => ): signed.
sub delivery
{
    my ($self, $payload, %opt) = @_;
    my $kind   = $self->{kind};
    my $secret = $opt{secret} // $self->{secret};
    my $body   = ref $payload ? $json->encode($payload) : $payload;
    my $id     = $opt{id} // sprintf 'e7a1c1de-0000-4000-8000-%012d', ++$count;
    my $is_tag = ref $payload && ($payload->{ref} // '') =~ m{^refs/tags/};
    if ($kind eq 'github-form') {
        $body =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
        $body = "payload=$body";
    }
    my %headers = ('Content-Type' => $kind eq 'github-form' ? 'application/x-www-form-urlencoded' : 'application/json');
    if ($kind =~ /^github/) {
        %headers = (%headers, 'User-Agent' => 'GitHub-Hookshot/0a1b2c3', 'X-GitHub-Event' => $opt{event} // 'push',
            'X-GitHub-Delivery' => $id, 'X-GitHub-Hook-ID' => 12, 'X-Hub-Signature' => 'sha1=' . '0' x 40,
            'X-Hub-Signature-256' => 'sha256=' . hmac_sha256_hex($body, $secret));
    }
    elsif ($kind eq 'gitea') {
        my $event = $opt{event} // 'push';
        %headers = (%headers, (map { ("X-$_-Event" => $event, "X-$_-Delivery" => $id) } qw(Gitea Gogs GitHub)),
            'X-Gitea-Event-Type' => $event, 'X-Gitea-Signature' => hmac_sha256_hex($body, $secret),
            'X-Hub-Signature-256' => 'sha256=' . hmac_sha256_hex($body, $secret));
    }
    elsif ($kind =~ /^gitlab/) {
        %headers = (%headers, 'X-Gitlab-Event' => $opt{event} // ($is_tag ? 'Tag Push Hook' : 'Push Hook'),
            'X-Gitlab-Instance' => 'https://forge.example', 'X-Gitlab-Webhook-UUID' => '5f9a', 'X-Gitlab-Event-UUID' => $id,
            'Idempotency-Key' => $id, $kind eq 'gitlab' ? ('X-Gitlab-Token' => $secret) : ());
    }
    if ($kind eq 'plain' || $kind eq 'gitlab-signed') {
        my $time = $opt{time} // time;
        %headers = (%headers, 'webhook-id' => $id, 'webhook-timestamp' => $time,
            'webhook-signature' => 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", _key($secret)), ''));
    }
    return { headers => \%headers, body => $body };
}

# send(DELIVERY, name => , headers => {}): the answer.
sub send
{
    my ($self, $delivery, %opt) = @_;
    my $name = delete $opt{name} // $self->{name};
    my $headers = { %{ $delivery->{headers} }, %{ delete $opt{headers} // {} } };
    delete @{$headers}{ grep { !defined $headers->{$_} } keys %$headers };
    my @request = ('POST', "$self->{to}/$name", %opt, headers => $headers, body => $delivery->{body});
    return $self->{server} ? $self->{server}->request(@request) : BuildLog::Test::request(@request);
}

sub push
{
    my ($self, $branch, %opt) = @_;
    return $self->send($self->delivery($self->pushed($branch, %opt), %opt));
}

1;
