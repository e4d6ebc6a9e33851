// once and lock: a command of whose output nothing is kept. The rules of options require the id and
// the command, and the ttl of once.
#include "cli/verbs/carry_out.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/promise/exclusive_run.hpp"

namespace memolock {

Exit run_once(const Options& options, const Log& log) {
  return carry_out(options, request_of(options, {options.tag, options.ids.back()}), once, log);
}

Exit run_lock(const Options& options, const Log& log) {
  return carry_out(options, request_of(options, {options.tag, options.ids.back()}), lock, log);
}

}  // namespace memolock
