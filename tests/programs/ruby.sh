#!/usr/bin/env bash
# Ruby: its heap pages come from aligned allocation, strings and arrays from malloc; threads and
# fork on top.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need ruby

active ruby -e 1

cat >"$in/churn.rb" <<'END'
require 'digest'
require 'json'
require 'set'

def churn(seed, rounds)
  digest = Digest::SHA256.new
  live = {}
  rounds.times do |i|
    seed = seed * 16807 % 2147483647
    key = "key#{seed % 3001}"
    old = live.delete(key)
    digest << old.to_json if old
    live[key] = { 'n' => i, 's' => 'ab' * (seed % 200), 'l' => Array.new(seed % 9) { |k| k * i } }
    digest << JSON.parse(JSON.generate(live.first(20).to_h)).keys.join(',') if i % 500 == 0
    digest << live[key]['s'].gsub(/(a)(b)/) { $2 + $1 } if i % 50 == 0
  end
  digest.hexdigest
end

puts churn(1, 40_000)
puts((2..7).map { |s| Thread.new { churn(s, 5_000) } }.map(&:value))
(8..10).each do |s|
  reader, writer = IO.pipe
  pid = fork do
    reader.close
    writer.puts churn(s, 4_000)
    writer.close
    exit! 3
  end
  writer.close
  puts reader.read
  Process.wait(pid)
  puts $?.exitstatus
end
3.times { GC.start }
GC.compact if GC.respond_to?(:compact)
words = (1..100_000).map { |n| (n * 7919 % 100_003).to_s(36) }
puts words.sort.uniq.each_slice(1000).map(&:first).join(' ')
puts words.to_set.size
puts (2**20_000).to_s.sum
fibers = Array.new(200) { |n| Fiber.new { 20.times { |k| Fiber.yield("#{n}-#{k}" * 10) } } }
puts 20.times.sum { fibers.sum { |f| f.resume.size } }
END

same "churn" ruby "$in/churn.rb"
same "churn, compiled" ruby --jit "$in/churn.rb"
finish
