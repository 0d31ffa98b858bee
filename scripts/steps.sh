# shellcheck shell=bash source=lib.sh disable=SC2034,SC2154 # lib.sh's names
# Shared by scripts/test and scripts/flaky: how the tests are staged and run, and how a
# failing one is named. Sourced after lib.sh, not run.

export IDGEN_WERROR=1 # Makefile

# What the server's user may have to read: the tests and what they run.
stage_tests() {
    build_and_stage
    rm -rf "$work/source"
    mkdir -p "$work/source"
    (cd "$root" && cp -R README.md docs sql expected test "$work/source/" && cp -R --parents scripts/pg_upgradecluster "$work/source/")
    mkdir -p "$work/bin"
    "$root/scripts/unit" collector claimant bad_disk binary_client
    cp --remove-destination "$work"/unit/test/load/{collector,claimant,libbad_disk.so} \
        "$work/unit/test/clients/binary_client" "$work/bin/"
    stage_settings >"$work/stage.conf"
    stage_injection
    stage_older
    stage_node_pg
    chmod -R a+rX "$work/source" "$work/bin" "$work/stage.conf" "$work/injection.conf"
}

# Sources only, and only what has changed: no object of the other build.
copy_sources() {
    mkdir -p "$1"
    (cd "$root" && find Makefile idgen.control include src sql/idgen--*.sql -type f ! -name '*.o' ! -name '*.d' \
        -exec cp -up --parents -t "$1" {} +)
}

# A second build, with the points at which tests may stop callers and the worker.
stage_injection() {
    local folder=$work/injection
    copy_sources "$folder"
    make -s -C "$folder" -j2 PG_CONFIG="$pg_config" IDGEN_INJECTION=1 all
    rm -rf "$work/stage-injection"
    make -s -C "$folder" PG_CONFIG="$pg_config" IDGEN_INJECTION=1 DESTDIR="$work/stage-injection" install
    chmod -R a+rX "$work/stage-injection"
    sed "s,$work/stage,$work/stage-injection," "$work/stage.conf" >"$work/injection.conf"
}

# For pg_upgrade: a build for the newest of the older majors that are installed. Not
# to 18 and later, which find '$libdir/idgen' (17's name for it) in no staged folder.
stage_older() {
    local folder=$work/older bin major
    rm -f "$work/older.bin"
    [ "$pg_major" -le 17 ] || return 0
    for bin in /usr/lib/postgresql/*/bin; do
        major=$(basename "${bin%/bin}")
        if [ "$major" -ge 15 ] && [ "$major" -lt "$pg_major" ] && [ -x "$bin/pg_config" ] && [ -x "$bin/initdb" ]; then
            printf '%s\n' "$bin" >"$work/older.bin"
        fi
    done
    [ -e "$work/older.bin" ] || return 0
    bin=$(cat "$work/older.bin")
    copy_sources "$folder"
    make -s -C "$folder" -j2 PG_CONFIG="$bin/pg_config" all
    rm -rf "$work/stage-older"
    make -s -C "$folder" PG_CONFIG="$bin/pg_config" DESTDIR="$work/stage-older" install
    # shellcheck disable=SC2030
    (pg_major=$(basename "${bin%/bin}") pg_lib=${bin%/bin}/lib && stage_settings) |
        sed "s,$work/stage,$work/stage-older," >"$work/older.conf"
    chmod -R a+rX "$work/stage-older" "$work/older.conf" "$work/older.bin"
}

# node-postgres: Debian's, if it is installed, or what test/clients/package-lock.json
# names. Without it 041_clients.t fails, and nothing else.
stage_node_pg() {
    local folder=$work/clients
    printf '%s\n' /usr/share/nodejs >"$work/node.path"
    case $(dpkg-query -W -f='${db:Status-Abbrev}' node-pg 2>/dev/null || true) in ii*) return 0 ;; esac
    printf '%s\n' "$folder/node_modules" >"$work/node.path"
    mkdir -p "$folder"
    cmp -s "$root/test/clients/package-lock.json" "$folder/installed.json" && return 0
    rm -f "$folder/installed.json"
    cp "$root"/test/clients/package*.json "$folder/"
    (cd "$folder" && npm ci --no-audit --no-fund && cp package-lock.json installed.json) || echo 'npm ci failed'
    chmod -R a+rX "$folder"
}

# run_regress FOLDER SCHEDULE: the regression tests of the schedule, on a cluster of their own.
run_regress() {
    local folder=$1 schedule=$2
    fresh_folder "$folder"
    # An epoch that makes the IDs of recent times short.
    { stage_settings; printf '%s\n' "idgen.epoch = '2025-01-01'" 'idgen.max_batch = 100000' 'idgen.max_scopes = 8'; } >"$work/sql.conf"
    chmod a+r "$work/sql.conf"
    as_server "$pgxs_test/regress/pg_regress" --temp-instance="$folder/data" \
        --temp-config="$work/sql.conf" --bindir="$pg_bin" --inputdir="$work/source" \
        --outputdir="$folder" --schedule="$schedule" || {
        as_server cat "$folder/regression.diffs"
        return 1
    }
}

# start_pgtap FOLDER: a cluster with pgTAP and idgen.
start_pgtap() {
    start_cluster "$1"
    as_server "$pg_bin/psql" -X -q -h "$(socket_of "$1")" -U postgres -v ON_ERROR_STOP=1 \
        -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION idgen' postgres
}

# The servers that the scripts start (start_cluster: the demo's, too) trust whoever reaches
# their socket. That is their own user, and root; as root it is tried with another user.
others_stay_out() {
    local folder=$1 above=$1 socket said
    socket=$(socket_of "$folder")
    "$pg_bin/psql" -XAt -h "$socket" -U postgres -c "SELECT 'ok the user of the checkout reaches the server'" postgres
    [ "$(stat -c %a "$folder" "$socket" | sort -u)" = 700 ] || { echo 'not ok others may enter the folder of the server'; return 1; }
    echo 'ok nobody else may enter the folder of the server'
    [ "$(id -u)" -eq 0 ] || return 0
    # What root runs lies where nobody else can put anything, all the way up.
    while [ "$above" != / ]; do
        above=$(dirname "$above")
        case $(stat -c '%u %a' "$above") in '0 '*[0145][0145]) ;; *) echo "not ok $above is root's alone to write"; return 1 ;; esac
    done
    echo "ok the folders above the server's are root's alone to write"
    if said=$(cd / && setpriv --reuid=nobody --regid=nogroup --clear-groups \
        "$pg_bin/psql" -XAt -h "$socket" -U postgres -c 'SELECT 1' postgres 2>&1) || ! grep -q 'Permission denied' <<<"$said"; then
        echo "not ok another user does not reach the server: $said"
        return 1
    fi
    echo 'ok another user does not reach the server'
}

# prove_pgtap FOLDER FILE...: runs them there.
prove_pgtap() {
    local folder=$1 socket
    shift
    socket=$(socket_of "$folder")
    as_server env PATH="$pg_bin:$PATH" pg_prove -h "$socket" -U postgres -d postgres \
        "${@/#/source/test/pgtap/}"
}

# prove_files FOLDER JOBS FILE...: TAP files, whose clusters lie in the folder.
prove_files() {
    local folder=$1 jobs=$2 faketime
    shift 2
    set -- "${@/#/source/test/t/}"
    faketime=$(dpkg -L libfaketime | grep '/libfaketime\.so\.1$')
    as_server env PATH="$pg_bin:$PATH" PG_REGRESS="$pgxs_test/regress/pg_regress" \
        TESTDIR="$folder" TESTDATADIR="$folder/data" TESTLOGDIR="$folder/log" \
        PG_TEST_TIMEOUT_DEFAULT=60 IDGEN_STAGE_SETTINGS="$work/stage.conf" \
        IDGEN_INJECTION_SETTINGS="$work/injection.conf" \
        IDGEN_FAKETIME="$faketime" IDGEN_BAD_DISK_LIBRARY="$work/bin/libbad_disk.so" \
        IDGEN_COLLECTOR="$work/bin/collector" IDGEN_CLAIMANT="$work/bin/claimant" IDGEN_SOURCE="$work/source" \
        IDGEN_BINARY_CLIENT="$work/bin/binary_client" NODE_PATH="$(cat "$work/node.path")" \
        IDGEN_OLDER_BIN="$(cat "$work/older.bin" 2>/dev/null)" IDGEN_OLDER_SETTINGS="$work/older.conf" \
        prove -I "$pgxs_test/perl" -I "$work/source/test/t/lib" --timer --jobs "$jobs" "$@"
}

# failing_tests: reads what a step has printed, prints the names of the tests that failed,
# one a line, with their file where the tool tells it. Knows lint's and the model's
# "not ok NAME", ctest, pg_regress (up to 15; from 16 on), pgTAP and TAP.
failing_tests() {
    awk '
    function base(path) { sub(/.*\//, "", path); return path }
    function found(name) { if (!seen[name]++) print name }
    # Of a TAP file: a test without a name has its place on the same line.
    /^# +Failed (\(TODO\) )?test / && !/TODO/ {
        name = $0
        sub(/^# +Failed test +/, "", name)
        if (name ~ /^[0-9]+(: |$)/) { # pgTAP
            found(base(file) " " name)
            named[file] = 1
            next
        }
        place = ""
        if (name ~ /^at /) { place = name; name = "" }
        if (place == "" && (getline line) > 0) place = line
        sub(/^.*at /, "", place)
        sub(/\.$/, "", place)
        split(place, word, " ")
        found(base(word[1]) " line " word[3] (name == "" ? "" : ": " name))
        named[word[1]] = 1
        next
    }
    # The file that runs.
    /^[^ ]+\.(sql|t) \.+/ { file = $1 }
    # The summary of prove: one that ended early, or none of whose tests was named above.
    /^[^ ]+ +\(Wstat: / { file = $1; summed = 1; if (!/Failed: 0\)/ && !named[file]) found(base(file)) }
    summed && /^  Parse errors: / { found(base(file) " ended early:" substr($0, 16)) }
    /^not ok [0-9]+ +[-+] / { found($5); next }
    /^not ok / { found(substr($0, 8)); next }
    /^(test|    ) .*\.\.\. FAILED/ { for (i = 1; i < NF; i++) if ($(i + 1) == "...") { found($i); break } }
    /^ *([0-9]+\/[0-9]+)? *Test +#[0-9]+: .*\*\*\*/ { sub(/^.*Test +#[0-9]+: /, ""); sub(/ *\.*\*\*\*/, " ("); sub(/  +.*$/, ""); found($0 ")") }
    '
}
