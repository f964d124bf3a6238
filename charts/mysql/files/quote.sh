# Sourced by the scripts beside it. Passwords go into SQL and option files, never into arguments or the environment: those can be read
# by whoever sees the process.

# sql_text TEXT: as a literal of SQL
sql_text() {
    local text=$1
    text=${text//\\/\\\\}
    text=${text//\'/\\\'}
    printf "'%s'" "$text"
}

# option_file USER PASSWORD [LINE...]: an option file of the mysql client
option_file() {
    local text=${2//\\/\\\\}
    # Also the quotes: to the client a # after an odd one begins a comment.
    text=${text//\"/\\\"}
    text=${text//\'/\\\'}
    printf '[client]\nuser=%s\npassword="%s"\n' "$1" "$text"
    shift 2
    [ $# -eq 0 ] || printf '%s\n' "$@"
}

# put FILE: what comes from stdin, all of it or nothing
put() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

# start_file PASSWORD: what the server runs at its start, before anybody can connect
start_file() {
    printf '%s\n' "SET sql_log_bin = 0;" "ALTER USER root@localhost IDENTIFIED BY $(sql_text "$1");" | put /run/redprint/init.sql
}

# login PASSWORD: root's option file
login() { option_file root "$1" socket=/run/mysqld/mysqld.sock connect-timeout=5; }
