#include "src/secret_file.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>

#include "src/folder.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

/// A word of a command line, in quotes where a shell would not leave it as it is.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](char c) { return c == '/' || is_unreserved(c); };
  if (!text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), is_plain))
    return text;
  std::string word = text.starts_with('-') ? "./'" : "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

bool is_exposed(int file) {
  struct stat info {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink == 0) return false;
  const bool by_group = (info.st_mode & S_IRGRP) != 0 && info.st_uid == own_user();
  if (!by_group && (info.st_mode & S_IROTH) == 0) return false;
  struct statfs system {};
  return fstatfs(file, &system) != 0 ||
         (system.f_type != PROC_SUPER_MAGIC && (system.f_flags & ST_RDONLY) == 0);
}

std::string exposure_remedy(const std::string& path) {
  return "run: chmod go-rwx " + shell_word(path);
}

}  // namespace memolock
