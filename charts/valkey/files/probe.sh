#!/bin/sh
# Whether the server answers; with the argument `loading` also when it is still reading its data. The password goes in by stdin.
answer=$(valkey-cli -h 127.0.0.1 -p 6379 -t 4 </run/redprint/probe 2>&1)
case $answer in
    *PONG*) exit 0 ;;
    *LOADING*) [ "${1:-}" = loading ] && exit 0 ;;
esac
# The answer, without anything the server may have repeated of the question.
echo "no PONG: $(printf '%s' "$answer" | cut -c 1-100 | tr '\n' ' ')"
exit 1
