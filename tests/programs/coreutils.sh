#!/usr/bin/env bash
# The coreutils: short-lived programs that hold one large table (sort, ls) or many small strings.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

active ls /
active sort --version

# Numbers in no order, from a linear congruence, so that every run sees the same ones.
awk 'BEGIN { x = 1; for (i = 0; i < 400000; i++) { x = (x * 16807) % 2147483647
    printf "%d key%d %d\n", x, x % 5003, i } }' >"$in/lines"
sort -k 2,2 "$in/lines" >"$in/by_key"
cut -d ' ' -f 2 "$in/lines" | sort -u | sed 's/$/ joined/' >"$in/keys"

# A tree of some thousand files.
for d in {1..40}; do
    mkdir -p "$in/tree/dir$d/sub"
    for f in {1..50}; do
        echo "content $d $f" >"$in/tree/dir$d/file$f"
    done
    touch "$in/tree/dir$d/sub/a name with spaces"
done

copy_tree() {
    cp -r "$in/tree" copy
    mv copy/dir1 copy/moved
    ln copy/moved/file1 hard
    rm -r copy/dir2
    find copy | sort
}

count_lines() {
    wc "$in/lines"
    tac "$in/lines" | sed -n '998,1000p'
    tr '[:lower:]' '[:upper:]' <"$in/lines" | fold -w 20 | md5sum
    comm -12 "$in/by_key" "$in/by_key" | nl | cksum
}

missing_file() {
    ls -l "$in/nothing" || echo "code $?"
    cat "$in/nothing" || echo "code $?"
}

same "sort numbers" sort -n "$in/lines"
same "sort in parallel, small buffer" sort --parallel=2 -S 2M -k 2,2V -k 3,3nr "$in/lines"
same "shuf" shuf --random-source="$in/lines" -n 100000 "$in/lines"
same "join" join -1 2 -2 1 "$in/by_key" "$in/keys"
same "uniq" uniq -c -f 1 "$in/by_key"
same "split" split -l 10000 -a 3 "$in/lines" part.
same "paste and cut" paste -d , "$in/lines" "$in/by_key"
same "sha256sum" sha256sum "$in/lines" "$in/by_key"
same "ls -R" ls -RF --sort=version "$in/tree"
same "du" du -a --apparent-size "$in/tree"
same "cp, mv, ln, rm" copy_tree
same "factor" factor 18446744073709551557 340282366920938463463374607431768211297
same "seq, numfmt" bash -c 'seq 1 7 2000000 | numfmt --to=iec | sort -h | uniq -c'
same "filters" count_lines
same "errors" missing_file
finish
