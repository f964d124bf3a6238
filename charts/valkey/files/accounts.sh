#!/bin/sh
# Writes the accounts with the hashes of their passwords, before each start of the server. Passwords are files; nothing but their
# hashes leaves this script, and those lie in memory.
set -eu
umask 077
run=/run/redprint

# hash PASSWORD: as an ACL names it
hash() {
    [ -n "$1" ] || { echo "accounts: a Secret holds no password" >&2; return 1; }
    printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

broker=$(hash "$(cat /etc/redprint/secrets/broker/password)")
state=$(hash "$(cat /etc/redprint/secrets/state/password)")
# Known only inside this pod, and new at each start.
probe=$(head -c 32 /dev/urandom | sha256sum | cut -d ' ' -f 1)
printf 'AUTH probe %s\nPING\n' "$probe" >"$run/probe"

sed -e "s/{broker}/$broker/" -e "s/{state}/$state/" -e "s/{probe}/$(hash "$probe")/" /etc/redprint/valkey/users.acl >"$run/users.acl"
