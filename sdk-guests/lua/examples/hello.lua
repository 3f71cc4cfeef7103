-- GET /?name=Alice answers "Hello, Alice!".
local greeting = os.getenv("GREETING") or "Hello"

return function(request)
  return greeting .. ", " .. (request.query.name or "World") .. "!\n"
end
