#!/bin/sh
# Runs a command without a word; when it fails, shows its last lines and the given sentence on stderr.
# Usage: scripts/quietly.sh "Sentence for a failure." command [argument ...]
set -u
sentence=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" >"$log" 2>&1 </dev/null
code=$?
if [ "$code" -ne 0 ]; then
    tail -n 40 "$log" >&2
    printf '%s\n' "$sentence" >&2
fi
exit "$code"
