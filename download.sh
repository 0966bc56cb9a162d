#!/usr/bin/env bash
# Fetches the NLM malaria cell images (27,558 images, 337 MiB) into cell_images/ beside this file.
#
#   bash download.sh
#
# Run again after an interruption, it goes on where it stopped; run twice at once, the second says so
# and ends. To use another archive of the same layout, set CELL_IMAGES_URL (http, https or file) and
# CELL_IMAGES_SHA256.
set -euo pipefail
CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")"

url=${CELL_IMAGES_URL:-https://data.lhncbc.nlm.nih.gov/public/Malaria/cell_images.zip}
expected=${CELL_IMAGES_SHA256:-0a949556b2414159b5100192609805376654c4266d8d187be9b1922fad43c668}
images=cell_images
part=cell_images.zip.part
log=$part.log
lock=cell_images.zip.lock
attempts=5

main() {
    local result
    [ $# -eq 0 ] || usage
    trap interrupted INT
    # Otherwise who reaches a limit of file size is killed, and cannot say so.
    trap '' XFSZ
    find_python
    expected=$(lower "$expected")
    if archive check "$images" || { be_alone && archive check "$images"; }; then
        [ ! -f "$part" ] || remove_part
        tidy
        echo "$images/ is complete: nothing to do"
        return
    fi
    refuse_to_replace
    is_fetched || fetch
    verify
    say "unpacking"
    result=$(archive unpack "$part" "$images" "$expected")
    remove_part
    echo "$result"
}

# Addresses and answers of servers come from strangers: what could move a cursor is a question mark. In
# the locale C that is all but ASCII, so that no terminal takes a byte beyond it for a control character.
say() {
    local LC_ALL=C
    printf '%s\n' "${*//[^[:print:]]/?}" >&2
}

fail() {
    say "error: $*"
    exit 1
}

usage() {
    say "usage: bash download.sh (settings: CELL_IMAGES_URL, CELL_IMAGES_SHA256)"
    exit 2
}

interrupted() {
    say "interrupted: what arrived is kept in $part; run bash download.sh again to go on"
    exit 130
}

remove_part() {
    rm -f "$part"
    say "removed $part, which is no longer needed"
}

# The lock is held by an open file, which all that we start inherits: where we are killed and curl
# goes on, nobody else may write into the same file.
be_alone() {
    [ ! -L "$lock" ] || fail "cannot write $lock: it is a link: delete it"
    { exec 9<>"$lock"; } 2>/dev/null || fail "cannot write $lock here"
    archive lock "$lock" "$part" "$log" || exit
    trap tidy EXIT
}

# wget leaves an empty file where the server had none. The lock stays where somebody holds it yet.
tidy() {
    rm -f "$log"
    if [ -f "$part" ] && [ ! -s "$part" ]; then rm -f "$part"; fi
    exec 9>&-
    archive unlock "$lock" 2>/dev/null || true
}

find_python() {
    local is_new_enough='import sys; sys.exit(sys.version_info < (3, 10))'
    for python in .venv/bin/python python3; do
        if undisturbed -c "$is_new_enough" 2>/dev/null; then return; fi
    done
    fail "expected Python 3.10 or newer as .venv/bin/python or python3, found none that runs: install it"
}

archive() { undisturbed -m malaria.cli.archive "$@"; }

# Python, which would answer Ctrl-C with a traceback until it has loaded what it needs.
undisturbed() (
    trap '' INT
    exec "$python" "$@"
)

# Whatever lies there may be somebody's work.
refuse_to_replace() {
    if [ -f "$images/.complete" ]; then
        fail "$images/ has lost or gained files since it was unpacked; move it away and run again"
    elif [ -e "$images" ] || [ -L "$images" ]; then
        fail "$images exists and was not made by download.sh; move it away and run again"
    elif [ -e "$part" ] && [ ! -f "$part" ]; then
        fail "$part is not a regular file; move it away and run again"
    fi
}

# Whether an earlier run, stopped while it unpacked, has fetched all of it.
is_fetched() { [ -f "$part" ] && [ "$(archive digest "$part")" = "$expected" ]; }

lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }

fetch() {
    say "fetching $url"
    # Any other is not for curl to guess: it would wait at file:/a/pipe for ever.
    case $(lower "$url") in
    file://*) archive copy "$url" "$part" ;;
    http://* | https://*) fetch_over_network ;;
    *) fail "cannot fetch $url: expected an http, https or file address" ;;
    esac
}

# Our own attempts, for curl --retry would begin each at the same place.
fetch_over_network() {
    local attempt outcome
    find_tool
    for attempt in $(seq "$attempts"); do
        outcome=0
        "fetch_with_$tool" || outcome=$?
        [ "$outcome" -ne "$whole" ] || return 0
        [ "$outcome" -ne "$hopeless" ] || fail "cannot fetch $url: $problem"
        [ "$attempt" -eq "$attempts" ] || { say "$problem; trying again" && sleep "$attempt"; }
    done
    fail "cannot fetch $url: $problem, $attempts times; run bash download.sh again to go on"
}

find_tool() {
    for tool in curl wget; do
        if command -v "$tool" >/dev/null; then return; fi
    done
    fail "expected curl or wget, found neither: install one of them"
}

# What fetch_with_curl and fetch_with_wget return; `problem` says the rest.
whole=0 transient=1 hopeless=2 problem=

try_again() {
    problem=$1
    return "$transient"
}

give_up() {
    problem=$1
    return "$hopeless"
}

fetch_with_curl() {
    local status=0 answer bar=--silent
    if [ -t 2 ]; then bar=--progress-bar; fi
    answer=$(curl "$bar" --no-show-error --fail --location --continue-at - --output "$part" \
        --connect-timeout 30 --speed-limit 1000 --speed-time 60 \
        --write-out '%{http_code}' -- "$url") || status=$?
    case $status in
    0) return "$whole" ;;
    1 | 3) give_up "expected an http, https or file address" ;;
    6) give_up "there is no such host, or no network" ;;
    7) try_again "the host does not answer, or there is no network" ;;
    22) judge_answer "$answer" ;;
    23) give_up "cannot write $part (is the disk full?)" ;;
    33 | 36) start_over ;;
    60) give_up "the certificate of the host is not trusted" ;;
    *) try_again "the connection broke (curl exit status $status)" ;;
    esac
}

start_over() {
    rm -f "$part"
    try_again "the server cannot go on where $part ends, so it was removed"
}

fetch_with_wget() {
    local status=0 bar=--no-verbose
    if [ -t 2 ]; then bar=--show-progress; fi
    LC_ALL=C wget --no-verbose "$bar" --continue --tries=1 --timeout=60 \
        --output-document="$part" --output-file="$log" -- "$url" || status=$?
    case $status in
    0) return "$whole" ;;
    1 | 2) give_up "expected an http, https or file address" ;;
    3) give_up "cannot write $part (is the disk full?)" ;;
    4) judge_network ;;
    5) give_up "the certificate of the host is not trusted" ;;
    8) judge_answer "$(sed -n 's/.*ERROR \([0-9]*\).*/\1/p' "$log")" ;;
    *) try_again "the connection broke (wget exit status $status)" ;;
    esac
}

# wget has one exit status for all of these.
judge_network() {
    if grep -q 'unable to resolve' "$log"; then
        give_up "there is no such host, or no network"
    elif grep -q 'Connection refused' "$log"; then
        try_again "the host does not answer, or there is no network"
    else
        try_again "the connection broke"
    fi
}

judge_answer() {
    case $1 in
    416) return "$whole" ;; # There is nothing beyond what arrived; verify says if it is right.
    408 | 429 | 5??) try_again "the server answered $1" ;;
    *) give_up "the server answered $1; expected the archive at that address" ;;
    esac
}

verify() {
    local received
    received=$(archive digest "$part")
    if [ "$received" = "$expected" ]; then return; fi
    rm -f "$part"
    fail "$part: expected SHA-256 $expected, received $received; removed it: run bash download.sh" \
        "again, or, if CELL_IMAGES_URL names another archive, set CELL_IMAGES_SHA256 to the latter"
}

main "$@"
