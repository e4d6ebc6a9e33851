#include "src/system/process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/system/descriptor.hpp"

namespace memolock {

bool has_controlling_terminal() noexcept {
  return static_cast<bool>(Descriptor(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)));
}

bool is_parent(pid_t process) noexcept {
  const pid_t parent = getppid();
  return parent == process || parent == 0;  // 0: the parent has no pid in this namespace
}

bool next_process_begins_namespace() noexcept {
  constexpr auto link = "/proc/self/ns/pid_for_children";
  char target = 0;
  if (readlink(link, &target, 1) >= 0 || errno != ENOENT) return false;
  // Linux before 4.12 does not have this link.
  struct stat ignored {};
  return lstat(link, &ignored) == 0;
}

}  // namespace memolock
