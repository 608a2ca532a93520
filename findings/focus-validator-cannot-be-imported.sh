#!/usr/bin/env bash
# focus-validator 1.0.0: as pip installs it today (with multimethod 2.1), its command ends with an ImportError. It pins pandera 0.17,
# which imports `overload` from multimethod and asks for no version of it; multimethod 2 has no `overload` any more.
#
# Seen: ImportError: cannot import name 'overload' from 'multimethod'; with multimethod 1.12 the command answers 0.5, 1.0, 1.0-preview.
# Fails when the command runs with multimethod 2.1, or does not with 1.12.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
validator() { "$folder/venv/bin/focus-validator" --supported-versions 2>&1; }

pip focus-validator==1.0.0 multimethod==2.1
if said=$(validator); then
    echo "it runs with multimethod 2.1: this has changed"
    exit 1
fi
tail -1 <<<"$said" | sed 's/ (.*//'
grep -q "cannot import name 'overload' from 'multimethod'" <<<"$said"

pip multimethod==1.12
validator | sort | tr '\n' ' ' | tee "$folder/versions"
grep -q '^0.5 1.0 1.0-preview $' "$folder/versions"
echo
echo "still so: pip install focus-validator gives a command that cannot start"
