// The names of all keys and channels of an entry in Redis. Only this file constructs them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/entry/key.hpp"

namespace memolock {

/// Whether the id is enclosed in braces. That is so on a cluster, where all keys of an entry must
/// be in one slot. An id that contains a hash tag is used unchanged, so on a cluster `x` and `{x}`
/// are the same entry.
enum class BracedId { no, yes };

/// Why an id cannot be used on a cluster, worded to follow "--id: "; nothing if it can be used.
[[nodiscard]] std::optional<std::string> check_id_in_cluster(std::string_view id);

/// The names of the keys and channels of one entry. redis-memolock uses the value, the lock and
/// value_channel; memolock uses all of them.
struct RedisNames {
  RedisNames(const Key& key, BracedId braced_id);

  std::string value;      ///< string: stdout of the last stored run
  std::string meta;       ///< hash: all other data about that run
  std::string files;      ///< string: the artifacts of that run
  std::string lock;       ///< string: the holder's token
  std::string run_state;  ///< hash: an outcome that is not an entry; data about a run in progress
  std::string upload;     ///< string: a large value that is being uploaded
  std::string files_upload;   ///< string: artifacts that are being uploaded
  std::string mark;           ///< hash: when `once` last ran the command, and how it ended
  std::string value_channel;  ///< channel: a small value, when it is stored
  std::string state_channel;  ///< channel: a token is published here when waiters should read the
                              ///< state again
};

/// A glob-style pattern that matches only this tag.
[[nodiscard]] std::string escape_glob(std::string_view tag);

/// A pattern for SCAN that matches all keys of a tag's entries, or of all tags' entries, and
/// possibly other keys.
[[nodiscard]] std::string scan_pattern(const std::optional<std::string>& tag);

/// The entry whose value, lock, meta, run_state or mark has the name `name`; nothing for any other
/// name.
[[nodiscard]] std::optional<Key> parse_redis_name(std::string_view name, BracedId braced_id);

/// The part of a key's name that determines its slot: its hash tag, or the whole name.
[[nodiscard]] std::string_view hash_tag_of(std::string_view name);

}  // namespace memolock
