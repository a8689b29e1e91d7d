# Strings, hashes, arrays and structs in ruby: ruby_objects.rb SCALE
COUNT = (100_000 * ARGV[0].to_f).to_i + 1
Entry = Struct.new(:id, :name, :list)

$state = 1
def pick(below)
  $state = $state * 16_807 % 2_147_483_647
  $state % below
end

def fill
  table = {}
  COUNT.times do |i|
    key = "key#{pick(COUNT / 3 + 1)}"
    (table[key] ||= []) << Entry.new(i, 'n' * pick(150), Array.new(pick(20)) { |k| k * i })
    table.delete("key#{pick(COUNT / 3 + 1)}") if (i % 4).zero?
  end
  table
end

def digest(table)
  text = table.map { |key, list| "#{key}=#{list.map { |e| e.name + e.id.to_s }.join(',')}" }.join("\n")
  words = text.split(/[,\n]/).group_by(&:size)
  [text.size, words.size, words.sum { |size, list| size * list.size },
   table.sum { |_, list| list.sum { |e| e.list.sum } }]
end

2.times { puts digest(fill).join(' ') }
