#include "src/artifacts/restored_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr mode_t all_mode_bits = 07777;
constexpr mode_t owner_all = 0700;

std::string_view base_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// Runs a step of undo(). Ignores a directory that no longer exists.
template <typename Step>
void ignoring_errors(const Step& step) {
  try {
    step();
  } catch (const Error&) {
  }
}

}  // namespace

Error restore_error(const std::string& path, int error) {
  return system_error("cannot restore " + escape_controls(path), error);
}

RestoredTree::Node RestoredTree::locate(const Member& member, const MemberPlace& place) {
  Node node{directory_above(member, place), place.index,
            place.is_root() ? "" : std::string(place.components.back())};
  if (node.is_root()) make_parents(roots_[node.index]);
  current_ = node.parent;
  return node;
}

/// The number of the directory that contains a member: the current one, or one above it.
uint32_t RestoredTree::directory_above(const Member& member, const MemberPlace& place) const {
  if (place.is_root()) return none;
  uint32_t number = current_;
  while (number != none && directories_[number].depth >= place.components.size())
    number = directories_[number].node.parent;
  if (!is_directory_of(number, place))
    throw RefusedArchive("the stored artifacts are damaged: " + escape_controls(member.name) +
                         " does not follow its directory");
  return number;
}

bool RestoredTree::is_directory_of(uint32_t number, const MemberPlace& place) const {
  size_t depth = place.components.size() - 1;
  if (number == none || directories_[number].depth != depth ||
      directories_[number].node.index != place.index)
    return false;
  for (; depth > 0; number = directories_[number].node.parent)
    if (directories_[number].node.name != place.components[--depth]) return false;
  return true;
}

/// Opens a directory that was created or found. Only the innermost few of the directories above it
/// stay open.
int RestoredTree::open_directory(uint32_t number) {
  constexpr size_t most_open = 16;
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  const Directory& directory = directories_[number];
  const bool is_known = open_.size() > directory.depth && open_[directory.depth].number == number;
  if (is_known && open_[directory.depth].descriptor) {
    open_.erase(open_.begin() + directory.depth + 1, open_.end());
    return open_.back().descriptor.get();
  }
  const int above = open_above(directory);
  open_.erase(open_.begin() + directory.depth, open_.end());
  Descriptor opened = open_sparingly(
      [&] { return openat(above, name_of(directory).c_str(), flags); });
  if (!opened) throw restore_error(path_of(directory.node));
  open_.push_back({number, std::move(opened)});
  if (open_.size() > most_open) open_[open_.size() - 1 - most_open].descriptor.reset();
  return open_.back().descriptor.get();
}

bool RestoredTree::close_outermost() {
  const auto outermost = std::find_if(open_.begin(), open_.end(), [](const OpenDirectory& each) {
    return static_cast<bool>(each.descriptor);
  });
  if (open_.end() - outermost < 2) return false;
  outermost->descriptor.reset();
  return true;
}

int RestoredTree::open_above(const Directory& directory) {
  return directory.node.is_root() ? AT_FDCWD : open_directory(directory.node.parent);
}

/// The name of a directory in its parent. A path of the caller is returned unchanged, because a
/// slash at its end means that a link is to be followed.
const std::string& RestoredTree::name_of(const Directory& directory) const {
  return directory.node.is_root() ? roots_[directory.node.index] : directory.node.name;
}

/// The path of the directory that contains the caller's path.
std::string RestoredTree::parent_path(const Node& node) const {
  const std::string& root = roots_[node.index];
  const std::string parent = root.substr(0, root.size() - base_of(root).size());
  return parent.empty() ? "." : parent;
}

int RestoredTree::parent_of(const Node& node) {
  if (!node.is_root()) return open_directory(node.parent);
  const int parent = open_root_parent(node);
  if (cleaned_.insert(parent_path(node)).second) abandoned_.remove_from(parent);
  return parent;
}

int RestoredTree::open_root_parent(const Node& node) {
  if (root_parent_ && root_parent_of_ == node.index) return root_parent_.get();
  const std::string path = parent_path(node);
  root_parent_ = open_sparingly(
      [&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (!root_parent_) throw restore_error(path);
  root_parent_of_ = node.index;
  return root_parent_.get();
}

std::string RestoredTree::base_name(const Node& node) const {
  return node.is_root() ? std::string(base_of(roots_[node.index])) : node.name;
}

/// Creates the missing directories above a path.
void RestoredTree::make_parents(const std::string& path) {
  const size_t end = path.size() - base_of(path).size();
  for (size_t at = path.find('/', 1); at < end; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), restored_permissions) == 0) {
      made_parents_.push_back(part);
    } else if (errno != EEXIST && errno != EISDIR) {
      throw restore_error(part);
    }
  }
}

void RestoredTree::make_directory(Node node, mode_t mode) {
  const auto number = static_cast<uint32_t>(directories_.size());
  const uint32_t depth = node.is_root() ? 0 : directories_[node.parent].depth + 1;
  Directory& directory = directories_.emplace_back(
      Directory{std::move(node), depth, mode & restored_permissions});
  const int above = open_above(directory);
  directory.is_new = mkdirat(above, name_of(directory).c_str(), owner_all) == 0;
  if (!directory.is_new) {
    if (errno != EEXIST) throw restore_error(path_of(directory.node));
    replace_other(above, number);
  }
  current_ = number;
  const int opened = open_directory(number);
  if (!directory.is_new) abandoned_.remove_from(opened);
  allow_owner(opened, directory);
}

/// Gives the owner all permissions on a directory until the end of the restore.
void RestoredTree::allow_owner(int opened, Directory& directory) {
  struct stat info {};
  if (fstat(opened, &info) != 0) throw restore_error(path_of(directory.node));
  if ((info.st_mode & owner_all) == owner_all) return;
  if (fchmod(opened, (info.st_mode & restored_permissions) | owner_all) != 0)
    throw restore_error(path_of(directory.node));
  directory.old_mode = info.st_mode & all_mode_bits;
}

/// If a file or link exists where a directory is to be created, renames it to a staging name until
/// everything is in place, and creates the directory. Does not rename the caller's own path, which
/// may be a link on purpose.
void RestoredTree::replace_other(int above, uint32_t number) {
  Directory& directory = directories_[number];
  const char* const name = name_of(directory).c_str();
  struct stat info {};
  if (fstatat(above, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    throw restore_error(path_of(directory.node));
  if (S_ISDIR(info.st_mode) || directory.node.is_root()) return;
  directory.has_replaced = renameat(above, name, above, names_.replaced(number).c_str()) == 0;
  directory.is_new = directory.has_replaced && mkdirat(above, name, owner_all) == 0;
  if (!directory.is_new) throw restore_error(path_of(directory.node));
}

void RestoredTree::finish() {
  remove_replaced();
  for (auto number = static_cast<uint32_t>(directories_.size()); number-- > 0;)
    finish_directory(number);
}

void RestoredTree::remove_replaced() {
  for (uint32_t number = 0; number < directories_.size(); ++number)
    if (directories_[number].has_replaced)
      unlinkat(open_above(directories_[number]), names_.replaced(number).c_str(), 0);
}

void RestoredTree::finish_directory(uint32_t number) {
  const int opened = open_directory(number);
  if (fchmod(opened, directories_[number].mode) != 0 || futimens(opened, nullptr) != 0)
    throw restore_error(path_of(directories_[number].node));
}

void RestoredTree::undo() {
  for (auto number = static_cast<uint32_t>(directories_.size()); number-- > 0;)
    ignoring_errors([&] { undo_directory(number); });
  for (; !made_parents_.empty(); made_parents_.pop_back()) rmdir(made_parents_.back().c_str());
}

void RestoredTree::undo_directory(uint32_t number) {
  const Directory& directory = directories_[number];
  if (directory.old_mode) (void)fchmod(open_directory(number), *directory.old_mode);
  if (!directory.is_new && !directory.has_replaced) return;
  const int above = open_above(directory);
  if (directory.is_new) unlinkat(above, name_of(directory).c_str(), AT_REMOVEDIR);
  if (!directory.has_replaced) return;
  const std::string replaced = names_.replaced(number);
  if (renameat(above, replaced.c_str(), above, name_of(directory).c_str()) != 0)
    unlinkat(above, replaced.c_str(), 0);  // the new directory already contains files
}

std::string RestoredTree::path_of(const Node& node) const {
  std::string below;
  const Node* top = &node;
  for (; !top->is_root(); top = &directories_[top->parent].node)
    below.insert(0, top->name).insert(0, "/");
  const std::string& path = roots_[top->index];
  return path.ends_with('/') && !below.empty() ? path + below.substr(1) : path + below;
}

}  // namespace memolock
