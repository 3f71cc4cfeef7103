-- What scripts find beside Lua's own libraries: the global aleph, with json, store, fetch, fetch_all and log. It gives back what calls a
-- program's handler.
local host = ...

-- JSON. Arrays are tables with [1], or made by json.array; null is json.null.

local null = setmetatable({}, { __tostring = function() return "null" end, __name = "json.null" })
local array = { __name = "json.array" }
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local encode
local encoders = {
  ["nil"] = function() return "null" end,
  boolean = tostring,
  string = quoted,
  number = function(n)
    if math.type(n) == "integer" then return ("%d"):format(n) end
    if n ~= n or n == math.huge or n == -math.huge then error("JSON has no number " .. n, 0) end
    return (("%.17g"):format(n))
  end,
  table = function(t, depth)
    if t == null then return "null" end
    if depth > 100 then error("a table is nested too deeply for JSON, or in itself", 0) end
    local parts = {}
    if t[1] ~= nil or getmetatable(t) == array then
      for i = 1, #t do parts[i] = encode(t[i], depth + 1) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for key, value in pairs(t) do
      if type(key) ~= "string" and type(key) ~= "number" then error("JSON has no key of type " .. type(key), 0) end
      parts[#parts + 1] = quoted(tostring(key)) .. ":" .. encode(value, depth + 1)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  end,
}

function encode(value, depth)
  local encoder = encoders[type(value)]
  if not encoder then error("JSON has no " .. type(value), 0) end
  return encoder(value, depth)
end

local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local decode

local function refuse(text, at)
  error(("JSON: unexpected %s at %d"):format(at > #text and "end" or quoted(text:sub(at, at)), at), 0)
end

local function string_at(text, at)
  local parts, from = {}, at + 1
  while true do
    local stop = text:find('["\\%c]', from) or #text + 1
    parts[#parts + 1] = text:sub(from, stop - 1)
    local c = text:sub(stop, stop)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c ~= "\\" then refuse(text, stop) end
    local e = text:sub(stop + 1, stop + 1)
    from = stop + 2
    if e == "u" then
      local code = tonumber(text:match("^%x%x%x%x", from) or refuse(text, from), 16)
      from = from + 4
      local low = code >= 0xD800 and code < 0xDC00 and tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", from) or "", 16)
      if low then
        code, from = 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, from + 6
      elseif code >= 0xD800 and code < 0xE000 then
        code = 0xFFFD
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = unescapes[e] or e:match('["\\/]') or refuse(text, stop + 1)
    end
  end
end

local function list_at(text, at, close, item)
  at = text:match("^%s*()", at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = text:match("^%s*()", item(at))
    local c = text:sub(at, at)
    if c == close then return at + 1 end
    if c ~= "," then refuse(text, at) end
    at = text:match("^%s*()", at + 1)
  end
end

function decode(text, at, depth)
  if depth > 100 then error("JSON is nested too deeply", 0) end
  local c = text:sub(at, at)
  if c == '"' then return string_at(text, at) end
  if c == "{" then
    local object = {}
    return object, list_at(text, at, "}", function(at)
      if text:sub(at, at) ~= '"' then refuse(text, at) end
      local key, value
      key, at = string_at(text, at)
      at = text:match("^%s*:%s*()", at) or refuse(text, at)
      value, at = decode(text, at, depth + 1)
      object[key] = value
      return at
    end)
  end
  if c == "[" then
    local list = setmetatable({}, array)
    return list, list_at(text, at, "]", function(at)
      list[#list + 1], at = decode(text, at, depth + 1)
      return at
    end)
  end
  for word, value in pairs { ["true"] = true, ["false"] = false, null = null } do
    if text:sub(at, at + #word - 1) == word then return value, at + #word end
  end
  local number, stop = text:match("^(%-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
  return tonumber(number) or refuse(text, at), stop
end

local json = { null = null }

function json.encode(value) return encode(value, 0) end

function json.decode(text)
  local value, at = decode(text, text:match("^%s*()"), 0)
  if text:find("%S", at) then refuse(text, text:find("%S", at)) end
  return value
end

function json.array(t) return setmetatable(t or {}, array) end

-- The store. A text that is UTF-8 is kept as JSON, as programs in other languages read it; another is kept as bytes.

local store = { increment = host.increment, delete = host.delete }
local BYTES, JSON, ABSENT = 0, 1, 3

local function value_of(kind, data)
  if kind == ABSENT then return nil end
  if kind == JSON then return json.decode(data) end
  return data
end

function store.get(key) return value_of(host.get(key)) end

function store.set(key, value, options)
  local raw = type(value) == "string" and not utf8.len(value)
  host.set(key, not raw, raw and value or json.encode(value), options and options.ttl)
end

-- store.list(prefix) walks keys and values in order: for key, value in aleph.store.list("a/") do … end
function store.list(prefix)
  local entries, cursor, at = {}, nil, 1
  return function()
    if at > #entries and cursor ~= "" then
      entries, cursor = host.list(prefix or "", 0, cursor or "")
      at = 1
    end
    if at > #entries then return nil end
    at = at + 3
    return entries[at - 3], value_of(entries[at - 2], entries[at - 1])
  end
end

-- Requests to other servers.

local answer = {}
answer.__index = answer

function answer:json() return json.decode(self.body) end

local function start(url, options)
  options = options or {}
  local headers, body, json_body = {}, options.body or "", options.json
  if json_body ~= nil then
    body = json.encode(json_body)
    headers = { "content-type", "application/json" }
  end
  for name, value in pairs(options.headers or {}) do
    headers[#headers + 1], headers[#headers + 2] = name, tostring(value)
  end
  return host.start(options.method or (body ~= "" and "POST" or "GET"), url, body, headers)
end

local function wait(ticket)
  local status, url, body, headers = host.wait(ticket)
  return setmetatable({ status = status, ok = status >= 200 and status < 300, url = url, body = body, headers = headers }, answer)
end

-- The answers to several requests at once, in their order: URLs, or tables with url and fetch's options.
local function fetch_all(requests)
  local tickets, answers = {}, {}
  for i, r in ipairs(requests) do
    tickets[i] = type(r) == "table" and start(r.url, r) or start(r)
  end
  for i, ticket in ipairs(tickets) do answers[i] = wait(ticket) end
  return answers
end

local levels = { debug = 0, info = 1, warning = 2, error = 3 }

aleph = {
  json = json,
  store = store,
  fetch = function(url, options) return wait(start(url, options)) end,
  fetch_all = fetch_all,
  log = function(level, text) host.log(levels[level] or error("the levels are debug, info, warning and error", 2), tostring(text)) end,
}

-- Calls a handler and makes of what it returns a status, a list of headers and a body. A table with a number as status is a response;
-- any other, and numbers and booleans, become JSON; nil is 204.
return function(handler, request, context)
  local reply, status, headers, body = handler(request, context), 200, {}, nil
  if type(reply) == "table" and math.type(reply.status) == "integer" then
    status, body = reply.status, reply.body
    for name, value in pairs(reply.headers or {}) do
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        headers[#headers + 1], headers[#headers + 2] = name:lower(), tostring(one)
      end
    end
  elseif reply == nil then
    status = 204
  else
    body = reply
  end
  local kind
  if body == nil then
    body = ""
  elseif type(body) == "string" then
    kind = "text/plain; charset=utf-8"
  else
    body, kind = json.encode(body) .. "\n", "application/json"
  end
  for i = 1, #headers, 2 do
    if headers[i] == "content-type" then kind = nil end
  end
  if kind then headers[#headers + 1], headers[#headers + 2] = "content-type", kind end
  return status, headers, body
end
