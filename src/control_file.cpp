#include "src/control_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/file_lock.hpp"
#include "src/folder.hpp"
#include "src/token.hpp"

namespace memolock {
namespace {

constexpr mode_t folder_mode = 0711;
constexpr mode_t file_mode = 0622;
// Longer than it takes to make a file and lock it.
constexpr std::chrono::minutes settling{1};

std::string folder_path() { return fmt::format("/tmp/memolock-control-{}", geteuid()); }

}  // namespace

std::string ControlFile::make() {
  const auto failure = failure_of([&] {
    const std::string path = folder_path();
    const Descriptor folder = make_own_directory(path, folder_mode);
    const std::string name = new_token();
    path_ = path + '/' + name;
    constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    file_.reset(openat(folder.get(), name.c_str(), flags, 0600));
    if (!file_ || fchmod(file_.get(), file_mode) != 0) throw system_error(path_, errno);
    if (const int error = try_lock_file(file_.get())) throw system_error(path_, error);
  });
  if (!failure) return path_;
  fault_ = "MEMOLOCK_CONTROL cannot be made: " + *failure;
  remove();
  return "/dev/null";
}

Control ControlFile::take() {
  Control control = read();
  remove();
  return control;
}

Control ControlFile::read() const {
  constexpr off_t largest = 64 << 10;
  Control control;
  control.fault = fault_;
  if (!file_) return control;
  struct stat info {};
  std::string text;
  ssize_t got = fstat(file_.get(), &info);
  if (got == 0 && info.st_size > largest) {
    control.fault = "the command wrote more than 64KiB to MEMOLOCK_CONTROL";
    return control;
  }
  if (got == 0 && info.st_size > 0) {
    text.resize(static_cast<size_t>(info.st_size));
    got = read_all_at(file_.get(), text.data(), text.size(), 0);
  }
  if (got < 0) {
    control.fault = "MEMOLOCK_CONTROL cannot be read: " + error_text(errno);
    return control;
  }
  text.resize(static_cast<size_t>(got));
  return parse_control(text);
}

void ControlFile::remove() noexcept {
  if (file_) unlink(path_.c_str());
  file_.reset();
}

void sweep_control_files() noexcept {
  (void)failure_of([] {
    const Descriptor folder = open_own_directory(folder_path());
    if (!folder) return;
    constexpr int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    each_name(folder.get(), ".", Hidden::show, [&](const std::string& name) {
      const Descriptor file(openat(folder.get(), name.c_str(), flags));
      struct stat info {};
      if (file && fstat(file.get(), &info) == 0 && is_older(info, settling) &&
          !is_file_locked(file.get()))
        unlinkat(folder.get(), name.c_str(), 0);
    });
  });
}

}  // namespace memolock
