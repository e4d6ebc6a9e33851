// The names of all keys and channels of an entry in Redis. No other file spells one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/entry/key.hpp"

namespace memolock {

/// Whether an id is put in braces, as on a cluster, where the keys of one entry must be in one
/// slot. An id with a hash tag of its own never is: on a cluster `x` and `{x}` are one entry.
enum class Brace { no, yes };

/// Why an id cannot be used on a cluster, to follow "--id: "; nothing when it can.
[[nodiscard]] std::optional<std::string> check_id_in_cluster(std::string_view id);

/// The keys and channels of one entry: those of redis-memolock, and more of memolock.
struct RedisNames {
  RedisNames(const Key& key, Brace brace);

  std::string value;         ///< stdout of the last kept run
  std::string lock;          ///< the holder's token
  std::string notif;         ///< channel: the value, when it is stored
  std::string meta;          ///< hash: everything else about that run
  std::string files;         ///< its artifacts
  std::string run;           ///< hash: the outcome of the last run, if it was not kept
  std::string part;          ///< a large value that is being uploaded
  std::string files_upload;  ///< artifacts that are being uploaded
  std::string mark;          ///< hash: that and when `once` has run
  std::string fail;          ///< channel: a token, when waiters should read the state again
};

/// The glob-style pattern of Redis that matches only this tag.
[[nodiscard]] std::string escape_glob(std::string_view tag);

/// A pattern for SCAN that matches all keys of a tag's entries and some others; without a tag, of
/// all tags.
[[nodiscard]] std::string scan_pattern(const std::optional<std::string>& tag);

/// The entry whose value, meta, lock, run or mark has the name `name`; nothing when it is not such
/// a name.
[[nodiscard]] std::optional<Key> parse_redis_name(std::string_view name, Brace brace);

/// The part of a key's name that determines its slot: its hash tag, or the whole name.
[[nodiscard]] std::string_view hash_tag_of(std::string_view name);

}  // namespace memolock
