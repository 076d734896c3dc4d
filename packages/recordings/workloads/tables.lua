-- Replaces small tables and strings of growing length in a fixed number of slots.
local slots = {}
for i = 1, 8000 do
  slots[i % 500 + 1] = { i, tostring(i) .. string.rep('x', i % 40), { left = i, right = i * 2 } }
end
print(#slots)
