#!/bin/sh
# yarn.sh ARGUMENT... - yarn, under whatever name this machine has it
#
# Debian calls it yarnpkg and keeps its modules in /usr/share/nodejs, where
# only Debian's own node looks by itself.
# NODE_PATH is set only if yarnpkg does not start without: programs that yarn
# starts would see it, too.
set -eu
here=$(readlink -f "$0")
# This file may be in PATH under the name of yarn: that one does not count.
yarn=$(command -v yarn || true)
if [ -n "$yarn" ] && [ "$(readlink -f "$yarn")" != "$here" ]; then
    exec yarn "$@"
fi
yarnpkg --version >/dev/null 2>&1 ||
    export NODE_PATH="/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}"
exec yarnpkg "$@"
