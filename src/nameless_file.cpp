#include "src/nameless_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "src/key.hpp"
#include "src/token.hpp"

namespace memolock {
namespace {

Descriptor file_in_memory() { return Descriptor(memfd_create("memolock", MFD_CLOEXEC)); }

}  // namespace

Descriptor nameless_file(int folder) {
  int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    const std::string name = spool_file(new_token());
    fd = openat(folder, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) unlinkat(folder, name.c_str(), 0);
  }
  struct stat info {};
  if (fd < 0 && fstat(folder, &info) == 0 && info.st_nlink == 0) return file_in_memory();
  return Descriptor(fd);
}

Descriptor temporary_file() {
  for (const char* const path : {static_cast<const char*>(getenv("TMPDIR")), "/tmp"}) {
    if (path == nullptr) continue;
    const Descriptor folder(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) continue;
    if (Descriptor file = nameless_file(folder.get())) return file;
  }
  return file_in_memory();
}

}  // namespace memolock
