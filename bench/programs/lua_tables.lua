-- Tables, closures and strings in Lua: lua_tables.lua SCALE
local count = math.floor(30000 * tonumber(arg[1])) + 1
local state = 1

local function pick(below)
    state = state * 16807 % 2147483647
    return state % below
end

local function tree(depth)
    if depth == 0 then
        return {}
    end
    return { left = tree(depth - 1), right = tree(depth - 1), name = "node" .. depth }
end

local function size(node)
    if not node.left then
        return 1
    end
    return 1 + size(node.left) + size(node.right)
end

local function churn()
    local live, length = {}, 0
    for i = 1, count * 4 do
        local text = string.rep("x", pick(120)) .. i
        live[pick(count) + 1] = { text, { i, i + 1 }, function() return #text end }
    end
    for _, entry in pairs(live) do
        length = length + entry[3]()
    end
    return length
end

local function join()
    local parts = {}
    for i = 1, count do
        parts[#parts + 1] = ("%d:%s"):format(i, tostring(i):reverse())
    end
    local text = table.concat(parts, ",")
    local n = select(2, text:gsub("%d+:", function(s) return s:upper() end))
    return #text, n
end

local depth = math.max(6, math.floor(math.log(count, 2)))
for _ = 1, 2 do
    print(churn(), size(tree(depth)), join())
end
