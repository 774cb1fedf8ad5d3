#!/bin/sh
# demo.sh - serves the page and the demo projects; `make run` calls it
#
# It lies here with the demo projects, not in conf/, which is installed.
# Everything that is written goes below run/ (ignored by git): the copy of the
# projects that is built, the module's state, yarn's cache, httpd's log. Ctrl-C
# or SIGTERM ends the server and all that it has started.
#
# PORT, MODULE and APXS come from the Makefile.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
port=${PORT:-8080}
apxs=${APXS:-apxs}
PATH=$PATH:/usr/sbin:/sbin
url=http://127.0.0.1:$port/
run=$top/run
temporary=

case $port in
*[!0-9]* | '') echo "run: PORT is a number, not '$port'" >&2; exit 2 ;;
esac

# A SIGINT from a terminal reaches all of us, SIGTERM is passed on by make. But
# a make that alone gets a SIGINT waits for its child and says nothing; it only
# stops catching that signal. A make that was killed is not there any more.
parent_catches_int() {
    while read -r key value; do
        case $key$value in
        SigCgt:*[2367abef]) return 0 ;; # the bit of SIGINT in the last digit
        esac
    done 2>/dev/null <"/proc/$PPID/status"
    return 1
}
caught=
! parent_catches_int || caught=1
parent_lives() {
    [ -d "/proc/$PPID" ] && { [ -z "$caught" ] || parent_catches_int; }
}

# As root, httpd changes to an unprivileged user, who must be able to read the
# page and the projects, and so enter all directories above them.
user=
if [ "$(id -u)" = 0 ]; then
    for user in www-data nobody; do
        ! id "$user" >/dev/null 2>&1 || break
    done
    group=$(id -gn "$user")
    if ! setpriv --reuid="$user" --regid="$group" --clear-groups \
        test -r "$top/htdocs" -a -x "$top/htdocs"; then
        temporary=$(mktemp -d "${TMPDIR:-/tmp}/buildlog-run-XXXXXX")
        chmod 755 "$temporary"
        run=$temporary
        echo "run: user $user cannot enter $top: using a copy in $run"
    fi
fi
# The name of the module's socket below run/ has at most 107 bytes.
if [ ${#run} -gt 80 ]; then
    temporary=$(mktemp -d /tmp/buildlog-run-XXXXXX)
    chmod 755 "$temporary"
    run=$temporary
    echo "run: the name of this directory is long: using $run"
fi

mkdir -p "$run/projects" "$run/home" "$run/bin"
htdocs=$top/htdocs
conf=$top/conf
module=$(readlink -f "$MODULE")
if [ -n "$temporary" ]; then
    cp -R htdocs conf "$run/"
    cp "$MODULE" "$run/mod_buildlog.so"
    htdocs=$run/htdocs
    conf=$run/conf
    module=$run/mod_buildlog.so
fi
# What a build made stays (node_modules): the next one is faster.
cp -R t/projects/demo t/projects/demo-fails "$run/projects/"
rm -f "$run/bin/yarn"
if command -v yarn >/dev/null; then
    ln -s "$(command -v yarn)" "$run/bin/yarn"
else
    cp t/yarn.sh "$run/bin/yarn"
fi

who=
if [ -n "$user" ]; then
    who="User $user\\
Group $group"
    mkdir -p "$run/state"
    chown -R "$user:$group" "$run/state" "$run/projects" "$run/home"
fi

# A path may hold anything but the sign that separates sed's parts.
sed -e "s|@RUN@|$run|g" -e "s|@PORT@|$port|g" -e "s|@HTDOCS@|$htdocs|g" \
    -e "s|@CONF@|$conf|g" -e "s|@MODULE@|$module|g" -e "s|@USER@|$who|g" \
    -e "s|@MODULES@|$($apxs -q LIBEXECDIR)|g" \
    conf/demo.conf.in >"$run/httpd.conf"

httpd=$($apxs -q SBINDIR)/$($apxs -q progname)
rm -f "$run/httpd.pid"
"$httpd" -t -f "$run/httpd.conf" 2>"$run/check" || { cat "$run/check" >&2; exit 1; }

# In a session of its own: Ctrl-C reaches this script alone, which then ends
# httpd in order.
setsid "$httpd" -D FOREGROUND -f "$run/httpd.conf" &
server=$!

stop() {
    trap '' INT TERM HUP
    if kill -TERM "$server" 2>/dev/null; then
        wait "$server" || true
    fi
    # The runner ends its builds when httpd is gone, which takes as long as
    # they take to end. Its processes carry run/ in their environment or
    # command line.
    tries=100
    while left && [ $tries -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    if [ -n "$temporary" ]; then
        rm -rf "$temporary"
    fi
}
left() { # by a pattern on stdin: grep's own command line is among these
    printf '%s\n' "$run/httpd.conf" "HOME=$run/home" |
        grep -qsFf - /proc/[0-9]*/cmdline /proc/[0-9]*/environ
}
quit() {
    echo
    echo "run: stopping"
    stop
    exit 0
}
trap quit INT TERM HUP

# httpd writes its pid file when it listens.
while [ ! -s "$run/httpd.pid" ]; do
    if ! kill -0 "$server" 2>/dev/null; then
        wait "$server" || true
        echo "run: httpd did not start (is port $port taken? PORT=8081 make run):" >&2
        tail -n 5 "$run/error_log" >&2
        stop
        exit 1
    fi
    sleep 0.1
done
echo "run: $url"
echo "run: projects $run/projects/demo, $run/projects/demo-fails"
echo "run: log $run/error_log; Ctrl-C ends"

while kill -0 "$server" 2>/dev/null; do
    parent_lives || quit
    sleep 1
done
wait "$server" || true
echo "run: httpd has ended; see $run/error_log" >&2
stop
exit 1
