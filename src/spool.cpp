#include "src/spool.hpp"

#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/nameless_file.hpp"
#include "src/units.hpp"

namespace memolock {
Spool::Spool(Descriptor file, uint64_t base, int folder) : folder_(folder) {
  part(Stream::out).file = std::move(file);
  part(Stream::out).base = base;
}

bool Spool::append(Stream stream, std::string_view bytes) {
  if (!fault_.empty()) return false;
  if (size(Stream::out) + size(Stream::err) + size(Stream::files) + bytes.size() > limit_) {
    fault_ = fmt::format("the output{} larger than --max-entry ({})",
                         stream == Stream::files ? " and the artifacts are" : " is",
                         format_size(limit_));
    return false;
  }
  Part& to = part(stream);
  if (!to.file) to.file = folder_ < 0 ? temporary_file() : nameless_file(folder_);
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
  if (lseek(out.file.get(), static_cast<off_t>(out.base + out.size), SEEK_SET) < 0)
    throw system_error("cannot write to the store", errno);
  for (const Stream stream : {Stream::err, Stream::files}) {
    const Part& from = part(stream);
    if (from.size == 0) continue;
    if (const int error = copy_range(from.file.get(), from.base, from.size, out.file.get()))
      throw system_error("cannot write to the store", error);
  }
}

}  // namespace memolock
