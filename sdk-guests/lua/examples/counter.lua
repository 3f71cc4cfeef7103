-- Counts visits in the store, a counter for each path: GET /a answers {"path":"/a","visits":1}, then 2, and so on.
return function(request)
  return { path = request.path, visits = aleph.store.increment(request.path) }
end
