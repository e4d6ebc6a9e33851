#include "src/entry/spool.hpp"

#include <cerrno>

#include <fmt/format.h>

#include "src/system/anonymous_file.hpp"
#include "src/system/error.hpp"
#include "src/system/units.hpp"

namespace memolock {

Spool::Spool(Descriptor file, uint64_t base, int directory) : directory_(directory) {
  part(Stream::out).file = std::move(file);
  part(Stream::out).base = base;
}

bool Spool::fits(uint64_t size, bool with_files) noexcept {
  if (size <= limit_) return true;
  refuse(with_files ? Refusal::too_large_with_artifacts : Refusal::too_large, 0);
  return false;
}

bool Spool::has_room_for_files(uint64_t unpacked) noexcept {
  const uint64_t streams = size(Stream::out) + size(Stream::err);
  return fits(unpacked > UINT64_MAX - streams ? UINT64_MAX : streams + unpacked, true);
}

bool Spool::append(Stream stream, std::string_view bytes) noexcept {
  if (refusal_ != Refusal::none) return false;
  const uint64_t all = size(Stream::out) + size(Stream::err) + size(Stream::files) + bytes.size();
  if (!fits(all, stream == Stream::files)) return false;
  Part& to = part(stream);
  if (!to.file) to.file = make_file();
  const int error = to.file ? write_all_at(to.file.get(), bytes, to.base + to.size) : errno;
  if (error != 0) {
    refuse(Refusal::unwritable, error);
    return false;
  }
  to.size += bytes.size();
  to.hash.add(bytes);
  return true;
}

void Spool::refuse(Refusal why, int error) noexcept {
  if (refusal_ != Refusal::none) return;
  refusal_ = why;
  error_ = error;
}

/// Empty, with errno set, on failure.
Descriptor Spool::make_file() const noexcept {
  Descriptor file;
  const auto failure = failure_of(
      [&] { file = directory_ < 0 ? temporary_file() : anonymous_file(directory_); });
  if (failure) errno = ENOMEM;
  return file;
}

std::string Spool::why_refused() const {
  switch (refusal_) {
    case Refusal::none:
      break;
    case Refusal::too_large:
      return fmt::format("the output is larger than --max-entry ({})", format_size(limit_));
    case Refusal::too_large_with_artifacts:
      return fmt::format("the output and the artifacts are larger than --max-entry ({})",
                         format_size(limit_));
    case Refusal::unwritable:
      return (directory_ < 0 ? "cannot write to a temporary file in TMPDIR or /tmp: "
                             : "cannot write to the store: ") +
             error_text(error_);
    case Refusal::unreadable:
      return "cannot read the command's output: " + error_text(error_);
  }
  return "";
}

void Spool::append_to_stdout_file() {
  const Part& out = part(Stream::out);
  uint64_t end = out.base + out.size;
  for (const Stream stream : {Stream::err, Stream::files}) {
    const Part& from = part(stream);
    if (const int error = copy_range_at(from.file.get(), from.base, from.size, out.file.get(), end))
      throw system_error("cannot write to the store", error);
    end += from.size;
  }
}

}  // namespace memolock
