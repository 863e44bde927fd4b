#!/usr/bin/env bash
# One rank of the reference trainer that ends before its time, for rank_failures_test.cc:
#   rank_end.sh KIND PATTERN TRAINER REQUEST
# Rank 1 of a request whose folder matches PATTERN is killed (KIND kill) or stopped (stop) as soon as it has said hello, or is gone then
# with exit code 0 (leave). Every other rank is the trainer.
set -u
kind=$1 pattern=$2 trainer=$3 request=$4
# shellcheck disable=SC2053
if [ "${OMPI_COMM_WORLD_RANK:-0}" != 1 ] || [[ $request != $pattern ]]; then exec "$trainer" "$request"; fi
"$trainer" "$request" &
pid=$!
until [ -e "$request/evidence/rank_00001/hello.json" ]; do sleep 0.002; done
case $kind in
  stop) kill -STOP $pid ;;
  *) kill -KILL $pid ;;
esac
wait $pid
status=$?
[ "$kind" = leave ] && exit 0
exit $status
