#include "src/artifacts/abandoned_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/staging_name.hpp"

namespace memolock {

void AbandonedFiles::remove_from(int directory) {
  for_each_name(directory, ".", DotNames::show, [&](const std::string& name) {
    const auto token = StagingNames::token_in(name);
    if (token && is_abandoned(directory, std::string(*token), name))
      unlinkat(directory, name.c_str(), 0);
  });
}

bool AbandonedFiles::is_abandoned(int directory, const std::string& token,
                                  const std::string& name) {
  const auto known = is_running_.find(token);
  if (known != is_running_.end()) return !known->second;
  const std::string first = StagingNames(token).staged(0);
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  const Descriptor file(openat(directory, first.c_str(), flags));
  const int error = file ? try_lock_file(file.get()) : ENOENT;
  const bool is_running = error == EAGAIN || error == EACCES;
  if (is_running || error == 0) {
    is_running_.emplace(token, is_running);
    return !is_running;
  }
  struct stat info {};
  return fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && is_older(info, old);
}

}  // namespace memolock
