#!/bin/sh
# install.sh install|uninstall - puts what was built into httpd's places, and
# takes it away again; `make install` and `make uninstall` call it
#
# MODULE, COMMAND, APXS, PREFIX and DESTDIR come from the Makefile. Where httpd
# has a directory mods-available (Debian) the configuration goes there, for
# a2enmod; elsewhere into extra, to be Included.
#
# A configuration file that somebody has edited is never overwritten or
# removed: what was installed is known by the copy in share.
set -eu
umask 022
lib=$($APXS -q LIBEXECDIR)
etc=$($APXS -q SYSCONFDIR)
share=$PREFIX/share/mod_buildlog
root=$DESTDIR
debian=
conf=$etc/extra
state='buildlog in the runtime directory'
if [ -d "$etc/mods-available" ] || [ -d "$root$etc/mods-available" ]; then
    debian=1
    conf=$etc/mods-available
    state=/var/lib/buildlog
fi
work=

say() { echo "install: $*"; }

# Has somebody edited what was installed?
is_edited() { # NAME
    [ -e "$root$conf/$1" ] && ! cmp -s "$root$conf/$1" "$root$share/conf/$1"
}

put_conf() { # NAME, in $work
    if is_edited "$1" && ! cmp -s "$root$conf/$1" "$work/$1"; then
        say "$root$conf/$1 was edited and stays; that of this version is $root$share/conf/$1"
    else
        install -D -m 644 "$work/$1" "$root$conf/$1"
    fi
    install -D -m 644 "$work/$1" "$root$share/conf/$1"
}

make_conf() {
    {
        # a2enmod enables these as well.
        echo '# Depends: alias authz_core dir mime'
        echo "LoadModule buildlog_module $lib/mod_buildlog.so"
    } >"$work/buildlog.load"
    {
        cat conf/buildlog.conf
        sed "s|@SHARE@|$share|g" conf/page.conf.in
        [ -z "$debian" ] || cat conf/state.conf.in
    } >"$work/buildlog.conf"
}

# The page as a whole: what an earlier version had and this one has not is gone.
put_page() {
    page=$root$share/htdocs
    rm -rf "$page.new" "$page.old"
    (cd htdocs && find . -type f ! -name package.json) | while read -r file; do
        install -D -m 644 "htdocs/$file" "$page.new/$file"
    done
    [ ! -e "$page" ] || mv "$page" "$page.old"
    mv "$page.new" "$page"
    rm -rf "$page.old"
}

put_all() {
    [ -f htdocs/vendor/ansi_up.mjs ] || {
        echo 'install: the page needs ansi_up: make deps brings it' >&2
        exit 1
    }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    make_conf
    install -d "$root$share"
    put_page
    put_conf buildlog.load
    put_conf buildlog.conf
    install -m 644 conf/buildlog-full.conf conf/systemd.conf "$root$share"
    install -D -m 755 "$COMMAND" "$root$PREFIX/bin/buildlog"
    install -D -m 644 src/command/buildlog.1 "$root$PREFIX/share/man/man1/buildlog.1"
    # Last, and as a new file: an httpd that runs keeps the one it has.
    install -D -m 644 "$MODULE" "$root$lib/mod_buildlog.so"
    say "module in $root$lib, configuration in $root$conf, page in $root$share/htdocs"
    [ -z "$root" ] || return 0
    if [ -n "$debian" ]; then
        say 'now: a2enmod buildlog && systemctl reload apache2; the page is at /buildlog/'
    else
        say "now: Include $conf/buildlog.load and $conf/buildlog.conf, and reload httpd; the page is at /buildlog/"
    fi
    say "what may be built is said in a <Directory>: see $share/buildlog-full.conf"
    say 'an httpd that runs an earlier version has to be stopped and started'
}

disable() {
    enabled=$root$etc/mods-enabled
    [ -h "$enabled/buildlog.load" ] || [ -h "$enabled/buildlog.conf" ] || return 0
    if [ -z "$root" ] && command -v a2dismod >/dev/null; then
        a2dismod --quiet --purge buildlog
        say 'a2dismod has disabled the module'
    fi
    rm -f "$enabled/buildlog.load" "$enabled/buildlog.conf"
    say 'BuildLog directives of your own keep httpd from starting now, unless they are in <IfModule buildlog_module>'
    say 'an httpd that runs still has the module: systemctl restart apache2 (ends builds)'
}

take_all() {
    [ -z "$debian" ] || disable
    for name in buildlog.load buildlog.conf; do
        if is_edited $name; then
            say "$root$conf/$name was edited and stays"
        else
            rm -f "$root$conf/$name"
        fi
    done
    rm -f "$root$lib/mod_buildlog.so" "$root$PREFIX/bin/buildlog" \
        "$root$PREFIX/share/man/man1/buildlog.1"
    rm -rf "$root$share"
    [ -n "$debian" ] || rmdir "$root$conf" 2>/dev/null || true
    say 'removed; logs and history stay in BuildLogStateDir' \
        "($state if nobody said otherwise)"
}

case ${1:-} in
install) put_all ;;
uninstall) take_all ;;
*) echo 'usage: install.sh install|uninstall' >&2; exit 2 ;;
esac
