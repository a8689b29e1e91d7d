#!/usr/bin/env bash
# The shell and the text tools: bash, grep, sed, mawk and gawk. Many small blocks of odd sizes,
# and regular expressions that grow tables as they run.
# shellcheck source=lib.sh disable=SC2016,SC2317
source "$(dirname -- "$0")/lib.sh"

need bash grep sed mawk gawk

active bash -c :
active grep -q x /dev/null
active sed p /dev/null
active mawk 'BEGIN { }'
active gawk 'BEGIN { }'

mawk 'BEGIN { x = 7; for (i = 0; i < 200000; i++) { x = (x * 16807) % 2147483647
    printf "%s: user%d did %x to <file%d.%s> at %d:%02d\n", i, x % 977, x, x % 4001,
        (x % 3 ? "txt" : "conf"), x % 24, x % 60 } }' >"$in/log"

seq -f 'file%g.' 1 3 4000 >"$in/patterns"

cat >"$in/script.bash" <<'END'
declare -A count
declare -a lines
while IFS=' <>' read -r number user _ value _ file rest; do
    count[$user]=$((${count[$user]:-0} + 1))
    lines+=("${file^^}-${value//[0-9]/}-${rest: -5}")
done < <(head -n 30000 "$1")
for user in "${!count[@]}"; do
    echo "$user ${count[$user]}"
done | sort
printf '%s\n' "${lines[@]}" | md5sum
fib() { if (($1 < 2)); then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
fib 11
text=$(printf 'x%.0s' {1..100000})
while ((${#text} > 1)); do text=${text:${#text}/2}; done
echo "$text" "$(type -t fib)" "${lines[@]:5:3}"
false || echo "code $?"
END

cat >"$in/script.awk" <<'SCRIPT'
{
    user[$2]++
    split($6, part, ".")
    size[part[2] substr($4, 1, 2)] += length($0)
    gsub(/[aeiou]/, "<&&>")
    text = text substr($0, 1, 3)
    if (length(text) > 5000) text = substr(text, 2500)
}
END {
    for (u in user) print "user", u, user[u] | "sort"
    close("sort")
    for (s in size) print "size", s, size[s] | "sort"
    close("sort")
    print text
}
SCRIPT

no_match() {
    grep -c 'no such line' "$in/log" || echo "code $?"
}

same "bash script" bash "$in/script.bash" "$in/log"
same "bash here-document and substitution" bash -c \
    'for i in {1..300}; do cat <<<"$(echo "line $i" "$(seq "$i" | tail -n 1)")"; done'
same "grep -E" grep -nE 'user(1|22|333) .*(a+b|[0-9a-f]{6}) .*conf' "$in/log"
same "grep with back-references" grep -E '([0-9a-f]{2})\1.*\1' "$in/log"
same "grep -P" grep -oP '(?<=<)file\d+(?=\.conf)' "$in/log"
same "grep -F with many patterns" grep -c -F -f "$in/patterns" "$in/log"
same "grep, no match" no_match
same "sed, substitutions" sed -E 's/(user[0-9]+) did ([0-9a-f]+)/\2 by \1/g; y/abc/xyz/' "$in/log"
same "sed, hold space" sed -n 'H;/1:59$/{g;s/\n/|/g;p;s/.*//;h}' "$in/log"
same "mawk" mawk -f "$in/script.awk" "$in/log"
same "gawk" gawk -f "$in/script.awk" "$in/log"
same "gawk, sorted arrays" gawk '{ n[$2][$6]++ } END { PROCINFO["sorted_in"] = "@ind_str_asc"
    for (u in n) { for (f in n[u]) c += n[u][f]; print u, length(n[u]), c } }' "$in/log"
finish
