#!/bin/sh
# helm test: reaches the server through its Service as a client does, and has no password. So it asks for what must be refused, and
# looks at the reason.
failed=0

# expect ANSWER WHAT COMMANDS: what the server says to them
expect() {
    for _ in 1 2 3 4 5 6; do
        answer=$(printf "$3" | valkey-cli -h "$HOST" -p 6379 -t 5 2>&1)
        case $answer in
            *"$1"*) echo "ok: $2"; return ;;
            *"Could not connect"*) sleep 2 ;; # a name or a policy that is not known everywhere yet
            *) break ;;
        esac
    done
    echo "FAILED: $2; the answer was: $answer"
    failed=1
}

expect NOAUTH "without a password nothing is answered" 'PING\n'
expect WRONGPASS "a wrong password is refused" 'AUTH broker wrong\n'
expect WRONGPASS "the account every client has by default is off" 'AUTH default wrong\n'
exit $failed
