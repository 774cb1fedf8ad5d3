#!/bin/sh
# suite.sh MPM [TEST...] - runs tests against a server; `make suite` calls it
#
# Without TEST: all of t/[0-9]*.t under event; under worker and prefork those
# that say so in a line "# MPM: event worker prefork" (what depends on the way
# connections are kept).
#
# The tests run in a copy, the stage: Apache::Test refuses root and writes
# beside the tests, the working tree may be closed to other users, and several
# runs may go on at once. Kept when a test fails, or with KEEP=1.
set -eu
cd "$(dirname "$0")/.."
mpm=$1
shift
module=${MODULE:-.libs/mod_buildlog.so}
apxs=${APXS:-apxs}
PATH=$PATH:/usr/sbin:/sbin

case $mpm in
event | worker | prefork) ;;
*) echo "suite: MPM is event, worker or prefork, not $mpm" >&2; exit 2 ;;
esac
if [ $# = 0 ]; then
    set -- t/[0-9]*.t
    if [ "$mpm" != event ]; then
        set -- $(grep -l "^# MPM:.*\<$mpm\>" "$@" || true)
    fi
    [ $# != 0 ] || { echo "suite: no test for $mpm" >&2; exit 1; }
fi

# A unix socket lives in the stage, and its name has at most 107 bytes.
tmp=${TMPDIR:-/tmp}
[ ${#tmp} -le 50 ] || tmp=/tmp
stage=$(mktemp -d "$tmp/buildlog-XXXXXX")
keep=1
disk=$stage/disk # a small one, for tests that fill it
no_disk='only root may mount one'
cgroup= # a control group that belongs to the tests, who are in one below it
no_cgroup='only root may make one'
# Each process of a server has the stage in its command line or environment. A
# zombie has neither.
left() { # by a pattern on stdin, for grep's own command line is among these
    printf '%s\n' "$stage" | grep -lsFf - /proc/[0-9]*/cmdline /proc/[0-9]*/environ |
        cut -d / -f 3 | sort -un
}
finish() {
    # After a signal: the tests did not come to it.
    for pid in $(left); do
        kill -9 "$pid" 2>/dev/null || true
    done
    if [ -z "$no_cgroup" ]; then
        find "$cgroup" -depth -type d -exec rmdir {} + || true
    fi
    # A stage that is kept keeps what was on it, and no mount.
    if [ -z "$no_disk" ]; then
        cp -R "$disk" "$stage/disk.kept" || true
        umount "$disk" 2>/dev/null || umount -l "$disk"
    fi
    if [ -z "$keep" ] && [ -z "${KEEP:-}" ]; then
        rm -rf "$stage"
    else
        echo "suite: kept $stage (logs in t/logs)" >&2
    fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Any free port: several suites may run at once.
port=$(perl -MIO::Socket::INET -e 'while (1) {
    my $port = 20000 + int rand 10000;
    next if !IO::Socket::INET->new(LocalAddr => "127.0.0.1",
        LocalPort => $port, Listen => 1);
    print $port;
    exit 0;
}')
modules=$($apxs -q LIBEXECDIR)
httpd=$($apxs -q SBINDIR)/$($apxs -q progname)

mkdir "$stage/.libs" "$stage/home" "$stage/tmp"
cp "$module" "$stage/.libs/mod_buildlog.so"
cp "${COMMAND:-build/buildlog}" "$stage/buildlog"
cp -R README.md conf htdocs t "$stage/"
rm -rf "$stage/t/unit" "$stage/t/fuzz" "$stage/t/lint"
# There is no HTTP/2 under prefork; mod_http2 says so each time it starts.
without=
[ "$mpm" != prefork ] || without=/mod_http2/d
sed -e "s|@MPM@|$mpm|g" -e "s|@MODULES@|$modules|g" -e "s|@STAGE@|$stage|g" \
    -e "$without" t/conf/base.conf.in >"$stage/base.conf"
# Or Apache::Test would take it for a part of the server's configuration.
rm "$stage/t/conf/base.conf.in"
mkdir "$stage/t/logs"

# Who the servers with TLS are: nobody knows them.
mkdir "$stage/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
    -keyout "$stage/tls/key.pem" -out "$stage/tls/cert.pem" 2>"$stage/tls/log" ||
    { cat "$stage/tls/log" >&2; exit 1; }

# A module built with sanitizers needs their library in httpd from the start.
# Leaks are not looked for: httpd leaves most of its memory to exit().
# A report ends the process and is in the error log, where
# BuildLog::Test finds it.
case ${SANITIZE:-} in
*address*)
    cat >"$stage/httpd" <<END
#!/bin/sh
LD_PRELOAD=$(gcc -print-file-name=libasan.so) \\
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \\
exec $httpd "\$@"
END
    chmod +x "$stage/httpd"
    httpd=$stage/httpd
    ;;
esac

# All processes of httpd, for the runner, its keepers and the historian are
# forked by it; not what those execute. Leaks are not looked for: pools live
# until the end. What is said is a failure. One file for all processes: at a
# fork valgrind opens one of their own without care for its number, and who
# lets go of what he inherited would let go of that.
if [ -n "${VALGRIND:-}" ]; then
    cat >"$stage/httpd" <<END
#!/bin/sh
exec valgrind -q --error-limit=no --leak-check=no --suppressions="$stage/t/lib/valgrind.supp" \\
    --log-file="$stage/t/logs/valgrind.\$\$" $httpd "\$@"
END
    chmod +x "$stage/httpd"
    httpd=$stage/httpd
fi

as=
if [ "$(id -u)" = 0 ]; then
    chown -R nobody "$stage"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
    mkdir "$disk"
    if why=$(mount -t tmpfs -o "size=${DISK:-2m},mode=0755,uid=$(id -u nobody)" disk "$disk" 2>&1); then
        no_disk=
    else
        no_disk=$why
    fi
fi
# A control group (version 2), and what the kernel lets it limit.
make_cgroup() {
    mounted=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$mounted" ] || { echo 'no cgroup2 file system is mounted'; return 1; }
    cgroup=$mounted/$(basename "$stage")
    mkdir "$cgroup" && mkdir "$cgroup/tests" || return 1
    chown nobody "$cgroup" "$cgroup/cgroup.procs" "$cgroup/cgroup.subtree_control" \
        "$cgroup/tests" "$cgroup/tests/cgroup.procs"
}
if [ "$(id -u)" = 0 ]; then
    # Not in a subshell, for it sets $cgroup.
    if make_cgroup >"$stage/tmp/cgroup" 2>&1; then
        no_cgroup=
    else
        no_cgroup=$(cat "$stage/tmp/cgroup")
        [ -z "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    fi
fi
rc=0
# A clean environment: proxies, locales and debug switches of the caller change
# nothing.
(cd "$stage" && { [ -n "$no_cgroup" ] || echo 0 >"$cgroup/tests/cgroup.procs"; } && exec $as env -i PATH="$PATH" HOME="$stage/home" TMPDIR="$stage/tmp" LANG=C.UTF-8 \
    PERL5LIB="$stage/t/lib" APACHE_TEST_ULIMIT_SET=1 SMALL_DISK="$disk" NO_SMALL_DISK="$no_disk" \
    TEST_CGROUP="$cgroup" NO_TEST_CGROUP="$no_cgroup" \
    ${SHOTS:+"SHOTS=$SHOTS"} ${LOOK:+"LOOK=$LOOK"} ${ONLY:+"ONLY=$ONLY"} ${CROWD:+"CROWD=$CROWD"} ${CANCELS:+"CANCELS=$CANCELS"} ${KILLS:+"KILLS=$KILLS"} ${STORM:+"STORM=$STORM"} ${LINES:+"LINES=$LINES"} \
    ${SOAK:+"SOAK=$SOAK"} ${SEED:+"SEED=$SEED"} \
    perl t/TEST.PL -trace=error -httpd "$httpd" -httpd_conf "$stage/base.conf" \
    -src_dir "$modules" -documentroot "$stage/htdocs" -servername 127.0.0.1 \
    -port "$port" "$@") || rc=$?

# The server has stopped: nothing that it started may be there any more.
tries=50
while [ -n "$(left)" ] && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
done
for pid in $(left); do
    echo "suite: left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" || true)" >&2
    kill -9 "$pid" 2>/dev/null || true
    rc=1
done
# Its warnings begin with --, its reports with ==.
for log in $(grep -ls '^==' "$stage"/t/logs/valgrind.*); do
    echo "suite: valgrind: $log" >&2
    grep '^==' "$log" | head -60 >&2
    rc=1
done
[ $rc != 0 ] || keep=
exit $rc
