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

Descriptor anonymous_file(int directory) {
  Descriptor file = make_file(directory, ".", O_TMPFILE | O_RDWR);
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    const std::string name = random_name() + std::string(anonymous_suffix);
    file = make_file(directory, name, O_RDWR | O_EXCL);
    if (file) unlinkat(directory, name.c_str(), 0);
  }
  struct stat info {};
  if (!file && fstat(directory, &info) == 0 && info.st_nlink == 0) return file_in_memory();
  return file;
}

Descriptor temporary_file() {
  for (const char* const path : {static_cast<const char*>(getenv("TMPDIR")), "/tmp"}) {
    if (path == nullptr) continue;
    const Descriptor directory(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) continue;
    if (Descriptor file = anonymous_file(directory.get())) return file;
  }
  return file_in_memory();
}

}  // namespace memolock
