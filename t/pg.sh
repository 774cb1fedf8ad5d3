#!/bin/sh
# pg.sh check|run DIR - a throwaway PostgreSQL for the tests
#
# check   says why there can be none here and exits 77, or says nothing
# run     makes a database in DIR/data and becomes its server, which listens on
#         a socket in DIR only and asks nobody who he is. It ends with the
#         process that started it, or by INT
#
# DIR is whatever mktemp made: only its owner gets in. As root the server is
# somebody else, for it refuses to be root.
set -eu

bin=
for dir in /usr/lib/postgresql/*/bin; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
        bin=$dir
    fi
done

case $1 in
check)
    [ -n "$bin" ] || { echo "no PostgreSQL in /usr/lib/postgresql"; exit 77; }
    for file in /usr/lib/*/apr-util-1/apr_dbd_pgsql.so; do
        [ -e "$file" ] || { echo "no libaprutil1-dbd-pgsql"; exit 77; }
    done
    command -v setpriv >/dev/null || { echo "no setpriv"; exit 77; }
    ;;
run)
    dir=$2
    as=
    if [ "$(id -u)" = 0 ]; then
        user=nobody
        chown "$user" "$dir"
        as="--reuid=$user --regid=$(id -g "$user") --clear-groups"
    fi
    cd "$dir"
    if [ ! -e data ]; then
        setpriv $as "$bin/initdb" --pgdata=data --username=buildlog \
            --auth=trust --encoding=UTF8 --locale=C --no-sync >initdb.log 2>&1
    fi
    exec setpriv $as --pdeathsig INT "$bin/postgres" -D data -k "$dir" \
        -c listen_addresses= -c fsync=off -c max_connections=20 \
        >server.log 2>&1
    ;;
*)
    echo "pg.sh: no $1" >&2
    exit 2
    ;;
esac
