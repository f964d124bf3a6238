"""The first tour: what a newcomer would try, as real HTTP calls, each shown as a curl to copy."""
