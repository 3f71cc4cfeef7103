-- GET /?a=URL&b=URL fetches both at once and answers their statuses and lengths.
return function(request)
  local answers = aleph.fetch_all { request.query.a, request.query.b }
  for i, answer in ipairs(answers) do
    answers[i] = { url = answer.url, status = answer.status, bytes = #answer.body }
  end
  return answers
end
