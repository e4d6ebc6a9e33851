#include "src/store/entry_writer.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "src/store/entry_file.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {
namespace {

/// Whether this error of linkat(2) means that the file system has no hard links, or allows no more
/// for this file.
bool has_no_links(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

}  // namespace

EntryWriter::EntryWriter(Descriptor file, int directory, std::string path, std::string name,
                         const Record& record)
    : directory_(directory),
      path_(std::move(path)),
      name_(std::move(name)),
      spool_(std::make_shared<Spool>(std::move(file), encode(record).size(), directory)) {}

void EntryWriter::write_head(const Record& record) const {
  if (const int error = write_all_at(file(), encode(record), 0))
    throw system_error(failure(name_), error);
}

void EntryWriter::replace_head(const Record& record) const {
  const std::string head = encode(record);
  const std::string_view bytes = head;
  int error = write_all_at(file(), bytes.substr(forgotten_offset + 1), forgotten_offset + 1);
  if (error == 0) error = write_all_at(file(), bytes.substr(0, forgotten_offset), 0);
  if (error != 0) throw system_error(failure(name_), error);
}

bool EntryWriter::is_forgotten() const { return has_forgotten_mark(file()); }

void EntryWriter::rename_to(const std::string& name) const {
  if (renameat(directory_, name_.c_str(), directory_, name.c_str()) != 0)
    throw system_error(failure(name), errno);
}

bool EntryWriter::link_unless_taken(const std::string& name) const {
  if (linkat(directory_, name_.c_str(), directory_, name.c_str(), 0) == 0) return true;
  if (has_no_links(errno)) {
    // Reserve the name with an empty file, which is not a valid entry, then rename this file over
    // it.
    constexpr int flags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
    const Descriptor placeholder(openat(directory_, name.c_str(), flags, S_IRUSR | S_IWUSR));
    if (placeholder && renameat(directory_, name_.c_str(), directory_, name.c_str()) == 0)
      return true;
  }
  if (errno == EEXIST) return false;
  throw system_error(failure(name), errno);
}

void EntryWriter::remove_working_name() const noexcept {
  remove_if_same_file(directory_, name_, file());
}

std::string EntryWriter::failure(const std::string& name) const {
  return "cannot write " + path_ + '/' + name;
}

}  // namespace memolock
