#include "src/stats/counters.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

#include "src/store/directory.hpp"
#include "src/store/file_names.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr std::string_view file_magic = "memostat";
constexpr uint32_t file_version = 1;
constexpr size_t page_size = 4096;

/// The counters, in their order in the file.
enum Counter : size_t { hits, misses, waits, stale, failures, saved, bytes, counters };

/// The content of a file, in this machine's byte order.
struct Page {
  std::array<char, file_magic.size()> magic;
  uint32_t version;
  uint32_t tag_size;
  int64_t since;      // nanoseconds since the epoch
  int64_t last_used;  // the same
  std::array<uint64_t, counters> counts;
  std::array<char, 1024> tag;
};
static_assert(sizeof(Page) <= page_size);

constexpr int open_flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
constexpr std::chrono::days unused_for{90};
// Longer than any process takes to create a file and to give it its name.
constexpr std::chrono::minutes creation_time{10};

/// Maps an open file. Null if it is not a valid file of counters of this user.
Page* map_page(int file) {
  struct stat info {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != user_at_start() ||
      info.st_size != page_size)
    return nullptr;
  void* const mapped = mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) return nullptr;
  // Fails if a full disk has no space for the page; otherwise a later write could raise SIGBUS.
  // Kernels before 5.14 do not support this.
  Page* const page = static_cast<Page*>(mapped);
  const bool writable = madvise(mapped, page_size, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
  if (writable && std::string_view(page->magic.data(), page->magic.size()) == file_magic &&
      page->version == file_version && page->tag_size <= page->tag.size())
    return page;
  munmap(mapped, page_size);
  return nullptr;
}

std::atomic_ref<uint64_t> counter(Page& page, Counter which) {
  return std::atomic_ref<uint64_t>(page.counts.at(which));
}

void add(Page& page, Counter which, uint64_t amount) {
  if (amount != 0) counter(page, which).fetch_add(amount, std::memory_order_relaxed);
}

bool has_failed(const Outcome& outcome) {
  return outcome.kind == OutcomeKind::timeout || outcome.kind == OutcomeKind::error ||
         (outcome.kind == OutcomeKind::miss && outcome.status != 0) || outcome.fell_back_to_stale;
}

void add_call(Page& page, const Outcome& outcome) {
  const OutcomeKind kind = outcome.kind;
  add(page, hits, kind == OutcomeKind::hit ? 1 : 0);
  add(page, misses,
      kind == OutcomeKind::miss || kind == OutcomeKind::absent || outcome.fell_back_to_stale ? 1
                                                                                             : 0);
  add(page, waits, kind == OutcomeKind::waited ? 1 : 0);
  add(page, stale, kind == OutcomeKind::stale ? 1 : 0);
  add(page, failures, has_failed(outcome) ? 1 : 0);
  if (kind == OutcomeKind::hit || kind == OutcomeKind::waited || kind == OutcomeKind::stale)
    add(page, bytes, outcome.bytes);
  if (avoided_a_run(outcome))
    add(page, saved, static_cast<uint64_t>(outcome.run_time.value_or(Nanoseconds(0)).count()));
  std::atomic_ref(page.last_used).store(wall_now().count(), std::memory_order_relaxed);
}

/// Writes a page for `tag` whose counters are 0, and allocates its block.
bool write_page(int file, std::string_view tag) {
  Page page{};
  std::copy(file_magic.begin(), file_magic.end(), page.magic.begin());
  page.version = file_version;
  page.tag_size = static_cast<uint32_t>(tag.size());
  page.since = page.last_used = wall_now().count();
  std::copy(tag.begin(), tag.end(), page.tag.begin());
  std::string bytes(page_size, '\0');
  std::memcpy(bytes.data(), &page, sizeof(page));
  return posix_fallocate(file, 0, page_size) == 0 && write_all_at(file, bytes, 0) == 0;
}

/// Opens the file without following any symbolic link. The directories above it, which may belong
/// to another user, then need not be examined. Fails on kernels before 5.6, and if the path
/// contains a link, even a valid one.
int open_without_links(const std::string& path) {
  open_how mode{};
  mode.flags = open_flags;
  mode.resolve = RESOLVE_NO_SYMLINKS;
  return static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &mode, sizeof(mode)));
}

/// Opens the file after examining the store's directory, and creates it if it is missing. Throws
/// Error(store).
int open_or_make(const std::string& directory, const std::string& tag, IfMissing missing) {
  const auto open = missing == IfMissing::make ? make_store_directory : open_store_directory;
  const Descriptor root = open(directory, SymlinkPolicy::follow);
  if (!root) return -1;
  const std::string subdirectory(counters_directory);
  const int error = make_directory(root.get(), subdirectory);
  if (error != 0 && error != EEXIST) return -1;
  const Descriptor parent = open_directory(root.get(), subdirectory);
  if (!parent) return -1;
  const std::string name = counters_file(tag);
  const int found = openat(parent.get(), name.c_str(), open_flags);
  if (found >= 0 || errno != ENOENT) return found;
  const std::string draft = random_name();
  const Descriptor file = make_file(parent.get(), draft, open_flags | O_EXCL);
  if (!file) return -1;
  // If another process has created the file meanwhile, that file is used.
  if (write_page(file.get(), tag))
    (void)!linkat(parent.get(), draft.c_str(), parent.get(), name.c_str(), 0);
  unlinkat(parent.get(), draft.c_str(), 0);
  return openat(parent.get(), name.c_str(), open_flags);
}

/// A mapped page, unmapped by the destructor.
using MappedPage = std::unique_ptr<Page, decltype([](Page* page) { munmap(page, page_size); })>;

MappedPage open_page(int directory, const std::string& name) {
  const Descriptor file(openat(directory, name.c_str(), open_flags));
  MappedPage page(file ? map_page(file.get()) : nullptr);
  if (page && counters_file({page->tag.data(), page->tag_size}) == name) return page;
  return nullptr;
}

TagCounts read_page(Page& page, AfterRead after) {
  const auto read = [&](Counter which) {
    return after == AfterRead::reset ? counter(page, which).exchange(0)
                                     : counter(page, which).load();
  };
  TagCounts result;
  result.tag.assign(page.tag.data(), page.tag_size);
  const std::atomic_ref since(page.since);
  const Nanoseconds now = wall_now();
  // Not in the future, even if the clock was set back.
  result.since = std::min(
      now, Nanoseconds(after == AfterRead::reset ? since.exchange(now.count()) : since.load()));
  result.counts = {read(hits),  read(misses),   read(waits),
                   read(stale), read(failures), Nanoseconds(static_cast<int64_t>(read(saved))),
                   read(bytes)};
  return result;
}

/// Whether the file is unused, incomplete or damaged, so that it can be removed.
bool is_removable(int directory, const std::string& name) {
  if (const MappedPage page = open_page(directory, name))
    return is_older(Nanoseconds(page->last_used), unused_for, wall_now());
  const Descriptor file(openat(directory, name.c_str(), open_flags));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return false;
  const bool is_draft = name.find('.') == std::string::npos;
  if (is_draft)
    return is_older(std::chrono::seconds(info.st_mtim.tv_sec), creation_time, wall_now());
  // Without the magic number, the file is damaged, and no call can be counted in it. With the magic
  // number, it may be of another version.
  std::array<char, file_magic.size()> front{};
  const ssize_t got = read_all_at(file.get(), front.data(), front.size(), 0);
  return got >= 0 && std::string_view(front.data(), front.size()) != file_magic;
}

/// Opens the directory of the counters of a local store; empty if there is none.
Descriptor open_counters(const std::string& store) {
  return open_directory(AT_FDCWD, store + '/' + std::string(counters_directory));
}

}  // namespace

void count_call(const std::string& directory, const std::string& tag, const Outcome& outcome,
                IfMissing missing) {
  const OutcomeKind kind = outcome.kind;
  if (kind == OutcomeKind::bypass || kind == OutcomeKind::interrupted ||
      kind == OutcomeKind::background)
    return;
  const std::string path = directory + '/' + std::string(counters_directory) + '/' +
                           counters_file(tag);
  int file = open_without_links(path);
  if (file < 0) {
    try {
      file = open_or_make(directory, tag, missing);
    } catch (const Error&) {
      return;
    }
  }
  if (file < 0) return;
  if (Page* const page = map_page(file)) add_call(*page, outcome);
}

std::vector<TagCounts> read_counts(const std::string& directory,
                                   const std::optional<std::string>& tag, AfterRead after) {
  std::vector<TagCounts> all;
  const Descriptor opened = open_counters(directory);
  if (!opened) return all;
  const auto read = [&](const std::string& name) {
    if (const MappedPage page = open_page(opened.get(), name))
      all.push_back(read_page(*page, after));
  };
  if (tag) {
    read(counters_file(*tag));
  } else {
    for_each_name(opened.get(), ".", DotNames::skip, read);
  }
  std::sort(all.begin(), all.end(),
            [](const TagCounts& a, const TagCounts& b) { return a.tag < b.tag; });
  return all;
}

void restore_counts(const std::string& directory, const std::vector<TagCounts>& all) {
  const Descriptor opened = open_counters(directory);
  if (!opened) return;
  for (const auto& [tag, counts, since] : all) {
    const MappedPage page = open_page(opened.get(), counters_file(tag));
    if (!page) continue;
    add(*page, hits, counts.hits);
    add(*page, misses, counts.misses);
    add(*page, waits, counts.waits);
    add(*page, stale, counts.stale);
    add(*page, failures, counts.failures);
    add(*page, saved, static_cast<uint64_t>(counts.saved.count()));
    add(*page, bytes, counts.bytes);
    std::atomic_ref(page->since).store(since.count());
  }
}

uint64_t remove_unused_counters(int directory, GcMode mode) {
  uint64_t freed = 0;
  const Descriptor opened = open_directory(directory, std::string(counters_directory));
  if (!opened) return freed;
  for_each_name(opened.get(), ".", DotNames::skip, [&](const std::string& name) {
    if (is_removable(opened.get(), name) &&
        (mode == GcMode::dry_run || unlinkat(opened.get(), name.c_str(), 0) == 0))
      freed += page_size;
  });
  return freed;
}

}  // namespace memolock
