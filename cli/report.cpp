#include "cli/report.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

#include "cli/json.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

/// The descriptor that the name refers to, such as 3 for /dev/fd/3; -1 if it is the name of another
/// file.
int descriptor_named(std::string_view file) {
  if (file == "/dev/stdout") return STDOUT_FILENO;
  if (file == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view prefix : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!file.starts_with(prefix)) continue;
    int number = -1;
    const char* const end = file.data() + file.size();
    const auto [rest, error] = std::from_chars(file.data() + prefix.size(), end, number);
    return error == std::errc() && rest == end ? number : -1;
  }
  return -1;
}

/// Whether this descriptor was open when the call began: descriptors that this process opens are
/// close-on-exec.
bool is_inherited(int fd) {
  const int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

/// Whether the descriptor is that of a regular file, open for writing.
bool is_written_file(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/// Returns 0 or the errno; EBADF if the caller has no such descriptor.
int append(const std::string& file, const std::string& text) {
  if (const int fd = descriptor_named(file); fd >= 0) {
    if (!is_inherited(fd)) return EBADF;
    // If the file were opened again, the caller's position would not change, and the caller's next
    // output would overwrite the line.
    if (is_written_file(fd)) return try_write(fd, text);
  }
  // If the file is a FIFO that has no reader or is full, the call must not hang.
  constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const Descriptor to(open(file.c_str(), flags, 0666));
  return to ? try_write(to.get(), text) : errno;
}

}  // namespace

void append_report(const std::string& file, const Key& key, const Outcome& outcome,
                   const Log& log) {
  Json line;
  line.set("time", seconds(wall_now()));
  line.set("outcome", name_of(outcome.kind));
  line.set("tag", key.tag);
  line.set("id", key.id.empty() ? Json() : Json(key.id));
  line.set("status", outcome.status);
  line.set("age", seconds(outcome.age));
  line.set("run_time", seconds(outcome.run_time));
  line.set("saved", seconds(avoided_a_run(outcome) ? outcome.run_time : Nanoseconds(0)));
  line.set("store_error", outcome.store_error.empty() ? Json() : Json(outcome.store_error));
  const std::string text = line.text() + "\n";
  const int error = append(file, text);
  if (error == 0) return;
  const auto why = [&]() -> std::string {
    if (error == EAGAIN) return "the pipe is full";
    return error == EBADF ? "it is not open" : error_text(error);
  };
  log.warn("cannot write the report {}: {}", escape_controls(file), why());
}

}  // namespace memolock
