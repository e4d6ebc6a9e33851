#include "src/spool.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/key.hpp"
#include "src/units.hpp"

namespace memolock {
namespace {

/// A file without a name in `folder`, also where the file system knows no O_TMPFILE. Where the
/// folder itself has been removed, in memory: the run's waiters can still be answered.
Descriptor nameless_file(int folder) {
  int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    const std::string name = new_token() + ".spool";
    fd = openat(folder, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) unlinkat(folder, name.c_str(), 0);
  }
  struct stat info {};
  if (fd < 0 && fstat(folder, &info) == 0 && info.st_nlink == 0)
    fd = memfd_create("memolock", MFD_CLOEXEC);
  return Descriptor(fd);
}

}  // namespace

Spool::Spool(Descriptor file, uint64_t base, int folder) : folder_(folder) {
  part(Stream::out).file = std::move(file);
  part(Stream::out).base = base;
}

bool Spool::append(Stream stream, std::string_view bytes) {
  if (!fault_.empty()) return false;
  if (size(Stream::out) + size(Stream::err) + bytes.size() > limit_) {
    fault_ = fmt::format("the output is larger than --max-entry ({})", format_size(limit_));
    return false;
  }
  Part& to = part(stream);
  if (!to.file) to.file = nameless_file(folder_);
  const int error = to.file ? write_all_at(to.file.get(), bytes, to.base + to.size) : errno;
  if (error != 0) {
    fault_ = "cannot write to the store: " + error_text(error);
    return false;
  }
  to.size += bytes.size();
  to.hash.add(bytes);
  return true;
}

void Spool::join() {
  const Part& out = part(Stream::out);
  const Part& err = part(Stream::err);
  if (err.size == 0) return;
  if (lseek(out.file.get(), static_cast<off_t>(out.base + out.size), SEEK_SET) < 0)
    throw system_error("cannot write to the store", errno);
  if (const int error = copy_range(err.file.get(), err.base, err.size, out.file.get()))
    throw system_error("cannot write to the store", error);
}

}  // namespace memolock
