// once and lock: a command of whose output nothing is kept.
#include "cli/verbs/carry_out.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/promise/exclusive_run.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

Request request_from(const Options& options) {
  if (options.ids.empty()) throw usage_error("give --id");
  if (options.command.empty()) throw usage_error("a command is missing");
  return request_of(options, {options.tag, options.ids.back()});
}

}  // namespace

Exit run_once(const Options& options, const Log& log) {
  Request request = request_from(options);
  request.skip_status = options.skip_status;
  if (!options.bypass) {
    if (!options.ttl) throw usage_error("--ttl is required");
    // By mistake each host would have one of its own, and run.
    if (options.store.empty())
      throw usage_error(
          "give --store, MEMOLOCK_STORE or a store in the configuration; "
          "--store local is this machine alone");
  }
  return carry_out(options, request, once, log);
}

Exit run_lock(const Options& options, const Log& log) {
  return carry_out(options, request_from(options), lock, log);
}

}  // namespace memolock
