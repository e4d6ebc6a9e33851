// What each verb does with its options.
#pragma once

#include "cli/options.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// How this process is to end.
struct Exit {
  int status = 0;
  int signal = 0;  ///< end by it; 0 for none
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
