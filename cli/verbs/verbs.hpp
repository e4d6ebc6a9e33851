// The implementation of each verb. Each requires that check_combination() has accepted the options:
// it relies on what the rules say of its verb, and does not check that again.
#pragma once

#include "cli/options.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// How this process ends.
struct Exit {
  int status = 0;
  int signal = 0;  ///< the signal to end by; 0: none
};

[[nodiscard]] Exit run_get(const Options& options, const Log& log);
[[nodiscard]] Exit run_once(const Options& options, const Log& log);
[[nodiscard]] Exit run_lock(const Options& options, const Log& log);
[[nodiscard]] Exit run_key(const Options& options, const Log& log);
[[nodiscard]] Exit run_del(const Options& options, const Log& log);
[[nodiscard]] Exit run_set(const Options& options, const Log& log);
[[nodiscard]] Exit run_fail(const Options& options, const Log& log);
[[nodiscard]] Exit run_renew(const Options& options, const Log& log);
[[nodiscard]] Exit run_ls(const Options& options, const Log& log);
[[nodiscard]] Exit run_show(const Options& options, const Log& log);
[[nodiscard]] Exit run_stats(const Options& options, const Log& log);
[[nodiscard]] Exit run_gc(const Options& options, const Log& log);
[[nodiscard]] Exit run_doctor(const Options& options, const Log& log);
[[nodiscard]] Exit run_completion(const Options& options, const Log& log);

}  // namespace memolock
