# shellcheck shell=bash
# Virtual environments of the project, made by the scripts beside this file. To be sourced by bash, not run.
#
# PYTHON                  the interpreter, python3 unless set
# RAGMETER_ENVIRONMENTS   the folder that holds the environments, the project's own unless set

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
environments=${RAGMETER_ENVIRONMENTS:-$root}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# What an environment depends on: the interpreter, the place of the project, what it asks for and what is held back.
fingerprint() {
    {
        "$python" -c 'import sys; print(sys.executable, sys.version)'
        echo "$root"
        cat "$root/pyproject.toml" "$root/scripts/oldest.txt" "$root/scripts/middle.txt"
    } | sha256sum | cut -d ' ' -f 1
}

# Makes folder $1 a virtual environment. Debian leaves out ensurepip, so pip itself may have to stay outside.
make_environment() {
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear "$1"
    else
        "$python" -m venv --clear --without-pip "$1"
    fi
}

# Runs pip for the environment in folder $1 with the other arguments.
pip_in() {
    local folder=$1
    shift
    if "$folder/bin/python" -c 'import pip' 2>/dev/null; then
        "$folder/bin/python" -m pip "$@"
    elif "$python" -c 'import pip' 2>/dev/null; then
        "$python" -m pip --python "$folder/bin/python" "$@"
    else
        fail "'$python' has no pip. On Debian: apt-get install python3-pip"
    fi
}

# Keeps pip's words of standard input in file $1 and shows how far it got: in place on a terminal, else now and then.
show_progress() {
    local line count=0 step
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$1"
        case $line in
            Collecting*) count=$((count + 1)) step="$count packages" ;;
            "Installing collected"*) step="$count packages found, installing them" ;;
            *) continue ;;
        esac
        if [[ -t 2 ]]; then
            printf '\r\033[K  %s ...' "$step" >&2
        elif [[ $line == Inst* ]] || ((count % 25 == 0)); then
            printf '  %s ...\n' "$step" >&2
        fi
    done
    if [[ -t 2 ]]; then
        printf '\r\033[K' >&2
    fi
}

# Installs into environment $1 (a name such as .venv) what the pip arguments after $2 say, once per fingerprint;
# $2 names that set. Sets environment to its folder.
ensure_environment() {
    local name=$1 set=$2 log stamp wanted started=$SECONDS
    shift 2
    environment=$environments/$name
    stamp=$environment/.installed-$set
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "'$python' is not Python 3.11 or newer. Name one: PYTHON=/path/to/python3.11 $0"
    wanted=$(fingerprint)
    if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    if ! cat "$environment"/.installed-* 2>/dev/null | grep -qx "$wanted"; then
        make_environment "$environment"
    fi
    log=$environment/pip-$set.log
    : >"$log"
    echo "Installing into $environment (once; a minute or two) ..." >&2
    if ! (cd "$root" && pip_in "$environment" install --disable-pip-version-check "$@") 2>&1 | show_progress "$log"; then
        tail -n 30 "$log" >&2
        fail "pip could not install $* (all of its words: $log). Is the package index reachable?"
    fi
    echo "$wanted" >"$stamp"
    echo "Installed in $((SECONDS - started)) s." >&2
}
