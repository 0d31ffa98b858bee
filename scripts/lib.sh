# shellcheck shell=bash disable=SC2034 # others use what is set here
# Shared by the scripts beside it: where things are, who runs the server, how a
# throw-away cluster is made. Sourced, not run.

set -euo pipefail
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that called us
umask 022 # the server's user reads what root makes
# Clusters take their encoding from it, and messages their language. Every Debian has it.
unset LANGUAGE "${!LC_@}" # pg_regress would drop LC_ALL
export LANG=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pg_major=${PG_MAJOR:-15}
pg_prefix=${IDGEN_PG_PREFIX:-/usr/lib/postgresql/$pg_major} # another build of it: scripts/assertions
pg_bin=$pg_prefix/bin
pg_config=$pg_bin/pg_config
pg_lib=$pg_prefix/lib
pgxs_test=$pg_lib/pgxs/src/test

# The server refuses to run as root and can't read root's home. Then it runs as
# Debian's user postgres, and everything it needs is copied to a folder outside of
# the checkout. That folder is root's, all the way up, so that nothing which root
# runs or writes there can be another user's. The server's user has folders in it
# (fresh_folder), in which root runs nothing and writes nothing.
if [ "$(id -u)" -eq 0 ]; then
    server_user=postgres
    work=/var/cache/idgen/$(printf '%s' "$root" | cksum | cut -d' ' -f1)
else
    server_user=$(id -un)
    work=$root/build/work
fi

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd "$work" && setpriv --reuid="$server_user" --regid="$server_user" --init-groups \
            env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE HOME="$work/home" "$@")
    else
        (cd "$work" && env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE "$@")
    fi
} 8>&- # a server that stays doesn't keep the checkout's lock

# Makes a folder of the server's user's, empty, that nobody else may enter. Its
# parent is not the server's user's.
fresh_folder() {
    rm -rf "$1"
    mkdir -m 700 "$1"
    [ "$(id -u)" -ne 0 ] || chown -h "$server_user:" "$1"
}

ensure_work() {
    mkdir -p "$work"
    [ -d "$work/home" ] || fresh_folder "$work/home"
}

# Copies to a folder what git tracks or would, as it is in the working tree; objects of the
# last run stay there.
copy_checkout() {
    mkdir -p "$1"
    find "$1" -type f ! -name '*.o' ! -name '*.d' ! -name '*.so' -delete
    (cd "$root" && git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar --create --null --files-from=-) | tar --extract --no-same-owner -C "$1"
}

# What builds and stages waits here for what else does so in this checkout, and
# keeps others waiting until it ends.
lock_checkout() {
    exec 8>"$work/lock"
    flock -n 8 || { echo "idgen: waiting for what else builds or tests in $root"; flock 8; }
}

build_and_stage() {
    make -s -C "$root" -j2 PG_CONFIG="$pg_config" all
    rm -rf "$work/stage"
    make -s -C "$root" PG_CONFIG="$pg_config" DESTDIR="$work/stage" install
    # pg_upgrade loads what functions name, and 18 looks for '$libdir/idgen' in no other
    # folder than the installation's, whatever the control file's path.
    [ "$pg_major" -lt 18 ] ||
        sed -i "s,'\$libdir/idgen','idgen'," "$work/stage/usr/share/postgresql/$pg_major/extension/idgen.control"
    chmod -R a+rX "$work/stage"
}

# The settings by which a server finds the staged extension: extension_destdir,
# which is Debian's, up to 17, and extension_control_path from 18 on. The
# preloaded library is found by dynamic_library_path.
stage_settings() {
    if [ "$pg_major" -ge 18 ]; then
        echo "extension_control_path = '$work/stage/usr/share/postgresql/$pg_major:\$system'"
    else
        echo "extension_destdir = '$work/stage'"
    fi
    echo "dynamic_library_path = '$work/stage$pg_lib:\$libdir'"
    echo "shared_preload_libraries = 'idgen'"
}

# The folder of a cluster's socket: its own, unless the checkout lies so deep
# that the name of a socket (107 characters at most) would not fit. (Root's doesn't.)
# The servers trust whoever reaches the socket: their own user and root.
socket_of() {
    local folder=$1
    if [ ${#folder} -gt 85 ]; then
        folder=/tmp/idgen-$(id -u)-$(printf '%s' "$1" | cksum | cut -d' ' -f1)
        [ -d "$folder" ] || mkdir -m 700 "$folder"
        if [ ! -O "$folder" ] || [ -L "$folder" ]; then
            echo "$folder belongs to somebody else" >&2
            return 1
        fi
        chmod 700 "$folder"
    fi
    echo "$folder"
}

# start_cluster FOLDER [SETTING...]: a server on a socket in socket_of FOLDER.
start_cluster() {
    local folder=$1 socket
    shift
    fresh_folder "$folder"
    socket=$(socket_of "$folder")
    as_server "$pg_bin/initdb" -D "$folder/data" -A trust -U postgres --no-sync >"$work/initdb.log" 2>&1 ||
        { cat "$work/initdb.log"; return 1; }
    {
        stage_settings
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$socket'"
        printf '%s\n' "$@"
    } | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
    as_server "$pg_bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null ||
        { as_server tail -n 20 "$folder/log"; return 1; }
}

stop_cluster() {
    [ -s "$1/data/postmaster.pid" ] || return 0
    as_server "$pg_bin/pg_ctl" -D "$1/data" -m fast -w stop >/dev/null
}
