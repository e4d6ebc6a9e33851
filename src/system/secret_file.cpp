#include "src/system/secret_file.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <filesystem>
#include <system_error>

#include "src/system/directory.hpp"
#include "src/system/text.hpp"

namespace memolock {
bool is_exposed(int file) {
  struct stat info {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink == 0) return false;
  const bool by_group = (info.st_mode & S_IRGRP) != 0 && info.st_uid == user_at_start();
  if (!by_group && (info.st_mode & S_IROTH) == 0) return false;
  struct statfs system {};
  return fstatfs(file, &system) != 0 ||
         (system.f_type != PROC_SUPER_MAGIC && (system.f_flags & ST_RDONLY) == 0);
}

std::optional<std::string> reopenable_path(const std::string& path, int file) {
  const std::string plain = std::filesystem::path(path).lexically_normal();
  if (!plain.starts_with("/dev/") && !plain.starts_with("/proc/")) return path;
  std::error_code error;
  std::string name = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), error);
  if (error || !name.starts_with('/')) return std::nullopt;
  return name;
}

std::string exposure_advice(const std::string& path) {
  return "run: chmod go-rwx " + quote_for_shell(path);
}

}  // namespace memolock
