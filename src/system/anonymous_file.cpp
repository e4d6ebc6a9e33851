#include "src/system/anonymous_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "src/system/directory.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

Descriptor file_in_memory() { return Descriptor(memfd_create("memolock", MFD_CLOEXEC)); }

}  // namespace

Descriptor anonymous_file(int folder) {
  Descriptor file = make_file(folder, ".", O_TMPFILE | O_RDWR);
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    const std::string name = random_name() + std::string(anonymous_ending);
    file = make_file(folder, name, O_RDWR | O_EXCL);
    if (file) unlinkat(folder, name.c_str(), 0);
  }
  struct stat info {};
  if (!file && fstat(folder, &info) == 0 && info.st_nlink == 0) return file_in_memory();
  return file;
}

Descriptor temporary_file() {
  for (const char* const path : {static_cast<const char*>(getenv("TMPDIR")), "/tmp"}) {
    if (path == nullptr) continue;
    const Descriptor folder(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) continue;
    if (Descriptor file = anonymous_file(folder.get())) return file;
  }
  return file_in_memory();
}

}  // namespace memolock
