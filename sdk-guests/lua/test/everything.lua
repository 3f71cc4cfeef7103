-- What the example scripts do not use. Each path runs one check and answers "ok", or what went wrong.
local loaded = math.random(1, 1 << 30)
assert(not pcall(error)) -- leaves the engine's globals as they were
local checks = {}

local function same(got, want)
  if got ~= want then error(("got %s, want %s"):format(got, want), 2) end
end

local function fails(pattern, f, ...)
  local ok, message = pcall(f, ...)
  if ok or not tostring(message):find(pattern) then error(("got %s, %s, want %s"):format(ok, message, pattern), 2) end
end

function checks.errors()
  fails("attempt to index a nil value", function() local x; return x.y end)
  fails("a text", error, "a text")
  same(select(2, pcall(error, 7)), 7)
  local function deep(n) if n == 0 then error("deep", 0) end return deep2 and 1 or select(2, pcall(deep, n - 1)) or error("not " .. n, 0) end
  same(deep(150), "deep")
  fails("stack overflow", function() local function f(n) return f(n + 1) + 1 end return f(0) end)
  fails("inner", string.gsub, "aaa", "a", function() return (string.gsub("b", "b", function() error("inner") end)) end)
  fails("invalid value", table.concat, { {} })
  fails("unexpected symbol", function() assert(load("return ]")) end)
  same(xpcall(error, function(m) return m .. "!" end, "x"), false)
  local closed = 0
  pcall(function()
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    error("x")
  end)
  same(closed, 1)
  for i = 1, 20000 do pcall(error, i) end
end

function checks.coroutines()
  local co = coroutine.wrap(function(a)
    for i = 1, 3 do a = coroutine.yield(a + i) end
    pcall(coroutine.yield, "within")
    error("done", 0)
  end)
  same(co(1), 2) same(co(2), 4) same(co(3), 6) same(co(4), "within")
  fails("done", co)
  fails("dead", co)
  local sorted = { 3, 1, 2 }
  fails("attempt to yield across", coroutine.wrap(function() table.sort(sorted, function() coroutine.yield() end) end))
end

function checks.json()
  local json = aleph.json
  for _, text in ipairs { '{"a":[1,2.5,-3e+20,"x\\n\\"\\u0001"],"b":{"c":null},"d":[],"e":true}', '"é😀"', "[]", "{}", "0", "[[[]]]" } do
    same(json.encode(json.decode(text)), text)
  end
  same(json.decode('"\\u00e9\\ud83d\\ude00\\ud800\\/"'), "é😀\u{FFFD}/")
  same(math.type(json.decode("12")), "integer")
  same(json.encode({}), "{}")
  same(json.encode(json.array()), "[]")
  for _, text in ipairs { "", "{", "[1,]", '{"a"}', "tru", '"\1"', "1 2", "[1 2]", '{"a":1,}', '"', "-", '"\\x"' } do
    fails("JSON: unexpected", json.decode, text)
  end
  fails("nested", json.decode, ("["):rep(200))
  local t = {} t.t = t
  fails("nested", json.encode, t)
  fails("no function", json.encode, print)
  fails("no number", json.encode, 0 / 0)
end

function checks.store()
  local store = aleph.store
  same(store.get("none"), nil)
  for key, value in pairs { text = "héllo", bytes = "\xff\0", number = 1.5, truth = false } do
    store.set(key, value)
    same(store.get(key), value)
  end
  store.set("table", { a = { 1, 2 } }, { ttl = 60 })
  same(store.get("table").a[2], 2)
  same(store.increment("n"), 1)
  same(store.increment("n", 41), 42)
  same(store.get("n"), 42)
  fails("not_a_counter", store.increment, "text")
  fails("invalid_argument", store.set, "", 1)
  same(store.delete("n"), true)
  same(store.delete("n"), false)
  for i = 1, 250 do store.set(("list/%03d"):format(i), i) end
  local n = 0
  for key, value in store.list("list/") do
    n = n + 1
    same(key, ("list/%03d"):format(n))
    same(value, n)
  end
  same(n, 250)
end

function checks.files()
  fails("No such file", function() assert(io.open("nothing")) end)
  local f = assert(io.open("/tmp/a", "w"))
  f:write("one\ntwo\n")
  f:close()
  local lines = {}
  for line in io.lines("/tmp/a") do lines[#lines + 1] = line end
  same(table.concat(lines, ","), "one,two")
  local t = assert(io.tmpfile())
  t:write("x") t:seek("set")
  same(t:read("a"), "x")
  same(os.remove("/tmp/a"), true)
  fails("not found", require, "nothing")
  same(os.execute(), false)
  assert(os.time() > 1700000000 and os.clock() >= 0)
end

function checks.fetch(request)
  local answer = aleph.fetch(request.query.url .. "/echo", { json = { a = 1 }, headers = { ["X-From"] = "lua" } })
  same(answer.status, 201)
  same(answer.ok, true)
  same(answer.headers["x-back"], "lua POST application/json")
  same(answer:json().a, 1)
  fails("forbidden", aleph.fetch, "http://169.254.169.254/")
  fails("invalid_argument", aleph.fetch, "nothing")
end

function checks.variables()
  same(os.getenv("V"), "variable")
  same(os.getenv("NONE"), nil)
end

function checks.random() return tostring(math.random(1, 1 << 60)) end
function checks.loaded() return tostring(loaded) end
function checks.fails() error("on purpose") end
function checks.exits() os.exit(3) end
function checks.loops() while true do end end
function checks.memory() local t = {} while true do t[#t + 1] = ("x"):rep(1 << 16) .. #t end end
function checks.status() return { status = 418, headers = { ["X-A"] = "1", ["Set-Cookie"] = { "a=1", "b=2" } }, body = { tea = true } } end
function checks.number() return 42 end
function checks.none() return nil end
function checks.wrong() return print end
function checks.logs() print("printed", 1) aleph.log("warning", "warned") end

function checks.request(request, context)
  return { request.method, request.path, request.query_string, request.query["a b"], request.headers["x-h"], request.body, context.kind, #context.program }
end

return function(request, context)
  local name = request.path:match("%w+")
  local check = checks[name]
  if name == "fails" or name == "memory" then return check() end
  local ok, reply = pcall(check, request, context)
  if not ok then return { status = 500, body = reply } end
  if reply ~= nil or name == "none" then return reply end
  return "ok"
end
