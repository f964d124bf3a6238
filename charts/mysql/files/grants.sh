#!/bin/bash
# Keeps databases, users and schema-level grants as users.sql says, over the socket: when the server starts, and whenever that file or a
# password changes. All of it is idempotent. The pod is ready when it was applied once. Also takes up new certificates, and prints the slow
# query log.
set -euo pipefail
umask 077
source /etc/redprint/mysql/quote.sh

secrets=/etc/redprint/secrets
run=/run/redprint
INTERVAL_SECONDS=5

# As process 1 this shell gets no default action for TERM, and it waits for a `sleep` in the foreground.
trap 'exit 0' TERM INT
pause() {
    sleep "$1" &
    wait $!
}

say() { printf '%s grants: %s\n' "$(date -u +%FT%TZ)" "$*"; }

# What the server should know, as one number. Where a file is just being replaced, the next round sees it.
wanted() { { cat /etc/redprint/users/*.sql "$secrets"/*/password 2>/dev/null || true; } | sha256sum; }
certificate() { { cat /etc/redprint/tls/tls.crt 2>/dev/null || true; } | sha256sum; } # of nothing, where TLS is off

as_root() { mysql --defaults-file="$run/root.cnf" --batch --skip-column-names "$@"; }

# The slow query log goes to this container's output: as a file it would grow for ever. It begins with three lines of title.
print_slow_queries() {
    local log=/run/mysqld/slow.log
    [ -e "$log" ] || return 0
    # Its beginning is enough: all of it, after a bad minute, is more than this container's memory.
    case $(tail -n +4 "$log" | head -c 4096) in *"# Time: "*) ;; *) return 0 ;; esac
    mv "$log" "$log.done"
    # From here on the server writes a new one. Where it cannot be told, say because it just ended, it goes on with the old file: then what
    # it writes between now and its next start is lost.
    as_root --execute='FLUSH LOCAL SLOW LOGS' 2>/dev/null || true
    tail -n +4 "$log.done"
    rm -f "$log.done"
}

# The server's root has the password this container set last, or, where it ended right after setting it, that of the Secret.
find_root() {
    as_root --execute='SELECT 1' >/dev/null 2>"$run/error" && return
    local mine
    mine=$(<"$run/root.cnf")
    login "$(<"$secrets/root/password")" | put "$run/root.cnf"
    as_root --execute='SELECT 1' >/dev/null 2>"$run/error" && return
    printf '%s\n' "$mine" | put "$run/root.cnf"
    return 1
}

# users.sql with the passwords in the places it leaves for them
statements() {
    local sql name folder password
    sql=$(</etc/redprint/users/users.sql)
    # Rights that were taken out of the values go when the pod starts, before anybody can reach it: taken away and given back later,
    # they would be missing for an instant.
    [ -e "$run/applied" ] || sql=$(</etc/redprint/users/revoke.sql)$'\n'$sql
    for folder in "$secrets"/*/; do
        name=$(basename "$folder")
        password=$(<"$folder/password")
        [ -n "$password" ] || { say "the Secret mounted at $folder holds no password" >&2; return 1; }
        sql=${sql//"{password of $name}"/"$(sql_text "$password")"}
    done
    case $sql in *"{password of "*) say "users.sql asks for a password that is not mounted" >&2; return 1 ;; esac
    printf '%s\n' "$sql"
}

apply() {
    local root
    root=$(<"$secrets/root/password")
    # Before it gets into the file the server reads when it starts: after a crash nobody would know root's password, or everybody.
    [ -n "$root" ] || { echo "the Secret of root holds no password" >"$run/error"; return 1; }
    find_root || return 1
    if [ "$(login "$root")" != "$(<"$run/root.cnf")" ]; then
        # First the file the server reads when it starts: were it the old one, a crash right after would bring the old password back.
        start_file "$root" || return 1
    fi
    # By a file, not a pipe: statements that could not be made have to stop here, not arrive cut short.
    statements >"$run/statements.sql" 2>"$run/error" || return 1
    as_root <"$run/statements.sql" >/dev/null 2>"$run/error" || return 1
    login "$root" | put "$run/root.cnf" || return 1
    option_file probe "$(<"$secrets/probe/password")" host=127.0.0.1 port=3306 protocol=TCP connect-timeout=4 | put "$run/probe.cnf"
}

applied='' loaded='' refused='' failures=0
while true; do
    now=$(wanted) tls=$(certificate)
    print_slow_queries
    if [ "$now" != "$applied" ]; then
        if apply; then
            rm -f "$run/statements.sql"
            touch "$run/applied"
            applied=$now failures=0
            say "applied"
        else
            rm -f "$run/statements.sql"
            failures=$((failures + 1))
            # The first seconds are the server's start.
            if [ -e "$run/applied" ] || [ $((failures % 10)) -eq 0 ]; then say "not applied: $(<"$run/error")" >&2; fi
            pause $((failures > 20 ? 15 : 1))
        fi
    elif [ "$tls" != "$loaded" ] && as_root --execute='ALTER INSTANCE RELOAD TLS' 2>"$run/error"; then
        # Also once after the start, when it changes nothing: this container may have been away while the certificate changed.
        loaded=$tls
    else
        if [ "$tls" != "$loaded" ] && [ "$tls" != "$refused" ]; then
            case $(<"$run/error") in
                "ERROR 20"*) ;; # nobody answered; the next round asks again
                *)
                    refused=$tls
                    say "the new certificate is not taken up, clients still get the one before: $(<"$run/error")" >&2
                    ;;
            esac
        fi
        pause "$INTERVAL_SECONDS"
    fi
done
