#!/usr/bin/env bash
# PHP: it loads its extensions with RTLD_DEEPBIND, and keeps memory of its own in blocks of 2 MiB at
# multiples of that.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need php

active php -v

cat >"$in/churn.php" <<'END'
<?php
ini_set("memory_limit", "1G");
$live = [];
for ($i = 0; $i < 150000; $i++) {
    $key = "k" . ($i * 7919 % 100003);
    $live[$key] = ["number" => $i, "text" => str_repeat("x", $i % 50), "list" => range(0, $i % 7)];
    if ($i % 3 == 0) {
        unset($live["k" . ($i * 31 % 100003)]);
    }
}
ksort($live);
$again = json_decode(json_encode($live), true);
echo count($live), " ", $again == $live ? "same" : "different", " ", md5(serialize($again)), "\n";
$words = [];
foreach ($live as $key => $value) {
    $words[] = preg_replace_callback("/\d+/", fn($m) => dechex((int)$m[0]), "$key {$value['text']}");
}
usort($words, fn($a, $b) => strcmp(md5($a), md5($b)));
echo md5(implode("\n", $words)), "\n";
$date = new DateTimeImmutable("2024-02-29 12:00:00 UTC");
echo $date->modify("+1 year")->format(DATE_ATOM), "\n";
for ($i = 0; $i < 200; $i++) {
    $big = str_repeat(chr(65 + $i % 26), 3000000 + $i * 1000);
    echo crc32(strrev($big)) % 10;
}
echo "\n";
END

same "extensions" php -m
same "arrays, JSON, regular expressions" php "$in/churn.php"
same "the system's malloc instead of its own" env USE_ZEND_ALLOC=0 php "$in/churn.php"

finish
