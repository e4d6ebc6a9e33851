#include "src/redis/slot_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "src/store/directory.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr std::string_view first_line = "memolock-slots 1\n";
constexpr size_t largest_file = 1U << 20;
constexpr std::chrono::days unused_for{90};

/// The first lines of a file. They list the nodes, because the file's name is only a hash of them.
std::string head_of(const RedisCluster& cluster) {
  return std::string(first_line) + shown_hosts(cluster.hosts) + '\n';
}

void drop_unused(int directory) {
  for_each_name(directory, ".", DotNames::show, [&](const std::string& name) {
    struct stat info {};
    if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        is_older(std::chrono::seconds(info.st_mtim.tv_sec), unused_for, wall_now()))
      unlinkat(directory, name.c_str(), 0);
  });
}

std::string read_own(int directory, const std::string& name) {
  const OwnedFile file = open_owned_file(directory, name, O_RDONLY);
  if (!file || file.size > largest_file) return "";
  std::string text(file.size, '\0');
  const ssize_t got = read_all_at(file.get(), text.data(), text.size(), 0);
  return got == static_cast<ssize_t>(file.size) ? text : "";
}

}  // namespace

SlotMap read_cached_slots(const RedisCluster& cluster) {
  if (cluster.cache_directory.empty()) return {};
  try {
    const Descriptor root = open_store_directory(cluster.cache_directory, SymlinkPolicy::follow);
    const Descriptor directory = root ? open_directory(root.get(), std::string(clusters_directory))
                                      : Descriptor();
    if (!directory) return {};
    const std::string text = read_own(directory.get(), slots_file(shown_hosts(cluster.hosts)));
    const std::string head = head_of(cluster);
    return text.starts_with(head) ? SlotMap::parse(std::string_view(text).substr(head.size()))
                                  : SlotMap();
  } catch (const Error&) {
    return {};
  }
}

void cache_slots(const RedisCluster& cluster, const SlotMap& map) {
  if (cluster.cache_directory.empty()) return;
  try {
    const Descriptor root = make_store_directory(cluster.cache_directory, SymlinkPolicy::follow);
    const std::string inside(clusters_directory);
    if (const int error = make_directory(root.get(), inside); error != 0 && error != EEXIST) return;
    const Descriptor directory = open_directory(root.get(), inside);
    if (!directory) return;
    drop_unused(directory.get());
    const std::string draft = random_name();
    const Descriptor file = make_file(directory.get(), draft, O_WRONLY | O_EXCL);
    if (!file) return;
    const std::string name = slots_file(shown_hosts(cluster.hosts));
    const bool written = write_all_at(file.get(), head_of(cluster) + map.text(), 0) == 0;
    if (!written || renameat(directory.get(), draft.c_str(), directory.get(), name.c_str()) != 0)
      unlinkat(directory.get(), draft.c_str(), 0);
  } catch (const Error&) {
    // The next process asks the cluster again.
  }
}

}  // namespace memolock
