#include "src/command/process_table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"

namespace memolock {
namespace {

std::optional<ProcessInfo> read_process(int proc, const std::string& pid) {
  const Descriptor file(openat(proc, (pid + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t size = file ? read(file.get(), text.data(), text.size() - 1) : -1;
  if (size <= 0) return std::nullopt;
  // "PID (NAME) STATE PARENT …". NAME may contain anything, also ") ".
  const char* end_of_name = strrchr(text.data(), ')');
  if (end_of_name == nullptr || strlen(end_of_name) < 5) return std::nullopt;
  return ProcessInfo{static_cast<pid_t>(strtol(end_of_name + 4, nullptr, 10)), end_of_name[2]};
}

}  // namespace

std::map<pid_t, ProcessInfo> all_processes() {
  std::map<pid_t, ProcessInfo> processes;
  // In the /proc of another process namespace, processes have other ids.
  std::array<char, 32> self{};
  const ssize_t size = readlink("/proc/self", self.data(), self.size() - 1);
  if (size <= 0 || strtol(self.data(), nullptr, 10) != getpid()) return processes;
  DirectoryReader proc(open_directory(AT_FDCWD, "/proc"));
  while (const char* const name = proc.next()) {
    const auto pid = static_cast<pid_t>(strtol(name, nullptr, 10));
    if (pid <= 0) continue;
    if (const auto process = read_process(proc.descriptor(), name))
      processes.emplace(pid, *process);
  }
  return processes;
}

std::string process_name(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/comm";
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file ? read(file.get(), text.data(), text.size()) : -1;
  // It ends with a newline.
  return size <= 1 ? "" : std::string(text.data(), static_cast<size_t>(size) - 1);
}

}  // namespace memolock
