// The processes of this machine, read from /proc.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

namespace memolock {

struct ProcessInfo {
  pid_t parent = 0;
  char state = '?';  ///< as in proc(5): 'Z' is a zombie
};

/// All processes that can be read, by process id. Empty where /proc is missing or shows another
/// process namespace. Throws std::bad_alloc.
[[nodiscard]] std::map<pid_t, ProcessInfo> all_processes();

/// The command name of the process, at most 15 bytes; empty if it cannot be read.
[[nodiscard]] std::string process_name(pid_t pid);

}  // namespace memolock
