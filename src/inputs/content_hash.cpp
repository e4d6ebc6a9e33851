#include "src/inputs/content_hash.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "src/inputs/derived_id.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/hash.hpp"
#include "src/system/staging_name.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr uint64_t piece_size = 1U << 20;
constexpr size_t piece_digest_bytes = 32;
constexpr size_t read_size = 256U << 10;
// The cost of opening and examining a file, in bytes that could be hashed in the same time.
constexpr uint64_t cost_of_file = 16U << 10;

/// A file or a link whose content becomes part of the hash.
struct Item {
  std::string_view kind;
  std::string name;  ///< the path from the source's directory; empty: the source itself
  std::string path;
  int file = -1;
  uint64_t size = 0;
  timespec changed{};
  std::vector<std::string> pieces{};  ///< hashes of the pieces of a file that has several
  std::string digest{};
};

struct Tree {
  bool is_directory = false;
  std::vector<Item> items;
};

Error cannot_read(const std::string& path, const std::string& why) {
  return usage_error(fmt::format("cannot read {}: {}", escape_controls(path), why));
}

void note_state(Item& item, const struct stat& info) {
  item.size = static_cast<uint64_t>(info.st_size);
  item.changed = info.st_mtim;
  // A smaller file is read to its end, because the sizes of files below /proc and /sys are
  // meaningless.
  if (item.size > piece_size) item.pieces.resize((item.size + piece_size - 1) / piece_size);
}

/// The item for the link `base` in `directory`.
Item make_link(int directory, const char* base, std::string name, std::string path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = readlinkat(directory, base, target.data(), target.size());
  if (size < 0) throw cannot_read(path, error_text(errno));
  Item item{"link", std::move(name), std::move(path)};
  item.digest = digest_of({"link", {target.data(), static_cast<size_t>(size)}});
  return item;
}

Item make_file(std::string name, std::string path, int file, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) throw cannot_read(path, "not a regular file");
  Item item{"file", std::move(name), std::move(path), file};
  note_state(item, info);
  return item;
}

/// Adds the files and links of one directory to a tree, and its subdirectories to `deeper`.
void list_directory(const std::string& root, const std::string& below, Tree& tree,
                    std::vector<std::string>& deeper) {
  const std::string path = below.empty() ? root : root + '/' + below;
  const int flags = O_RDONLY | O_DIRECTORY | (below.empty() ? 0 : O_NOFOLLOW);
  DirectoryReader reader(open_path(path, flags));
  while (const char* const last = reader.next()) {
    if (StagingNames::matches(last)) continue;
    std::string name = below.empty() ? std::string(last) : fmt::format("{}/{}", below, last);
    std::string whole = fmt::format("{}/{}", path, last);
    struct stat info {};
    if (fstatat(reader.descriptor(), last, &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw cannot_read(whole, error_text(errno));
    if (S_ISDIR(info.st_mode)) {
      deeper.push_back(std::move(name));
    } else if (S_ISLNK(info.st_mode)) {
      tree.items.push_back(make_link(reader.descriptor(), last, std::move(name), std::move(whole)));
    } else {
      tree.items.push_back(make_file(std::move(name), std::move(whole), -1, info));
    }
  }
  if (reader.error() != 0) throw cannot_read(path, error_text(reader.error()));
}

Tree list_tree(const Source& source) {
  struct stat info {};
  const int failed = source.file < 0 ? stat(source.path.c_str(), &info) : fstat(source.file, &info);
  if (failed != 0) throw cannot_read(source.path, error_text(errno));
  Tree tree;
  if (!S_ISDIR(info.st_mode)) {
    tree.items.push_back(make_file("", source.path, source.file, info));
    return tree;
  }
  tree.is_directory = true;
  std::vector<std::string> deeper{""};
  while (!deeper.empty()) {
    const std::string below = std::move(deeper.back());
    deeper.pop_back();
    list_directory(source.path, below, tree, deeper);
  }
  std::sort(tree.items.begin(), tree.items.end(),
            [](const Item& a, const Item& b) { return a.name < b.name; });
  return tree;
}

void expect_unchanged(const Item& item, int file) {
  struct stat info {};
  if (fstat(file, &info) != 0) throw cannot_read(item.path, error_text(errno));
  if (static_cast<uint64_t>(info.st_size) != item.size ||
      info.st_mtim.tv_sec != item.changed.tv_sec || info.st_mtim.tv_nsec != item.changed.tv_nsec)
    throw cannot_read(item.path, "it changed while it was read");
}

Descriptor open_file(const Item& item) {
  // A path that the user has named may be a link. Everything else was a regular file when its
  // directory was listed.
  const int flags = item.name.empty() ? 0 : O_NOFOLLOW;
  Descriptor file = open_path(item.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | flags);
  if (!file) throw cannot_read(item.path, error_text(errno));
  return file;
}

struct Piece {
  std::string digest;
  uint64_t size = 0;
};

Piece hash_piece(const Item& item, int file, uint64_t offset, char* buffer) {
  Hash hash(piece_digest_bytes);
  Piece piece;
  while (piece.size < piece_size) {
    const size_t wanted = std::min<uint64_t>(read_size, piece_size - piece.size);
    const ssize_t got = read_all_at(file, buffer, wanted, offset + piece.size);
    if (got < 0) throw cannot_read(item.path, error_text(errno));
    hash.add_bytes({buffer, static_cast<size_t>(got)});
    piece.size += static_cast<uint64_t>(got);
    if (static_cast<size_t>(got) < wanted) break;
  }
  piece.digest = hash.finish();
  return piece;
}

/// The unit of work of a thread: a piece of a large file, or a whole smaller one.
struct Task {
  Item* item;
  size_t piece;
};

void run_with_store(const Task& task, char* buffer) {
  Item& item = *task.item;
  const Descriptor opened = item.file < 0 ? open_file(item) : Descriptor();
  const int file = opened ? opened.get() : item.file;
  expect_unchanged(item, file);
  if (item.size > piece_size) {
    item.pieces.at(task.piece) = hash_piece(item, file, task.piece * piece_size, buffer).digest;
  } else {
    Piece piece;
    uint64_t offset = 0;
    do {
      piece = hash_piece(item, file, offset, buffer);
      if (piece.size > 0) item.pieces.push_back(std::move(piece.digest));
      offset += piece.size;
    } while (piece.size == piece_size);
  }
  expect_unchanged(item, file);
}

/// Carries out all tasks, in this thread and up to `helpers` others.
void carry_out_all(const std::vector<Task>& tasks, size_t helpers) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    const auto buffer = std::make_unique_for_overwrite<char[]>(read_size);
    try {
      for (size_t i = next++; i < tasks.size(); i = next++) run_with_store(tasks[i], buffer.get());
    } catch (...) {
      const std::lock_guard guard(mutex);
      failure = std::current_exception();
      next = tasks.size();
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      while (threads.size() < helpers) threads.emplace_back(work);
    } catch (const std::system_error&) {
      // The threads that could be started do the work.
    }
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

void hash_files(std::vector<Tree>& trees) {
  std::vector<Task> tasks;
  uint64_t cost = 0;
  for (Tree& tree : trees) {
    for (Item& item : tree.items) {
      if (item.kind != "file") continue;
      for (size_t i = 0; i < std::max<size_t>(item.pieces.size(), 1); ++i)
        tasks.push_back({&item, i});
      cost += item.size + cost_of_file;
    }
  }
  const size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  carry_out_all(tasks, std::min<uint64_t>(processors - 1, cost / piece_size));
  for (Tree& tree : trees) {
    for (Item& item : tree.items) {
      if (item.kind != "file") continue;
      std::vector<std::string_view> words{"file"};
      words.insert(words.end(), item.pieces.begin(), item.pieces.end());
      item.digest = digest_of(words);
    }
  }
}

KeyPart whole(const Source& source, const Tree& tree) {
  if (!tree.is_directory) return {"file", source.path, tree.items.front().digest};
  std::vector<std::string_view> words{"folder"};
  for (const Item& item : tree.items)
    words.insert(words.end(), {item.kind, item.name, item.digest});
  return {"folder", source.path, digest_of(words)};
}

}  // namespace

std::vector<std::vector<KeyPart>> hash_contents(const std::vector<Source>& sources) {
  prepare_fast_hashes();
  std::vector<Tree> trees;
  trees.reserve(sources.size());
  for (const Source& source : sources) trees.push_back(list_tree(source));
  hash_files(trees);
  std::vector<std::vector<KeyPart>> hashes;
  for (size_t i = 0; i < sources.size(); ++i) {
    Tree& tree = trees[i];
    std::vector<KeyPart>& parts = hashes.emplace_back();
    parts.push_back(whole(sources[i], tree));
    if (!tree.is_directory) continue;
    for (Item& item : tree.items)
      parts.push_back({item.kind, std::move(item.path), std::move(item.digest)});
  }
  return hashes;
}

}  // namespace memolock
