#!/bin/sh
# Brings .venv to exactly the locked packages plus this project, and does nothing when it is there already.
# Usage: scripts/ensure-venv.sh runtime|dev       Speaks on stderr only.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
profile=${1:-runtime}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

quietly() { ./scripts/quietly.sh "$@"; }

require_python() {
    if ! command -v "$python" >/dev/null 2>&1; then
        say "There is no $python here. Install it: sudo apt-get install python3"
        exit 1
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "mailer needs Python 3.11 or newer; $python is $("$python" -V 2>&1)."
        say "Install a newer one and name it: make demo PYTHON=python3.12"
        exit 1
    fi
}

venv_works() {
    # Scripts in a venv name its path, so a tree that was moved or copied needs a new one.
    [ -x .venv/bin/python ] && [ -f .venv/bin/pip ] &&
        head -n 2 .venv/bin/pip | grep -qF "$here/.venv/" &&
        .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

can_make_venvs() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

require_venv_module() {
    can_make_venvs && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        quietly "The package lists could not be fetched." apt-get update
        say "Installing python3-venv ..."
        quietly "python3-venv could not be installed." \
            env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv
        can_make_venvs && return
    fi
    say "$python cannot make virtual environments here. Run this once, then the same command again:"
    say "sudo apt-get install python3-venv"
    exit 1
}

make_venv() {
    require_python
    require_venv_module
    say "Making .venv ..."
    rm -rf .venv
    if ! quietly "The virtual environment could not be made." "$python" -m venv .venv; then
        rm -rf .venv
        exit 1
    fi
}

# What an installation was made from; another text here means: install again.
lock_of() { printf '%s %s' "$1" "$(cksum <"$1")"; }
project_of() { printf '%s %s' "$here" "$(cksum <pyproject.toml)"; }
stamped() { [ -f ".venv/$1" ] && [ "$(cat ".venv/$1")" = "$2" ]; }
stamp() { printf '%s' "$2" >".venv/$1"; }

install_lock() {
    # The development lock holds every version of the runtime lock, so it serves for both.
    stamped .dev-lock "$(lock_of requirements-dev.lock)" && return
    # Only built packages: nothing runs while they are installed, and no compiler is needed.
    # The one test tool that is published as source alone is the exception.
    lock=requirements.lock built="--only-binary :all:"
    [ "$profile" = dev ] && lock=requirements-dev.lock built="$built --no-binary dkimpy"
    stamped ".$profile-lock" "$(lock_of $lock)" && return
    say "Installing the packages of $lock ..."
    # shellcheck disable=SC2086  # options on purpose
    quietly "The packages of $lock could not be installed; pip's own words are above." \
        .venv/bin/pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes --no-deps $built -r "$lock"
    rm -f .venv/.runtime-lock .venv/.dev-lock
    stamp ".$profile-lock" "$(lock_of $lock)"
}

install_project() {
    stamped .project "$(project_of)" && [ -x .venv/bin/mailer ] && return
    say "Installing mailer ..."
    quietly "mailer itself could not be installed." \
        .venv/bin/pip install --quiet --disable-pip-version-check --no-input \
        --no-index --no-deps --no-build-isolation --editable .
    stamp .project "$(project_of)"
}

venv_works || make_venv
install_lock
install_project
