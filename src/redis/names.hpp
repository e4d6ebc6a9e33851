// The names of all keys and channels of an entry in Redis. Nothing else in the project spells one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/entry/key.hpp"

namespace memolock {

/// Whether an id is braced, as on a cluster, where the keys of one entry must be in one slot. One
/// with a hash tag of its own never is: there `x` and `{x}` are one entry.
enum class Brace { no, yes };

/// What is wrong with an id on a cluster, in words that follow "--id: ".
[[nodiscard]] std::optional<std::string> check_id_in_cluster(std::string_view id);

/// The keys and channels of one entry in Redis: the scheme of redis-memolock, and more of ours.
struct RedisNames {
  RedisNames(const Key& key, Brace brace);

  std::string value;       ///< stdout of what the last kept run left
  std::string lock;        ///< the holder's token
  std::string notif;       ///< channel: the value, as it is stored
  std::string meta;        ///< what else is known of that run
  std::string files;       ///< its artifacts
  std::string run;         ///< what the last run left that was not kept
  std::string part;        ///< a large value on its way in
  std::string files_part;  ///< the same of its artifacts
  std::string mark;        ///< that `once` has run, and when
  std::string fail;        ///< channel: a token, "look again"
};

/// The glob-style pattern of Redis that matches this tag alone.
[[nodiscard]] std::string glob_of(std::string_view tag);

/// A pattern for SCAN that matches all keys of a tag's entries, and some others; of every tag
/// without one.
[[nodiscard]] std::string redis_pattern(const std::optional<std::string>& tag);

/// The entry to which the Redis key `name` belongs, if its value, meta, lock or run has such a
/// name.
[[nodiscard]] std::optional<Key> key_of_redis_name(std::string_view name, Brace brace);

/// Of a key's name that by which a cluster chooses its slot: its hash tag, or all of it.
[[nodiscard]] std::string_view hashed_part(std::string_view name);

}  // namespace memolock
