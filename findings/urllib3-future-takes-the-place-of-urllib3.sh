#!/usr/bin/env bash
# urllib3-future 2.25.904, which niquests 3.21.2 brings: its wheel holds a folder `urllib3` of its own, written over the one of
# urllib3. From then on all that uses urllib3 (requests, for one) runs on the fork, while the metadata, by which
# instrumentors decide what they support, gives urllib3's version. When the two are uninstalled the folder goes with them:
# pip lists urllib3, finds nothing broken and has nothing to install, and requests cannot be imported.
#
# Seen: `urllib3.__version__` 2.25.904 where the metadata says 2.7.0; after the uninstall a ModuleNotFoundError, with `pip check` content.
# Fails when urllib3 stays what its metadata says, or requests can still be imported.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --disable-pip-version-check "$@"; }
versions() { "$folder/venv/bin/python" -c 'import importlib.metadata, requests, urllib3; print(urllib3.__version__, importlib.metadata.version("urllib3"))'; }

pip install --quiet urllib3==2.7.0 requests==2.34.2
test "$(versions)" = "2.7.0 2.7.0"

pip install --quiet niquests==3.21.2 urllib3-future==2.25.904
echo "imported, by the metadata: $(versions)"
test "$(versions)" = "2.25.904 2.7.0" || { echo "urllib3 stays itself: this has changed"; exit 1; }

pip uninstall --quiet --yes niquests urllib3-future
pip check
pip install urllib3==2.7.0 requests==2.34.2 2>/dev/null | grep '^Requirement already satisfied: urllib3==2.7.0' | sed 's/ in .*//'
if said=$(versions 2>&1); then
    echo "requests can be imported: this has changed"
    exit 1
fi
tail -1 <<<"$said"
grep -q "No module named 'urllib3" <<<"$said"
echo "still so: one package takes another's place, and takes it away"
