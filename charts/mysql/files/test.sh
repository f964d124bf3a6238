#!/bin/bash
# helm test: reaches the server as a client does, through the Service, and has no password. So it asks for what must be refused, and
# looks at the reason: only a server that is up, that clients may reach and whose certificate holds for its name, gives it.
set -uo pipefail

ca=/etc/redprint/mysql-ca/ca.crt
failed=0

# expect NUMBER WHAT OPTION...: the server's answer to a login is this error
expect() {
    local number=$1 what=$2 answer=''
    shift 2
    for _ in 1 2 3 4 5 6; do
        answer=$(mysql --no-defaults --host="$HOST" --protocol=TCP --connect-timeout=5 "$@" --execute='SELECT 1' 2>&1)
        case $answer in
            "ERROR $number "*) echo "ok: $what"; return ;;
            "ERROR 2002 "* | "ERROR 2003 "* | "ERROR 2005 "*) sleep 2 ;; # a name or a policy that is not known everywhere yet
            *) break ;;
        esac
    done
    echo "FAILED: $what; the answer was: $answer"
    failed=1
}

secure=(--ssl-mode=PREFERRED)
[ "$TLS" = true ] && secure=(--ssl-mode=VERIFY_IDENTITY --ssl-ca="$ca")
expect 1045 "a stranger is refused" --user=nobody "${secure[@]}"
expect 1045 "root is refused from outside the pod" --user=root "${secure[@]}"
exit $failed
