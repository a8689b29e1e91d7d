#!/usr/bin/env bash
# A redis server on goalloc: a fixed load whose data must come out with the same digest as without
# goalloc, then redis-benchmark with many clients, and an orderly shutdown.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

# The server is in the same binary as redis-check-rdb, which comes without the package that starts
# a server of the system's own.
need redis-check-rdb redis-cli redis-benchmark python3
ln -s "$(command -v redis-check-rdb)" "$work/redis-server"

server=
port=
log=$work/redis.log

stop_server() {
    [[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap stop_server EXIT

cli() {
    redis-cli -h 127.0.0.1 -p "$port" "$@"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# True when the server answers; false when it has ended, for example as its port was taken.
wait_for_server() {
    local tries
    for tries in {1..300}; do
        kill -0 "$server" 2>/dev/null || return 1
        [[ $(cli ping 2>/dev/null) != PONG ]] || return 0
        sleep 0.1
    done
    say "the server did not answer $tries times"
    return 1
}

# Starts a server, plain or with goalloc, and sets server and port.
start_server() {
    local way=$1 preloaded=() tries
    [[ $way == plain ]] || preloaded=(LD_PRELOAD="$preload" GOALLOC_VERBOSE=1)
    for tries in {1..5}; do
        port=$(free_port)
        env "${preloaded[@]}" "$work/redis-server" --port "$port" --bind 127.0.0.1 --save '' \
            --dir "$work" --io-threads 2 --lazyfree-lazy-user-del yes \
            --enable-debug-command local >"$log" 2>&1 &
        server=$!
        wait_for_server && return
        say "attempt $tries to start the server failed"
        tail -n 5 "$log" >&2
    done
    exit 1
}

shut_down() {
    local code=0
    cli shutdown nosave 2>/dev/null || true
    wait "$server" || code=$?
    server=
    ((code == 0)) || fail "the server ended with code $code: $(tail -n 5 "$log")"
}

# Commands that leave data of every kind behind, some of it changed and deleted again.
load_data() {
    awk 'BEGIN {
        x = 5
        for (i = 0; i < 100000; i++) {
            x = (x * 16807) % 2147483647
            k = x % 9973
            printf "SET string:%d %d-%0" x % 400 + 1 "d\n", k, i, x
            if (i % 2) printf "HSET hash:%d field%d %x\n", k % 500, x % 300, x
            if (i % 3 == 0) printf "RPUSH list:%d item%d\n", k % 300, i
            if (i % 5 == 0) printf "ZADD zset:%d %d member%d\n", k % 200, x % 10000, k
            if (i % 7 == 0) printf "SADD set:%d %d\n", k % 100, x
            if (i % 11 == 0) printf "DEL string:%d list:%d\n", (k * 7) % 9973, (k * 3) % 300
            if (i % 13 == 0) printf "APPEND string:%d %0" x % 2000 + 1 "d\n", k, i
        }
        print "EVAL \"local t = {} for i = 1, 50000 do t[i] = i .. ARGV[1] end return #t\" 0 x"
    }' | cli --pipe
    cli dbsize
    cli debug digest
}

with_server() {
    start_server "$1"
    load_data >"$work/$1.data"
    grep -q '^errors: 0, replies: [0-9]' "$work/$1.data" || fail "the load failed, $1"
}

with_server plain
shut_down

with_server with_goalloc
cmp "$work/plain.data" "$work/with_goalloc.data" || fail "the data differ with goalloc"
compared=$((compared + 1))
grep -q '^goalloc: version' "$log" || fail "goalloc is not active in the server"
grep -q '/libgoalloc' "/proc/$server/maps" || fail "the server has not mapped goalloc"

redis-benchmark -h 127.0.0.1 -p "$port" -n 40000 -c 50 -P 4 -r 100000 -d 200 --csv \
    -t set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset >"$work/benchmark"
[[ $(grep -c '^"' "$work/benchmark") -ge 12 ]] || fail "redis-benchmark: $(<"$work/benchmark")"
[[ $(cli set answer 42) == OK && $(cli incrby answer 8) == 50 ]] || fail "wrong answers"
cli info memory | tr -d '\r' >"$work/memory"
used=$(sed -n 's/^used_memory://p' "$work/memory")
((used > 20000000)) || fail "the server holds $used bytes, which is less than was put in"
cli flushall async >"$work/flushed"
[[ $(cli dbsize) == 0 ]] || fail "the data base is not empty after flushall"
shut_down
finish
