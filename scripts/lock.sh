#!/bin/sh
# Resolves pyproject.toml into the two locks: exact versions and hashes for every system and Python from 3.11 on.
# requirements.lock is the program and what builds it; requirements-dev.lock adds what tests it, at the same versions.
# Usage: scripts/lock.sh [--upgrade]       The locks name no package index and no path of this machine.
set -eu
cd "$(dirname "$0")/.."
uv_version=0.13.9

if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d ' ' -f 2)" != "$uv_version" ]; then
    ./scripts/quietly.sh "uv $uv_version could not be installed." \
        .venv/bin/pip install --disable-pip-version-check --no-input --no-deps "uv==$uv_version"
fi

resolve() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links "$@"
}

resolve --output-file requirements-dev.lock --extra dev "$@" pyproject.toml
# The build backend has its place in both, so that installing needs no second resolution.
sed -n 's/^  "\(hatchling\|editables\)\(.*\)",$/\1\2/p' pyproject.toml |
    resolve --output-file requirements.lock --constraints requirements-dev.lock "$@" pyproject.toml -
