#include "src/command/control_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr const char* parent = "/tmp";
constexpr const char* name_prefix = "memolock-control-";
constexpr mode_t directory_mode = 0711;
constexpr mode_t file_mode = 0622;
// Longer than it takes to create a directory and a file in it, and to lock the file.
constexpr std::chrono::minutes settling{1};

/// The name of the common directory. The name of a directory for a single run also has a '-' and a
/// token.
std::string directory_name() { return fmt::format("{}{}", name_prefix, geteuid()); }

std::string path_of(const std::string& name) { return fmt::format("{}/{}", parent, name); }

/// Advice if nothing can be created in /tmp; empty if that is not the reason.
std::string advice_for_parent() {
  if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) != 0)
    return fmt::format("memolock needs a writable {}", parent);
  struct statvfs info {};
  const bool is_full = statvfs(parent, &info) == 0 && ((info.f_blocks > 0 && info.f_bavail == 0) ||
                                                       (info.f_files > 0 && info.f_favail == 0));
  return is_full ? fmt::format("free space in {}", parent) : "";
}

std::string error_message(const std::string& error, const std::string& advice) {
  return "cannot create MEMOLOCK_CONTROL: " + error + (advice.empty() ? "" : "; " + advice);
}

}  // namespace

/// Sets `path` to the path of the directory. Throws Error(store).
Descriptor ControlFile::open_or_make_directory(std::string& path) {
  path = path_of(directory_name());
  Descriptor directory;
  auto refusal = failure_of([&] { directory = make_private_directory(path, directory_mode); });
  if (!refusal) return directory;
  // If the name does not exist, creating a directory under another name would fail as well.
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) throw store_error(*refusal);
  path += '-' + random_name();
  directory = make_private_directory(path, directory_mode);
  cleanup_.directory = path;
  why_own_directory_ = std::move(*refusal);
  return directory;
}

void ControlFile::make_file() {
  std::string path;
  const Descriptor directory = open_or_make_directory(path);
  const std::string name = random_name();
  constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  file_.reset(openat(directory.get(), name.c_str(), flags, 0600));
  if (!file_) throw system_error("cannot create a file in " + path, errno);
  path += '/' + name;
  cleanup_.path = path;
  if (fchmod(file_.get(), file_mode) != 0) throw system_error(path, errno);
  if (const int error = try_lock_file(file_.get())) throw system_error(path, error);
}

std::string ControlFile::make() {
  auto failure = failure_of([&] { make_file(); });
  if (!failure) return cleanup_.path;
  error_ = std::move(*failure);
  advice_ = advice_for_parent();
  remove();
  return "/dev/null";
}

Control ControlFile::read_and_remove() {
  Control control = read();
  remove();
  return control;
}

Control ControlFile::read() const {
  constexpr off_t max_size = 64 << 10;
  Control control;
  if (!error_.empty()) control.missing = error_message(error_, advice_);
  if (!file_) return control;
  struct stat info {};
  std::string text;
  ssize_t got = fstat(file_.get(), &info);
  if (got == 0 && info.st_size > max_size) {
    control.error = "the command wrote more than 64KiB to MEMOLOCK_CONTROL";
    return control;
  }
  if (got == 0 && info.st_size > 0) {
    text.resize(static_cast<size_t>(info.st_size));
    got = read_all_at(file_.get(), text.data(), text.size(), 0);
  }
  if (got < 0) {
    control.error = "cannot read MEMOLOCK_CONTROL: " + error_text(errno);
    return control;
  }
  text.resize(static_cast<size_t>(got));
  return parse_control(text);
}

void ControlFile::remove() noexcept {
  if (!cleanup_.path.empty()) unlink(cleanup_.path.c_str());
  if (!cleanup_.directory.empty()) rmdir(cleanup_.directory.c_str());
  cleanup_ = {};
  file_.reset();
}

std::string control_directory() { return path_of(directory_name()); }

std::string why_no_control_files() {
  ControlFile file;
  (void)file.make();
  return file.error().empty() ? "" : error_message(file.error(), file.advice());
}

namespace {

/// Removes the files that do not belong to a run.
void sweep_directory(const std::string& path) {
  const Descriptor directory = open_private_directory(path);
  if (!directory) return;
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  for_each_name(directory.get(), ".", DotNames::show, [&](const std::string& name) {
    const Descriptor file(openat(directory.get(), name.c_str(), flags));
    struct stat info {};
    if (file && fstat(file.get(), &info) == 0 && is_older(info, settling) &&
        !is_file_locked(file.get()))
      unlinkat(directory.get(), name.c_str(), 0);
  });
}

/// Removes the directory of a single run, unless that run is in progress or about to begin.
void sweep_directory_of_run(const std::string& path) {
  struct stat info {};
  const bool settled = lstat(path.c_str(), &info) == 0 && is_older(info, settling);
  sweep_directory(path);
  if (settled) rmdir(path.c_str());
}

}  // namespace

void remove_stale_control_files() noexcept {
  (void)failure_of([] { sweep_directory(path_of(directory_name())); });
  (void)failure_of([] {
    const std::string prefix = directory_name() + '-';
    for_each_name(AT_FDCWD, parent, DotNames::skip, [&](const std::string& name) {
      if (name.starts_with(prefix))
        (void)failure_of([&] { sweep_directory_of_run(path_of(name)); });
    });
  });
}

}  // namespace memolock
