# Sourced by every script here: the checkout, PostgreSQL's directories, and the
# user that the server runs as.
# shellcheck shell=bash

set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # for those who source this
scripts=$checkout/scripts
PG_CONFIG=${PG_CONFIG:-pg_config}

# Somebody's PGHOST, PGDATABASE or PGOPTIONS must not lead us to their server,
# nor flags meant for the make that called us to the makes that we call.
for name in ${!PG@}; do
    [ "$name" = PG_CONFIG ] || unset "$name"
done
unset name MAKEFLAGS MFLAGS MAKELEVEL

# In another language programs say what we do not look for; and in Turkish [a-z] has no q,
# w and x.
export LC_ALL=C.UTF-8
unset LANGUAGE

# A caller's umask of 077 would lock the server's user out of its own binaries.
umask 022

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# One aligned line: what, and what about it.
say() {
    printf '  %-11s %s\n' "$@"
}

run_make() {
    make --no-print-directory -C "$checkout" PG_CONFIG="$PG_CONFIG" "$@"
}

version() {
    sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" "$checkout/oauth_tokens.control"
}

# PostgreSQL refuses to run as root, so root lends it the user of Debian's
# package; anybody else runs it as themselves.
if [ "$(id -u)" -eq 0 ]; then
    server_user=postgres
else
    server_user=$(id -un)
fi

# Runs a command as the server's user, in a directory that it can enter. The
# environment goes along: that is how a key reaches the server.
as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid="$server_user" --regid="$(id -gn "$server_user")" \
            --init-groups -- "$@")
    else
        (cd / && exec "$@")
    fi
}

# count NAME COMMAND…: runs it, and counts it as passed or failed.
count() {
    if "${@:2}"; then
        echo "ok      $1"
        passed=$((passed + 1))
    else
        echo "FAILED  $1"
        failed=$((failed + 1))
    fi
}

# The last line of a test stage: finish STAGE PASSED FAILED [SKIPPED].
finish() {
    printf '\n%s: %d passed, %d failed' "$1" "$2" "$3"
    [ "${4:-0}" -eq 0 ] || printf ', %d skipped' "$4"
    echo
    exit $(($3 > 0))
}

# The same, counted from a JUnit file that a test runner wrote.
finish_junit() {
    local suite
    suite=$(tr '\n\t' '  ' < "$2" | grep -o '<testsuite [^>]*')
    attribute() {
        sed -n "s/.*[ \"]$1=\"\([0-9]*\)\".*/\1/p" <<< "$suite" | grep . || echo 0
    }
    local broken=$(($(attribute failures) + $(attribute errors)))
    local skipped=$(($(attribute skipped) + $(attribute disabled)))
    finish "$1" $(($(attribute tests) - broken - skipped)) "$broken" "$skipped"
}

# How pytest runs files of end-to-end tests side by side. They wait more than they work.
side_by_side() {
    local workers=$((2 * $(nproc)))
    echo "--numprocesses=$((workers < 8 ? workers : 8)) --dist=loadfile"
}
