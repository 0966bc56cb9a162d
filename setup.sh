#!/usr/bin/env bash
# Makes .venv with what this machine needs; an active environment is used instead.
#
#   bash setup.sh                 set up; run again, it does only what is missing
#   bash setup.sh demo            set up, train on drawn cells, classify others, also with the
#                                 pretrained model: all lies in demo/
#   bash setup.sh test [-k name]  set up, check the code and run the tests (arguments go to pytest)
#
# Set PYTHON=/path/to/python3.12 to choose the Python that .venv is made with.
set -euo pipefail
started=$PWD
CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")"

supported="3.10 to 3.13"

main() {
    case ${1-} in
    test) shift && run_tests "$@" ;;
    demo) shift && run_demo "$@" ;;
    "") just_set_up ;;
    *) usage ;;
    esac
}

just_set_up() {
    set_up
    say_how_to_go_on
}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

usage() {
    say "usage: bash setup.sh [demo | test [arguments for pytest]]"
    exit 2
}

set_up() {
    choose_environment
    choose_requirements
    if is_installed "$requirements"; then return; fi
    say "installing $requirements: some minutes the first time"
    pip_install -r "$requirements"
    mark_installed "$requirements"
}

say_how_to_go_on() {
    if [ "$environment" != "$PWD/.venv" ]; then
        say "ready: the active environment has all that train.py and run.py need"
    elif [ "$started" -ef "$PWD" ]; then
        say "ready; go on with: source .venv/bin/activate"
    else
        say "ready; go on with: cd $(printf %q "$PWD") && source .venv/bin/activate"
    fi
}

# Sets `environment`, a folder, and `python`, the interpreter in it.
choose_environment() {
    environment=$(active_environment)
    environment=${environment:-$PWD/.venv}
    python=$environment/bin/python
    if [ "$environment" = "$PWD/.venv" ]; then
        venv_works || make_venv
        return
    fi
    say "using the active environment $environment"
    is_supported "$python" ||
        fail "$(why_unsupported "$python"): deactivate this environment or activate another," \
            "and run again"
}

# The base environment of conda is active in every shell and belongs to conda itself.
active_environment() {
    if [ -n "${VIRTUAL_ENV-}" ]; then
        echo "$VIRTUAL_ENV"
    elif [ "${CONDA_DEFAULT_ENV-}" != base ]; then
        echo "${CONDA_PREFIX-}"
    fi
}

# If its making was interrupted, .venv has no pip; if it was moved, its activate leads nowhere.
venv_works() {
    is_supported "$python" && "$python" -c 'import pip' 2>/dev/null &&
        grep -qsF -- "$environment" "$environment/bin/activate"
}

make_venv() {
    local base output
    # Making it would empty what the link leads to.
    if [ -L .venv ]; then
        fail "expected .venv to be a folder of this checkout, found a link: remove it (rm .venv), and run again"
    fi
    find_python
    "$base" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "expected the modules venv and ensurepip, found none in $base ($(version_of "$base")):" \
            "on Debian or Ubuntu run apt install python3-venv, then this again"
    say "making .venv with Python $(version_of "$base")"
    output=$("$base" -m venv --clear .venv 2>&1) ||
        fail "cannot make .venv with $base: $(last_line <<<"$output")"
}

# Sets `base`, a local variable of make_venv.
find_python() {
    local first=${PYTHON:-python3}
    for base in "$first" python3.13 python3.12 python3.11 python3.10; do
        if is_supported "$base"; then return; fi
        if [ -n "${PYTHON-}" ]; then break; fi
    done
    fail "$(why_unsupported "$first"): install one that does, or set PYTHON to its path, and run again"
}

why_unsupported() {
    local version
    version=$(version_of "$1")
    case $version in
    3.1[4-9].* | 3.[2-9][0-9].* | [4-9].*)
        echo "Python $version ($1) is too new: the newest that works is ${supported##* }" ;;
    [0-9]*) echo "Python $version ($1) is too old: what works is $supported" ;;
    *) echo "expected Python $supported, found $version ($1)" ;;
    esac
}

is_supported() {
    case $(version_of "$1") in
    3.1[0-3].*) ;;
    *) return 1 ;;
    esac
}

version_of() {
    "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "none that runs"
}

# Sets `requirements`.
choose_requirements() {
    requirements=requirements.txt
    if ! command -v nvidia-smi >/dev/null; then
        say "using requirements.txt: there is no nvidia-smi, so no NVIDIA GPU"
    # One that hangs does so for ever.
    elif timeout -k 1 30 nvidia-smi >/dev/null 2>&1; then
        requirements="requirements-gpu.txt"
        say "using requirements-gpu.txt: nvidia-smi finds a GPU"
    else
        say "using requirements.txt: nvidia-smi fails, so no GPU can be used"
    fi
}

is_installed() { [ "$(checksum "$1")" = "$(cat "$environment/$1.installed" 2>/dev/null)" ]; }

mark_installed() { checksum "$1" >"$environment/$1.installed"; }

# Changes with whatever decides what is installed.
checksum() { cat "$1" requirements-common.txt requirements-cluster.txt setup.sh | cksum; }

pip_install() {
    local log=$environment/setup.log
    "$python" -m pip install "$@" 2>&1 | tee "$log" | show_progress ||
        fail "cannot install ${*: -1}: $(why_pip_failed "$log"); the details are in $log"
}

# pip's last line, rewritten in place where someone watches; nothing in a log.
show_progress() {
    local line
    if [ ! -t 2 ]; then exec cat >/dev/null; fi
    while IFS= read -r line; do
        printf '\r\033[K%.78s' "$line" >&2
    done
    printf '\r\033[K' >&2
}

# Without a network pip's own last line says that there is no such package.
why_pip_failed() {
    if grep -qE 'NewConnection|NameResolution|ConnectTimeout|name resolution|unreachable' "$1"; then
        echo "no network, or pip cannot reach its index"
    else
        { grep '^ERROR' "$1" || cat "$1"; } | last_line
    fi
}

last_line() { sed '/^[[:space:]]*$/d' | tail -n 1; }

run_tests() {
    local status=0
    set_up
    install_for_tests
    "$python" -m ruff check || status=$?
    "$python" -m ruff format --check || status=$?
    "$python" -m mypy || status=$?
    # The last of the four, for its closing line tells how the tests went.
    "$python" -m pytest -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder "$@" ||
        status=$?
    return "$status"
}

install_for_tests() {
    install_browser
    if is_installed requirements-dev.txt; then return; fi
    say "installing requirements-dev.txt"
    pip_install -r requirements-dev.txt
    # An independent reader of our models. Its dependencies would replace tensorflow-cpu.
    pip_install --no-deps 'tf_keras>=2.21,<2.23'
    mark_installed requirements-dev.txt
}

# For the tests of the report; where it cannot be had they are skipped and say so.
install_browser() {
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return; fi
    say "installing Debian's chromium and chromium-driver"
    { apt-get -q update && apt-get -qy install chromium chromium-driver; } >"$environment/browser.log" 2>&1 ||
        say "no browser could be installed, so its tests are skipped; see $environment/browser.log"
}

run_demo() {
    local marker=demo/.made_by_setup
    [ $# -eq 0 ] || usage
    if [ -e demo ] && [ ! -f "$marker" ]; then
        fail "demo exists and was not made by setup.sh; move it away and run again"
    fi
    set_up
    rm -rf demo && mkdir demo && touch "$marker"
    "$python" -m malaria draw --out demo/train --count 300 --seed 1 --patients 12
    "$python" -m malaria draw --out demo/cells --count 20 --seed 2 --patients 4
    "$python" train.py --config=configs/demo.yaml
    "$python" run.py --model=demo/models --image=demo/cells --evaluate \
        --metrics=demo/metrics.json --report=demo/report.html | tee demo/predictions.tsv
    say "the same cells with pretrained/, which learnt from patients and from no drawn cell"
    "$python" run.py --image=demo/cells --evaluate --count_only \
        --metrics=demo/pretrained.json --report=demo/pretrained.html
    say_what_demo_made
}

say_what_demo_made() {
    say "demo/train            the drawn cells it trained on"
    say "demo/models           the model, with the metrics of its training"
    say "demo/cells            drawn cells of other patients"
    say "demo/predictions.tsv  what the model says about these"
    say "demo/report.html      the same as a page to open in a browser, with demo/metrics.json"
    say "demo/pretrained.html  what the pretrained model says, with demo/pretrained.json"
}

main "$@"
