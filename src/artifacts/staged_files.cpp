#include "src/artifacts/staged_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"

namespace memolock {
namespace {

/// Whether a block consists of zeros only, which need no space on disk.
bool is_hole(std::string_view bytes) {
  return !bytes.empty() && bytes.front() == '\0' &&
         bytes.substr(1) == bytes.substr(0, bytes.size() - 1);
}

}  // namespace

void StagedFiles::add(ArchiveReader& reader, const Member& member, RestoredTree::Node node) {
  const std::string path = tree_.path_of(node);
  if (node.is_root() && member.kind == MemberKind::link)
    throw RefusedArchive("the stored artifacts contain a symbolic link in place of " + path);
  const int directory = tree_.parent_of(node);
  if (member.kind == MemberKind::file) return add_file(reader, member, directory, std::move(node));
  const std::string name = names_.staged(nodes_.size());
  nodes_.push_back(std::move(node));
  if (symlinkat(member.target.c_str(), directory, name.c_str()) != 0) throw restore_error(path);
}

void StagedFiles::add_file(ArchiveReader& reader, const Member& member, int directory,
                           RestoredTree::Node node) {
  const std::string path = tree_.path_of(node);
  Descriptor file = create(directory, path);
  nodes_.push_back(std::move(node));
  write_content(reader, member, file.get(), path);
  const mode_t mode = member.mode & restored_permissions;
  if (nodes_.size() == 1) {
    first_ = std::move(file);
    first_mode_ = mode;
  } else if (fchmod(file.get(), mode) != 0) {
    throw restore_error(path);
  }
}

/// Creates the next staged file. The first one gets its staging name once it is locked.
Descriptor StagedFiles::create(int directory, const std::string& path) {
  constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  const std::string staged = names_.staged(nodes_.size());
  const std::string name = nodes_.empty() ? names_.unlocked() : staged;
  Descriptor file = tree_.open_sparingly(
      [&] { return openat(directory, name.c_str(), flags, 0600); });
  if (!file) throw restore_error(path);
  if (!nodes_.empty()) return file;
  (void)try_lock_file(file.get());
  if (renameat(directory, name.c_str(), directory, staged.c_str()) == 0) return file;
  const Error error = restore_error(path);
  unlinkat(directory, name.c_str(), 0);
  throw error;
}

void StagedFiles::write_content(ArchiveReader& reader, const Member& member, int file,
                                const std::string& path) const {
  uint64_t end = 0;
  uint64_t written = 0;  // the end of the written part, holes included
  while (const auto block = reader.next_block()) {
    throw_if_interrupted(interrupt_);
    end = block->offset + block->bytes.size();
    if (end > member.size) break;
    if (is_hole(block->bytes)) continue;
    if (const int error = write_all_at(file, block->bytes, block->offset))
      throw restore_error(path, error);
    written = end;
  }
  if (end != member.size)
    throw RefusedArchive("the stored artifacts are damaged: wrong size of " + path);
  if (written != end && ftruncate(file, static_cast<off_t>(end)) != 0) throw restore_error(path);
}

/// The number of the file to rename next. A locked first file is the last one: until then its lock
/// shows that the other staged files are in use.
size_t StagedFiles::next_to_place() const {
  return first_ ? (placed_ + 1) % nodes_.size() : placed_;
}

void StagedFiles::put_in_place() {
  std::optional<timespec> time;
  for (; placed_ < nodes_.size(); ++placed_) {
    const size_t number = next_to_place();
    const RestoredTree::Node& node = nodes_[number];
    const int directory = tree_.parent_of(node);
    const std::string staged = names_.staged(number);
    struct stat info {};
    if (!time && fstatat(directory, staged.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
      time = info.st_mtim;
    const std::array<timespec, 2> times{time.value_or(timespec{}), time.value_or(timespec{})};
    const bool is_first = number == 0 && first_;
    if ((is_first && fchmod(first_.get(), first_mode_) != 0) ||
        utimensat(directory, staged.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(directory, staged.c_str(), directory, tree_.base_name(node).c_str()) != 0)
      throw restore_error(tree_.path_of(node));
  }
}

void StagedFiles::remove() {
  for (; placed_ < nodes_.size(); ++placed_) {
    const size_t number = next_to_place();
    try {
      unlinkat(tree_.parent_of(nodes_[number]), names_.staged(number).c_str(), 0);
    } catch (const Error&) {
      // Its directory no longer exists, and so neither does the file.
    }
  }
}

}  // namespace memolock
