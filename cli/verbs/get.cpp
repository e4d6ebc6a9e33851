#include "src/promise/get.hpp"

#include "cli/verbs/carry_out.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

/// Bypassed, nothing is gathered: what suspects the cache is to run as if there were none.
Identity identity_of(const Options& options) {
  if (!options.command.empty() && !options.ttl && !options.bypass)
    throw usage_error("--ttl is required to run a command");
  KeyInputs inputs;
  inputs.directory = options.key.directory;
  if (!options.bypass) inputs = options.key;
  return identify(options.ids.empty() ? "" : options.ids.back(), options.command, inputs);
}

/// An entry without its id answers nobody. But for what needs one, the command is run all the same.
void leave_uncached(const Options& options, const std::string& fault, const Log& log) {
  if (options.bypass) return;
  if (options.command.empty() || options.external)
    throw usage_error(fault + "; it is part of the id");
  log.warn("{}; the result is not kept", fault);
}

Request request_from(const Options& options, const Identity& identity) {
  // Without one of its parts the id would be another entry's.
  const bool is_named = identity.fault.empty();
  Request request = request_of(options, {options.tag, is_named ? identity.id : ""});
  request.input = identity.input.get();
  request.refresh = options.refresh;
  request.stale = options.stale;
  request.stale_if_error = options.stale_if_error;
  request.early = options.early;
  request.jitter = options.jitter;
  request.cache_failures = options.cache_failures;
  request.drain = options.drain;
  request.artifacts = options.artifacts;
  if (options.external && !request.artifacts.empty())
    throw usage_error("--artifact excludes --external: the files are made elsewhere");
  if (options.external) request.producer = Producer::external;
  if (!is_named) request.uncached = true;
  return request;
}

}  // namespace

Exit run_get(const Options& options, const Log& log) {
  const Identity identity = identity_of(options);
  if (!identity.fault.empty()) leave_uncached(options, identity.fault, log);
  return carry_out(options, request_from(options, identity), get, log);
}

}  // namespace memolock
