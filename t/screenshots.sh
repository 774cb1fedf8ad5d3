#!/bin/sh
# screenshots.sh [DIRECTORY] - pictures of the page from real builds;
# `make screenshots` calls it
#
# Without DIRECTORY those of README.md, into t/pictures/. With one, all views at three
# widths, light and dark, to be looked at.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The tests run as somebody else.
chmod 1777 "$work"
SHOTS=$work LOOK=${1:+1} t/suite.sh event t/page/screenshots.t
mkdir -p "${1:-t/pictures}"
cp "$work"/*.png "${1:-t/pictures}/"
chmod 644 "${1:-t/pictures}"/*.png
ls -l "${1:-t/pictures}"
