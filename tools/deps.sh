#!/bin/sh
# Install what building, testing or CI needs on Debian and Ubuntu, saying so; nothing where all of
# it is there. Usage: sh tools/deps.sh build|test|ci; "lists" only fetches the package lists.
set -eu

build="gcc g++ make autoconf automake libtool pkg-config liburing-dev libzstd-dev libxxhash-dev
    libarchive-dev libjansson-dev libsimdjson-dev"
test="check python3 python3-xxhash python3-zstandard zstd"
ci="clang libomp-dev xz-utils git"

case ${1-} in
build) want=$build ;;
test) want="$build $test" ;;
ci) want="$build $test $ci" ;;
lists) want= ;;
*) echo "usage: sh tools/deps.sh build|test|ci|lists" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: this is not Debian or Ubuntu; install by hand what configure asks for" >&2
    exit 0
fi

missing=
for p in $want; do
    # Which package has this one differs between releases.
    if [ "$p" = pkg-config ] && command -v pkg-config >/dev/null 2>&1; then continue; fi
    case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $p" ;;
    esac
done
if [ "$1" = lists ]; then missing=" (package lists)"; fi
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        if [ "$1" = lists ]; then
            echo "deps: there are no package lists and no sudo; as root, run: apt-get update" >&2
            exit 1
        fi
        echo "deps: these packages are missing and there is no sudo; as root, run" >&2
        echo "    apt-get install$missing" >&2
        exit 1
    }
    sudo=sudo
fi
if [ "$1" = lists ]; then
    echo "deps: fetching package lists with ${sudo:+sudo }apt-get update" >&2
    exec $sudo apt-get update -qq >&2
fi
echo "deps: installing with ${sudo:+sudo }apt-get:$missing" >&2
log=$(mktemp "${TMPDIR:-/tmp}/shardline-deps.XXXXXX")
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        $missing >"$log" 2>&1
}
# Package lists may be missing on a fresh machine, or old.
install || { $sudo apt-get update -qq >&2 && install; } || {
    cat "$log" >&2
    exit 1
}
