-- The load of one operation: {id} cycles through the stored users, {n} counts requests, and an unexpected status is a failure.
local threads = {}
local method, expected, path, body, users
local values = { id = 0, n = 0 }
unexpected = 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  method, expected, path, body, users = args[1], tonumber(args[2]), args[3], args[4], tonumber(args[5])
  body = body .. string.rep(" ", tonumber(args[6]))
  if body ~= "" then wrk.headers["Content-Type"] = "application/json" end
  if args[7] ~= "" then wrk.headers["If-None-Match"] = args[7] end
  if args[8] ~= "" then wrk.headers["Authorization"] = "Bearer " .. args[8] end
end

local function fill(text)
  return (text:gsub("{(%l+)}", values))
end

function request()
  values.id, values.n = values.n % users + 1, values.n + 1
  return wrk.format(method, fill(path), nil, body ~= "" and fill(body) or nil)
end

function response(status, _, answer)
  if status == expected then return end
  if unexpected == 0 then io.stderr:write(method, " ", path, " returned ", status, ": ", answer, "\n") end
  unexpected = unexpected + 1
end

function done(summary, latency)
  local errors = summary.errors
  if errors.connect + errors.read + errors.write + errors.timeout > 0 then
    io.stderr:write(("connect %d, read %d, write %d, timeout %d\n"):format(errors.connect, errors.read, errors.write, errors.timeout))
  end
  local failures = errors.connect + errors.read + errors.write + errors.timeout
  for _, thread in ipairs(threads) do failures = failures + thread:get("unexpected") end
  local line = '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failures": %d}\n'
  io.write(line:format(summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failures))
end
