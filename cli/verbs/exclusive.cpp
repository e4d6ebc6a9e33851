// The verbs once and lock: run a command without storing its output. The option rules require an id
// and a command, and for `once` also a ttl.
#include "cli/verbs/run_with_store.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/promise/exclusive_run.hpp"

namespace memolock {

ProcessEnd run_once(const Options& options, const Log& log) {
  return run_with_store(options, request_of(options, {options.tag, options.ids.back()}), once, log);
}

ProcessEnd run_lock(const Options& options, const Log& log) {
  return run_with_store(options, request_of(options, {options.tag, options.ids.back()}), lock, log);
}

}  // namespace memolock
