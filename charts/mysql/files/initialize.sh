#!/bin/bash
# Makes an empty data directory, once, and lets no server of a wrong version near an existing one. Runs before each start of the
# pod, with no server running. May be killed at any moment: what is half made has another name until it is whole.
set -euo pipefail

volume=/var/lib/mysql
data=$volume/data
line_file=$volume/line

refuse() {
    echo "initialize: $*" >&2
    exit 1
}

# "mysqld  Ver 9.7.2 for Linux on x86_64 (...)" -> 9.7
version=$(mysqld --no-defaults --version)
version=${version#* Ver }
version=${version%% *}
line=${version%.*}
[ "$line" = "$MAJOR_LINE" ] || refuse "the image holds MySQL $version, majorLine says $MAJOR_LINE"

had=''
if [ -d "$data" ]; then
    had=$(cat "$line_file" 2>/dev/null || true)
    if [ -n "$had" ] && [ "$had" != "$line" ]; then
        newest=$(printf '%s\n%s\n' "$had" "$line" | sort -V | tail -n 1)
        [ "$newest" = "$line" ] || refuse "the data were last used by MySQL $had, which $line cannot read: go back to" \
            "$had, or restore a backup"
        [ "$had" = "${UPGRADE_FROM_LINE:-}" ] || refuse "the data were last used by MySQL $had. Upgrading them to $line cannot be" \
            "undone: take a backup, then set upgradeFromLine to \"$had\" (README.md)"
        echo "initialize: MySQL $line is going to upgrade the data of $had"
    fi
else
    echo "initialize: making a data directory for MySQL $version"
    rm -rf "$data.new"
    mysqld --defaults-file=/etc/redprint/mysql/my.cnf --datadir="$data.new" --skip-log-bin --slow-query-log=OFF \
        --initialize-insecure
    sync
    mv "$data.new" "$data"
fi
# The line is written before the server starts: once it has touched the data, there is no way back. Not at every start: a full volume
# takes nothing more, and is no reason to keep the server from its data.
if [ "$had" != "$line" ]; then
    printf '%s\n' "$line" >"$line_file.new"
    mv "$line_file.new" "$line_file"
    sync
fi

# root gets the password of its Secret before anybody can connect. The two files lie in memory and hold it twice: for the server, which
# runs the first at each start, and for the grants container.
umask 077
password=$(</etc/redprint/secrets/root/password)
[ -n "$password" ] || refuse "the Secret of root holds no password"
source /etc/redprint/mysql/quote.sh
start_file "$password"
login "$password" | put /run/redprint/root.cnf
