#!/usr/bin/env bash
# Lua: the smallest of the interpreters. Its allocator is realloc alone: every object grows,
# shrinks and goes by it.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need lua5.4

active lua5.4 -v

cat >"$in/churn.lua" <<'END'
local function churn(seed, rounds)
    local live, text, sum = {}, {}, 0
    for i = 1, rounds do
        seed = seed * 16807 % 2147483647
        local slot = seed % 4093
        local old = live[slot]
        if old then
            sum = sum + #old.name + #old.list
        end
        local list = {}
        for k = 1, seed % 20 do
            list[k] = k * i
        end
        live[slot] = { name = ("n%d"):format(seed):rep(seed % 7), list = list }
        text[#text + 1] = ("%x"):format(i)
        if #text > 1000 then
            local joined = table.concat(text, ",")
            sum = sum + #joined:gsub("(%w+),(%w+)", "%2%1")
            text = {}
        end
    end
    return sum
end

print(churn(1, 300000))
local routines = {}
for n = 1, 500 do
    routines[n] = coroutine.wrap(function(x)
        local kept = {}
        while true do
            kept[#kept + 1] = tostring(x) .. n
            x = coroutine.yield(#kept + #kept[#kept])
        end
    end)
end
local sum = 0
for round = 1, 100 do
    for n = 1, #routines do
        sum = sum + routines[n](round * n)
    end
end
print(sum)
for _, mode in ipairs({ "generational", "incremental" }) do
    collectgarbage(mode)
    print(mode, churn(2, 100000))
end
print(pcall(string.rep, "x", 1 << 62))
END

same "churn" lua5.4 "$in/churn.lua"
finish
