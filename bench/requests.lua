-- Arguments: a file with one request per line (path, tab, value of If-None-Match or nothing), a delay in ms, and headers
-- of all requests as NAME=VALUE.
local requests, last = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local path, etag = line:match("^([^\t]+)\t(.*)$")
    local headers = {}
    for i = 3, #args do
      local name, value = args[i]:match("^([^=]+)=(.*)$")
      headers[name] = value
    end
    if etag ~= "" then headers["If-None-Match"] = etag end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
  last = math.random(#requests)
  local pause = tonumber(args[2])
  if pause > 0 then
    -- Between half and one and a half of it: connections must not march in step.
    function delay() return math.random(pause / 2, pause * 3 / 2) end
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'MEASURED {"requests": %d, "micros": %d, "p50": %.1f, "p99": %.1f, "errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
