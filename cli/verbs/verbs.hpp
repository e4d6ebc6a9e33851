// The functions that implement the verbs. They require options that check_combination() has
// accepted, and do not check the option rules again. Each may throw Error.
#pragma once

#include "cli/options.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// How this process ends.
struct ProcessEnd {
  int status = 0;
  int signal = 0;  ///< the signal by which to end instead; 0: none
};

[[nodiscard]] ProcessEnd run_get(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_once(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_lock(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_key(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_del(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_set(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_fail(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_renew(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_ls(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_show(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_stats(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_gc(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_doctor(const Options& options, const Log& log);
[[nodiscard]] ProcessEnd run_completion(const Options& options, const Log& log);

}  // namespace memolock
