#!/bin/sh
# deps.sh LIST... - installs what the lists name and this machine lacks
#
# Lists: run (build and serve), test (all tests), fuzz (make fuzz), analyze,
# valgrind.
# What counts is that the thing is there, not which package brought it, so a
# node or a yarn from elsewhere is as good. Nothing missing: nothing done, no
# network, no root. The package is Debian's that brings it.
set -eu
cd "$(dirname "$0")/.."

# A row: package, then a command or file names (patterns) of which one is enough.
# apache2-bin and not apache2: the latter starts a server on port 80.
list_run='
gcc                     cc
libc6-dev               /usr/include/stdio.h
apache2-bin             /usr/sbin/apache2
apache2-dev             apxs
libjansson-dev          /usr/include/jansson.h
libssl-dev              /usr/include/openssl/evp.h
libcurl4-openssl-dev    /usr/include/*/curl/curl.h /usr/include/curl/curl.h
libaprutil1-dbd-sqlite3 /usr/lib/*/apr-util-1/apr_dbd_sqlite3.so
perl                    prove
nodejs                  node
yarnpkg                 yarn yarnpkg
'
# postgresql, nginx, haproxy: their programs only; tests begin servers of their
# own (t/pg.sh, t/82-proxy.t).
# libapache2-mod-perl2 is where Debian keeps Apache::Test; mod_perl itself is
# not loaded. chromium and what package.json of t/page names (below) are for the
# tests of the page.
list_test='
libapache2-mod-perl2    /usr/lib/*/perl5/*/Apache/Test.pm /usr/share/perl5/Apache/Test.pm
libwww-perl             /usr/share/perl5/LWP/UserAgent.pm
libio-socket-ssl-perl   /usr/share/perl5/IO/Socket/SSL.pm
openssl                 openssl
sqlite3                 sqlite3
curl                    curl
clang                   clang
clang-format            clang-format
cppcheck                cppcheck
chromium                chromium
fonts-wqy-microhei      /usr/share/fonts/*/*/*[Cc][Jj][Kk]* /usr/share/fonts/truetype/wqy/*
postgresql              /usr/lib/postgresql/*/bin/initdb
libaprutil1-dbd-pgsql   /usr/lib/*/apr-util-1/apr_dbd_pgsql.so
nginx                   nginx
haproxy                 haproxy
asciinema               asciinema
'
list_fuzz='
clang                   clang
libclang-rt-dev         /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
'

list_analyze='
gcc                     gcc
clang-tidy              clang-tidy
'

list_valgrind='
valgrind                valgrind
'

there() { # COMMAND-OR-PATTERN...: is one of them there?
    for what in "$@"; do
        case $what in
        /*) [ ! -e "$what" ] || return 0 ;;
        *) ! command -v "$what" >/dev/null || return 0 ;;
        esac
    done
    return 1
}

# /usr/sbin is not in everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
missing=
page=
site=
for list in "$@"; do
    case $list in
    run) rows=$list_run site=1 ;;
    test) rows=$list_test page=1 ;;
    fuzz) rows=$list_fuzz ;;
    analyze) rows=$list_analyze ;;
    valgrind) rows=$list_valgrind ;;
    *) echo "deps: no list $list" >&2; exit 2 ;;
    esac
    while read -r package things; do
        # Unquoted: the patterns become file names here.
        [ -z "$package" ] || there $things || missing="$missing $package"
    done <<END
$rows
END
done

if [ -n "$missing" ]; then
    echo "deps: missing:$missing"
    if ! command -v apt-get >/dev/null; then
        echo "deps: no apt-get here: please install these (Debian's names)" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "deps: please run as root: apt-get install --no-install-recommends$missing" >&2
            exit 1
        }
        sudo=sudo
    fi
    log=$(mktemp)
    # A package manager that is cut off leaves a mess: with this trap the shell
    # lets apt-get come to its end, and ends then.
    trap 'rm -f "$log"; exit 143' TERM
    quietly() { # COMMAND...: its output only if it fails
        echo "deps: $*"
        "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; rm -f "$log"; exit 1; }
    }
    quietly $sudo apt-get update
    # Debian begins what it installs: nginx would take port 80, now and at boot.
    services=
    case "$missing " in *" nginx "*) services="$services nginx" ;; esac
    case "$missing " in *" haproxy "*) services="$services haproxy" ;; esac
    policy=
    if [ -n "$services" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        trap '$sudo rm -f $policy "$log"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    quietly $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing
    if [ -n "$services" ] && command -v systemctl >/dev/null; then
        $sudo systemctl disable -q $services >/dev/null 2>&1 || true
    fi
    [ -z "$policy" ] || $sudo rm -f $policy
    trap - EXIT
    rm -f "$log"
fi

# Debian has promtool in prometheus, which would start a server: that file alone
# is taken. Without it a part of t/26-figures.t is skipped, and says so.
if [ -n "$page" ] && ! command -v promtool >/dev/null && [ "$(id -u)" = 0 ] &&
    command -v apt-get >/dev/null; then
    echo 'deps: promtool'
    work=$(mktemp -d)
    (cd "$work" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . &&
        install usr/bin/promtool /usr/local/bin/) >"$work/log" 2>&1 </dev/null ||
        { tail -n 1 "$work/log" >&2; echo 'deps: no promtool: tests that need it are skipped' >&2; }
    rm -rf "$work"
fi

# Debian's own configuration and a2enmod are in apache2, which would start a
# server on port 80: of that, too, only the files are taken. t/root/install.t
# works on a copy of them.
if [ -n "$page" ] && [ ! -e /etc/apache2/apache2.conf ] && [ ! -e build/debian/etc ] &&
    command -v apt-get >/dev/null; then
    echo "deps: Debian's configuration of httpd"
    work=$(mktemp -d)
    mkdir -p build
    (cd "$work" && apt-get download apache2 && dpkg-deb -x apache2_*.deb debian) >"$work/log" 2>&1 </dev/null &&
        mv "$work/debian" build/ ||
        { tail -n 1 "$work/log" >&2; echo 'deps: no such configuration: t/root/install.t is skipped' >&2; }
    rm -rf "$work"
fi

# What the page uses of others: one file of ansi_up, beside the package.json
# that pins its version. The page is served and installed as it lies there, so
# that nothing else may: yarn works elsewhere.
if [ -n "$site" ]; then
    want=$(sed -n 's/.*"ansi_up": *"\(.*\)".*/\1/p' htdocs/vendor/package.json)
    have=$(sed -n 's/^ *this\.VERSION = "\(.*\)";.*/\1/p' \
        htdocs/vendor/ansi_up.mjs 2>/dev/null || true)
    if [ "$want" != "$have" ]; then
        echo "deps: ansi_up $want"
        top=$PWD
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        cp htdocs/vendor/package.json "$work/"
        (cd "$work" && "$top/t/yarn.sh" install --no-lockfile --silent --non-interactive)
        cp "$work/node_modules/ansi_up/LICENSE" htdocs/vendor/ansi_up.LICENSE
        cp "$work/node_modules/ansi_up/ansi_up.js" "$work/ansi_up.mjs"
        chmod 644 "$work/ansi_up.mjs" htdocs/vendor/ansi_up.LICENSE
        mv "$work/ansi_up.mjs" htdocs/vendor/
    fi
fi

# What the browser tests use: a driver, and the rules of accessibility. Without a
# lock file: one would name the registry of whoever wrote it; package.json pins
# the versions, and neither needs anything else.
if [ -n "$page" ]; then
    for package in playwright-core axe-core; do
        want=$(sed -n "s/.*\"$package\": *\"\(.*\)\".*/\1/p" t/page/package.json)
        have=$(sed -n 's/^ *"version": *"\([0-9.]*\)".*/\1/p' \
            "t/page/node_modules/$package/package.json" 2>/dev/null || true)
        [ "$want" != "$have" ] || continue
        echo "deps: $package $want"
        (cd t/page && ../yarn.sh install --no-lockfile --silent --non-interactive)
    done
fi
