#!/bin/bash
# The static thread-local storage of the library: a dlopen late in a process finds no more than
# 512 bytes of it to spare.
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: tls_size.sh LIBRARY LIMIT" >&2
    exit 2
fi
segments=$(readelf -lW "$1")
if ! grep -q '^ *LOAD ' <<<"$segments"; then
    echo "tls_size.sh: $1 has no loadable segment" >&2
    exit 1
fi
size=$(awk '$1 == "TLS" { print $6 }' <<<"$segments")
echo "TLS of $1: $((size)) bytes"
[ $((size)) -le "$2" ]
